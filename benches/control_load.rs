//! A wall of sixteen screens while two operators work on it and two hundred programs ask the controller.
//!
//!     cargo bench --bench control_load                       60 s, 64 cameras, 200 clients
//!     CONTROL_SECONDS=10 CONTROL_CLIENTS=20 cargo bench --bench control_load
//!
//! Cameras run in a process of their own; wall, controller and clients are in this one. Each client asks
//! one of several routes every second. One operator empties and fills a tile of the first screen and
//! divides the second one otherwise, again and again; the other adds cameras to the registry. Both read the stream of
//! events. Prints one JSON object: how long answers took, and what the untouched screens lost.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::controlled::{CONTROL, Controlled};
use common::eventually;
use common::machine::{Usage, variable};
use common::scale::{CameraProcess, id, quantile, rounded};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use vitrail_control::Utc;
use vitrail_control::people::Role;
use vitrail_engine::base::SystemClock;
use vitrail_engine::wall::WallReport;

const SCREENS: u16 = 16;
const CAMERAS: u16 = 4 * SCREENS;
/// Cameras of the first two screens, on which the operators work.
const TOUCHED: u16 = 8;
/// What a client asks for; the first ones more often, as the page does.
const ROUTES: [&str; 8] = [
    "/wall",
    "/wall",
    "/wall/layout",
    "/cameras?q=camera&limit=50",
    "/cameras?zone=north&limit=100",
    "/cameras/map",
    "/incidents",
    "/zones/state",
];

/// How long answers took, by what was asked for, and those that were no answer.
#[derive(Default)]
struct Answers {
    times: BTreeMap<String, Vec<f64>>,
    failed: BTreeMap<String, u64>,
}

type Book = Arc<Mutex<Answers>>;

/// Sends, reads the whole answer, and writes down how long that took.
async fn ask(book: &Book, what: &str, request: RequestBuilder) -> Option<Value> {
    let began = Instant::now();
    let answer = match request.send().await {
        Ok(answer) if answer.status().is_success() => answer.bytes().await.map_err(|e| e.to_string()),
        Ok(answer) => Err(answer.status().to_string()),
        Err(e) => Err(e.to_string()),
    };
    let took = began.elapsed().as_secs_f64() * 1000.0;
    let mut book = book.lock().unwrap();
    match answer {
        Ok(bytes) => {
            book.times.entry(what.to_owned()).or_default().push(took);
            serde_json::from_slice(&bytes).ok()
        }
        Err(why) => {
            *book.failed.entry(format!("{what}: {why}")).or_default() += 1;
            None
        }
    }
}

/// One person or program, with a connection of its own.
#[derive(Clone)]
struct Caller {
    client: Client,
    base: String,
    token: String,
    book: Book,
}

impl Caller {
    fn new(base: &str, token: &str, book: &Book) -> Caller {
        let client = Client::builder().build().unwrap();
        Caller { client, base: format!("{base}/api/v1"), token: token.into(), book: book.clone() }
    }

    async fn get(&self, route: &str) -> Option<Value> {
        let what = format!("GET {}", route.split('?').next().unwrap_or(route));
        ask(&self.book, &what, self.client.get(format!("{}{route}", self.base)).bearer_auth(&self.token))
            .await
    }

    async fn post(&self, route: &str, body: Value) -> Option<Value> {
        let request = self.client.post(format!("{}{route}", self.base)).bearer_auth(&self.token);
        let request = request.header("Content-Type", "application/json").body(body.to_string());
        ask(&self.book, &format!("POST {route}"), request).await
    }

    /// Changes the newest layout.
    async fn change(&self, change: Value) {
        if let Some(layout) = self.get("/wall/layout").await {
            self.post("/wall/changes", json!({ "version": layout["version"], "changes": [change] })).await;
        }
    }

