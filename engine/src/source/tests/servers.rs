//! Sources against real servers, scripted cameras, recorded quirks and files.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::super::testing::{
    Auth, GstServer, Recorded, Recorder, SDP_H264_BARE, SDP_H265_BARE, Script, ScriptedCamera, clip, shared,
};
use super::super::*;
use crate::base::SystemClock;
use crate::media::Codec;

const H264: &str = "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=25/1 ! \
    x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph264pay name=pay0 pt=96 config-interval=-1";
const H265: &str = "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=25/1 ! \
    x265enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! h265parse ! rtph265pay name=pay0 pt=96 config-interval=-1";

/// Runs a source until `enough` units came, or it ends by itself, or `limit` is over.
pub(super) fn run_source(config: SourceConfig, enough: usize, limit: Duration) -> (Result<()>, Recorded) {
    let recorder = Recorder::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let result = runtime.block_on(run_on(&Source::new(config), &recorder, enough, limit));
    (result, recorder.get())
}

/// The same with a recorder that the caller looks into.
pub(super) fn run_until(
    config: SourceConfig,
    recorder: &Arc<Recorder>,
    enough: usize,
    limit: Duration,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run_on(&Source::new(config), recorder, enough, limit))
}

async fn run_on(source: &Source, recorder: &Arc<Recorder>, enough: usize, limit: Duration) -> Result<()> {
    let camera: CameraId = "gate".into();
    let (grant, shutdown) = (Authority::owner().grant(&camera), Shutdown::new());
    let stop = async {
        let deadline = tokio::time::Instant::now() + limit;
        while recorder.units() < enough && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        shutdown.cancel();
        std::future::pending::<()>().await;
    };
    let clock = SystemClock::shared();
    tokio::select! {
        result = source.run(&camera, &grant, recorder.clone(), &clock, &shutdown) => result,
        () = stop => Ok(()),
    }
}

fn config(text: &str) -> SourceConfig {
    SourceConfig::new(CameraUri::parse(text).expect("a valid address"))
}

pub(super) const LIMIT: Duration = Duration::from_secs(15);

fn check_live(recorded: &Recorded, codec: Codec) {
    assert!(recorded.units.len() >= 25, "{} units", recorded.units.len());
    let parameters = recorded.parameters.last().expect("parameters came");
    assert_eq!((parameters.codec, parameters.width, parameters.height), (codec, 320, 240));
    let keys: Vec<&AccessUnit> = recorded.units.iter().filter(|u| u.random_access).collect();
    assert!(keys.len() >= 2, "{} key frames", keys.len());
    for key in keys {
        assert!(key.data.starts_with(&[0, 0, 0, 1]), "Annex B");
        assert!(
            classify::Classifier::new(codec).classify(&key.data).parameter_sets,
            "parameter sets in front"
        );
    }
    // A busy machine may drop pictures at the server; time still goes forward.
    let steps: Vec<i64> = recorded.units.windows(2).map(|w| (w[1].pts.0 - w[0].pts.0) / 1000).collect();
    assert!(steps.iter().all(|us| *us > 0), "steps in microseconds: {steps:?}");
}

#[test]
fn a_real_server_over_every_way() {
    for (launch, codec) in [(H264, Codec::H264), (H265, Codec::H265)] {
        let server = GstServer::start(launch, Auth::Nobody);
        for client in [RtspClient::Auto, RtspClient::Gstreamer] {
            for transport in [Transport::Tcp, Transport::Udp] {
                let config = SourceConfig { transport, client, ..config(&server.uri("")) };
                let (result, recorded) = run_source(config, 30, LIMIT);
                println!(
                    "{codec} {client:?} {transport:?}: {} units, {:?}",
                    recorded.units.len(),
                    recorded.descriptions
                );
                assert!(result.is_ok(), "{codec} {client:?} {transport:?}: {result:?}");
                check_live(&recorded, codec);
                // GStreamer tells of the answer, and again of all that it knows with the first picture.
                assert_eq!(recorded.descriptions.len(), 1 + usize::from(client == RtspClient::Gstreamer));
            }
        }
    }
}

