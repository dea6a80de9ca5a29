//! What viewers over WebRTC cost: CPU of the sender's thread for 1, 4 and 16 of them, at 1080p25.
#![allow(missing_docs, clippy::unwrap_used, dead_code)]

mod support;

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use vitrail_control::live::LiveReport;
use vitrail_engine::encode::Rate;

use support::stage::{Stage, Wish};

const TIME: Duration = Duration::from_secs(20);

#[test]
#[ignore = "a measurement: a quiet machine, a minute and a half"]
fn cpu_by_the_number_of_viewers() {
    measure(None);
    measure(Some(Rate::Crf(1)));
}

fn measure(rate: Option<Rate>) {
    let stage = Stage::start(Wish { size: (1920, 1080), rate, ..Wish::default() });
    let login = CancellationToken::new();
    let watcher = stage.watcher("anna", &login);
    let mut watching = Vec::new();
    for count in [1, 4, 16] {
        while watching.len() < count {
            watching.push(stage.view(&watcher, 0.0).0);
        }
        let connected = || {
            let report = stage.live.report();
            report.viewers.len() == count && report.viewers.iter().all(|v| v.connected && v.units > 10)
        };
        stage.until("all of them", connected);
        let (before, screen, began) =
            (stage.live.report(), stage.wall.report().screens[0].clone(), Instant::now());
        std::thread::sleep(TIME);
        let (after, now) = (stage.live.report(), stage.wall.report().screens[0].clone());
        let seconds = began.elapsed().as_secs_f64();
        let total = |report: &LiveReport, of: fn(&vitrail_control::live::ViewerReport) -> u64| {
            report.viewers.iter().map(of).sum::<u64>() as f64
        };
        let cpu = (after.cpu_s - before.cpu_s) / seconds * 100.0;
        let rate = (total(&after, |v| v.bytes) - total(&before, |v| v.bytes)) * 8.0 / 1e6 / seconds;
        println!(
            "{count:2} viewers: {cpu:5.1} % of a core, {:.2} % each; {:.2} Mb/s each, {:.0} packets/s in all; \
             {} units dropped; wall: {} pictures, {} missed",
            cpu / count as f64,
            rate / count as f64,
            (total(&after, |v| v.packets) - total(&before, |v| v.packets)) / seconds,
            total(&after, |v| v.dropped) - total(&before, |v| v.dropped),
            now.frames - screen.frames,
            now.missed - screen.missed,
        );
    }
}
