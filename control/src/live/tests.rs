//! Pictures over HTTP, of screens and cameras that a test makes up.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use futures::StreamExt;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use vitrail_engine::encode::EncodedSink;
use vitrail_engine::media::{Frame, FrameMeta, Pts};
use vitrail_engine::output::Tap;
use vitrail_engine::wall::StillWish;

use super::*;
use crate::audit::Actor;
use crate::people::Role;
use crate::rights::{Code, RefusalReason};

/// One screen called `left`, and cameras.
#[derive(Default)]
struct Fake {
    canvas: Mutex<Option<Frame>>,
    looked: AtomicUsize,
    cameras: Mutex<HashMap<String, Frame>>,
    decoded: AtomicUsize,
    /// Told when a still is being made; it goes on when the test says so.
    gate: Mutex<Option<(std::sync::mpsc::Sender<()>, std::sync::mpsc::Receiver<()>)>>,
    refused: AtomicBool,
}

impl Screens for Fake {
    fn tap(&self, _: &str, _: Arc<dyn EncodedSink>) -> Option<Tap> {
        None
    }
    fn canvas(&self, screen: &str) -> Option<Frame> {
        self.looked.fetch_add(1, Ordering::Relaxed);
        self.canvas.lock().clone().filter(|_| screen == "left")
    }
    fn still(&self, camera: &str, wish: StillWish) -> Result<Option<Frame>> {
        self.decoded.fetch_add(1, Ordering::Relaxed);
        if let Some((told, door)) = self.gate.lock().take() {
            told.send(()).unwrap();
            door.recv().unwrap();
        }
        let frame = self.cameras.lock().get(camera).cloned();
        Ok(frame.map(|frame| vitrail_engine::wall::at_width(&frame, wish.width, &[])))
    }
}

fn frame(luma: u8, pts: i64) -> Frame {
    Frame::filled(1920, 1080, [luma, 128, 128], FrameMeta { pts: Pts(pts), ..FrameMeta::default() }).unwrap()
}

fn setup() -> (Arc<Fake>, Arc<Live>) {
    let fake = Arc::new(Fake::default());
    let policy = fake.clone();
    let refusal = Refusal::from(RefusalReason::of(Code::Revoked));
    let hooks =
        Hooks {
            screens: fake.clone(),
            may_see: Arc::new(move |_, _| {
                if policy.refused.load(Ordering::SeqCst) { Err(refusal.clone()) } else { Ok(()) }
            }),
        };
    let config = LiveConfig { viewers: 2, ..LiveConfig::new(([127, 0, 0, 1], 0).into()) };
    (fake, Live::start(config, hooks).unwrap())
}

fn watcher() -> Watcher {
    Watcher { account: "anna".into(), ended: CancellationToken::new(), peer: None, look: None }
}

fn caller() -> Caller {
    Caller {
        account: "anna".into(),
        name: "Anna".into(),
        role: Role::Operator,
        zones: Vec::new(),
        unit: "centre".into(),
        session: None,
        narrowed: None,
        ended: CancellationToken::new(),
        actor: Actor::system(),
    }
}

fn knows(tag: Option<&HeaderValue>) -> Conditions {
    let mut headers = HeaderMap::new();
    headers.insert(header::IF_NONE_MATCH, tag.unwrap().clone());
    Conditions::of(&headers)
}

async fn bytes(response: Response<Body>) -> Bytes {
    axum::body::to_bytes(response.into_body(), 10 << 20).await.unwrap()
}

/// Width and height of a JPEG (ITU-T T.81, B.2.2: the frame header).
fn size(jpeg: &[u8]) -> (u16, u16) {
    let at = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    let number = |at: usize| u16::from_be_bytes([jpeg[at], jpeg[at + 1]]);
    (number(at + 7), number(at + 5))
}

