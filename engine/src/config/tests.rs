//! Table tests: what a wall file becomes, and every error with its exact words.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::base::{Error, ErrorKind};
use crate::composite::Backend;
use crate::encode::Rate;
use crate::media::{PixelRect, Ratio};
use crate::scene::{LayoutWish, Over, Placement, Preset};

const SMALLEST: &str = r#"[[camera]]
uri = "rtsp://user:hunter2@10.0.0.7:554/stream1"

[[screen]]
grid = "2x2"
outputs = ["rtsp://127.0.0.1:8600/wall"]
"#;

fn refused(text: &str) -> String {
    WallSpec::from_toml(text, "wall.toml").expect_err("refused").to_string()
}

/// The smallest wall with lines after its camera, so that those are on lines 4, 5, …
fn with_wall(lines: &str) -> String {
    let text = "[[camera]]\nid = \"a\"\nuri = \"rtsp://h/1\"\n".to_owned() + lines;
    if lines.contains("[[screen]]") { text } else { text + "\n[[screen]]\ngrid = \"2x2\"\n" }
}

/// Each: lines from line 4 on, and all that must be said about them.
#[test]
fn every_error_in_its_exact_words() {
    let cases = include!("golden.in");
    let mut wrong = String::new();
    for (lines, expected) in cases {
        let said = refused(&with_wall(lines));
        if said != expected {
            wrong.push_str(&format!("--- for\n{lines}\n--- expected\n{expected}\n--- said\n{said}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_smallest_wall_has_all_defaults() {
    let wall = WallSpec::from_toml(SMALLEST, "control/room-1.toml").unwrap();
    assert_eq!(wall.id.as_str(), "room-1");
    assert_eq!(wall.frame_rate, Ratio { num: 25, den: 1 });
    assert_eq!(wall.backend, Backend::Auto);
    let camera = &wall.cameras[0];
    assert_eq!((camera.id.as_str(), camera.name.as_str()), ("cam-1", "10.0.0.7/stream1"));
    assert_eq!(camera.uri().expose(), "rtsp://user:hunter2@10.0.0.7:554/stream1");
    assert_eq!(camera.uri().to_string(), "rtsp://10.0.0.7:554/…");
    assert_eq!(wall.scene.screens[0].rect, PixelRect::new(0, 0, 1920, 1080));
    let region = &wall.scene.regions[0];
    assert_eq!(region.layout, LayoutWish::Grid { columns: 2, rows: 2 });
    assert_eq!(region.tiles.len(), 1);
    assert_eq!(region.tiles[0].camera.as_ref().unwrap().as_str(), "cam-1");
    assert_eq!(wall.outputs[0].outputs[0].expose(), "rtsp://127.0.0.1:8600/wall");
    assert_eq!(wall.encoder.rate, Rate::Crf(23));
    assert_eq!(wall.encoder_config(1920, 1080).gop, 50);
    assert_eq!(wall.limits.placard_after, Duration::from_secs(2));
    assert_eq!(wall.limits.queue, Duration::from_millis(400));
}

#[test]
fn no_login_in_debug_output() {
    let text = SMALLEST.replace("rtsp://127", "rtsp://viewer:hunter2@127");
    let wall = WallSpec::from_toml(&text, "wall.toml").unwrap();
    let shown = format!("{wall:?} {wall:#?}");
    assert!(!shown.contains("hunter2") && !shown.contains("user") && !shown.contains("viewer"), "{shown}");
}

#[test]
fn no_login_in_errors() {
    let text = r#"
[[camera]]
uri = "rstp://user:hunter2@h/1"
[[camera]]
uri = "user:hunter2@h/1"
[[camera]]
uri = "rtsp://user:hun:ter2@h:99999/hunter2"
[[camera]]
id = "rtsp://user:hunter2@h"
uri = "rtsp://h/1?password=hunter2"
[[screen]]
grid = "rtsp://user:hunter2@h"
outputs = ["rtps://user:hunter2@h/1", "user:hunter2@h"]
[[tile]]
camera = "rtsp://user:hunter2@h/1"
on = "rtsp://user:hunter2@h/1"
"rtsp://user:hunter2@h/2" = 1
"#;
    let said = refused(text);
    assert!(said.lines().count() >= 8, "{said}");
    assert!(!said.contains("hunter2") && !said.contains("ter2"), "{said}");
    let unclosed = refused("[[camera]]\nuri = \"rtsp://user:hunter2@h/1\nid = 3\n");
    assert!(!unclosed.contains("hunter2"), "{unclosed}");
}

#[test]
fn becomes_an_error_of_the_engine_that_reads_the_same() {
    let errors = WallSpec::from_toml("[wall]\nfps = 3\n", "wall.toml").unwrap_err();
    let text = errors.to_string();
    let error = Error::from(errors);
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.subject(), "wall.toml:2:1");
    assert_eq!(error.to_string(), text);
}

#[test]
fn cameras_fill_screens_in_order() {
    let mut text = String::new();
    for i in 0..7 {
        text.push_str(&format!("[[camera]]\nid = \"c{i}\"\nuri = \"rtsp://h/{i}\"\n"));
    }
    text.push_str(
        "[[screen]]\nid = \"left\"\ngrid = \"2x2\"\n[[screen]]\nid = \"right\"\npreset = \"1+5\"\n",
    );
    text.push_str("[[screen]]\nid = \"own\"\ngrid = \"2x1\"\ncameras = [\"c6\", \"c0\"]\n");
    text.push_str(
        "[[region]]\nover = \"own\"\n[[tile]]\non = \"region-1\"\ncamera = \"c5\"\nrect = [0, 0, 64, 36]\n",
    );
    let wall = WallSpec::from_toml(&text, "wall.toml").unwrap();
    let shown: Vec<Vec<&str>> = wall
        .scene
        .regions
        .iter()
        .map(|r| r.tiles.iter().map(|t| t.camera.as_ref().unwrap().as_str()).collect())
        .collect();
    // c5 is in a tile already, so no screen is filled with it.
    assert_eq!(shown, [vec!["c0", "c1", "c2", "c3"], vec!["c4", "c6"], vec!["c6", "c0"], vec!["c5"]]);
    assert_eq!(wall.scene.screens[1].rect.x, 1920);
    assert_eq!(wall.scene.regions[1].layout, LayoutWish::Preset(Preset::OnePlusFive));
}

#[test]
fn every_key_arrives() {
    let text = r##"
[wall]
id = "room"
frame_rate = "30000/1001"
backend = "cpu"
secrets = "logins.toml"
snapshot = "wall.png"
[[camera]]
id = "gate"
name = "Porte d'Anderlecht"
profiles = { main = { uri = "rtsps://h/1", size = "2560x1440", fps = 12.5, codec = "h265", kbps = 4000 }, sub = "rtsp://h/2" }
any_certificate = true
tags = ["tunnel", "bridge"]
latitude = 50.85
longitude = 4
scene_width_m = 12.5
priority = 200
still = true
transport = "udp"
client = "gstreamer"
site = "cabinet-4"
zone = "south"
masks = [[0, 0, 0.5, 0.25], [0.7, 0.7, 0.3, 0.3]]
pinned = true
[[screen]]
id = "s"
size = [3840, 2160]
at = [100, 50]
grid = [4, 4]
gap = 4
margin = 8
fit = "cover"
outputs = ["wall.mkv", "srt://h:1?mode=caller", "display:full"]
[[region]]
id = "r"
over = ["s"]
preset = "1+12"
[[tile]]
id = "t"
on = "s"
camera = "gate"
cell = "1,2"
span = "2x2"
crop = [0.25, 0, 0.5, 1]
label = "Gate"
[[tile]]
on = "r"
fit = "stretch"
pinned = true
[encoder]
codec = "h265"
choice = "va"
preset = "medium"
kbps = 4000
gop = "1.5s"
[overlay]
labels = false
label_place = "below"
age_place = "top-left"
clock = "top-right"
border = 4
border_color = "#ff0000"
background = "#ffffff"
age_after = "never"
language = "nl"
[limits]
placard_after = "3s"
frozen_after = "never"
queue = "1s"
connect = "2s"
silence = "0.5s"
"##;
    let wall = WallSpec::from_toml(text, "x.toml").unwrap();
    assert_eq!((wall.id.as_str(), wall.backend), ("room", Backend::Cpu));
    assert_eq!(wall.frame_rate, Ratio { num: 30000, den: 1001 });
    assert_eq!(wall.secrets.as_ref().unwrap().to_str(), Some("logins.toml"));
    assert_eq!(wall.snapshot.as_ref().unwrap().to_str(), Some("wall.png"));
    let camera = &wall.cameras[0];
    assert_eq!(camera.name, "Porte d'Anderlecht");
    assert_eq!(camera.profiles["sub"].expose(), "rtsp://h/2");
    assert_eq!(camera.uri().expose(), "rtsps://h/1");
    assert_eq!(camera.transport, crate::source::Transport::Udp);
    assert_eq!(camera.client, crate::source::RtspClient::Gstreamer);
    assert_eq!((camera.site.as_deref(), camera.zone.as_deref()), (Some("cabinet-4"), Some("south")));
    assert_eq!((camera.masks.len(), camera.masks[1].x, camera.pinned), (2, 0.7, true));
    let facts = StreamFacts {
        size: Some((2560, 1440)),
        frame_rate: Some(Ratio { num: 25, den: 2 }),
        codec: Some(crate::media::Codec::H265),
        kbps: Some(4000),
    };
    assert_eq!(camera.streams, [("main".to_owned(), facts)].into());
    assert_eq!((camera.any_certificate, camera.still, camera.priority), (true, true, 200));
    assert_eq!((camera.tags.join(" "), camera.scene_width_m), ("tunnel bridge".into(), Some(12.5)));
    assert_eq!(camera.position, Some(Position { latitude: 50.85, longitude: 4.0 }));
    let screen = &wall.scene.screens[0];
    assert_eq!(screen.rect, PixelRect::new(100, 50, 3840, 2160));
    assert_eq!(wall.outputs[0].outputs.len(), 3);
    let [on_screen, over] = &wall.scene.regions[..] else { panic!("two regions") };
    assert_eq!((on_screen.gap, on_screen.margin), (4, 8));
    assert_eq!(over.over, Over::Screen("s".into()));
    let tile = &on_screen.tiles[0];
    assert_eq!(tile.at, Placement::Cell { column: 1, row: 2, columns: 2, rows: 2 });
    assert_eq!((tile.id.as_str(), tile.label.as_deref(), tile.pinned), ("t", Some("Gate"), true));
    assert_eq!((tile.fit, tile.crop.x), (crate::media::FitMode::Cover, 0.25));
    let empty = &over.tiles[0];
    assert_eq!((empty.id.as_str(), &empty.camera, empty.pinned), ("tile-2", &None, true));
    let encoder = wall.encoder_config(3840, 2160);
    assert_eq!((encoder.rate, encoder.preset.as_str(), encoder.gop), (Rate::Kbps(4000), "medium", 45));
    assert_eq!(
        (encoder.codec, encoder.choice),
        (crate::media::Codec::H265, crate::encode::EncoderChoice::Va)
    );
    let overlay = &wall.overlay;
    use crate::composite::{Corner, TextPlace};
    assert_eq!(
        (overlay.label_place, overlay.age_place),
        (TextPlace::Below, TextPlace::Over(Corner::TopLeft))
    );
    assert_eq!(
        (overlay.labels, overlay.clock, overlay.border),
        (false, Some(crate::composite::Corner::TopRight), 4)
    );
    assert_eq!(overlay.border_color, crate::composite::Yuv::from_rgb(255, 0, 0));
    assert_eq!(overlay.background, crate::composite::Yuv::WHITE);
    assert_eq!((overlay.age_after, overlay.language), (None, crate::composite::Language::Dutch));
    assert_eq!((wall.limits.placard_after, wall.limits.frozen_after), (Duration::from_secs(3), None));
    assert_eq!(wall.limits.queue, Duration::from_secs(1));
    assert_eq!(wall.limits.patience.connect, Duration::from_secs(2));
    assert_eq!(wall.limits.patience.silence, Duration::from_millis(500));
}

#[test]
fn later_errors_are_given_their_lines() {
    let text = with_wall(
        "[[screen]]\nid = \"s\"\ngrid = \"2x2\"\noutputs = [\"rtsp://h:1/w\"]\n\n[[tile]]\nid = \"t\"\n\n[[region]]\nover = \"s\"\ngrid = \"3x3\"\n",
    );
    let wall = WallSpec::from_toml(&text, "wall.toml").unwrap();
    let error = |subject: &'static str| Error::new(ErrorKind::Config, subject, "is wrong");
    assert_eq!(wall.located(&error("tile t")).to_string(), "wall.toml:9:1: tile[0]: is wrong");
    assert_eq!(wall.located(&error("screen s")).to_string(), "wall.toml:4:1: screen[0]: is wrong");
    assert_eq!(
        wall.located(&error("region 1 (over screen s)")).to_string(),
        "wall.toml:4:1: screen[0]: is wrong"
    );
    assert_eq!(
        wall.located(&error("region 2 (over screen s)")).to_string(),
        "wall.toml:12:1: region[0]: is wrong"
    );
    assert_eq!(wall.located(&error("moon")).to_string(), "moon: is wrong");
    let output = &wall.outputs[0].outputs[0];
    assert_eq!(output.refused(&error("x")).to_string(), "wall.toml:7:12: screen[0].outputs[0]: is wrong");
}

fn grid(columns: u32, rows: u32, uris: &[&str], outs: &[&str]) -> Result<WallSpec, ConfigErrors> {
    let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    WallSpec::grid(columns, rows, 1280, 720, Ratio { num: 25, den: 1 }, &own(uris), &own(outs))
}

#[test]
fn a_wall_without_a_file() {
    let wall = grid(2, 1, &["rtsp://u:p@h/one", "rtsp://h/user=a&password=b"], &["wall.mkv"]).unwrap();
    let names: Vec<_> = wall.cameras.iter().map(|c| (c.id.as_str(), c.name.as_str())).collect();
    assert_eq!(names, [("cam-1", "h/one"), ("cam-2", "h")]);
    assert_eq!(wall.scene.screens[0].rect, PixelRect::new(0, 0, 1280, 720));
    assert_eq!(wall.scene.regions[0].tiles.len(), 2);
}

#[test]
fn a_wall_without_a_file_is_refused_in_terms_of_options() {
    let said = |columns, rows, uris: &[&str], outs: &[&str]| {
        grid(columns, rows, uris, outs).expect_err("refused").to_string()
    };
    let five = ["rtsp://h/1"; 5];
    assert_eq!(said(2, 2, &five, &[]), "--grid: 5 cameras, but 2x2 has 4 cells; take --grid 3x2");
    assert_eq!(said(2, 2, &[], &[]), "no camera to show; name at least one address, as rtsp://HOST/PATH");
    assert_eq!(
        said(0, 2, &["rtsp://h/1"], &["wall.avi"]),
        "--out (number 1): \"wall.avi\" is neither an address nor a file that a screen can be written to; write rtsp://HOST:PORT/PATH, rtp://HOST:PORT, udp://HOST:PORT, srt://HOST:PORT, rtmp://HOST/APP/KEY, a file .mkv, .mp4 or .m3u8, or display:\n--grid: 0x2 is impossible: 1 to 64 columns and rows"
    );
    assert_eq!(
        said(1, 1, &["h/1"], &[]),
        "camera 1: is no address; it begins with a scheme and ://, one of rtsp, rtsps, http, https, srt, udp, file; or with / or ./ for a file"
    );
}

#[test]
fn a_file_on_disk_is_a_camera_too() {
    let clip = tempfile::NamedTempFile::with_suffix(".mp4").unwrap();
    let wall = grid(1, 1, &[clip.path().to_str().unwrap()], &[]).unwrap();
    assert!(wall.cameras[0].uri().expose().starts_with("file:///"));
    assert!(wall.cameras[0].name.ends_with(".mp4"));
}

#[test]
fn files_that_are_no_walls() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    let said = WallSpec::load(&path).expect_err("missing").to_string();
    assert!(said.ends_with("x.toml: cannot be read: No such file or directory (os error 2)"), "{said}");
    std::fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
    assert!(WallSpec::load(&path).expect_err("binary").to_string().ends_with("it is not UTF-8 text"));
    std::fs::write(&path, SMALLEST).unwrap();
    let wall = WallSpec::load(&path).unwrap();
    assert_eq!((wall.cameras.len(), wall.sources()), (1, vec![path]));
}

#[test]
fn every_kind_of_camera_and_output_is_let_through() {
    let cameras = [
        "rtsp://h/1",
        "rtsps://u:p@h:322/1",
        "rtspt://h/1",
        "RTSP://h/1",
        "http://h/a.m3u8",
        "https://h/x",
        "srt://h:7001?mode=caller",
        "srt://:7001?mode=listener",
        "udp://239.1.2.3:5000",
        "udp://@239.1.2.3:5000",
        "udp://:5000",
        "file:///clips/a.mp4",
        "/clips/a.mp4",
        "./a.mp4",
        "rtsp://[::1]:554/1",
    ];
    let outputs = [
        "rtsp://0.0.0.0:8600/wall",
        "rtp://239.1.2.3:5004",
        "srt://:7001?mode=listener",
        "udp://239.1.2.3:5006?ttl=4&interface=eth0",
        "rtmp://live.example/app/key",
        "rtmps://live.example/app/key",
        "w.mkv",
        "W.MP4",
        "file:///w.mkv",
        "hls/w.m3u8",
        "display:",
        "display:full",
    ];
    let wall = grid(4, 4, &cameras, &outputs).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(wall.cameras.len(), cameras.len());
    assert_eq!(wall.outputs[0].outputs.len(), outputs.len());
}

#[test]
fn thousands_of_cameras_in_one_file() {
    let mut text = String::new();
    for i in 0..8_000 {
        text.push_str(&format!(
            "[[camera]]\nid = \"c{i}\"\nuri = \"rtsp://10.0.{}.{}/1\"\n",
            i / 250,
            i % 250
        ));
    }
    for i in 0..16 {
        text.push_str(&format!("[[screen]]\nid = \"s{i}\"\ngrid = \"8x8\"\n"));
    }
    let wall = WallSpec::from_toml(&text, "wall.toml").unwrap();
    let tiles: usize = wall.scene.regions.iter().map(|r| r.tiles.len()).sum();
    assert_eq!((wall.inventory.len(), wall.cameras.len(), tiles), (8_000, 16 * 64, 16 * 64));
    for i in 0..8_000 {
        text.push_str(&format!("[[tile]]\ncamera = \"camera-{i}\"\n"));
    }
    let errors = WallSpec::from_toml(&text, "wall.toml").unwrap_err();
    assert_eq!(errors.problems().len(), 16_000);
    text.push_str(&"[[screen]]\n".repeat(300));
    let errors = WallSpec::from_toml(&text, "wall.toml").unwrap_err();
    assert!(errors.to_string().ends_with("screen[256]: is one too many: at most 256 screens"));
}