    /// Reads events until it is dropped; how many came is counted.
    async fn listen(self, events: Arc<std::sync::atomic::AtomicU64>) {
        let request = self.client.get(format!("{}/events", self.base)).bearer_auth(&self.token);
        let mut answer = request.send().await.unwrap().error_for_status().unwrap();
        while let Ok(Some(chunk)) = answer.chunk().await {
            let count = chunk.windows(6).filter(|w| w == b"event:").count();
            events.fetch_add(count as u64, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

fn main() {
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let seconds = Duration::from_secs(variable("CONTROL_SECONDS", 60));
    let clients: u32 = variable("CONTROL_CLIENTS", 200);
    let size: String = variable("CONTROL_SIZE", "320x180".into());
    let options = ["--codecs", "h264", "--sub", "320x180@12.5"];
    let cameras = CameraProcess::start(CAMERAS, &options, Duration::from_secs(600));
    let room = Controlled::start(&wall_file(&cameras, &size), SystemClock::shared());
    room.agree("north", Utc::parse("2099-01-01T00:00:00Z").unwrap());
    room.open_incident();
    let conductor = room.controller.conductor();
    let live = || conductor.report().unwrap().cameras.iter().filter(|c| c.state == "live").count();
    assert!(eventually(Duration::from_secs(120), || live() == usize::from(CAMERAS)), "{} are live", live());
    std::thread::sleep(Duration::from_secs(5));

    let book = Book::default();
    let url = room.controller.url().trim_end_matches('/').to_owned();
    let operator = Caller::new(&url, &room.token(&room.operator, Role::Supervisor), &book);
    let administrator = room.person("adam", "administrator");
    let administrator = Caller::new(&url, &room.token(&administrator, Role::Administrator), &book);
    let events = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();

    let idle = (conductor.report().unwrap(), Usage::of(std::process::id()));
    std::thread::sleep(seconds / 4);
    let before = (conductor.report().unwrap(), Usage::of(std::process::id()));
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..clients {
            let caller = Caller::new(&url, &operator.token, &book);
            tasks.spawn(async move {
                tokio::time::sleep(Duration::from_secs(1) * n / clients).await;
                let mut ticks = tokio::time::interval(Duration::from_secs(1));
                for turn in n as usize.. {
                    ticks.tick().await;
                    caller.get(ROUTES[turn % ROUTES.len()]).await;
                }
            });
        }
        for _ in 0..2 {
            let caller = Caller::new(&url, &operator.token, &book);
            tasks.spawn(caller.listen(events.clone()));
        }
        tasks.spawn(work_on_the_wall(operator.clone()));
        tasks.spawn(work_on_the_registry(administrator.clone(), cameras.listen.clone()));
        tokio::time::sleep(seconds).await;
        tasks.shutdown().await;
    });
    let after = (conductor.report().unwrap(), Usage::of(std::process::id()));
    let cores = |from: &(WallReport, Usage), to: &(WallReport, Usage), over: Duration| {
        rounded(to.1.cpu_since(&from.1) / over.as_secs_f64())
    };
    let answers = book.lock().unwrap();
    let result = json!({
        "seconds": seconds.as_secs(), "clients": clients, "screens": SCREENS, "size": size, "cameras": CAMERAS,
        "answers": figures(&answers), "failed": answers.failed,
        "events": events.load(std::sync::atomic::Ordering::Relaxed),
        "cores_idle": cores(&idle, &before, seconds / 4),
        "cores_loaded_with_clients": cores(&before, &after, seconds),
        "without_load": lost(&idle.0, &before.0),
        "under_load": lost(&before.0, &after.0),
        "resident_mb": rounded(after.1.resident_mb()),
    });
    println!("{}", serde_json::to_string_pretty(&result).unwrap());
}

fn wall_file(cameras: &CameraProcess, size: &str) -> String {
    let mut text =
        format!("[wall]\nid = \"crisis\"\nframe_rate = 25\n[encoder]\npreset = \"ultrafast\"\n{CONTROL}");
    for screen in 1..=SCREENS {
        let shown: Vec<String> = (1..=4).map(|n| format!("\"{}\"", id(4 * (screen - 1) + n))).collect();
        let _ = write!(
            text,
            "[[screen]]\nid = \"s{screen}\"\nsize = \"{size}\"\ngrid = \"2x2\"\ncameras = [{}]\n",
            shown.join(", ")
        );
    }
    for camera in 1..=CAMERAS {
        let (id, uri) = (id(camera), cameras.uri(camera));
        let _ = write!(
            text,
            "[[camera]]\nid = \"{id}\"\nname = \"Camera {camera}\"\nzone = \"north\"\nuri = \"{uri}\"\n"
        );
    }
    text
}

/// A change every half second.
async fn work_on_the_wall(operator: Caller) {
    let layout = operator.get("/wall/layout").await.unwrap();
    let tile = layout["regions"][0]["tiles"][3]["id"].clone();
    let mut ticks = tokio::time::interval(Duration::from_millis(500));
    loop {
        for change in [
            json!({ "op": "clear", "tile": tile }),
            json!({ "op": "show", "tile": tile, "camera": id(4) }),
            json!({ "op": "arrange", "region": "s2", "arrangement": "1+5" }),
            json!({ "op": "arrange", "region": "s2", "arrangement": "2x2" }),
        ] {
            ticks.tick().await;
            operator.change(change).await;
        }
    }
}

/// A camera more every second.
async fn work_on_the_registry(administrator: Caller, listen: String) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    for n in 1.. {
        ticks.tick().await;
        let camera = json!({ "id": format!("new-{n}"), "name": format!("New {n}"), "zone": "north",
            "profiles": { "main": { "uri": format!("rtsp://{listen}/cam/1/sub") } } });
        administrator.post("/cameras", camera).await;
    }
}

fn figures(answers: &Answers) -> Value {
    let one = |times: &[f64]| {
        let mut times = times.to_vec();
        let mut at = |share| quantile(&mut times, share);
        json!({ "p50_ms": at(0.5), "p95_ms": at(0.95), "p99_ms": at(0.99), "longest_ms": at(1.0), "count": times.len() })
    };
    let all: Vec<f64> = answers.times.values().flatten().copied().collect();
    let mut figures: BTreeMap<&str, Value> =
        answers.times.iter().map(|(what, t)| (what.as_str(), one(t))).collect();
    figures.insert("all", one(&all));
    json!(figures)
}

/// What screens missed, and what cameras lost that nobody touched.
fn lost(from: &WallReport, to: &WallReport) -> Value {
    let screens = from.screens.iter().zip(&to.screens);
    let (composed, missed, dropped) = screens.fold((0, 0, 0), |sum, (a, b)| {
        (sum.0 + b.frames - a.frames, sum.1 + b.missed - a.missed, sum.2 + b.dropped - a.dropped)
    });
    let mut sum =
        BTreeMap::from([("decoded", 0), ("not_shown", 0), ("late", 0), ("reconnects", 0), ("placards", 0)]);
    for camera in (TOUCHED + 1..=CAMERAS).map(id) {
        let of = |report: &WallReport| report.cameras.iter().find(|c| c.id == camera).unwrap().clone();
        let (a, b) = (of(from), of(to));
        let mut add = |what, count: u64| *sum.get_mut(what).unwrap() += count;
        add("decoded", b.decoded - a.decoded);
        add("not_shown", (b.decoded - a.decoded).saturating_sub(b.shown - a.shown));
        add("late", b.dropped.late - a.dropped.late);
        add("reconnects", b.reconnects - a.reconnects);
        add("placards", b.placards.values().sum::<u64>() - a.placards.values().sum::<u64>());
    }
    json!({ "pictures_composed": composed, "missed": missed, "dropped_by_encoders": dropped, "untouched_cameras": sum })
}