#[tokio::test]
async fn a_canvas_that_did_not_change_costs_nothing() {
    let (fake, live) = setup();
    let none = Conditions::default();
    assert_eq!(live.answer_picture("left", 640, &none).await.unwrap_err().status, 404, "no picture yet");
    *fake.canvas.lock() = Some(frame(90, 1));
    assert_eq!(live.answer_picture("right", 640, &none).await.unwrap_err().status, 404, "no such screen");
    let first = live.answer_picture("left", 640, &none).await.unwrap();
    let tag = first.headers().get(header::ETAG).cloned();
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(first.headers()[header::CONTENT_TYPE], "image/jpeg");
    assert_eq!(first.headers()[header::CACHE_CONTROL], "private, no-cache");
    assert_eq!(size(&bytes(first).await), (640, 360));
    let again = live.answer_picture("left", 640, &knows(tag.as_ref())).await.unwrap();
    assert_eq!(
        (again.status(), again.headers().get(header::ETAG).cloned()),
        (StatusCode::NOT_MODIFIED, tag.clone())
    );
    assert!(bytes(again).await.is_empty());
    let wider = live.answer_picture("left", 5000, &knows(tag.as_ref())).await.unwrap();
    assert_eq!(size(&bytes(wider).await), (1920, 1080), "never wider than the screen");
    *fake.canvas.lock() = Some(frame(180, 2));
    let changed = live.answer_picture("left", 640, &knows(tag.as_ref())).await.unwrap();
    assert!(changed.status() == StatusCode::OK && changed.headers().get(header::ETAG).cloned() != tag);
}

#[tokio::test]
async fn many_who_ask_at_once_share_one_encode() {
    let (fake, live) = setup();
    *fake.canvas.lock() = Some(frame(90, 1));
    let asked: Vec<_> = (0..200)
        .map(|_| {
            let live = live.clone();
            tokio::spawn(async move { live.pictures().newest("left", 960).await.unwrap().bytes })
        })
        .collect();
    let mut pictures = Vec::new();
    for one in asked {
        pictures.push(one.await.unwrap());
    }
    // The same memory: a second encode would have its own.
    assert!(pictures.iter().all(|p| p.as_ptr() == pictures[0].as_ptr()), "one encode");
}

/// The JPEGs in what a stream gave so far.
fn parts(body: &[u8]) -> Vec<&[u8]> {
    let text = String::from_utf8_lossy(body);
    assert!(text.starts_with("--vitrail-picture\r\nContent-Type: image/jpeg\r\nContent-Length: "));
    assert!(body.ends_with(b"\r\n--vitrail-picture\r\n"), "a boundary makes it visible");
    let mut rest = body;
    let mut found = Vec::new();
    while let Some(at) = rest.windows(4).position(|w| w == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&rest[..at]).into_owned();
        let length: usize = head.rsplit("Content-Length: ").next().unwrap().parse().unwrap();
        found.push(&rest[at + 4..][..length]);
        rest = &rest[at + 4 + length..];
    }
    found
}

#[tokio::test]
async fn a_stream_shows_what_changes_and_ends_with_the_login() {
    let (fake, live) = setup();
    let watcher = watcher();
    assert_eq!(live.answer_stream(&watcher, "left", 640, 5.0).await.unwrap_err().status, 404);
    *fake.canvas.lock() = Some(frame(90, 1));
    let response = live.answer_stream(&watcher, "left", 640, 15.0).await.unwrap();
    let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    assert_eq!(kind, "multipart/x-mixed-replace; boundary=vitrail-picture");
    let mut body = response.into_body().into_data_stream();
    let mut got = body.next().await.unwrap().unwrap().to_vec();
    *fake.canvas.lock() = Some(frame(180, 2));
    got.extend(body.next().await.unwrap().unwrap());
    let pictures = parts(&got);
    assert_eq!(pictures.len(), 2);
    assert!(pictures[0] != pictures[1] && pictures.iter().all(|p| size(p) == (640, 360)));
    let (next, ()) = tokio::join!(body.next(), async { watcher.ended.cancel() });
    assert!(next.is_none(), "it ends");
}

#[tokio::test]
async fn streams_are_few_and_end_with_the_server() {
    let (fake, live) = setup();
    *fake.canvas.lock() = Some(frame(90, 1));
    let watcher = watcher();
    let first = live.answer_stream(&watcher, "left", 640, 5.0).await.unwrap();
    let second = live.answer_stream(&watcher, "left", 640, 5.0).await.unwrap();
    assert_eq!(live.answer_stream(&watcher, "left", 640, 5.0).await.unwrap_err().status, 503);
    drop(first);
    let third = live.answer_stream(&watcher, "left", 640, 5.0).await.unwrap();
    live.stop();
    for response in [second, third] {
        assert!(response.into_body().into_data_stream().next().await.is_none());
    }
}

