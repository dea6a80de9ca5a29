//! Any text is read or refused: no panic, every problem on a line of the file, no login shown.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::config::{PROFILE_TABLES, csv_columns};

const SAMPLES: [(&str, &str); 2] = [
    (include_str!("../../../../pipelines/inventory.csv"), "c.csv"),
    (include_str!("../../../../pipelines/inventory.toml"), "c.toml"),
];

/// Everything that is told stands on a line of the text, in order; what is not told is a camera.
fn holds(text: &str, name: &str) -> Result<Option<Inventory>, TestCaseError> {
    let (problems, inventory) = match Inventory::from_text(text, name) {
        Ok(inventory) => (inventory.problems().to_vec(), Some(inventory)),
        Err(errors) => (errors.problems().to_vec(), None),
    };
    prop_assert!(inventory.is_some() || !problems.is_empty());
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().count().max(1);
    let mut last = 0;
    for problem in &problems {
        let place = problem.place.as_ref().expect("a text has places");
        prop_assert!((1..=lines).contains(&place.line), "{problem} of {lines} lines");
        prop_assert!(place.line >= last, "{problem}");
        last = place.line;
        let width = text.lines().nth(place.line - 1).unwrap_or("").chars().count();
        prop_assert!(place.column >= 1 && place.column <= width + 1, "{problem}");
    }
    if let Some(inventory) = &inventory {
        prop_assert_eq!(problems.is_empty(), inventory.rejected() == 0);
        prop_assert!(inventory.cameras().iter().all(|c| inventory.get(c.id.as_str()) == Some(c)));
    }
    Ok(inventory)
}

