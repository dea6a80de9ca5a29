//! What a person may do, by what the identity provider says of them.

use serde_json::Value;

use super::Mapping;
use crate::people::Role;

/// What a person's claims are mapped to.
#[derive(Debug, PartialEq)]
pub(super) struct Rights {
    pub role: Role,
    pub zones: Vec<String>,
    pub unit: Option<String>,
}

/// What the first fitting line gives; `Some(None)` where there are no lines.
pub(super) fn rights_of(lines: &[Mapping], claims: &Value) -> Option<Option<Rights>> {
    if lines.is_empty() {
        return Some(None);
    }
    let line = lines.iter().find(|line| words(claims, &line.claim).contains(&line.value.as_str()))?;
    let mut zones = line.zones.clone();
    if let Some(claim) = &line.zones_claim {
        zones.extend(words(claims, claim).into_iter().map(str::to_owned));
    }
    zones.sort();
    zones.dedup();
    let said = line
        .unit_claim
        .as_ref()
        .and_then(|claim| words(claims, claim).first().map(|unit| (*unit).to_owned()));
    Some(Some(Rights { role: line.role, zones, unit: said.or_else(|| line.unit.clone()) }))
}

/// The words of a claim: one, or a list.
fn words<'a>(claims: &'a Value, claim: &str) -> Vec<&'a str> {
    let whole = claims.get(claim);
    let found = whole.or_else(|| claim.split('.').try_fold(claims, |value, part| value.get(part)));
    match found {
        Some(Value::String(word)) => vec![word],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(claim: &str, value: &str, role: Role) -> Mapping {
        let (zones, zones_claim, unit, unit_claim) = Default::default();
        Mapping { claim: claim.into(), value: value.into(), role, zones, zones_claim, unit, unit_claim }
    }

    #[test]
    fn the_first_line_that_fits_decides_and_nobody_else_is_let_in() {
        let lines = [
            Mapping {
                zones: vec!["north".into()],
                zones_claim: Some("police.zones".into()),
                unit_claim: Some("unit".into()),
                unit: Some("usual".into()),
                ..line("realm.roles", "authority", Role::ZoneAuthority)
            },
            line("groups", "watch", Role::Operator),
        ];
        let claims = json!({ "groups": ["x", "watch"], "realm": { "roles": "authority" },
                             "police": { "zones": ["south", "north", 7] }, "unit": "hq" });
        let rights = rights_of(&lines, &claims).flatten().expect("fits");
        assert_eq!(
            rights,
            Rights {
                role: Role::ZoneAuthority,
                zones: vec!["north".into(), "south".into()],
                unit: Some("hq".into())
            }
        );
        let claims = json!({ "groups": ["watch"], "realm": { "roles": "authority2" } });
        assert_eq!(rights_of(&lines, &claims).flatten().map(|r| r.role), Some(Role::Operator));
        assert_eq!(rights_of(&lines, &json!({ "groups": "watchers" })), None);
        assert_eq!(rights_of(&[], &claims), Some(None));
        assert_eq!(
            words(&json!({ "https://a.b/c": "d" }), "https://a.b/c"),
            ["d"],
            "dots in a claim's own name"
        );
    }
}
