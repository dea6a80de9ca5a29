//! Inputs of transcoding that are out of the ordinary: containers and clocks that say little or nothing,
//! encryption, streams that are recorded first. Each is done right or costs one clear line.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use gstreamer::prelude::*;
use serde_json::Value;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs ffmpeg to its end.
fn ffmpeg(args: &[&str]) {
    let out = Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-y"]).args(args).output().unwrap();
    assert!(out.status.success(), "ffmpeg {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// So many seconds of a moving picture at 25 a second, without sound; `options` come before the name.
fn silent(path: &Path, seconds: u32, options: &[&str]) {
    clip(path, seconds, &[&["-an"], options].concat());
}

/// The same with a tone.
fn clip(path: &Path, seconds: u32, options: &[&str]) {
    let picture = format!("testsrc2=size=320x240:rate=25:duration={seconds}");
    let tone = format!("sine=frequency=440:sample_rate=48000:duration={seconds}");
    let inputs = ["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &tone];
    ffmpeg(&[&inputs[..], &["-pix_fmt", "yuv420p", "-g", "25"], options, &[text(path)]].concat());
}

fn x264(path: &Path, seconds: u32) {
    silent(path, seconds, &["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0"]);
}

/// Runs `vitrail transcode`: exit code, the one outcome, stderr.
fn transcode(args: &[&str]) -> (i32, Value, String) {
    let (code, stdout, stderr) = common::run(&[&["transcode", "--json", "--log", "warn"], args].concat());
    let lines = stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let outcomes: Vec<Value> = lines.filter(|line| line["event"] == "outcome").collect();
    assert!(outcomes.len() <= 1, "{outcomes:?}");
    (code, outcomes.into_iter().next().unwrap_or_default(), stderr)
}

/// Times at which pictures are shown, in seconds, as ffprobe decodes them.
fn shown(path: &Path) -> Vec<f64> {
    let out = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-show_entries", "frame=pts_time", "-of", "csv=p=0"])
        .arg(path)
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines().filter_map(|line| line.trim_end_matches(',').parse().ok()).collect()
}

/// Codec and seconds of the sound; `None` where there is none.
fn sound(path: &Path) -> Option<(String, f64)> {
    let out = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "a:0", "-show_entries", "stream=codec_name:packet=pts_time"])
        .args(["-of", "json"])
        .arg(path)
        .output()
        .unwrap();
    let probed: Value = serde_json::from_slice(&out.stdout).unwrap();
    let codec = probed["streams"][0]["codec_name"].as_str()?.to_owned();
    let times = probed["packets"].as_array()?.iter().filter_map(|p| p["pts_time"].as_str()?.parse().ok());
    let times: Vec<f64> = times.collect();
    Some((codec, times.last()? - times.first()?))
}

/// What lies in a folder, hidden or not.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Refused in one line that says `why`; nothing is left but what was there.
fn refused(source: &Path, why: &str) {
    let folder = source.parent().unwrap();
    let before = names(folder);
    let target = folder.join("out.mp4");
    for more in [&[][..], &["--codec", "h264", "--preset", "ultrafast"]] {
        let (code, outcome, stderr) = transcode(&[&[text(source), "-o", text(&target)], more].concat());
        let message = outcome["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(outcome["result"], "failed", "{outcome} {stderr}");
        assert!(message.contains(why) && !message.contains('\n'), "{message}");
        assert!(message.contains(source.file_name().unwrap().to_str().unwrap()), "{message}");
        // Unsupported, or what is damaged: docs/ref/cli.md.
        let expected = if outcome["error"]["kind"] == "corrupt" { 1 } else { 3 };
        assert_eq!((code, &outcome["error"]["exit_code"]), (expected, &expected.into()), "{outcome}");
        assert_eq!(names(folder), before);
    }
}

/// Done, with so many pictures in ascending order, copied and encoded.
fn comes_out(source: &Path, pictures: usize) -> Vec<f64> {
    let folder = source.parent().unwrap();
    let target = folder.join("out.mp4");
    let mut times = Vec::new();
    for more in [&[][..], &["--codec", "h264", "--preset", "veryfast"]] {
        let (code, outcome, stderr) =
            transcode(&[&[text(source), "-o", text(&target), "--overwrite"], more].concat());
        assert_eq!(code, 0, "{outcome} {stderr}");
        times = shown(&target);
        assert_eq!(times.len(), pictures, "{more:?}: {outcome}");
        assert!(times.windows(2).all(|w| w[0] < w[1]), "{more:?}: {times:?}");
    }
    std::fs::remove_file(&target).unwrap();
    times
}

#[test]
fn flash_video_comes_out_with_its_sound() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (name, codec) in [("h264.flv", ["libx264", "aac"]), ("sorenson.flv", ["flv1", "libmp3lame"])] {
        clip(&at(name), 3, &["-c:v", codec[0], "-c:a", codec[1], "-ar", "44100"]);
        comes_out(&at(name), 75);
        let (code, outcome, stderr) = transcode(&[text(&at(name)), "-o", text(&at("x.mp4"))]);
        assert_eq!(code, 0, "{outcome} {stderr}");
        let (_, seconds) = sound(&at("x.mp4")).expect("its sound");
        assert!((seconds - 3.0).abs() < 0.2, "{name}: {seconds}");
        std::fs::remove_file(at("x.mp4")).unwrap();
    }
}

/// A recording whose times are what `ts` (of FFmpeg's bit stream filter `setts`) makes of them.
fn retimed(dir: &Path, seconds: u32, ts: &str) -> std::path::PathBuf {
    let (plain, odd) = (dir.join("plain.mkv"), dir.join("odd.mkv"));
    x264(&plain, seconds);
    let filter = format!("setts=ts={ts}");
    ffmpeg(&["-i", text(&plain), "-c", "copy", "-bsf:v", &filter, text(&odd)]);
    std::fs::remove_file(&plain).unwrap();
    odd
}

#[test]
fn pictures_of_one_instant_are_all_kept() {
    // As a camera does that gives what it had buffered at once.
    let dir = tempfile::tempdir().unwrap();
    let times = comes_out(&retimed(dir.path(), 3, "if(lt(N\\,7)\\,0\\,40*(N-6))"), 75);
    assert!(times[6] < 0.01 && (times[7] - 0.04).abs() < 0.002, "{:?}", &times[..9]);
    assert!((times[74] - 2.72).abs() < 0.002, "{times:?}");
    // In the middle, too, where the ones behind give way.
    let times = comes_out(&retimed(dir.path(), 3, "40*(N-gt(mod(N\\,10)\\,8))"), 75);
    assert!((times[74] - 2.96).abs() < 0.002, "{times:?}");
}

/// Groups that refer to pictures before them, as the newest group of a recording: what is shown of them
/// before their key frame cannot be decoded without those, the rest can.
#[test]
fn a_recording_that_ends_in_an_open_group_is_copied() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("open.mp4");
    let open = "open-gop=1:keyint=25:min-keyint=25:scenecut=0";
    for pictures in ["30", "31", "33"] {
        let options = ["-c:v", "libx264", "-preset", "veryfast", "-x264-params", open, "-frames:v", pictures];
        silent(&source, 2, &[&options[..], &["-flags", "-cgop"]].concat());
        comes_out(&source, pictures.parse().unwrap());
    }
}

