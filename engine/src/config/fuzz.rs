//! Any text is read or refused: no panic, every problem on a line of the file, no login shown.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const SAMPLES: [&str; 6] = [
    include_str!("../../../pipelines/first-wall.toml"),
    include_str!("../../../pipelines/wall-4x4.toml"),
    include_str!("../../../pipelines/wall-presets.toml"),
    include_str!("../../../pipelines/wall-16-screens.toml"),
    include_str!("../../../pipelines/wall-masks.toml"),
    include_str!("../../../pipelines/wall-outputs.toml"),
];

fn holds(text: &str) -> Result<(), TestCaseError> {
    let Err(errors) = WallSpec::from_toml(text, "wall.toml") else { return Ok(()) };
    prop_assert!(!errors.problems().is_empty());
    let lines = text.lines().count().max(1);
    let mut last = 0;
    for problem in errors.problems() {
        let place = problem.place.as_ref().expect("a file has places");
        prop_assert!((1..=lines).contains(&place.line), "{problem} of {lines} lines");
        prop_assert!(place.line >= last, "{errors}");
        last = place.line;
        let width = text.lines().nth(place.line - 1).unwrap_or("").chars().count();
        prop_assert!(place.column >= 1 && place.column <= width + 1, "{problem}");
    }
    Ok(())
}

/// Words of wall files and bits of TOML, in any order.
fn tomlish() -> impl Strategy<Value = String> {
    let words: Vec<String> = TABLES
        .iter()
        .flat_map(|t| {
            std::iter::once(format!("\n{}\n", t.heading)).chain(t.keys.iter().map(|k| k.name.into()))
        })
        .chain(
            [
                " = ",
                "\n",
                "[",
                "]",
                "{",
                "}",
                ",",
                "\"",
                "\"2x2\"",
                "\"1+5\"",
                "[0, 0]",
                "[0, 0, 64, 36]",
                "25",
                "-1",
                "4294967296",
                "1e400",
                "nan",
                "0x7f",
                "true",
                "\"2s\"",
                "\"#ff00ff\"",
                "#",
                "\"rtsp://h/1\"",
                "\"cam-1\"",
                "\"screen-1\"",
                "1979-05-27",
                "'''",
                "é",
                "\r\n",
                "\0",
                ".",
            ]
            .map(String::from),
        )
        .collect();
    proptest::collection::vec(proptest::sample::select(words), 0..60).prop_map(|words| words.concat())
}

/// Well-formed tables with any key of theirs and any value: these reach the checks behind the syntax.
fn tables() -> impl Strategy<Value = String> {
    let values: Vec<&str> = vec![
        "0",
        "1",
        "2",
        "64",
        "65",
        "16384",
        "4294967295",
        "0.5",
        "1.0",
        "\"\"",
        "\"a\"",
        "\"cam-1\"",
        "\"screen-1\"",
        "\"screen-2\"",
        "\"region-1\"",
        "\"4x4\"",
        "\"64x64\"",
        "\"1+5\"",
        "\"1+12\"",
        "\"rtsp://h/1\"",
        "\"w.mkv\"",
        "[\"w.mkv\"]",
        "[\"cam-1\", \"cam-2\"]",
        "[\"screen-1\", \"screen-2\"]",
        "[0, 0]",
        "[3, 3]",
        "[4294967295, 4294967295]",
        "[1048576, 2]",
        "[2, 2]",
        "[0, 0, 64, 36]",
        "[0, 0, 1, 1]",
        "[[0, 0, 1, 1]]",
        "[[0.5, 0.5, 0.6, 1]]",
        "\"2s\"",
        "\"1000000min\"",
        "\"never\"",
        "\"#123456\"",
        "true",
        "{ main = \"rtsp://h/1\" }",
        "{ sub = 3 }",
        "[]",
        "[[]]",
        "{}",
    ];
    let line = (0..100usize, proptest::sample::select(values));
    let table = (0..TABLES.len(), proptest::collection::vec(line, 0..6)).prop_map(|(i, lines)| {
        let table = &TABLES[i];
        let mut text = format!("{}\n", table.heading);
        let mut used = Vec::new();
        for (k, value) in lines {
            let key = table.keys[k % table.keys.len()].name;
            if !used.contains(&key) {
                text.push_str(&format!("{key} = {value}\n"));
                used.push(key);
            }
        }
        (i, text)
    });
    proptest::collection::vec(table, 0..14).prop_map(|tables| {
        let mut once = Vec::new();
        let mut text = String::new();
        for (i, table) in tables {
            // `[wall]` twice is a matter of syntax.
            if TABLES[i].heading.starts_with("[[") || !once.contains(&i) {
                once.push(i);
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
    fn anything_like_toml(text in tomlish()) {
        holds(&text)?;
    }

    #[test]
    fn any_keys_and_values(text in tables()) {
        holds(&text)?;
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
    fn no_login_is_ever_shown(
        at in any::<prop::sample::Index>(),
        put in "[\\[\\]\"=a-z0-9 \n#,.]{0,3}",
        cut in 0..4usize,
    ) {
        // Only what surrounds the password is damaged, so that it stays recognisable.
        let (before, after) = ("[[camera]]\nuri = \"rtsp://user:", "@10.0.0.7/1\"\n[[screen]]\ngrid = \"2x2\"\n");
        let mut before: Vec<char> = before.chars().collect();
        let at = at.index(before.len());
        let end = (at + cut).min(before.len());
        before.splice(at..end, put.chars());
        let text = before.into_iter().collect::<String>() + "hUnTeR2" + after;
        if let Err(errors) = WallSpec::from_toml(&text, "wall.toml") {
            prop_assert!(!errors.to_string().contains("hUnTeR2"), "{}", errors);
        }
    }
}

#[test]
fn every_sample_loads() {
    for sample in SAMPLES {
        WallSpec::from_toml(sample, "sample.toml").unwrap();
    }
}
