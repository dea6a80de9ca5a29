//! A controller over a real wall, by its API: what is refused, what is put on record, and what is seen
//! meanwhile.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::controlled::{CONTROL, Controlled, actor};
use common::free_port;
use serde_json::{Value, json};
use vitrail_control::Utc;
use vitrail_control::people::Role;
use vitrail_control::rights::incidents;
use vitrail_engine::base::SystemClock;
use vitrail_engine::source::Transport;
use vitrail_simulator::code::Region;
use vitrail_simulator::viewer::Viewer;
use vitrail_simulator::{Profile, Simulator};

const LONG: Duration = Duration::from_secs(40);

/// Two cameras side by side: of zone north, whose agreement grants nothing but looking, and of south.
struct Stage {
    room: Controlled,
    viewer: Viewer,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    _simulator: Simulator,
}

impl Stage {
    fn new() -> Stage {
        let clock = SystemClock::shared();
        let simulator = Simulator::start(common::cameras(2, &clock)).unwrap();
        let port = free_port();
        let camera = |n: u16, zone: &str| {
            let uri = simulator.uri(n, Profile::Sub);
            format!("[[camera]]\nid = \"cam-{n}\"\nzone = \"{zone}\"\nuri = \"{uri}\"\n")
        };
        let wall = format!(
            "[wall]\nid = \"crisis\"\nframe_rate = 25\n[encoder]\npreset = \"ultrafast\"\n{CONTROL}\
             [[screen]]\nid = \"one\"\nsize = \"640x180\"\ngrid = \"2x1\"\n\
             outputs = [\"rtsp://127.0.0.1:{port}/wall\"]\n{}{}",
            camera(1, "north"),
            camera(2, "south")
        );
        let room = Controlled::start(&wall, clock.clone());
        let viewer = Viewer::rtsp(&format!("rtsp://127.0.0.1:{port}/wall"), Transport::Tcp, clock).unwrap();
        let far = Utc::parse("2099-01-01T00:00:00Z").unwrap();
        room.agree("north", far);
        room.agree("south", far);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Stage { room, viewer, runtime, client: reqwest::Client::new(), _simulator: simulator }
    }

    /// Whether each camera is read in the next picture.
    fn look(&self) -> [bool; 2] {
        let seen = self.viewer.next(Duration::from_secs(10)).unwrap().expect("the wall goes on");
        [0, 1].map(|n| {
            let region = Region::tile((seen.width, seen.height), (2, 1), (n, 0));
            seen.code(Some(region)).is_some_and(|code| usize::from(code.camera) == n + 1)
        })
    }

    fn until(&self, wanted: [bool; 2]) {
        let end = Instant::now() + LONG;
        while self.look() != wanted {
            assert!(Instant::now() < end, "not {wanted:?}: {:?}", self.room.controller.conductor().state());
        }
    }

    /// Status and body of an answer; where the body is no JSON, its length.
    fn ask(&self, method: &str, path: &str, token: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}/api/v1{path}", self.room.controller.url().trim_end_matches('/'));
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, url).bearer_auth(token);
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        self.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            let (status, bytes) = (answer.status().as_u16(), answer.bytes().await.unwrap());
            (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(bytes.len())))
        })
    }

    /// Events of a kind, oldest first, as (camera or screen, incident, reason).
    fn records(&self, kind: &str) -> Vec<[String; 3]> {
        let read = |c: &rusqlite::Connection| {
            let mut query = c.prepare("SELECT body FROM audit WHERE kind = ?1 ORDER BY seq")?;
            let rows = query.query_map([kind], |row| row.get::<_, String>(0))?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        };
        let bodies = self.room.db().read(read).unwrap();
        let event = |body: &String| {
            let event = serde_json::from_str::<Value>(body).unwrap()["event"].clone();
            let of = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            let what = if event["camera"].is_null() { of("screen") } else { of("camera") };
            [what, of("incident"), of("reason")]
        };
        bodies.iter().map(event).collect()
    }
}

fn all(records: &[[String; 3]]) -> Vec<[&str; 3]> {
    records.iter().map(|r| [r[0].as_str(), r[1].as_str(), r[2].as_str()]).collect()
}