/// What x264 makes here is what FFmpeg makes of it: each key frame is a place to begin.
#[test]
fn groups_of_pictures_are_closed() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (dir.path().join("a.avi"), dir.path().join("b.mp4"));
    silent(&source, 1, &["-c:v", "mpeg4"]);
    let (code, outcome, stderr) =
        transcode(&[text(&source), "-o", text(&target), "--codec", "h264", "--preset", "veryfast"]);
    assert_eq!(code, 0, "{outcome} {stderr}");
    // x264 writes its options into the stream.
    let bytes = std::fs::read(&target).unwrap();
    assert!(bytes.windows(10).any(|w| w == b"open_gop=0"));
}

/// Seven pictures a tick of 1/90000 s apart, or all at one instant, then 25 a second; a unit without a
/// picture at the end of two of them. As many as FFmpeg decodes.
#[test]
fn recordings_of_signing_cameras_come_out_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/camera-streams");
    let names = ["axis_test_h264", "axis_signed_test_h264", "axis_signed_test_h264_modified_frame_137"];
    let dir = tempfile::tempdir().unwrap();
    for (name, pictures) in names.into_iter().zip([256, 255, 255]) {
        let (source, target) =
            (folder.join(name).with_extension("mp4"), dir.path().join(name).with_extension("mp4"));
        if !source.is_file() {
            eprintln!("skipped: {} is not here", source.display());
            return;
        }
        let (code, outcome, stderr) =
            transcode(&[text(&source), "-o", text(&target), "--codec", "h264", "--preset", "veryfast"]);
        assert_eq!(code, 0, "{outcome} {stderr}");
        assert_eq!(shown(&target).len(), pictures, "{name}: {outcome}");
    }
}

