//! The reference names every word that programs can meet.

use std::collections::BTreeSet;

use super::*;

const REFERENCE: &str = include_str!("../../../../docs/ref/rights.md");

#[test]
fn the_reference_has_every_word() {
    let f = Fixture::new();
    let mut words: BTreeSet<String> =
        f.db.read(purposes).expect("purposes").into_iter().map(|p| p.word).collect();
    words.extend(BASES.iter().map(|basis| basis.word.to_owned()));
    words.extend(Code::ALL.map(|code| code.as_str().to_owned()));
    words.extend(State::ALL.map(|state| state.as_str().to_owned()));
    words.extend(Step::ALL.map(|step| format!("agreement.{}", step.done())));
    words.extend(["agreement.drafted", "agreement.replaced", "agreement.purpose-added"].map(str::to_owned));
    words.extend(["opened", "closing", "kept", "closed"].map(|step| format!("incident.{step}")));
    let missing: Vec<&String> =
        words.iter().filter(|word| !REFERENCE.contains(&format!("`{word}`"))).collect();
    assert!(missing.is_empty(), "docs/ref/rights.md lacks {missing:?}");
    assert!(words.len() > 50);
}