#[test]
fn a_showing_under_another_incident_is_another_showing() {
    let stage = Stage::new();
    let first = stage.room.open_incident();
    stage.until([true, true]);
    let started = stage.records("showing.started");
    assert_eq!(all(&started), [["cam-1", first.as_str(), ""], ["cam-2", first.as_str(), ""]]);
    let second = stage.room.open_incident();
    assert_ne!(first, second);
    let why = "goes on on another basis";
    let ended = stage.records("showing.ended");
    assert_eq!(all(&ended), [["cam-1", first.as_str(), why], ["cam-2", first.as_str(), why]]);
    let started = stage.records("showing.started");
    assert_eq!(all(&started[2..]), [["cam-1", second.as_str(), ""], ["cam-2", second.as_str(), ""]]);
    // The first one ends, and nobody notices: the wall stands on the second.
    let operator = actor(&stage.room.operator);
    incidents::close(stage.room.db(), &operator, &first, 0, None).unwrap();
    for _ in 0..50 {
        assert_eq!(stage.look(), [true, true]);
    }
    assert_eq!(stage.records("showing.ended").len(), 2);
}

/// Of one camera there is one truth: tiles repeat what its state says, and it names its tiles.
#[test]
fn a_camera_says_the_same_wherever_it_is_looked_up() {
    let stage = Stage::new();
    let look = || {
        let state = stage.room.controller.conductor().state().unwrap();
        for tile in state.screens.iter().flat_map(|screen| &screen.tiles) {
            let of = &state.states[tile.camera.as_deref().expect("every tile has one")];
            let same = (&of.state, &of.reason, of.age_ms) == (&tile.state, &tile.reason, tile.age_ms);
            assert!(same && of.tiles == [tile.id.as_str()], "{tile:?} {of:?}");
            assert_eq!(of.refusal.as_ref().map(|r| &r.code), tile.refusal.as_ref().map(|r| &r.code));
        }
        let live = state.states.values().filter(|camera| camera.state == "live").count();
        assert_eq!(state.cameras.live, live);
        state
    };
    let refused = look();
    let of = &refused.states["cam-1"];
    assert_eq!((of.state.as_str(), of.refusal.is_some()), ("refused", true), "{of:?}");
    stage.room.open_incident();
    let end = Instant::now() + LONG;
    while look().cameras.live < 2 {
        assert!(Instant::now() < end, "{:?}", look());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn who_looks_from_elsewhere_is_of_the_room_and_on_record() {
    let stage = Stage::new();
    let incident = stage.room.open_incident();
    stage.until([true, true]);
    let (room, people) = (&stage.room, stage.room.controller.shared().people.clone());
    let anna = room.token(&room.operator, Role::Supervisor);
    let other = room.person("bert", "operator");
    let change = serde_json::from_value(json!({ "unit": "fire-brigade" })).unwrap();
    stage.runtime.block_on(people.change_account(&other, change, actor("setup"))).unwrap();
    let bert = room.token(&other, Role::Operator);

    for path in
        ["/wall/screens/one/picture.jpg", "/wall/screens/one/stream.mjpeg", "/cameras/cam-1/thumbnail.jpg"]
    {
        let (status, problem) = stage.ask("GET", path, &bert, None);
        assert_eq!((status, problem["code"].as_str()), (403, Some("unit")), "{path}: {problem}");
    }
    assert_eq!(stage.records("preview.started").len(), 0, "nothing was seen");
    for _ in 0..2 {
        let (status, bytes) = stage.ask("GET", "/wall/screens/one/picture.jpg?width=320", &anna, None);
        assert!(status == 200 && bytes.as_u64() > Some(1000), "{status} {bytes}");
        let (status, bytes) = stage.ask("GET", "/cameras/cam-2/thumbnail.jpg", &anna, None);
        assert!(status == 200 && bytes.as_u64() > Some(1000), "{status} {bytes}");
    }
    let started = stage.records("preview.started");
    assert_eq!(
        all(&started),
        [["one", incident.as_str(), ""], ["cam-2", incident.as_str(), ""]],
        "once each"
    );

    // Neither agreement grants that pictures are handed out.
    let reason = Some(json!({ "reason": "a suspect" }));
    for path in ["/wall/screens/one/snapshot", "/wall/tiles/one.1/snapshot"] {
        let (status, problem) = stage.ask("POST", path, &anna, reason.clone());
        assert_eq!((status, problem["code"].as_str()), (403, Some("action")), "{path}: {problem}");
    }
    let refused = stage.records("snapshot.refused");
    let refused: Vec<&str> = refused.iter().map(|record| record[0].as_str()).collect();
    assert_eq!(refused, ["cam-1", "cam-2", "cam-1"]);
    assert_eq!(stage.records("snapshot.taken").len(), 0);
    assert!(stage.room.db().verify(&mut |_, _| ()).unwrap().faults.is_empty());
}

/// The conductor is held up while each change is made: what is dark then is dark because of the change.
#[test]
fn a_camera_is_dark_until_the_wall_knows_its_masks_zone_and_tags() {
    let stage = Stage::new();
    stage.room.open_incident();
    stage.until([true, true]);
    let adam = stage.room.person("adam", "administrator");
    let adam = stage.room.token(&adam, Role::Administrator);
    let conductor = stage.room.controller.conductor().clone();
    let gate = conductor.gate();
    for change in [
        json!({ "name": "Gate" }),
        json!({ "tags": ["gate"] }),
        json!({ "masks": [[0.0, 0.0, 1.0, 1.0]] }),
        json!({ "zone": "south", "masks": [] }),
    ] {
        let harmless = change["name"].is_string();
        let version = stage.ask("GET", "/cameras/cam-1", &adam, None).1["version"].clone();
        let mut change = change;
        change["version"] = version;
        let (held, let_go) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let hold = |_: &vitrail_engine::wall::Wall| {
                    held.wait();
                    let_go.wait();
                };
                conductor.with_wall(hold).unwrap();
            });
            held.wait();
            let (status, problem) = stage.ask("PATCH", "/cameras/cam-1", &adam, Some(change.clone()));
            assert_eq!(status, 200, "{problem}");
            assert_eq!(gate.permit("cam-1").is_some(), harmless, "{change}");
            // What was composed before is still under way for a few pictures.
            for picture in 0..50 {
                let seen = stage.look();
                assert!(seen[0] == harmless || picture < 8, "{change}: picture {picture}");
                assert!(seen[1], "{change}: the other one goes on");
            }
            let_go.wait();
        });
        let masked = change["masks"].as_array().is_some_and(|masks| !masks.is_empty());
        let end = Instant::now() + LONG;
        while gate.permit("cam-1").is_none() || conductor.state().unwrap().cameras.live < 2 {
            assert!(Instant::now() < end, "{change}: it does not come back: {:?}", conductor.state());
            // Not once without its mask.
            assert!(!masked || !stage.look()[0], "{change}");
        }
        stage.until([!masked, true]);
    }
}

