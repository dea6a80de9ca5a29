//! The registry over real databases.

use std::path::Path;

use serde_json::{Map, Value, json};
use vitrail_engine::base::{Login, SimClock};
use vitrail_engine::config::WallSpec;

use super::*;
use crate::audit::{Actor, Ledger, Record};
use crate::base::{Kind, Problem};
use crate::people::Role;

pub(super) struct Fixture {
    pub registry: Registry,
    pub db: Arc<Database>,
    pub folder: tempfile::TempDir,
}

fn source(folder: &Path) -> KeySource {
    KeySource::File(folder.join("key"))
}

pub(super) fn fixture() -> Fixture {
    let folder = tempfile::tempdir().expect("folder");
    let db =
        Database::open(&folder.path().join("v.db"), Ledger::default(), SimClock::new()).expect("database");
    let registry = Registry::open(db.clone(), &source(folder.path())).expect("registry");
    Fixture { registry, db, folder }
}

fn authority(zones: &[&str]) -> Author {
    let actor = Actor { account: "u-2".into(), name: "zoë".into(), ..Actor::system() };
    let caller = crate::people::Caller {
        account: "u-2".into(),
        name: "zoë".into(),
        role: Role::ZoneAuthority,
        zones: zones.iter().map(|z| (*z).to_owned()).collect(),
        unit: "u".into(),
        session: None,
        narrowed: None,
        ended: Default::default(),
        actor,
    };
    Author::from(&caller)
}

fn records(fixture: &Fixture) -> Vec<Record> {
    let read = |connection: &rusqlite::Connection| {
        let mut statement = connection.prepare("SELECT body FROM audit ORDER BY seq")?;
        let bodies = statement.query_map([], |row| row.get::<_, String>(0))?;
        Ok(bodies.collect::<rusqlite::Result<Vec<String>>>()?)
    };
    let bodies = fixture.db.read(read).expect("records");
    bodies.iter().map(|body| serde_json::from_str(body).expect("a record")).collect()
}

