//! Any text is read or refused: no panic, every problem on a line of the file, no login shown, and
//! what is read keeps its bounds.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::transcode::spec::{RateSpec, TranscodeSpec};

const SAMPLES: [&str; 4] = [
    include_str!("../../../../pipelines/transcode-folder.toml"),
    include_str!("../../../../pipelines/ladder.toml"),
    include_str!("../../../../pipelines/evidence-export.toml"),
    include_str!("../../../../pipelines/camera-archive.toml"),
];

fn bounds(job: &TranscodeSpec) -> Result<(), TestCaseError> {
    prop_assert!(!job.renditions.is_empty() && job.renditions.len() <= 12);
    let from = job.range.from.unwrap_or_default();
    prop_assert!(job.range.to.is_none_or(|to| to > from));
    for mask in &job.edit.masks {
        prop_assert!(mask.polygon.len() >= 3);
        prop_assert!(mask.polygon.iter().all(|(x, y)| (0.0..=1.0).contains(x) && (0.0..=1.0).contains(y)));
    }
    for rendition in &job.renditions {
        match rendition.video.encode().map(|encode| encode.rate) {
            Some(RateSpec::Crf(crf)) => prop_assert!((0.0..=51.0).contains(&crf)),
            Some(RateSpec::Kbps(kbps)) => prop_assert!((10..=1_000_000).contains(&kbps)),
            Some(RateSpec::TargetBytes(bytes)) => prop_assert!(bytes >= 10_000),
            None => prop_assert!(job.edit.is_nothing()),
        }
    }
    Ok(())
}

fn holds(text: &str) -> Result<(), TestCaseError> {
    let errors = match JobSpec::from_toml(text, "job.toml") {
        Ok(spec) => {
            prop_assert!(!spec.tasks.is_empty());
            for task in &spec.tasks {
                prop_assert!(!task.inputs.is_empty());
                bounds(&task.job("a".into(), "b".into()))?;
            }
            return Ok(());
        }
        Err(errors) => errors,
    };
    prop_assert!(!errors.problems().is_empty());
    let lines = text.lines().count().max(1);
    let mut last = 0;
    for problem in errors.problems() {
        let place = problem.place.as_ref().expect("a file has places");
        prop_assert!((1..=lines).contains(&place.line), "{problem} of {lines} lines");
        prop_assert!(place.line >= last, "{errors}");
        last = place.line;
    }
    Ok(())
}

/// Tables with any key of theirs and any value: these reach the checks behind the syntax.
fn tables() -> impl Strategy<Value = String> {
    let values = [
        "0",
        "1",
        "2",
        "16",
        "50",
        "60",
        "90",
        "720",
        "4294967295",
        "-1",
        "0.5",
        "1.0",
        "1e300",
        "nan",
        "true",
        "\"\"",
        "\"a\"",
        "\"a.mp4\"",
        "\"a.png\"",
        "\"zero\"",
        "\"auto\"",
        "\"copy\"",
        "\"h265\"",
        "\"aac\"",
        "\"exact\"",
        "\"fill\"",
        "\"mosaic\"",
        "\"top-left\"",
        "\"slow\"",
        "\"4M\"",
        "\"10G\"",
        "\"6s\"",
        "\"1:00\"",
        "\"0:59.9\"",
        "\"99999999999h\"",
        "\"1000000000s\"",
        "\"640x360\"",
        "\"3x3\"",
        "[640, 360]",
        "[0, 0, 64, 36]",
        "\"8,8,64x36\"",
        "\"720:3M,480\"",
        "[\"720:3M\"]",
        "[]",
        "[\"a\", \"b/*.ts\"]",
        "[\"0,0 1,1\"]",
        "[\"0,0 1,1@5-9:mosaic\"]",
        "[{ points = [[0, 0], [1, 0], [0, 1]], to = 3 }]",
        "{ text = \"x\", height = 0.2 }",
        "{}",
        "{ start = \"zero\", corner = \"top-right\" }",
        "{ image = \"x.png\", opacity = 0.5 }",
        "2026-11-24T10:00:00Z",
        "1979-05-27",
        "\"30000/1001\"",
        "\"rtsp://u:hUnTeR2@h/1\"",
    ];
    let line = (0..100usize, proptest::sample::select(values.to_vec()));
    let table = (0..4usize, proptest::collection::vec(line, 0..8)).prop_map(|(which, lines)| {
        let (heading, keys) = match which {
            0 => ("[job]", JOB_TABLES[0].keys),
            1 => ("[evidence]", JOB_TABLES[1].keys),
            2 => ("[defaults]", JOB_TABLES[2].keys),
            _ => ("[[task]]\ninput = \"a\"\noutput = \"b\"", JOB_TABLES[2].keys),
        };
        let mut text = format!("{heading}\n");
        let mut used = if which == 3 { vec!["input", "output"] } else { Vec::new() };
        for (k, value) in lines {
            let key = keys[k % keys.len()].name;
            if !used.contains(&key) {
                text.push_str(&format!("{key} = {value}\n"));
                used.push(key);
            }
        }
        (which, text)
    });
    proptest::collection::vec(table, 0..6).prop_map(|tables| {
        let mut once = Vec::new();
        let mut text = String::new();
        for (which, table) in tables {
            if which == 3 || !once.contains(&which) {
                once.push(which);
                text.push_str(&table);
            }
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in "\\PC*") {
        holds(&text)?;
    }

    #[test]
    fn any_keys_and_values(text in tables()) {
        holds(&text)?;
        if let Err(errors) = JobSpec::from_toml(&text, "job.toml") {
            prop_assert!(!errors.to_string().contains("hUnTeR2"), "{}", errors);
        }
    }

    #[test]
    fn any_value_of_one_key(key in 0..100usize, value in "[\\[\\]{}\"=a-z0-9:,.@ x#-]{0,24}", quoted in any::<bool>()) {
        let key = JOB_TABLES[2].keys[key % JOB_TABLES[2].keys.len()].name;
        let value = if quoted { format!("'{}'", value.replace('\'', "")) } else { value };
        let rest = ["input", "output"].iter().filter(|k| **k != key).map(|k| format!("{k} = \"a\"\n"));
        holds(&format!("[[task]]\n{}{key} = {value}\n", rest.collect::<String>()))?;
    }

    #[test]
    fn mutated_samples(
        sample in 0..SAMPLES.len(),
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0..12usize, "[\\[\\]\"=a-z0-9 \n#,.é]{0,3}"), 1..6),
    ) {
        let mut text: Vec<char> = SAMPLES[sample].chars().collect();
        for (at, length, put) in cuts {
            let at = at.index(text.len().max(1)).min(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, put.chars());
        }
        holds(&text.into_iter().collect::<String>())?;
    }

    #[test]
    fn any_options(key in 0..100usize, value in "\\PC{0,24}") {
        let key = JOB_TABLES[2].keys[key % JOB_TABLES[2].keys.len()].name;
        if let Ok(spec) = JobSpec::from_options(&["a".into()], "b", &[(key, value)]) {
            bounds(&spec.tasks[0].job("a".into(), "b".into()))?;
        }
    }
}

#[test]
fn every_sample_loads() {
    for sample in SAMPLES {
        JobSpec::from_toml(sample, "sample.toml").unwrap_or_else(|e| panic!("{e}"));
    }
}