#[test]
fn a_recording_with_one_time_for_all_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let odd = retimed(dir.path(), 2, "0");
    let (code, outcome, stderr) = transcode(&[text(&odd), "-o", text(&dir.path().join("x.mp4"))]);
    assert_eq!(code, 0, "{outcome} {stderr}");
    assert!(outcome["report"]["notes"].to_string().contains("its pictures are counted"), "{outcome}");
    std::fs::remove_file(dir.path().join("x.mp4")).unwrap();
    let times = comes_out(&odd, 50);
    assert!((times[49] - 49.0 / 25.0).abs() < 0.01, "{times:?}");
}

#[test]
fn a_header_of_no_pictures_a_second_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("zero.avi");
    silent(&path, 2, &["-c:v", "mpeg4", "-bf", "0"]);
    let mut bytes = std::fs::read(&path).unwrap();
    let find = |bytes: &[u8], name: &[u8]| bytes.windows(4).position(|w| w == name).unwrap();
    // Microseconds of a picture (avih), ticks a second (strh): Microsoft's AVI RIFF file reference.
    let (avih, strh) = (find(&bytes, b"avih"), find(&bytes, b"strh"));
    bytes[avih + 8..avih + 12].fill(0);
    bytes[strh + 8 + 24..strh + 8 + 28].fill(0);
    std::fs::write(&path, bytes).unwrap();
    comes_out(&path, 50);
}

const KEY: [&str; 6] = [
    "-encryption_scheme",
    "cenc-aes-ctr",
    "-encryption_key",
    "76a6c65c5ea762046bd749a2e632ccbb",
    "-encryption_kid",
    "a7e61c373e219033c21091fa607bf3b8",
];

#[test]
fn encrypted_recordings_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let codec = ["-c:v", "libx264", "-preset", "ultrafast"];
    silent(&at("whole.mp4"), 2, &[&codec[..], &KEY].concat());
    refused(&at("whole.mp4"), "is encrypted");
    // What a decoder makes of it is no salvage.
    let (code, outcome, _) = transcode(&[text(&at("whole.mp4")), "-o", text(&at("out.mp4")), "--salvage"]);
    assert!(code != 0 && outcome["result"] == "failed", "{outcome}");

    // Fragments: where all of the head is in them, libavformat finds no picture at all.
    for (name, flags, said) in [
        ("head.mp4", "+frag_keyframe", "is encrypted"),
        (
            "fragments.mp4",
            "+frag_keyframe+empty_moov",
            "holds no picture that can be read; it may be encrypted",
        ),
    ] {
        silent(&at(name), 2, &[&codec[..], &["-movflags", flags], &KEY].concat());
        refused(&at(name), said);
    }

    std::fs::write(at("key"), b"0123456789abcdef").unwrap();
    std::fs::write(at("keys.txt"), format!("key\n{}\n", text(&at("key")))).unwrap();
    let keys = at("keys.txt");
    silent(
        &at("list.m3u8"),
        2,
        &[&codec[..], &["-hls_time", "1", "-hls_key_info_file", text(&keys)]].concat(),
    );
    refused(&at("list.m3u8"), "is a playlist");
    refused(&at("list0.ts"), "or encrypted");
}

/// Plays a GStreamer pipeline until dropped.
struct Sender(gstreamer::Element);

impl Sender {
    fn start(launch: &str) -> Sender {
        gstreamer::init().unwrap();
        let sender = gstreamer::parse::launch(launch).unwrap();
        sender.set_state(gstreamer::State::Playing).unwrap();
        Sender(sender)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.0.set_state(gstreamer::State::Null);
    }
}

/// Hands out one file over HTTP, a connection a thread, until the test process ends.
fn http_server(name: &'static str, body: Vec<u8>) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let body = body.clone();
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let found = lines.next().is_some_and(|request| request.contains(name));
                lines.find(String::is_empty);
                let (status, body) = if found { ("200 OK", &body[..]) } else { ("404 Not Found", &b""[..]) };
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
            });
        }
    });
    port
}

/// Records `address` for two seconds: so much comes out, and sound of this codec in an MP4.
fn recorded(address: &str, codec: &str) {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("gate.mp4");
    let (code, outcome, stderr) =
        transcode(&[address, "-o", text(&target), "--duration", "2s", "--codec", "h264"]);
    assert_eq!(code, 0, "{address}: {outcome} {stderr}");
    let times = shown(&target);
    assert!((50..=60).contains(&times.len()), "{address}: {} pictures", times.len());
    let (found, seconds) = sound(&target).unwrap_or_else(|| panic!("{address}: no sound: {stderr}"));
    assert_eq!(found, codec, "{address}");
    assert!((1.5..=2.3).contains(&seconds), "{address}: {seconds} s of sound");
    assert_eq!(names(dir.path()), ["gate.mp4"], "the recording is gone");
}