#[test]
fn a_login_is_used_and_a_wrong_one_is_named() {
    for auth in [Auth::Basic, Auth::Digest] {
        let server = GstServer::start(H264, auth);
        for client in [RtspClient::Auto, RtspClient::Gstreamer] {
            let with = |login: &str| SourceConfig { client, ..config(&server.uri(login)) };
            let (result, recorded) = run_source(with("admin:hunter2@"), 5, LIMIT);
            assert!(result.is_ok() && recorded.units.len() >= 5, "{result:?}");
            for login in ["admin:swordfish@", ""] {
                let (result, _) = run_source(with(login), 1, LIMIT);
                let error = result.expect_err("refused");
                assert_eq!(error.kind(), ErrorKind::Credentials, "{client:?} {login}: {error:?}");
                let shown = format!("{error} {error:?}");
                assert!(!shown.contains("swordfish") && !shown.contains("hunter2"), "{shown}");
                assert!(shown.contains("secrets file"), "{shown}");
            }
        }
    }
}

#[test]
fn nobody_there_is_unreachable() {
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    for client in [RtspClient::Auto, RtspClient::Gstreamer] {
        let uri = format!("rtsp://admin:hunter2@127.0.0.1:{port}/live?password=hunter2");
        let (result, _) = run_source(SourceConfig { client, ..config(&uri) }, 1, LIMIT);
        let error = result.expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn parameter_sets_may_be_in_the_stream_only() {
    for (sdp, encoder, codec) in
        [(SDP_H264_BARE, "libx264", Codec::H264), (SDP_H265_BARE, "libx265", Codec::H265)]
    {
        let units = clip(encoder, "160x120", &[]);
        let camera = ScriptedCamera::start(vec![Script::of(sdp, &units)]);
        let (result, recorded) = run_source(config(&camera.uri()), 40, LIMIT);
        assert!(result.is_ok(), "{codec}: {result:?}");
        assert!(recorded.units.len() >= 40, "{codec}: {}", recorded.units.len());
        let known = recorded.parameters.last().expect("parameters");
        assert_eq!((known.width, known.height), (160, 120), "{codec}");
        assert!(!recorded.descriptions[0].parameter_sets_outside);
        assert!(recorded.units[0].random_access);
        assert!(classify::Classifier::new(codec).classify(&recorded.units[0].data).parameter_sets);
        // What the encoder wrote is what comes out: the slices of every unit, bit for bit.
        for (sent, got) in units.iter().zip(&recorded.units) {
            let slices = |data: &[u8]| -> Vec<Vec<u8>> {
                let is_slice = |n: &&[u8]| match codec {
                    Codec::H264 => (1..=5).contains(&(n[0] & 0x1f)),
                    _ => (n[0] >> 1) & 0x3f < 32,
                };
                crate::media::annex_b::nal_units(data).filter(is_slice).map(<[u8]>::to_vec).collect()
            };
            assert_eq!(slices(sent), slices(&got.data));
        }
    }
}

#[test]
fn a_new_size_in_mid_stream_is_announced() {
    let mut units = clip("libx264", "160x120", &[]);
    units.truncate(20);
    units.extend(clip("libx264", "320x240", &[]));
    let camera = ScriptedCamera::start(vec![Script::of(SDP_H264_BARE, &units)]);
    let (_, recorded) = run_source(config(&camera.uri()), 60, LIMIT);
    let widths: Vec<u32> = recorded.parameters.iter().map(|p| p.width).filter(|w| *w > 0).collect();
    assert_eq!(widths, [160, 320]);
}

#[test]
fn jumping_timestamps_do_not_end_the_session() {
    let units = clip("libx264", "160x120", &[]);
    let mut script = Script::of(SDP_H264_BARE, &units);
    for (i, (timestamp, _)) in script.units.iter_mut().enumerate() {
        *timestamp = match i {
            0..10 => *timestamp,
            10..20 => timestamp.wrapping_add(0x7000_0000),
            20..30 => timestamp.wrapping_sub(90_000 * 3600),
            _ => timestamp.wrapping_add(0xffff_0000),
        };
    }
    let camera = ScriptedCamera::start(vec![script]);
    let (result, recorded) = run_source(config(&camera.uri()), 50, LIMIT);
    assert!(result.is_ok(), "{result:?}");
    assert!(recorded.units.len() >= 50, "{}", recorded.units.len());
}

#[test]
fn sender_reports_give_the_capture_time() {
    let units = clip("libx264", "160x120", &[]);
    // 2024-01-01T00:00:00Z at the RTP time of the eleventh picture.
    let script = Script {
        report: Some((1_704_067_200 + 2_208_988_800_u64 as u32, 36_000)),
        ..Script::of(SDP_H264_BARE, &units)
    };
    let camera = ScriptedCamera::start(vec![script]);
    let (_, recorded) = run_source(config(&camera.uri()), 20, LIMIT);
    let captured = recorded.units.get(15).and_then(|u| u.captured);
    assert_eq!(captured, Some(Duration::from_millis(1_704_067_200_000 + 5 * 40)));
}

#[test]
fn a_full_camera_says_so() {
    for status in ["453 Not Enough Bandwidth", "503 Service Unavailable"] {
        for method in ["DESCRIBE", "SETUP", "PLAY"] {
            let answer = format!("RTSP/1.0 {status}\r\nCSeq: {{CSEQ}}\r\n\r\n");
            let script = Script { canned: vec![(method, answer)], ..Script::of(SDP_H264_BARE, &[]) };
            let camera = ScriptedCamera::start(vec![script]);
            let (result, _) = run_source(config(&camera.uri()), 1, LIMIT);
            assert_eq!(result.map_err(|e| e.kind()), Err(ErrorKind::SessionLimit), "{status} to {method}");
        }
    }
}

#[test]
fn a_401_after_an_accepted_login_is_a_full_camera_first() {
    let refusal = "RTSP/1.0 401 Unauthorized\r\nCSeq: {CSEQ}\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\r\n";
    let units = clip("libx264", "160x120", &[]);
    let fine = Script::of(SDP_H264_BARE, &units);
    let full = Script { canned: vec![("DESCRIBE", refusal.into())], ..fine.clone() };
    let camera = ScriptedCamera::start(vec![fine, full]);
    let source = Source::new(config(&camera.uri().replace("//", "//admin:hunter2@")));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let recorder = Recorder::new();
    runtime.block_on(run_on(&source, &recorder, 5, LIMIT)).expect("the first session works");
    let kinds: Vec<ErrorKind> = (0..4)
        .filter_map(|_| runtime.block_on(run_on(&source, &recorder, usize::MAX, LIMIT)).err())
        .map(|e| e.kind())
        .collect();
    use ErrorKind::{Credentials, SessionLimit};
    assert_eq!(kinds, [SessionLimit, SessionLimit, SessionLimit, Credentials]);
}

#[test]
fn a_stream_that_ends_and_a_stream_without_video_are_told_apart() {
    let units = clip("libx264", "160x120", &[]);
    let ends = Script { then_silent: false, ..Script::of(SDP_H264_BARE, &units[..5]) };
    let camera = ScriptedCamera::start(vec![ends]);
    let (result, recorded) = run_source(config(&camera.uri()), usize::MAX, LIMIT);
    assert_eq!(result.map_err(|e| e.kind()), Err(ErrorKind::Unreachable));
    assert!(recorded.units.len() >= 4 && recorded.discontinuities == [recorded.units.len()]);

    let sdp =
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\na=control:track1\r\n";
    let camera = ScriptedCamera::start(vec![Script::of(sdp, &[])]);
    let (result, _) = run_source(config(&camera.uri()), 1, LIMIT);
    let error = result.expect_err("no video");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("audio pcmu"), "{error}");
}

#[test]
fn leaving_says_goodbye() {
    let units = clip("libx264", "160x120", &[]);
    let camera = ScriptedCamera::start(vec![Script::of(SDP_H264_BARE, &units[..10])]);
    let (result, _) = run_source(config(&camera.uri()), 5, LIMIT);
    assert!(result.is_ok());
    // The run's own runtime is gone by now; the TEARDOWN must have been sent before.
    let told = super::super::testing::wait_until(Duration::from_secs(3), || {
        camera.teardowns.load(std::sync::atomic::Ordering::SeqCst) == 1
    });
    assert!(told, "no TEARDOWN");
}

#[test]
fn a_grant_is_for_one_camera_and_ends_with_its_withdrawal() {
    let units = clip("libx264", "160x120", &[]);
    let camera = ScriptedCamera::start(vec![Script::of(SDP_H264_BARE, &units[..10])]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let source = Source::new(config(&camera.uri()));
    let (clock, recorder, authority) = (SystemClock::shared(), Recorder::new(), Authority::owner());
    let run = |id: &str, of: &str| {
        let grant = authority.grant(&of.into());
        let (id, recorder, shutdown) = (CameraId::from(id), recorder.clone(), Shutdown::new());
        runtime.block_on(async {
            let withdraw = async {
                while recorder.units() < 3 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                authority.withdraw_all();
                std::future::pending::<Result<()>>().await
            };
            tokio::select! {
                r = source.run(&id, &grant, recorder.clone(), &clock, &shutdown) => r,
                r = withdraw => r,
            }
        })
    };
    assert_eq!(run("gate", "yard").map_err(|e| e.kind()), Err(ErrorKind::NotGranted));
    assert_eq!(camera.connections(), 0, "no grant, no connection");
    assert_eq!(run("gate", "gate").map_err(|e| e.kind()), Err(ErrorKind::NotGranted));
    assert!(recorder.units() >= 3);
    assert_eq!(run("gate", "gate").map_err(|e| e.kind()), Err(ErrorKind::NotGranted));
    assert_eq!(camera.connections(), 1);
}

/// The recorded answers of real cameras: the description is understood, or the error is clear;
/// nothing panics.
#[test]
fn recorded_descriptions_are_understood_or_refused_clearly() {
    let (Some(sdp_dir), Some(rtsp_dir)) = (shared("quirks/sdp"), shared("quirks/rtsp")) else { return };
    let (mut played, mut refused) = (Vec::new(), Vec::new());
    for file in files(&sdp_dir).into_iter().chain(files(&rtsp_dir)) {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = String::from_utf8_lossy(&std::fs::read(&file).expect("readable")).into_owned();
        let mut script = Script { then_silent: false, ..Script::of("", &[]) };
        if name.ends_with("_describe.txt") || name.contains("_describe_") {
            script.canned.push(("DESCRIBE", with_cseq(&text)));
        } else if name.ends_with("sdp.txt") || name.ends_with(".sdp") {
            script.sdp = text;
        } else {
            continue;
        }
        let camera = ScriptedCamera::start(vec![script]);
        let (result, recorded) = run_source(config(&camera.uri()), 1, Duration::from_secs(5));
        // GStreamer may wait for a picture until its time is over.
        let error = result.err().unwrap_or_else(|| Error::new(ErrorKind::Unreachable, "gate", "no picture"));
        assert_ne!(error.kind(), ErrorKind::Internal, "{name}: {error}");
        let line = format!("{name}: {error}");
        if recorded.descriptions.is_empty() { refused.push(line) } else { played.push(line) }
    }
    println!(
        "understood {}:\n{}\nrefused {}:\n{}",
        played.len(),
        played.join("\n"),
        refused.len(),
        refused.join("\n")
    );
    assert!(played.len() >= 15, "{} of {}", played.len(), played.len() + refused.len());
}

#[test]
fn what_retina_does_not_understand_goes_to_gstreamer() {
    let units = clip("libx264", "160x120", &[]);
    let sdp = SDP_H264_BARE.replace("t=0 0", "t=now-");
    let script = Script { pause: Duration::from_millis(20), ..Script::of(&sdp, &units) };
    let camera = ScriptedCamera::start(vec![script]);
    let source = Source::new(config(&camera.uri()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let recorder = Recorder::new();
    runtime.block_on(run_on(&source, &recorder, 20, LIMIT)).expect("GStreamer understands it");
    let recorded = recorder.get();
    assert!(recorded.units.len() >= 20, "{}", recorded.units.len());
    assert_eq!(recorded.descriptions[0].client, "gstreamer");
    let why = recorded.descriptions[0].client_because.clone().unwrap_or_default();
    assert!(why.starts_with("retina: describes its stream"), "{why}");
    assert_eq!(camera.connections(), 2, "one of each client, in one run");
}

/// A camera that starts may answer before it knows its streams.
#[test]
fn a_camera_of_retinas_that_answers_once_without_streams_stays_with_retina() {
    let playing =
        Script { then_silent: false, ..Script::of(SDP_H264_BARE, &clip("libx264", "160x120", &[])) };
    let empty = Script::of("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n", &[]);
    let broken = Script {
        canned: vec![("DESCRIBE", "RTSP/1.0 200 OK\r\nCSeq: {CSEQ}\r\nContent-Length: 0\r\n\r\n".into())],
        ..empty
    };
    let camera = ScriptedCamera::start(vec![playing.clone(), broken, playing]);
    let source = Source::new(config(&camera.uri()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let clients: Vec<Vec<&str>> = (0..3)
        .map(|_| {
            let recorder = Recorder::new();
            let _ = runtime.block_on(run_on(&source, &recorder, 20, LIMIT));
            recorder.get().descriptions.iter().map(|d| d.client).collect()
        })
        .collect();
    assert_eq!(clients, [vec!["retina"], vec![], vec!["retina"]]);
    assert_eq!(camera.connections(), 3, "GStreamer was not asked");
}

pub(super) fn file_config(path: &Path, loop_file: bool) -> SourceConfig {
    SourceConfig { loop_file, ..SourceConfig::new(CameraUri::file(path)) }
}

/// Number of packets and of key frames in a file's first video stream, by FFmpeg's demuxer.
fn counted_by_ffprobe(path: &Path) -> (usize, usize) {
    let out = std::process::Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-show_entries", "packet=flags", "-of", "csv=p=0"])
        .arg(path)
        .output()
        .expect("ffprobe is installed");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    (text.lines().filter(|l| l.contains('_')).count(), text.lines().filter(|l| l.starts_with('K')).count())
}

#[test]
fn files_of_each_kind_give_their_first_pictures() {
    for (path, codec, size) in [
        ("footage/iacv_camera1.mp4", Codec::H264, (352, 288)),
        ("footage/intel_bottle-detection.mp4", Codec::H264, (640, 360)),
        ("footage/bgslibrary_video03.avi", Codec::Mpeg4, (320, 240)),
        ("footage/kvs_h265_640x360.h265", Codec::H265, (640, 360)),
        ("footage/libvpl_cars_320x240.h264", Codec::H264, (320, 240)),
        ("camera-streams/axis_test_h264.mp4", Codec::H264, (480, 640)),
    ] {
        let Some(file) = shared(path) else { continue };
        let (result, recorded) = run_source(file_config(&file, true), 12, LIMIT);
        assert!(result.is_ok(), "{path}: {result:?}");
        assert!(recorded.units.len() >= 12, "{path}: {}", recorded.units.len());
        let p = recorded.parameters.last().expect("parameters");
        assert_eq!((p.codec, (p.width, p.height)), (codec, size), "{path}");
        assert!(recorded.units[0].random_access, "{path}");
    }
}

#[test]
fn a_short_file_is_played_at_its_speed_to_its_end_and_again() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (name, format) in [
        ("a.mp4", "mp4"),
        ("a.mkv", "matroska"),
        ("a.ts", "mpegts"),
        ("a.h264", "h264"),
        ("a.mjpeg.avi", "avi"),
    ] {
        let path = dir.path().join(name);
        let codec = if format == "avi" { "mjpeg" } else { "libx264" };
        let done = std::process::Command::new("ffmpeg")
            .args([
                "-v",
                "error",
                "-f",
                "lavfi",
                "-i",
                "testsrc2=size=160x120:rate=25:duration=0.8",
                "-c:v",
                codec,
            ])
            .args([
                "-pix_fmt",
                if codec == "mjpeg" { "yuvj420p" } else { "yuv420p" },
                "-g",
                "10",
                "-f",
                format,
            ])
            .arg(&path)
            .status()
            .expect("ffmpeg is installed");
        assert!(done.success(), "{name}");
        let (packets, keys) = counted_by_ffprobe(&path);
        let begin = std::time::Instant::now();
        let (result, recorded) = run_source(file_config(&path, false), usize::MAX, LIMIT);
        let took = begin.elapsed();
        assert!(result.is_ok(), "{name}: {result:?}");
        assert_eq!(recorded.units.len(), packets, "{name}: units");
        assert_eq!(recorded.units.iter().filter(|u| u.random_access).count(), keys, "{name}: key frames");
        assert!(took >= Duration::from_millis(700), "{name} was rushed through in {took:?}");
        let (result, recorded) = run_source(file_config(&path, true), 2 * packets + 1, LIMIT);
        assert!(
            result.is_ok() && recorded.units.len() > 2 * packets,
            "{name}: {} {result:?}",
            recorded.units.len()
        );
        let (first, again) = (recorded.units[0].pts, recorded.units[packets].pts);
        let pass = (again.0 - first.0) as f64 / 1e9;
        assert!((0.7..1.0).contains(&pass), "{name}: the second pass begins {pass} s after the first");
        assert!(recorded.units[packets].random_access, "{name}");
    }
}

#[test]
fn a_file_that_is_missing_or_no_video_is_refused() {
    let (result, _) = run_source(file_config(Path::new("no/such/clip.mp4"), true), 1, LIMIT);
    assert_eq!(result.map_err(|e| e.kind()), Err(ErrorKind::Io));
    let (result, _) = run_source(file_config(Path::new("Cargo.toml"), true), 1, LIMIT);
    let error = result.expect_err("no video");
    assert!(matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Corrupt), "{error:?}");
}

/// `launch` feeds a listener or caller of ours; its pipeline ends with the test.
fn received_from(launch: &str, uri: &str) -> Recorded {
    gstreamer::init().expect("GStreamer");
    use gstreamer::prelude::*;
    let sender = gstreamer::parse::launch(launch).expect("a pipeline");
    sender.set_state(gstreamer::State::Playing).expect("it plays");
    let (result, recorded) = run_source(config(uri), 30, LIMIT);
    sender.set_state(gstreamer::State::Null).expect("it stops");
    assert!(result.is_ok(), "{uri}: {result:?}");
    recorded
}

fn free_port() -> u16 {
    std::net::UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port()
}

const TS: &str = "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=25/1 ! \
    x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! h264parse config-interval=-1 ! mpegtsmux alignment=7 !";

#[test]
fn mpeg_ts_over_srt_and_udp() {
    let port = free_port();
    let launch = format!("{TS} srtsink uri=srt://127.0.0.1:{port}?mode=listener wait-for-connection=false");
    let recorded = received_from(&launch, &format!("srt://127.0.0.1:{port}?mode=caller&latency=20"));
    assert_eq!(recorded.parameters.last().map(|p| (p.codec, p.width)), Some((Codec::H264, 320)));
    assert!(recorded.units.len() >= 30 && recorded.descriptions[0].carried_by == "SRT");

    // With sound, which nobody asked for.
    let port = free_port();
    let with_sound =
        TS.replace("mpegtsmux", "mux. audiotestsrc is-live=true ! avenc_aac ! aacparse ! mpegtsmux name=mux");
    let launch =
        format!("{with_sound} srtsink uri=srt://127.0.0.1:{port}?mode=listener wait-for-connection=false");
    let recorded = received_from(&launch, &format!("srt://127.0.0.1:{port}?mode=caller&latency=20"));
    assert!(recorded.units.len() >= 30, "{} units", recorded.units.len());

    let port = free_port();
    let recorded = received_from(
        &format!("{TS} udpsink host=127.0.0.1 port={port}"),
        &format!("udp://127.0.0.1:{port}"),
    );
    assert_eq!(recorded.parameters.last().map(|p| (p.codec, p.width)), Some((Codec::H264, 320)));
    assert!(recorded.units.len() >= 30);
}

/// A certificate that nobody but itself signed, with its key.
fn self_signed() -> Option<String> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(dir.path())
        .output();
    if !made.is_ok_and(|out| out.status.success()) {
        println!("skipped: openssl makes no certificate here");
        return None;
    }
    let read = |name| std::fs::read_to_string(dir.path().join(name)).expect("openssl wrote it");
    Some(read("cert.pem") + &read("key.pem"))
}

#[test]
fn rtsps_takes_a_certificate_that_nobody_signed_only_when_told() {
    let Some(pem) = self_signed() else { return };
    let server = GstServer::start_with(H264, Auth::Nobody, Some(pem));
    let address = server.uri("").replace("rtsp://", "rtsps://");
    let told = SourceConfig { any_certificate: true, ..config(&address) };
    let (result, recorded) = run_source(told, 30, LIMIT);
    assert!(result.is_ok(), "{result:?}");
    check_live(&recorded, Codec::H264);
    assert_eq!(recorded.descriptions[0].carried_by, "RTP over TLS");

    let (result, recorded) = run_source(config(&address), 1, LIMIT);
    let error = result.expect_err("the certificate is refused");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains("certificate of no authority"), "{error}");
    assert!(recorded.units.is_empty());
}

/// Hands out one file over HTTP, a connection a thread, until the test process ends.
fn http_server(body: Vec<u8>) -> u16 {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let body = Arc::new(body);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let body = body.clone();
            std::thread::spawn(move || {
                let mut lines =
                    BufReader::new(stream.try_clone().expect("a socket")).lines().map_while(|l| l.ok());
                let found = lines.next().is_some_and(|request| request.contains(" /clip.ts "));
                lines.find(String::is_empty);
                let mut stream = stream;
                let (status, body) = if found { ("200 OK", &body[..]) } else { ("404 Not Found", &b""[..]) };
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
            });
        }
    });
    port
}

