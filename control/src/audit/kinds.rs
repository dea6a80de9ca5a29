//! Every kind of event that goes on record. `docs/ref/audit.md` shows the same table; a test compares.

/// Kinds, and what each says. The rooms in the order of the map.
pub const KINDS: &[(&str, &str)] = &[
    ("log.opened", "the controller opened the log; `subject`: the key that signs, `version`: of the program"),
    ("log.closed", "the controller ended in order"),
    ("log.recovered", "records can be written again; `since`: when they could not any more, `reason`: why"),
    ("log.broken", "the log was not as the program had left it; `reason`: what was found"),
    ("log.rolled-back", "the database was set back: the checkpoint file knows of a record that is not in it"),
    ("log.key-replaced", "another key signs from here on; `subject`: its id"),
    ("setup.offered", "there was no account yet, and the terminal showed a one-time token"),
    ("account.added", "somebody added an account; `subject`: its id"),
    ("account.changed", "somebody changed an account, its role, zones or password; `details`: what"),
    ("account.removed", "somebody removed an account"),
    ("login.succeeded", "somebody logged in"),
    ("login.refused", "a login failed; `reason`: why"),
    ("logout", "somebody logged out"),
    ("session.expired", "a login ended by its time"),
    ("token.made", "somebody made an API token; `subject`: the public part of its id"),
    ("token.ended", "an API token was withdrawn, or ended by its time"),
    (
        "agreement.purpose-added",
        "somebody added a purpose to those that agreements and incidents choose from",
    ),
    ("agreement.drafted", "somebody drafted an agreement of a zone"),
    ("agreement.changed", "somebody changed a draft"),
    ("agreement.signed", "a second person signed for the zone: the agreement is in force in its time"),
    ("agreement.replaced", "a newer agreement took the place of this one"),
    ("agreement.suspended", "the zone suspended it; `reason`: why"),
    ("agreement.resumed", "the zone put it in force again"),
    ("agreement.revoked", "the zone revoked it for ever; `reason`: why"),
    ("incident.opened", "somebody opened an incident; `reason`, `basis`"),
    ("incident.closing", "it was closed and ends after a time of grace"),
    ("incident.kept", "somebody called the end off"),
    ("incident.closed", "it ended, and what ran under it"),
    ("zone.added", "somebody added a zone"),
    ("zone.changed", "somebody changed a zone; `details`: which fields"),
    ("zone.removed", "somebody removed a zone"),
    ("site.added", "somebody added a site"),
    ("site.changed", "somebody changed a site; `details`: which fields"),
    ("site.removed", "somebody removed a site"),
    ("camera.added", "somebody added a camera"),
    ("camera.changed", "somebody changed a camera; `details`: which fields"),
    ("camera.removed", "somebody removed a camera"),
    ("camera.masks-changed", "somebody changed what is never shown of a camera; `details`: before and after"),
    ("camera.left-zone", "a camera went from this zone to another; `details`: to which"),
    ("camera.credentials-set", "somebody stored a login of a camera; never which"),
    ("camera.credentials-removed", "somebody removed a login of a camera"),
    ("camera.moved", "somebody moved a camera"),
    ("camera.move-refused", "somebody wanted to move a camera and was not allowed to; `reason`: why"),
    ("registry.seeded", "the cameras of the wall file filled the empty registry; `details`: counts"),
    ("registry.imported", "somebody imported an inventory; `details`: counts"),
    ("registry.exported", "somebody took the whole inventory out as a file; no login is in it"),
    ("registry.key-set", "under which key logins of cameras are sealed; `details`: its id"),
    ("registry.rekeyed", "they are sealed under another key from here on"),
    ("registry.discovered", "somebody looked for devices on the network"),
    ("registry.device-asked", "somebody asked a device for its streams"),
    ("wall.started", "the wall began to show"),
    ("wall.stopped", "the wall ended in order"),
    ("layout.changed", "somebody changed what the wall is to show; `details`: the changes"),
    ("layout.saved", "somebody saved a layout"),
    ("layout.removed", "somebody removed a saved layout"),
    ("showing.started", "a camera is shown on a screen from here on, under this incident and agreement"),
    ("showing.ended", "it is not shown any more; `reason`: why"),
    ("showing.refused", "a camera was to be shown and must not; `reason`: why"),
    (
        "preview.started",
        "somebody looks at a screen or a camera over the network from here on: in a browser, by a thumbnail",
    ),
    ("preview.ended", "nobody does any more"),
    ("snapshot.taken", "somebody took a picture of a screen or a tile; `reason`: what for"),
    ("snapshot.refused", "somebody wanted to and must not; `reason`: why"),
    ("tour.saved", "somebody saved a tour"),
    ("tour.removed", "somebody removed a tour"),
    ("tour.started", "somebody started a tour"),
    ("tour.paused", "a tour paused, by a person or an alarm"),
    ("tour.resumed", "a tour went on"),
    ("tour.stopped", "a tour ended"),
    ("alarm.raised", "an alarm came in; `details`: what it called up"),
    ("alarm.acknowledged", "somebody acknowledged an alarm"),
    ("alarm-rule.saved", "somebody saved which alarm calls which cameras"),
    ("alarm-rule.removed", "somebody removed such a rule"),
    ("audit.exported", "somebody exported records; `details`: which, and the first and last"),
    ("audit.verified", "somebody verified the log; `details`: what came of it"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_page_lists_every_kind_and_no_other() {
        let page = include_str!("../../../docs/ref/audit.md");
        let table = page.split("\n## ").find(|part| part.starts_with("Kinds")).expect("the chapter");
        let listed: Vec<(&str, &str)> = table
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | "))
            .collect();
        assert_eq!(listed, KINDS);
    }

    #[test]
    fn every_kind_that_a_room_writes_is_in_the_table() {
        let mut written = BTreeSet::new();
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut written);
        assert!(written.contains("log.opened"), "the search finds nothing: {written:?}");
        let known: BTreeSet<String> = KINDS.iter().map(|(kind, _)| (*kind).to_owned()).collect();
        assert_eq!(known.len(), KINDS.len(), "a kind is there twice");
        let missing: Vec<_> = written.difference(&known).collect();
        assert!(missing.is_empty(), "add them to audit/kinds.rs and docs/ref/audit.md: {missing:?}");
    }

    /// Kinds in the sources, without their tests.
    fn collect(folder: &Path, kinds: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" {
                collect(&path, kinds);
            } else if name.ends_with(".rs") && !name.starts_with("tests") {
                let text = std::fs::read_to_string(&path).expect("a source");
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                let ends = code.split("Event::new(\"").skip(1).filter_map(|rest| rest.split('"').next());
                kinds.extend(ends.chain(code.split('"').filter(|text| looks_like(text))).map(str::to_owned));
            }
        }
    }
    /// `room.verb-in-the-past`, of a room that writes events.
    fn looks_like(text: &str) -> bool {
        const ROOMS: &str = "log audit setup account login session token zone site camera credentials agreement \
            incident showing preview layout tour alarm alarm-rule registry snapshot export ptz screen wall";
        let Some((room, verb)) = text.split_once('.') else { return false };
        ROOMS.split_whitespace().any(|r| r == room)
            && (verb.ends_with("ed") || KINDS.iter().any(|(kind, _)| *kind == text))
            && verb.chars().all(|c| c.is_ascii_lowercase() || c == '-')
    }
}