#[test]
fn a_transport_stream_over_srt_is_recorded_with_its_sound() {
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _sender = Sender::start(&format!(
        "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=25/1 ! \
         x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! h264parse config-interval=-1 ! mux. \
         audiotestsrc is-live=true ! audio/x-raw,rate=48000,channels=2 ! avenc_aac ! aacparse ! mux. \
         mpegtsmux name=mux alignment=7 ! \
         srtsink uri=srt://127.0.0.1:{port}?mode=listener wait-for-connection=false"
    ));
    recorded(&format!("srt://127.0.0.1:{port}?mode=caller&latency=20"), "aac");
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("x.mp4");
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("srt://127.0.0.1:{nobody}?mode=caller&passphrase=hush-hush-hush");
    let (code, _, stderr) = transcode(&[&address, "-o", text(&target), "--duration", "2s"]);
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains(&nobody.to_string()) && !stderr.contains("hush-hush-hush"), "{stderr}");
    assert_eq!(names(dir.path()), [] as [&str; 0]);
}

#[test]
fn files_over_http_are_recorded_with_their_sound() {
    let dir = tempfile::tempdir().unwrap();
    let h264 = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0"];
    for (name, codec, expected) in
        [("clip.ts", "aac", "aac"), ("clip.mp4", "aac", "aac"), ("clip.mkv", "pcm_alaw", "aac")]
    {
        let file = dir.path().join(name);
        clip(&file, 5, &[&h264[..], &["-c:a", codec]].concat());
        let port = http_server(name, std::fs::read(&file).unwrap());
        recorded(&format!("http://127.0.0.1:{port}/{name}"), expected);
    }
    // Shorter than what is to be recorded, and not there at all.
    let port = http_server("clip.ts", std::fs::read(dir.path().join("clip.ts")).unwrap());
    let out = tempfile::tempdir().unwrap();
    let target = out.path().join("x.mp4");
    for (name, length) in [("clip.ts", "9s"), ("none.ts", "1s")] {
        let address = format!("http://jo:hush-hush@127.0.0.1:{port}/{name}");
        let (code, _, stderr) = transcode(&[&address, "-o", text(&target), "--duration", length]);
        assert_eq!(code, 4, "{stderr}");
        assert!(stderr.contains(&port.to_string()) && !stderr.contains("hush"), "{stderr}");
        assert_eq!(names(out.path()), [] as [&str; 0]);
    }
}

#[test]
fn a_source_that_is_replaced_while_it_is_worked_on_is_no_evidence() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    silent(&at("a.mp4"), 40, &["-c:v", "libx264", "-preset", "ultrafast"]);
    std::fs::copy(at("a.mp4"), at("b.mp4")).unwrap();
    let (code, _, stderr) = common::run(&["key", "new", text(&at("unit.key"))]);
    assert_eq!(code, 0, "{stderr}");
    let before = names(dir.path());
    let (source, target, key) = (at("a.mp4"), at("out.mp4"), at("unit.key"));
    let evidence = ["--key", text(&key), "--reason", "theft at the gate", "--reference", "BR-2026/117"];
    let options = ["--codec", "h264", "--preset", "medium", "--size", "640x480", "--log", "error"];
    let command = ["transcode", text(&source), "-o", text(&target), "--report", "report.json"];
    let args = [&command[..], &options, &evidence].concat();
    for how in ["replaced", "changed"] {
        let mut program = common::Program::start(&args);
        let hidden = at(".out.mp4.vitrail");
        let begun = common::eventually(Duration::from_secs(60), || {
            std::fs::read_dir(&hidden).is_ok_and(|inside| inside.count() > 2)
        });
        assert!(begun, "{}", program.stderr());
        if how == "replaced" {
            std::fs::rename(at("b.mp4"), at("a.mp4")).unwrap();
            std::fs::copy(at("a.mp4"), at("b.mp4")).unwrap();
        } else {
            // One byte at its end, and its time as it was.
            let file = std::fs::OpenOptions::new().read(true).write(true).open(at("a.mp4")).unwrap();
            let about = file.metadata().unwrap();
            use std::os::unix::fs::FileExt;
            let mut byte = [0];
            file.read_exact_at(&mut byte, about.len() - 1).unwrap();
            file.write_all_at(&[byte[0] ^ 1], about.len() - 1).unwrap();
            file.set_modified(about.modified().unwrap()).unwrap();
        }
        let status = program.wait(Duration::from_secs(120));
        assert!(!status.success(), "{how}: {}", program.stderr());
        let report = program.report();
        let said = report["jobs"][0]["error"]["message"].as_str().unwrap_or_else(|| panic!("{report}"));
        assert!(
            said.contains("a.mp4") && said.contains(how) && said.contains("while it was worked on"),
            "{said}"
        );
        assert_eq!(names(dir.path()), before, "{how}: nothing is left");
    }
}
