//! Refusals in the three languages of the crisis room. Tiles say them, so they are short.

use super::objection::{Code, RefusalReason};
use crate::base::Utc;
use crate::people::Language;

/// A refusal in words. What is not known is left out, never invented.
pub(super) fn refusal(because: &RefusalReason<'_>, language: Language) -> String {
    let zone = because.zone.unwrap_or("?");
    let agreement = because.agreement.unwrap_or("?");
    let incident = because.incident.unwrap_or("?");
    let asked = because.asked.unwrap_or("?");
    let at = because.at.map_or_else(|| "?".to_owned(), minute);
    match language {
        Language::En => match because.code {
            Code::Unreadable => "the rights cannot be read".to_owned(),
            Code::Account => "your account is not enabled".to_owned(),
            Code::Role if because.zone.is_some() => {
                format!("your account is limited to other zones than {zone}")
            }
            Code::Role => format!("a {asked} may not do this"),
            Code::NoIncident => "open or choose an incident first".to_owned(),
            Code::IncidentClosed => format!("incident {incident} is not open"),
            Code::NoZone => "the camera belongs to no zone".to_owned(),
            Code::NoAgreement => format!("zone {zone} has no agreement"),
            Code::NotSigned => format!("{agreement} of zone {zone} is not signed"),
            Code::Revoked => format!("zone {zone} revoked {agreement} on {at}"),
            Code::NotYetValid => format!("{agreement} of zone {zone} begins on {at}"),
            Code::Expired => format!("{agreement} of zone {zone} ended on {at}"),
            Code::Suspended => format!("zone {zone} suspended {agreement} on {at}"),
            Code::Purpose => format!("{agreement} of zone {zone} is not for {asked}"),
            Code::Unit => format!("{agreement} of zone {zone} is not with {asked}"),
            Code::Camera => format!("{agreement} of zone {zone} does not cover {asked}"),
            Code::Action => format!("{agreement} of zone {zone} does not grant {}", action(asked, language)),
            Code::Log => "the audit log cannot be written".to_owned(),
        },
        Language::Fr => match because.code {
            Code::Unreadable => "les droits ne peuvent être lus".to_owned(),
            Code::Account => "votre compte n'est pas actif".to_owned(),
            Code::Role if because.zone.is_some() => {
                format!("votre compte est limité à d'autres zones que {zone}")
            }
            Code::Role => format!("le rôle {asked} ne le permet pas"),
            Code::NoIncident => "ouvrez ou choisissez d'abord un incident".to_owned(),
            Code::IncidentClosed => format!("l'incident {incident} n'est pas ouvert"),
            Code::NoZone => "la caméra n'appartient à aucune zone".to_owned(),
            Code::NoAgreement => format!("la zone {zone} n'a pas d'accord"),
            Code::NotSigned => format!("{agreement} de la zone {zone} n'est pas signé"),
            Code::Revoked => format!("la zone {zone} a révoqué {agreement} le {at}"),
            Code::NotYetValid => format!("{agreement} de la zone {zone} commence le {at}"),
            Code::Expired => format!("{agreement} de la zone {zone} a pris fin le {at}"),
            Code::Suspended => format!("la zone {zone} a suspendu {agreement} le {at}"),
            Code::Purpose => format!("{agreement} de la zone {zone} ne vaut pas pour {asked}"),
            Code::Unit => format!("{agreement} de la zone {zone} ne vaut pas pour {asked}"),
            Code::Camera => format!("{agreement} de la zone {zone} ne couvre pas {asked}"),
            Code::Action => {
                format!("{agreement} de la zone {zone} n'accorde pas {}", action(asked, language))
            }
            Code::Log => "le journal d'audit ne peut être écrit".to_owned(),
        },
        Language::Nl => match because.code {
            Code::Unreadable => "de rechten kunnen niet worden gelezen".to_owned(),
            Code::Account => "uw account is niet actief".to_owned(),
            Code::Role if because.zone.is_some() => {
                format!("uw account is beperkt tot andere zones dan {zone}")
            }
            Code::Role => format!("de rol {asked} laat dit niet toe"),
            Code::NoIncident => "open of kies eerst een incident".to_owned(),
            Code::IncidentClosed => format!("incident {incident} is niet open"),
            Code::NoZone => "de camera hoort bij geen zone".to_owned(),
            Code::NoAgreement => format!("zone {zone} heeft geen overeenkomst"),
            Code::NotSigned => format!("{agreement} van zone {zone} is niet ondertekend"),
            Code::Revoked => format!("zone {zone} heeft {agreement} herroepen op {at}"),
            Code::NotYetValid => format!("{agreement} van zone {zone} begint op {at}"),
            Code::Expired => format!("{agreement} van zone {zone} is geëindigd op {at}"),
            Code::Suspended => format!("zone {zone} heeft {agreement} opgeschort op {at}"),
            Code::Purpose => format!("{agreement} van zone {zone} geldt niet voor {asked}"),
            Code::Unit => format!("{agreement} van zone {zone} geldt niet voor {asked}"),
            Code::Camera => format!("{agreement} van zone {zone} omvat {asked} niet"),
            Code::Action => format!("{agreement} van zone {zone} staat {} niet toe", action(asked, language)),
            Code::Log => "het auditlogboek kan niet worden geschreven".to_owned(),
        },
    }
}