/// A part of Motion JPEG that tells no length ends where the next begins: for a slow camera, much later.
#[test]
fn a_camera_that_answered_is_told_of_before_its_first_picture() {
    use std::io::Write;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let uri = format!("http://{}/mjpeg", listener.local_addr().expect("bound"));
    let recorder = Recorder::new();
    let (leave, left) = std::sync::mpsc::channel::<()>();
    let camera = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the source connects");
        let head = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n\
            --frame\r\nContent-Type: image/jpeg\r\n\r\n\u{1}";
        stream.write_all(head.as_bytes()).expect("the source listens");
        let _ = left.recv();
    });
    let source = Source::new(config(&uri));
    let (id, shutdown, clock): (CameraId, _, _) = ("gate".into(), Shutdown::new(), SystemClock::shared());
    let grant = Authority::owner().grant(&id);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = source.run(&id, &grant, recorder.clone(), &clock, &shutdown) => Some(ended),
            () = async {
                let deadline = tokio::time::Instant::now() + LIMIT;
                while recorder.get().descriptions.is_empty() && tokio::time::Instant::now() < deadline {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            } => None,
        }
    });
    drop(leave);
    camera.join().expect("the camera does not fail");
    let recorded = recorder.get();
    assert!(ended.is_none(), "{ended:?}");
    assert_eq!((recorded.descriptions.len(), recorded.units.len()), (1, 0));
}