/// CSV with a header of known columns and any cells, some of them quoted badly.
fn csvish() -> impl Strategy<Value = String> {
    let columns: Vec<String> = csv_columns()
        .iter()
        .map(|k| k.name.to_owned())
        .chain(
            PROFILE_TABLES[0]
                .keys
                .iter()
                .flat_map(|k| [format!("main.{}", k.name), format!("sub.{}", k.name)]),
        )
        .collect();
    let cells = vec![
        "",
        "",
        "a",
        "b",
        "cam-1",
        "rtsp://h/1",
        "rtsp://u:p@h/1",
        "rtps://h",
        "1",
        "0",
        "-1",
        "50.85",
        "4,35",
        "1e400",
        "NaN",
        "true",
        "no",
        "1920x1080",
        "0x0",
        "25",
        "30000/1001",
        "h264",
        "udp",
        "x;y",
        "0 0 1 1",
        "0 0 1",
        "\"",
        "\"a",
        "a\"b",
        "\"a,b\"",
        "\"a\"\"b\"",
        "#",
        "é",
        " ",
        "\r",
        "\0",
        "256",
    ];
    let header = proptest::collection::vec(proptest::sample::select(columns), 0..12);
    let row = proptest::collection::vec(proptest::sample::select(cells), 0..14);
    (header, proptest::collection::vec(row, 0..12), proptest::sample::select(vec![",", ";", "\t"])).prop_map(
        |(header, rows, delimiter)| {
            let mut text = format!("id{delimiter}uri{delimiter}{}\n", header.join(delimiter));
            for row in rows {
                text.push_str(&row.join(delimiter));
                text.push('\n');
            }
            text
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in "\\PC*", toml in any::<bool>()) {
        holds(&text, if toml { "c.toml" } else { "c.csv" })?;
    }

    #[test]
    fn any_lines(text in "[a-z\",;#é \r\n\u{feff}]{0,80}") {
        holds(&text, "c.csv")?;
        holds(&format!("id,uri\n{text}"), "c.csv")?;
    }

    #[test]
    fn any_cells(text in csvish()) {
        holds(&text, "c.csv")?;
    }

    #[test]
    fn mutated_samples(
        sample in 0..SAMPLES.len(),
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0..12usize, "[\\[\\]\"=a-z0-9 \n#,;.é]{0,3}"), 1..6),
    ) {
        let (text, name) = SAMPLES[sample];
        let mut text: Vec<char> = text.chars().collect();
        for (at, length, put) in cuts {
            let at = at.index(text.len().max(1)).min(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, put.chars());
        }
        let text: String = text.into_iter().collect();
        if let Some(inventory) = holds(&text, name)? {
            // What was read is written and read again as it was.
            let again = Inventory::from_text(&inventory.to_toml(), "again.toml");
            if !inventory.is_empty() {
                let again = again.unwrap_or_else(|errors| panic!("{errors}"));
                prop_assert_eq!(again.problems(), &[]);
                prop_assert_eq!(again.cameras(), inventory.cameras());
            }
        }
    }

    #[test]
    fn no_login_is_ever_shown(
        at in any::<prop::sample::Index>(),
        put in "[\\[\\]\"=a-z0-9 \n#,;.]{0,3}",
        cut in 0..4usize,
        toml in any::<bool>(),
    ) {
        // Only what surrounds the password is damaged, so that it stays recognisable.
        let (before, after, name) = if toml {
            ("[[camera]]\nid = \"a\"\nuri = \"rtsp://user:", "@10.0.0.7/1\"\n", "c.toml")
        } else {
            ("id,uri,zone,sub.uri\na,rtsp://user:", "@10.0.0.7/1,north,rtsp://h/2\n", "c.csv")
        };
        let mut before: Vec<char> = before.chars().collect();
        let at = at.index(before.len());
        let end = (at + cut).min(before.len());
        before.splice(at..end, put.chars());
        let text = before.into_iter().collect::<String>() + "hUnTeR2" + after;
        let said = match Inventory::from_text(&text, name) {
            Ok(inventory) => format!("{:?} {:?}", inventory.problems(), inventory),
            Err(errors) => errors.to_string(),
        };
        prop_assert!(!said.contains("hUnTeR2"), "{}", said);
    }

    #[test]
    fn any_query(text in "\\PC{0,80}") {
        query_holds(&text)?;
    }

    #[test]
    fn anything_like_a_query(words in proptest::collection::vec(proptest::sample::select(vec![
        "id", "zone", "tag", "name", "and", "or", "not", "in", "near", "within", "all", "=", "!=", "~", "(", ")", ",",
        "'", "\"", "*", "?", "a", "é", "50.85", "4.35", "2km", "-", "!", " ",
    ]), 0..24)) {
        query_holds(&words.join(" "))?;
        query_holds(&words.concat())?;
    }

    #[test]
    fn a_glob_is_what_a_slow_one_says(glob in "[ab*?]{0,8}", text in "[ab]{0,8}") {
        fn slow(glob: &[char], text: &[char]) -> bool {
            match (glob.first(), text.first()) {
                (None, None) => true,
                (Some('*'), _) => slow(&glob[1..], text) || !text.is_empty() && slow(glob, &text[1..]),
                (Some('?'), Some(_)) => slow(&glob[1..], &text[1..]),
                (Some(g), Some(t)) if g == t => slow(&glob[1..], &text[1..]),
                _ => false,
            }
        }
        prop_assume!(!glob.is_empty());
        let mut camera = Inventory::from_text("id,uri\na,rtsp://h/1\n", "c.csv").unwrap().cameras()[0].clone();
        camera.name = text.clone();
        let query = Query::parse(&format!("name ~ '{glob}'")).unwrap();
        let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
        prop_assert_eq!(query.matches(&camera), slow(&glob, &text));
    }
}

fn query_holds(text: &str) -> Result<(), TestCaseError> {
    let camera = Inventory::from_text("id,uri\na,rtsp://h/1\n", "c.csv").unwrap().cameras()[0].clone();
    match Query::parse(text) {
        Ok(query) => {
            // Its text means the same again, and its negation the opposite.
            prop_assert_eq!(&Query::parse(&query.to_string()).unwrap(), &query);
            if text.len() < 4_000
                && let Ok(not) = Query::parse(&format!("not ({text})"))
            {
                prop_assert!(not.matches(&camera) != query.matches(&camera));
            }
        }
        Err(error) => {
            prop_assert!((1..=text.chars().count() + 1).contains(&error.column()), "{}", error);
            prop_assert!(!error.message().is_empty());
        }
    }
    Ok(())
}