fn kinds(fixture: &Fixture) -> Vec<String> {
    records(fixture).into_iter().map(|record| record.event.kind).collect()
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

fn csv(registry: &Registry, text: &str) -> ImportReport {
    import(registry, text, false, false)
}

fn import(registry: &Registry, text: &str, dry_run: bool, remove: bool) -> ImportReport {
    let options = ImportOptions { format: Format::Csv, dry_run, remove };
    registry.import(&Author::system(), text, options).expect("imported")
}

fn ids(found: &[Camera]) -> Vec<&str> {
    found.iter().map(|c| c.id.as_str()).collect()
}

const INVENTORY: &str = "id,name,zone,site,tags,latitude,longitude,masks,main.uri,sub.uri
gate-1,\"Gate, west\",north,yard,tunnel; ring,50.85,4.35,0 0 0.2 0.5,rtsp://op:hunter2-north@10.0.0.1/main,rtsp://op:hunter2-north@10.0.0.1/sub
ecole-1,École du Sacré-Cœur,south,Bâtiment A,school,50.8,4.3,,rtsp://10.0.0.2/main,rtsp://10.0.0.2/sub
gate-2,Gate 2,north,yard,tunnels,,,,rtsp://10.0.0.3/live?pwd=hunter2-query,
";

#[test]
fn an_inventory_comes_back_as_it_went_in() {
    let fixture = fixture();
    let report = csv(&fixture.registry, INVENTORY);
    assert_eq!((report.added_count, report.left_out_count), (3, 0), "{:?}", report.left_out);
    assert_eq!(
        (report.zones_added, report.sites_added),
        (vec!["north".into(), "south".into()], vec!["Bâtiment A".to_owned(), "yard".into()])
    );
    let text = fixture.registry.export(Format::Csv).expect("exported");
    assert!(!text.contains("hunter2") && text.contains("rtsp://10.0.0.1/main"), "{text}");

    let other = self::fixture();
    let again = import(&other.registry, &text, false, true);
    // Of one camera a part of the address was secret: it does not leave, and so cannot come back.
    assert_eq!((again.added_count, again.left_out_count), (2, 1), "{:?}", again.left_out);
    assert!(again.left_out[0].message.contains('…'), "{:?}", again.left_out);
    let line = |text: &str, id: &str| text.lines().find(|l| l.starts_with(id)).map(str::to_owned);
    let back = other.registry.export(Format::Csv).expect("exported");
    for id in ["gate-1", "ecole-1"] {
        assert_eq!(line(&back, id), line(&text, id));
    }
    // Where it came from, nothing is changed by it, and nothing secret is lost.
    let same = import(&fixture.registry, &text, false, true);
    assert_eq!(
        (same.unchanged_count, same.changed_count, same.removed_count, same.left_out_count),
        (3, 0, 0, 0),
        "{same:?}"
    );
    let uri =
        |id: &str| fixture.registry.camera_spec(id).expect("read").expect("there").uri().expose().to_owned();
    assert_eq!(uri("gate-1"), "rtsp://op:hunter2-north@10.0.0.1/main");
    assert_eq!(uri("gate-2"), "rtsp://10.0.0.3/live?pwd=hunter2-query");
}

#[test]
fn the_engine_gets_what_the_inventory_says() {
    let fixture = fixture();
    csv(&fixture.registry, INVENTORY);
    let given = vitrail_engine::config::Inventory::from_text(INVENTORY, "a.csv").expect("an inventory");
    assert_eq!(fixture.registry.camera_specs().expect("cameras"), given.cameras());
    let debug = format!("{:?}", fixture.registry.camera_specs().expect("cameras"));
    assert!(!debug.contains("hunter2"));
}

#[test]
fn geojson_comes_back_as_it_went_in() {
    let fixture = fixture();
    csv(&fixture.registry, INVENTORY);
    let said = json!({ "version": 1, "onvif": "http://10.0.0.1/onvif/device_service" });
    fixture.registry.change_camera(&Author::system(), "gate-1", Some(1), &map(said)).expect("changed");
    fixture.registry.remove_camera(&Author::system(), "gate-2", None).expect("removed");
    let text = fixture.registry.export(Format::Geojson).expect("exported");
    assert!(!text.contains("hunter2"));
    let other = self::fixture();
    let options = ImportOptions { format: Format::Geojson, dry_run: false, remove: false };
    let report = other.registry.import(&Author::system(), &text, options).expect("imported");
    assert_eq!((report.added_count, report.left_out_count), (2, 0), "{:?}", report.left_out);
    assert_eq!(other.registry.export(Format::Geojson).expect("exported"), text);
}

#[test]
fn no_password_is_in_the_files_of_the_database() {
    let fixture = fixture();
    csv(&fixture.registry, INVENTORY);
    let login = Login { user: "hunter2-user".into(), password: "hunter2-set".into() };
    fixture.registry.set_login(&Author::system(), "ecole-1", login).expect("set");
    let said = json!({ "profiles": { "main": { "uri": "rtsp://op:hunter2-patch@10.0.0.3/x" } } });
    let version = fixture.registry.camera("gate-2").expect("there").version;
    fixture.registry.change_camera(&Author::system(), "gate-2", Some(version), &map(said)).expect("changed");
    let contains = |needle: &[u8]| {
        let files = std::fs::read_dir(fixture.folder.path()).expect("folder");
        let mut bytes = files.map(|f| std::fs::read(f.expect("entry").path()).expect("bytes"));
        bytes.any(|file| file.windows(needle.len()).any(|w| w == needle))
    };
    assert!(contains(b"rtsp://10.0.0.1/main"), "the comparison sees what is there");
    assert!(!contains(b"hunter2"));
    assert_eq!(
        fixture.registry.camera_spec("gate-2").expect("read").expect("there").uri().expose(),
        "rtsp://op:hunter2-patch@10.0.0.3/x"
    );
}

#[test]
fn a_wrong_key_is_told_and_a_new_one_opens_everything() {
    let fixture = fixture();
    csv(&fixture.registry, INVENTORY);
    let before = fixture.registry.camera_specs().expect("cameras");
    let other = KeySource::File(fixture.folder.path().join("other"));
    other.read_or_make().expect("made");
    let problem = Registry::open(fixture.db.clone(), &other).expect_err("another key");
    assert!(problem.detail.contains("not the one") && problem.detail.contains("rekey"), "{}", problem.detail);
    let missing = KeySource::File(fixture.folder.path().join("missing"));
    assert!(Registry::open(fixture.db.clone(), &missing).expect_err("no key").detail.contains("missing"));
    assert!(!fixture.folder.path().join("missing").exists(), "a second key is never made beside the first");

    let sealed = |fixture: &Fixture| -> Vec<Vec<u8>> {
        let read = |c: &rusqlite::Connection| {
            let mut statement = c.prepare("SELECT sealed FROM camera_secrets")?;
            let all = statement.query_map([], |row| row.get(0))?;
            Ok(all.collect::<rusqlite::Result<_>>()?)
        };
        fixture.db.read(read).expect("sealed values")
    };
    let old = sealed(&fixture);
    assert_eq!(fixture.registry.rekey(&Author::system(), &other).expect("rekeyed"), 2);
    assert_eq!(fixture.registry.camera_specs().expect("cameras"), before);
    let again = Registry::open(fixture.db.clone(), &other).expect("the new key");
    assert_eq!(again.camera_specs().expect("cameras"), before);
    assert!(Registry::open(fixture.db.clone(), &source(fixture.folder.path())).is_err(), "the old key");
    for file in ["v.db", "v.db-wal"] {
        let bytes = std::fs::read(fixture.folder.path().join(file)).expect("bytes");
        assert!(
            old.iter().all(|value| !bytes.windows(value.len()).any(|w| w == value)),
            "old values in {file}"
        );
    }
    assert!(kinds(&fixture).contains(&"registry.rekeyed".to_owned()));
}

#[test]
fn a_dry_run_says_it_all_and_does_nothing() {
    let fixture = fixture();
    csv(&fixture.registry, INVENTORY);
    let before = (fixture.registry.export(Format::Csv).expect("exported"), kinds(&fixture).len());
    let text = "id,name,zone,main.uri,latitude,longitude
gate-1,Gate W,north,rtsp://10.0.0.9/main,50.85,4.35
new-1,New,west,rtsp://10.0.0.4/main,,
bad-1,Bad,west,rtsp://10.0.0.5/main,91,4
";
    let report = import(&fixture.registry, text, true, true);
    assert_eq!(
        (report.added.as_slice(), report.zones_added.as_slice()),
        (["new-1".to_owned()].as_slice(), ["west".to_owned()].as_slice())
    );
    assert_eq!(
        report.changed[0].fields,
        ["name", "site", "tags", "masks", "profiles.main.uri", "profiles.sub.uri"]
    );
    assert_eq!(report.changed[0].credentials, "removed", "the login goes to no other machine");
    assert_eq!((report.left_out[0].row, report.left_out[0].key.as_str()), (Some(4), "camera bad-1.latitude"));
    assert_eq!((report.removed_count, report.not_named_count), (0, 2), "a wrong row removes nothing");
    assert_eq!((fixture.registry.export(Format::Csv).expect("exported"), kinds(&fixture).len()), before);

    let report = import(&fixture.registry, "id,main.uri\ngate-2,rtsp://10.0.0.3/x\n", false, true);
    assert_eq!((report.removed_count, report.changed_count, report.dry_run), (2, 1, false));
    assert_eq!(fixture.registry.count().expect("counted"), 1);
    let all = records(&fixture);
    let imported: Vec<&Record> = all.iter().filter(|r| r.event.kind == "registry.imported").collect();
    assert_eq!(imported[1].event.details["removed"], 2);
}

#[test]
fn an_import_is_all_or_nothing() {
    let fixture = fixture();
    csv(&fixture.registry, INVENTORY);
    let before = (fixture.registry.export(Format::Csv).expect("exported"), kinds(&fixture));
    fixture.db.change(&Actor::system(), |t, _| {
        t.execute_batch("CREATE TRIGGER full BEFORE INSERT ON cameras WHEN new.id = 'z-2' BEGIN SELECT RAISE(ABORT, 'full'); END")?;
        Ok(())
    }).expect("a trigger");
    let options = ImportOptions { format: Format::Csv, dry_run: false, remove: true };
    let text = "id,main.uri\nz-1,rtsp://h/1\nz-2,rtsp://h/2\n";
    assert!(fixture.registry.import(&Author::system(), text, options).is_err());
    assert_eq!((fixture.registry.export(Format::Csv).expect("exported"), kinds(&fixture)), before);
    let unknown =
        fixture.registry.import(&Author::system(), "id,main.uri,mask\na,rtsp://h/1,0 0 1 1\n", options);
    let problem = unknown.expect_err("an unknown column");
    assert!(problem.detail.contains("unknown column"), "{}", problem.detail);
}

#[test]
fn a_zone_authority_writes_in_its_zones_only() {
    let fixture = fixture();
    csv(&fixture.registry, INVENTORY);
    let by = authority(&["north"]);
    let refused =
        |problem: Problem| assert_eq!((problem.kind, problem.code.as_deref()), (Kind::Refused, Some("zone")));
    let patch = |id: &str, said: Value| fixture.registry.change_camera(&by, id, Some(1), &map(said));
    assert_eq!(patch("gate-1", json!({ "name": "Mine" })).expect("mine").name, "Mine");
    refused(patch("ecole-1", json!({ "name": "x" })).expect_err("another's"));
    refused(patch("gate-2", json!({ "zone": "south" })).expect_err("given away"));
    refused(fixture.registry.remove_camera(&by, "ecole-1", None).expect_err("another's"));
    let login = || Login { user: "u".into(), password: "p".into() };
    refused(fixture.registry.set_login(&by, "ecole-1", login()).expect_err("another's"));
    let add = |zone: Value| {
        let said = json!({ "id": "new", "zone": zone, "profiles": { "main": { "uri": "rtsp://h/1" } } });
        fixture.registry.add_camera(&by, &map(said))
    };
    refused(add(json!("south")).expect_err("another's"));
    refused(add(Value::Null).expect_err("nobody's"));
    assert_eq!(add(json!("north")).expect("mine").zone.as_deref(), Some("north"));
    assert!(
        fixture.registry.remove_zone(&by, "north").is_err()
            && fixture.registry.change_zone(&by, "south", &ZoneChange::default()).is_err()
    );

    let text = "id,zone,main.uri\nn-1,north,rtsp://h/1\ns-1,south,rtsp://h/2\necole-1,north,rtsp://h/3\n";
    let report = |remove| {
        let options = ImportOptions { format: Format::Csv, dry_run: true, remove };
        fixture.registry.import(&by, text, options).expect("a plan")
    };
    assert_eq!((report(false).added, report(false).left_out_count), (vec!["n-1".to_owned()], 2));
    let options = ImportOptions { format: Format::Csv, dry_run: false, remove: true };
    fixture.registry.import(&by, "id,zone,main.uri\nn-1,north,rtsp://h/1\n", options).expect("imported");
    let left = fixture.registry.search(&Search::default(), None, 100).expect("found");
    assert_eq!(ids(&left), ["ecole-1", "n-1"], "cameras of other zones stay");
}

#[test]
fn a_change_from_an_old_version_is_told_and_changes_nothing() {
    let fixture = fixture();
    csv(&fixture.registry, INVENTORY);
    let by = Author::system();
    let change = |version, said: Value| fixture.registry.change_camera(&by, "gate-1", version, &map(said));
    assert_eq!(change(None, json!({ "name": "x" })).expect_err("none").kind, Kind::NeedsVersion);
    let changed = change(Some(1), json!({ "name": "One", "masks": [], "tags": ["a"], "zone": "south" }))
        .expect("changed");
    assert_eq!((changed.version, changed.name.as_str()), (2, "One"));
    let problem = change(Some(1), json!({ "name": "Two" })).expect_err("old");
    assert_eq!(
        (problem.kind, problem.more.expect("the camera")["name"].as_str()),
        (Kind::Conflict, Some("One"))
    );
    assert_eq!(change(Some(2), json!({ "name": "One" })).expect("the same").version, 2, "nothing changed");
    let all = records(&fixture);
    let last: Vec<&Record> = all.iter().rev().take(2).collect();
    assert_eq!(last[1].event.kind, "camera.changed");
    assert_eq!(
        last[1].event.details,
        json!({ "fields": ["name", "zone", "tags"], "version": 2, "zone_before": "north" })
    );
    assert_eq!(
        (last[0].event.kind.as_str(), &last[0].event.details["before"]),
        ("camera.masks-changed", &json!(["0 0 0.2 0.5"]))
    );
    for (said, field) in [
        (json!({ "zone": "nowhere" }), "zone"),
        (json!({ "id": "other" }), "id"),
        (json!({ "onvif": "rtsp://h/x" }), "onvif"),
        (json!({ "profiles": { "main": null } }), "profiles.main.uri"),
        (json!({ "latitude": 91 }), "latitude"),
        (json!({ "masks": [[0.5, 0, 0.6, 1]] }), "masks"),
    ] {
        let problem = change(Some(2), said).expect_err(field);
        assert_eq!(problem.kind, Kind::Invalid);
        assert_eq!(problem.more.expect("fields")["fields"][0]["field"], field);
    }
}

#[test]
fn search_finds_by_any_word_without_accents() {
    let fixture = fixture();
    csv(&fixture.registry, INVENTORY);
    let find = |search: Search| {
        let found = fixture.registry.search(&search, None, 10).expect("found");
        found.iter().map(|c| c.id.clone()).collect::<Vec<_>>()
    };
    let q = |q: &str| find(Search { q: Some(q.into()), ..Search::default() });
    assert_eq!(q("ecole"), ["ecole-1"]);
    assert_eq!(q("SACRE coeur"), ["ecole-1"]);
    assert_eq!(q("École"), ["ecole-1"]);
    assert_eq!(q("gate west"), ["gate-1"]);
    assert_eq!(q("gate yard"), ["gate-1", "gate-2"]);
    assert_eq!(q("batiment"), ["ecole-1"]);
    assert_eq!(q("%"), Vec::<String>::new());
    assert_eq!(find(Search { tag: Some("tunnel".into()), ..Search::default() }), ["gate-1"], "a whole tag");
    assert_eq!(
        find(Search { zone: Some("north".into()), site: Some("yard".into()), ..Search::default() }).len(),
        2
    );
    let page = fixture.registry.search(&Search::default(), Some("ecole-1"), 1).expect("found");
    assert_eq!(ids(&page), ["gate-1"]);
    let change = ZoneChange { name: Some("Zone Nord".into()), contact: None };
    fixture.registry.change_zone(&Author::system(), "north", &change).expect("renamed");
    assert_eq!(q("nord"), ["gate-1", "gate-2"], "by the names of zones too");
    let site = SiteChange { name: Some("Dépôt".into()), ..SiteChange::default() };
    fixture.registry.change_site(&Author::system(), "yard", &site).expect("renamed");
    assert_eq!(q("depot"), ["gate-1", "gate-2"]);
    assert_eq!(fixture.registry.map().expect("map").len(), 2);
}

#[test]
fn credentials_are_set_kept_and_removed() {
    let fixture = fixture();
    csv(&fixture.registry, INVENTORY);
    let by = Author::system();
    let uri =
        |id: &str| fixture.registry.camera_spec(id).expect("read").expect("there").uri().expose().to_owned();
    fixture
        .registry
        .set_login(&by, "ecole-1", Login { user: "a b".into(), password: "p/ss@".into() })
        .expect("set");
    assert_eq!(uri("ecole-1"), "rtsp://a%20b:p%2Fss%40@10.0.0.2/main");
    let camera = fixture.registry.camera("ecole-1").expect("there");
    assert!(camera.credentials && camera.version == 2 && !format!("{camera:?}").contains("p/ss"));
    let changed = fixture
        .registry
        .change_camera(&by, "ecole-1", Some(2), &map(json!({ "name": "E" })))
        .expect("changed");
    assert!(changed.credentials);
    let said = json!({ "onvif": "http://10.6.6.6/x" });
    let moved = fixture.registry.change_camera(&by, "ecole-1", Some(3), &map(said)).expect("changed");
    assert!(!moved.credentials, "no login for a machine that it was not given for");
    assert_eq!(fixture.registry.device("ecole-1").expect("a device").address, "http://10.6.6.6/x");
    assert_eq!(
        fixture.registry.device("gate-1").map(|_| ()).expect_err("none").code.as_deref(),
        Some("no-onvif")
    );
    fixture.registry.remove_login(&by, "gate-1").expect("removed");
    assert_eq!(uri("gate-1"), "rtsp://10.0.0.1/main");
    let count = kinds(&fixture).len();
    fixture.registry.remove_login(&by, "gate-1").expect("nothing to remove");
    assert_eq!(kinds(&fixture).len(), count);
    assert!(
        fixture
            .registry
            .set_login(&by, "gate-1", Login { user: String::new(), password: "x".into() })
            .is_err()
    );
    let kinds = kinds(&fixture);
    assert!(
        kinds.contains(&"camera.credentials-set".into())
            && kinds.contains(&"camera.credentials-removed".into())
    );
    assert!(!format!("{:?}", records(&fixture)).contains("p/ss"));
}

#[test]
fn what_is_in_use_is_not_removed() {
    let fixture = fixture();
    csv(&fixture.registry, INVENTORY);
    let by = Author::system();
    for problem in [fixture.registry.remove_zone(&by, "north"), fixture.registry.remove_site(&by, "yard")] {
        let problem = problem.expect_err("in use");
        assert_eq!((problem.kind, problem.code.as_deref()), (Kind::Conflict, Some("in-use")));
    }
    fixture.registry.remove_camera(&by, "ecole-1", Some(1)).expect("removed");
    assert_eq!(fixture.registry.remove_camera(&by, "ecole-1", None).expect_err("gone").kind, Kind::NotFound);
    fixture.registry.remove_site(&by, "Bâtiment A").expect("removed");
    fixture.registry.remove_zone(&by, "south").expect("removed");
    let zone = NewZone { id: " west ".into(), name: None, contact: None };
    assert_eq!(fixture.registry.add_zone(&by, &zone).expect("added").id, "west");
    assert_eq!(fixture.registry.add_zone(&by, &zone).expect_err("taken").kind, Kind::Conflict);
    let site = NewSite {
        id: "s".into(),
        zone: Some("west".into()),
        name: None,
        latitude: Some(50.0),
        longitude: None,
    };
    assert_eq!(fixture.registry.add_site(&by, &site).expect_err("half a place").kind, Kind::Invalid);
    let site = NewSite { longitude: Some(4.0), ..site };
    fixture.registry.add_site(&by, &site).expect("added");
    let change: SiteChange =
        serde_json::from_value(json!({ "latitude": null, "longitude": null })).expect("a change");
    assert_eq!(fixture.registry.change_site(&by, "s", &change).expect("changed").latitude, None);
    let zones = fixture.registry.zones(None, 10).expect("zones");
    assert_eq!(
        zones.iter().map(|z| (z.id.as_str(), z.cameras)).collect::<Vec<_>>(),
        [("north", 2), ("west", 0)]
    );
}

#[test]
fn a_wall_fills_an_empty_registry_once() {
    let fixture = fixture();
    std::fs::write(fixture.folder.path().join("more.csv"), INVENTORY).expect("written");
    let text = "[wall]\ninventory = \"more.csv\"\n[[camera]]\nid = \"own\"\nuri = \"rtsp://op:hunter2@h/1\"\n[[screen]]\noutputs = []\n";
    let file = fixture.folder.path().join("wall.toml");
    std::fs::write(&file, text).expect("written");
    let wall = WallSpec::load(&file).expect("a wall");
    assert_eq!(fixture.registry.seed_from(&wall).expect("seeded"), 4);
    assert_eq!(fixture.registry.camera_specs().expect("cameras"), wall.inventory.cameras());
    assert_eq!(fixture.registry.seed_from(&wall).expect("full"), 0);
    assert_eq!(kinds(&fixture).iter().filter(|k| *k == "registry.seeded").count(), 1);
}