#[test]
fn a_file_over_http_is_played_and_a_missing_one_is_named() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("clip.ts");
    let made = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25", "-t", "2"])
        .args(["-c:v", "libx264", "-g", "10", "-bf", "0", "-pix_fmt", "yuv420p"])
        .arg(&file)
        .status();
    assert!(made.is_ok_and(|status| status.success()), "ffmpeg");
    let port = http_server(std::fs::read(&file).expect("it was written"));
    let (result, recorded) = run_source(config(&format!("http://127.0.0.1:{port}/clip.ts")), 1000, LIMIT);
    let error = result.expect_err("a stream over HTTP that ends is a camera that went");
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    let (packets, _) = counted_by_ffprobe(&file);
    assert_eq!(recorded.units.len(), packets, "every picture");
    assert_eq!(recorded.descriptions[0].carried_by, "HTTP");
    check_live(&recorded, Codec::H264);

    let (result, _) = run_source(config(&format!("http://jo:hush-hush@127.0.0.1:{port}/no.ts")), 1, LIMIT);
    let error = result.expect_err("it is not there");
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
    assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
}

#[test]
fn hostile_files_end_with_an_error_or_a_picture() {
    let Some(folder) = shared("robustness") else { return };
    let mut tried = 0;
    for path in files(&folder).into_iter().filter(|p| p.extension().is_none_or(|e| e != "gz")) {
        let (result, recorded) = run_source(file_config(&path, false), 1, LIMIT);
        let what = format!("{}: {} units, {result:?}", path.display(), recorded.units.len());
        // One that hangs runs into the limit, which is neither.
        assert!(result.is_err() || !recorded.units.is_empty(), "{what}");
        println!("{what}");
        tried += 1;
    }
    assert!(tried >= 12, "{tried} files");
}

