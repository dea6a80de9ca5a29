//! How long it takes to decide anew for all cameras of a region. A figure for docs/design/rights.md:
//! `cargo test -p vitrail-control --lib rights::tests::figure -- --ignored --nocapture`.

use std::hint::black_box;
use std::time::Instant;

use super::*;

const ZONES: usize = 6;
const CAMERAS: usize = 8_000;
const AGREEMENTS_A_ZONE: usize = 6;
const ROUNDS: usize = 101;

fn region(state: State) -> Rights {
    let agreement = |zone: usize, number: usize| AgreementFacts {
        id: format!("A-2026-{:04}", zone * AGREEMENTS_A_ZONE + number),
        zone: format!("zone-{zone}"),
        title: "Regional crisis room".into(),
        purposes: vec!["missing-person".into(), "traffic-incident".into(), "public-order".into()],
        live: true,
        record: false,
        export: false,
        units: vec!["fire-brigade".into(), "federal-police".into(), "crisis-centre".into()],
        tags: if number.is_multiple_of(2) {
            Vec::new()
        } else {
            vec!["metro".into(), "ring".into(), "tunnel".into()]
        },
        from: Utc(0),
        to: Utc(2_000_000 + number as i64),
        state,
        since: Utc(0),
    };
    let agreements = (0..ZONES).flat_map(|z| (0..AGREEMENTS_A_ZONE).map(move |n| (z, n)));
    let incident = IncidentFacts {
        id: "I-1".into(),
        purpose: "public-order".into(),
        basis: "March on the ring (public-order), Police Functions Act, art. 22, EV-2026-118".into(),
        ends_at: Utc::NEVER,
    };
    let account = AccountFacts {
        id: "u-4".into(),
        role: Role::Operator,
        unit: "crisis-centre".into(),
        zones: Vec::new(),
        enabled: true,
    };
    Rights::new(agreements.map(|(z, n)| agreement(z, n)).collect(), vec![incident], vec![account])
}

#[test]
#[ignore = "a figure, not a test"]
fn time_to_decide_for_all_cameras_of_a_region() {
    let cameras: Vec<CameraFacts> = (0..CAMERAS)
        .map(|n| CameraFacts {
            camera: format!("cam-{n}"),
            zone: Some(format!("zone-{}", n % ZONES)),
            tags: vec!["street".into(), "tunnel".into()],
        })
        .collect();
    for (what, state) in [("permitted", State::Signed), ("refused", State::Suspended)] {
        let rights = region(state);
        let mut times: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let begin = Instant::now();
                for facts in &cameras {
                    let _ = black_box(decide(
                        &rights,
                        &operator(),
                        Some("I-1"),
                        facts,
                        Action::Live,
                        Utc(1_000_000),
                    ));
                }
                begin.elapsed().as_secs_f64() * 1e6
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!(
            "{CAMERAS} cameras x {AGREEMENTS_A_ZONE} agreements, all {what}: median {:.0} µs, longest {:.0} µs of {ROUNDS}",
            times[ROUNDS / 2],
            times[ROUNDS - 1]
        );
    }
}
