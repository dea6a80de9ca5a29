//! Live pictures in a real browser: headless Chromium shows the wall, and what is on its glass is read
//! back. Needs the Debian packages `chromium` and `nodejs`, and `npm ci` in web/.
#![allow(missing_docs, clippy::unwrap_used, dead_code)]

mod support;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path as Segments, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, Response};
use axum::routing::{delete, get, post};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use vitrail_control::Result;
use vitrail_control::live::{Conditions, Live, Watcher};
use vitrail_engine::base::SystemClock;
use vitrail_simulator::code;

use support::stage::{Stage, Wish};

/// The room's answers, for one person whose login never ends.
async fn offer(
    State(live): State<Arc<Live>>,
    Segments(screen): Segments<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    let watcher = Watcher { account: "anna".into(), ended: CancellationToken::new(), peer: None, look: None };
    live.answer_offer(&watcher, &screen, &headers, &body).await
}

async fn end(
    State(live): State<Arc<Live>>,
    Segments((screen, session)): Segments<(String, String)>,
) -> Result<StatusCode> {
    live.close("anna", &screen, &session).map(|()| StatusCode::NO_CONTENT)
}

async fn stream(State(live): State<Arc<Live>>, Segments(screen): Segments<String>) -> Result<Response> {
    let watcher = Watcher { account: "anna".into(), ended: CancellationToken::new(), peer: None, look: None };
    live.answer_stream(&watcher, &screen, 640, 5.0).await
}

async fn picture(
    State(live): State<Arc<Live>>,
    Segments(screen): Segments<String>,
    Query(query): Query<HashMap<String, u32>>,
    headers: HeaderMap,
) -> Result<Response> {
    let width = query.get("width").copied().unwrap_or(960);
    live.answer_picture(&screen, width, &Conditions::of(&headers)).await
}

fn serve(stage: &Stage) -> SocketAddr {
    let page = std::fs::read_to_string(whep().join("page.html")).unwrap();
    let router = axum::Router::new()
        .route("/", get(|| async { Html(page) }))
        .route("/api/v1/whep/{screen}", post(offer))
        .route("/api/v1/whep/{screen}/{session}", delete(end))
        .route("/api/v1/wall/screens/{screen}/picture.jpg", get(picture))
        .route("/api/v1/wall/screens/{screen}/stream.mjpeg", get(stream))
        .with_state(stage.live.clone());
    let listener = stage.runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    stage.runtime.spawn(async { axum::serve(listener, router).await.unwrap() });
    address
}

fn whep() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/whep")
}

/// When a frame of the camera came into the wall's canvas, in ms since 1970.
type Composed = Vec<(u32, f64)>;

/// Notes them until it is told to stop.
fn note_canvases(stage: &Stage, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<Composed> {
    let (wall, screen) = (stage.wall.clone(), stage.screen.as_str().into());
    std::thread::spawn(move || {
        let clock = SystemClock::shared();
        let mut composed = Composed::new();
        let mut newest = -1;
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
            let Some(canvas) = wall.canvas(&screen).filter(|c| c.meta().pts.0 != newest) else { continue };
            newest = canvas.meta().pts.0;
            let at = clock.wall().as_secs_f64() * 1000.0;
            let (plane, size) = (&canvas.planes()[0], (canvas.width() as usize, canvas.height() as usize));
            let code = code::read(&plane.data, plane.stride, size, None);
            if let Some(code) =
                code.filter(|code| composed.last().is_none_or(|(frame, _)| *frame != code.frame))
            {
                composed.push((code.frame, at));
            }
        }
        composed
    })
}

/// Runs the browser; what it saw.
fn browse(at: SocketAddr, screen: &str, seconds: u32) -> Value {
    let whep_address = format!("/api/v1/whep/{screen}");
    let stream = format!("/api/v1/wall/screens/{screen}/stream.mjpeg");
    let out = Command::new("node")
        .arg(whep().join("play.mjs"))
        .args([format!("http://{at}/"), whep_address, stream, seconds.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("nodejs is installed");
    assert!(out.status.success(), "the browser ended with {}", out.status);
    serde_json::from_slice(&out.stdout).unwrap()
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn part(sorted: &[f64], part: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * part).round() as usize]
}

#[test]
#[ignore = "needs chromium, nodejs, and npm ci in web/"]
fn chromium_shows_the_wall_and_leaves_it() {
    let stage = Stage::start(Wish { size: (1280, 720), ..Wish::default() });
    let at = serve(&stage);
    let stop = Arc::new(AtomicBool::new(false));
    let canvases = note_canvases(&stage, stop.clone());
    let before = stage.wall.report().screens[0].clone();
    let report = browse(at, &stage.screen, 10);
    stop.store(true, Ordering::Relaxed);
    let canvases = canvases.join().unwrap();
    let watched = &report["watched"];
    let seen = watched["seen"].as_array().unwrap_or_else(|| panic!("{report}"));
    for key in ["first_ms", "presented", "offered", "answered", "candidates", "told", "states", "stats"] {
        println!("{key}: {}", watched[key]);
    }
    let delay = |s: &Value| {
        let (frame, shown) = (s["frame"].as_u64()? as u32, s["shown"].as_f64()?);
        // Frame numbers come round every ten seconds: it is the newest that was there before.
        let composed = canvases.iter().rev().find(|(f, at)| *f == frame && *at <= shown)?;
        Some(shown - composed.1)
    };
    let delays = sorted(seen.iter().filter_map(delay).collect());
    println!(
        "{} frames; from the wall's canvas to the glass: {:.0} ms median, {:.0} ms 95th percentile, {:.0} ms at most",
        delays.len(),
        part(&delays, 0.5),
        part(&delays, 0.95),
        part(&delays, 1.0)
    );
    assert!(part(&delays, 0.5) < 500.0, "half a second from the wall to the glass: {delays:?}");
    assert!(seen.iter().all(|s| s["camera"] == 1), "{seen:?}");
    assert!(seen.len() >= 60, "the camera gives 12.5 frames a second: {} seen", seen.len());
    assert_eq!(watched["stats"]["frameWidth"], 1280);
    assert_eq!(report["left"]["status"], 204);
    assert_eq!(report["left"]["late"], 0, "pictures after the end: {report}");
    assert_eq!(report["fallback"]["width"], 640);
    assert!(
        report["fallback"]["different"].as_u64() > Some(5),
        "the fall-back moves: {}",
        report["fallback"]
    );
    stage.until("the end", || stage.live.viewers(&stage.screen) == 0);
    let after = stage.wall.report().screens[0].clone();
    println!("missed {} of {}", after.missed - before.missed, after.frames - before.frames);
}