/// Whole recorded conversations, as far as they fit together.
#[test]
fn recorded_conversations_are_played() {
    let Some(dir) = shared("quirks/rtsp") else { return };
    let read =
        |name: &str| with_cseq(&String::from_utf8_lossy(&std::fs::read(dir.join(name)).expect("recorded")));
    for (describe, setup, play) in [
        ("hikvision_describe.txt", "hikvision_setup.txt", "hikvision_play.txt"),
        ("reolink_describe.txt", "reolink_setup.txt", "reolink_play.txt"),
        ("bunny_describe.txt", "bunny_setup.txt", "bunny_play.txt"),
        ("dahua_describe_h264_aac_onvif.txt", "dahua_setup.txt", "dahua_play.txt"),
        ("dahua_describe_h265_pcma.txt", "dahua_setup.txt", "dahua_play.txt"),
    ] {
        let canned = vec![("DESCRIBE", read(describe)), ("SETUP", read(setup)), ("PLAY", read(play))];
        let script = Script { canned, then_silent: false, ..Script::of("", &[]) };
        let camera = ScriptedCamera::start(vec![script]);
        let (result, recorded) = run_source(config(&camera.uri()), 1, Duration::from_secs(5));
        let error = result.expect_err("it sends no picture");
        println!("{describe}: {error} {:?}", recorded.descriptions);
        assert_eq!(recorded.descriptions.len(), 1, "{describe}: {error}");
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{describe}: {error}");
    }
}

fn with_cseq(response: &str) -> String {
    let lines: Vec<&str> = response.split("\r\n").collect();
    let renamed = |l: &&str| {
        if l.to_ascii_lowercase().starts_with("cseq:") { "CSeq: {CSEQ}".to_owned() } else { (*l).to_owned() }
    };
    lines.iter().map(renamed).collect::<Vec<_>>().join("\r\n")
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut all: Vec<_> = std::fs::read_dir(dir).expect("a folder").flatten().map(|e| e.path()).collect();
    all.sort();
    all
}