#[tokio::test]
async fn a_thumbnail_is_made_once_a_second() {
    let (fake, live) = setup();
    let none = Conditions::default();
    let ask = |camera: &'static str, width: u32| {
        let (live, none) = (live.clone(), none.clone());
        async move { live.answer_thumbnail(&caller(), camera, width, true, &none).await }
    };
    assert_eq!(ask("gate", 320).await.unwrap_err().status, 404);
    live.forget("gate");
    fake.cameras.lock().insert("gate".into(), frame(90, 1));
    fake.decoded.store(0, Ordering::Relaxed);
    let (a, b, c) = tokio::join!(ask("gate", 300), ask("gate", 310), ask("gate", 320));
    let a = a.unwrap();
    let tag = a.headers().get(header::ETAG).cloned();
    assert!(b.is_ok() && c.is_ok());
    assert_eq!(fake.decoded.load(Ordering::Relaxed), 1, "near sizes share one");
    assert_eq!(size(&bytes(a).await), (320, 180));
    assert_eq!(size(&bytes(ask("gate", 4000).await.unwrap()).await), (640, 360), "no way to watch");
    let again = live.answer_thumbnail(&caller(), "gate", 320, true, &knows(tag.as_ref())).await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn a_camera_that_may_not_be_seen_is_shown_from_nowhere() {
    let (fake, live) = setup();
    fake.cameras.lock().insert("gate".into(), frame(90, 1));
    let none = Conditions::default();
    let kept = live.answer_thumbnail(&caller(), "gate", 320, true, &none).await.unwrap();
    fake.refused.store(true, Ordering::SeqCst);
    let tag = kept.headers().get(header::ETAG);
    for known in [none.clone(), knows(tag)] {
        let problem = live.answer_thumbnail(&caller(), "gate", 320, true, &known).await.unwrap_err();
        assert_eq!((problem.status, problem.code.as_deref()), (403, Some("revoked")));
    }
    assert_eq!(fake.decoded.load(Ordering::Relaxed), 1, "refused before anything is decoded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_being_made_while_the_right_ends_is_not_given_out() {
    for allowed_again in [false, true] {
        let (fake, live) = setup();
        fake.cameras.lock().insert("gate".into(), frame(90, 1));
        let (told, begun) = std::sync::mpsc::channel();
        let (open, door) = std::sync::mpsc::channel();
        *fake.gate.lock() = Some((told, door));
        let asking = {
            let live = live.clone();
            tokio::spawn(async move {
                live.answer_thumbnail(&caller(), "gate", 320, true, &Conditions::default()).await
            })
        };
        tokio::task::spawn_blocking(move || begun.recv().unwrap()).await.unwrap();
        fake.refused.store(true, Ordering::SeqCst);
        live.forget("gate");
        // Given back at once: still not what was decoded under the old right.
        fake.refused.store(!allowed_again, Ordering::SeqCst);
        open.send(()).unwrap();
        let status = asking.await.unwrap().unwrap_err().status;
        assert_eq!(status, if allowed_again { 404 } else { 403 });
        fake.refused.store(false, Ordering::SeqCst);
        live.answer_thumbnail(&caller(), "gate", 320, true, &Conditions::default()).await.unwrap();
        assert_eq!(fake.decoded.load(Ordering::Relaxed), 2, "made anew");
    }
}

#[tokio::test]
async fn offers_must_be_offers() {
    let (_, live) = setup();
    let ask = |kind: &'static str, body: Vec<u8>| {
        let live = live.clone();
        async move {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            live.answer_offer(&watcher(), "left", &headers, &body).await.unwrap_err().status
        }
    };
    assert_eq!(ask("application/json", b"v=0".to_vec()).await, 400);
    assert_eq!(ask("application/sdp", vec![0xff; 10]).await, 400);
    assert_eq!(ask("application/sdp", vec![b'v'; 70_000]).await, 413);
    assert_eq!(
        ask("Application/SDP; charset=utf-8", b"v=0".to_vec()).await,
        404,
        "understood; no such screen"
    );
}