fn action(word: &str, language: Language) -> &str {
    match (word, language) {
        ("live", Language::En) => "live pictures",
        ("live", Language::Fr) => "les images en direct",
        ("live", Language::Nl) => "livebeelden",
        ("record", Language::En) => "recording",
        ("record", Language::Fr) => "l'enregistrement",
        ("record", Language::Nl) => "opname",
        ("export", Language::En) => "export",
        ("export", Language::Fr) => "l'exportation",
        ("export", Language::Nl) => "uitvoer",
        _ => word,
    }
}

/// A time for people, to the minute, in UTC: the same on every machine. Pages show `at` in local time.
fn minute(at: Utc) -> String {
    let text = at.to_string();
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(minute)) => format!("{day} {minute} UTC"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::rights::Refusal;

    fn because(code: Code) -> RefusalReason<'static> {
        RefusalReason {
            code,
            zone: Some("north"),
            agreement: Some("A-2026-0001"),
            incident: Some("I-2026-0002"),
            at: Some(Utc(1_795_539_600_000)),
            asked: Some("record"),
            until: Utc::NEVER,
        }
    }

    #[test]
    fn every_reason_is_said_in_three_languages_and_they_differ() {
        for code in Code::ALL {
            let said: BTreeSet<String> =
                [Language::En, Language::Fr, Language::Nl].map(|l| refusal(&because(code), l)).into();
            assert_eq!(said.len(), 3, "{code:?}");
            assert!(said.iter().all(|text| !text.contains('?') && text.chars().count() < 80), "{said:?}");
            assert_eq!(Code::parse(code.as_str()), Some(code));
        }
    }

    #[test]
    fn no_two_reasons_read_the_same() {
        for language in [Language::En, Language::Nl, Language::Fr] {
            let mut asked = because(Code::Unit);
            asked.asked = Some("fire-brigade");
            let mut said: Vec<String> = Code::ALL
                .into_iter()
                .filter(|code| *code != Code::Unit)
                .map(|code| refusal(&because(code), language))
                .collect();
            said.push(refusal(&asked, language));
            let different: BTreeSet<&String> = said.iter().collect();
            assert_eq!(different.len(), Code::ALL.len());
        }
    }

    #[test]
    fn a_refusal_is_said_again_in_another_language() {
        let refused: Refusal = because(Code::Suspended).into();
        assert_eq!(refused.text, "zone north suspended A-2026-0001 on 2026-11-24 17:00 UTC");
        assert_eq!(refused.say(Language::Fr), "la zone north a suspendu A-2026-0001 le 2026-11-24 17:00 UTC");
        assert_eq!(
            refused.say(Language::Nl),
            "zone north heeft A-2026-0001 opgeschort op 2026-11-24 17:00 UTC"
        );
        let unknown = Refusal { code: "weather".into(), ..refused.clone() };
        assert_eq!(unknown.say(Language::Fr), refused.text);
    }
}