#[test]
fn nobody_takes_back_what_was_not_seen() {
    let stage = Stage::new();
    stage.room.open_incident();
    let token = stage.room.token(&stage.room.operator, Role::Supervisor);
    let layout = stage.ask("GET", "/wall/layout", &token, None).1;
    let version = layout["version"].as_u64().unwrap();
    let clear = json!({ "version": version, "changes": [{ "op": "clear", "tile": "one.1" }] });
    assert_eq!(stage.ask("POST", "/wall/changes", &token, Some(clear)).0, 200);
    let (status, problem) = stage.ask("POST", &format!("/wall/undo?version={version}"), &token, None);
    assert_eq!((status, problem["code"].as_str()), (409, Some("changed")), "{problem}");
    assert_eq!(problem["more"]["layout"]["version"], version + 1);
    let lock =
        json!({ "version": version + 1, "changes": [{ "op": "lock", "tile": "one.1", "locked": true }] });
    assert_eq!(stage.ask("POST", "/wall/changes", &token, Some(lock)).0, 200);
    // The lock itself is taken back, then what was done before it.
    let undo = |version: u64| stage.ask("POST", &format!("/wall/undo?version={version}"), &token, None);
    assert_eq!(undo(version + 2).0, 200);
    let (status, changed) = undo(version + 3);
    assert_eq!((status, &changed["layout"]["regions"][0]["tiles"][0]["camera"]), (200, &json!("cam-1")));
}
