//! The encoder against independent decoders: pictures, key frames, order, drops.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use parking_lot::Mutex;

use super::*;
use crate::base::{Error, ErrorKind, Moment, Result, SystemClock};
use crate::media::{Frame, FrameMeta, ScreenId};

/// Keeps all units.
#[derive(Default)]
pub(crate) struct Kept(pub Mutex<Vec<AccessUnit>>);

impl EncodedSink for Kept {
    fn unit(&self, unit: &AccessUnit) {
        self.0.lock().push(unit.clone());
    }
}

impl Kept {
    pub(crate) fn wait_for(&self, n: usize) -> usize {
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end && self.0.lock().len() < n {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.0.lock().len()
    }
}

pub(crate) fn config(codec: Codec) -> EncoderConfig {
    EncoderConfig {
        codec,
        choice: EncoderChoice::Software,
        width: 320,
        height: 180,
        frame_rate: Ratio { num: 25, den: 1 },
        preset: "ultrafast".into(),
        instead: None,
        rate: Rate::Crf(18),
        gop: 50,
    }
}

/// A gradient with a bright bar that moves with `n`.
pub(crate) fn picture(n: u32, w: u32, h: u32) -> Frame {
    let mut data = Vec::new();
    for y in 0..h {
        for x in 0..w {
            let bar = (x + w - (n * 8) % w) % w < 24;
            data.push(if bar { 220 } else { (16 + (x + y) * 160 / (w + h)) as u8 });
        }
    }
    let (cw, ch) = (w / 2, h / 2);
    data.extend((0..cw * ch).map(|i| (90 + (i % cw) * 60 / cw) as u8));
    data.extend((0..cw * ch).map(|i| (100 + (i / cw) * 50 / ch) as u8));
    Frame::packed_i420(w, h, data.into(), FrameMeta::default()).unwrap()
}

pub(crate) fn tick(n: u32) -> Moment {
    Moment(5_000_000_000 + u64::from(n) * 40_000_000)
}

/// What FFmpeg decodes from an elementary stream: packed I420 pictures.
pub(crate) fn decoded(codec: Codec, stream: &[u8], frame_len: usize) -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("stream");
    std::fs::write(&file, stream).unwrap();
    let format = if codec == Codec::H265 { "hevc" } else { "h264" };
    let out = Command::new("ffmpeg")
        .args(["-v", "error", "-f", format, "-i"])
        .arg(&file)
        .args(["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(out.status.success());
    out.stdout.chunks_exact(frame_len).map(<[u8]>::to_vec).collect()
}

pub(crate) fn psnr(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    10.0 * (255.0f64.powi(2) / (sum / a.len() as f64).max(1e-9)).log10()
}

/// Encodes one picture at a time, waiting for each unit; returns the units.
fn one_by_one(config: EncoderConfig, frames: u32, force_at: &[u32]) -> (Vec<AccessUnit>, EncodeStatus) {
    let kept = Arc::new(Kept::default());
    let (w, h) = (config.width, config.height);
    let encoder =
        ScreenEncoder::start(&ScreenId::from("t"), config, kept.clone(), SystemClock::shared()).unwrap();
    for n in 0..frames {
        if force_at.contains(&n) {
            encoder.force_key();
        }
        encoder.submit(picture(n, w, h), tick(n));
        // No later picture helps this one out: the encoder adds no picture of delay.
        assert_eq!(kept.wait_for(n as usize + 1), n as usize + 1, "picture {n} did not come out by itself");
    }
    let status = encoder.status();
    assert!(encoder.finish());
    let units = kept.0.lock().clone();
    (units, status)
}

#[test]
fn pictures_come_out_right_at_once_and_in_order() {
    for codec in [Codec::H264, Codec::H265] {
        let (units, status) = one_by_one(config(codec), 20, &[]);
        assert_eq!(units.len(), 20, "{codec}");
        assert!(units[0].random_access && nal::parameter_sets(codec, &units[0].data).is_some());
        for (n, unit) in units.iter().enumerate() {
            assert_eq!(unit.pts.0, tick(n as u32).0 as i64, "{codec}");
            assert_eq!(unit.random_access, n == 0, "{codec}: unit {n}");
        }
        let stream: Vec<u8> = units.iter().flat_map(|u| u.data.to_vec()).collect();
        let frames = decoded(codec, &stream, 320 * 180 * 3 / 2);
        assert_eq!(frames.len(), 20, "{codec}");
        for (n, frame) in frames.iter().enumerate() {
            let right = psnr(frame, &picture(n as u32, 320, 180).to_packed_i420());
            let wrong = psnr(frame, &picture(n as u32 + 1, 320, 180).to_packed_i420());
            assert!(
                right > 36.0 && right > wrong + 6.0,
                "{codec}: picture {n}: {right:.1} dB, next {wrong:.1}"
            );
        }
        assert_eq!((status.submitted, status.encoded, status.dropped, status.key_frames), (20, 20, 0, 1));
        assert_eq!(status.bytes, stream.len() as u64);
        assert!(status.encode_time.count() > 0 && !status.fallback);
    }
}

#[test]
fn strided_and_nv12_frames_give_the_same_picture() {
    use crate::media::{Chroma, Plane};
    let source = picture(3, 320, 180);
    let packed = source.to_packed_i420();
    let (luma, chroma) = packed.split_at(320 * 180);
    let (u, v) = chroma.split_at(160 * 90);
    let padded = |plane: &[u8], row: usize| {
        let rows: Vec<Vec<u8>> = plane.chunks(row).map(|r| [r, &[7u8; 40][..]].concat()).collect();
        let mut data = rows.concat();
        data.truncate(data.len() - 40); // the last row ends where its samples end
        Plane { data: data.into(), stride: row + 40 }
    };
    let uv: Vec<u8> = u.iter().zip(v).flat_map(|(u, v)| [*u, *v]).collect();
    let strided = Frame::new(
        320,
        180,
        Chroma::I420,
        vec![padded(luma, 320), padded(u, 160), padded(v, 160)],
        FrameMeta::default(),
    );
    let nv12 =
        Frame::new(320, 180, Chroma::Nv12, vec![padded(luma, 320), padded(&uv, 320)], FrameMeta::default());
    for (what, frame) in [("strided I420", strided.unwrap()), ("strided NV12", nv12.unwrap())] {
        for codec in [Codec::H264, Codec::H265] {
            let kept = Arc::new(Kept::default());
            let encoder =
                ScreenEncoder::start(&"t".into(), config(codec), kept.clone(), SystemClock::shared())
                    .unwrap();
            encoder.submit(frame.clone(), tick(0));
            assert_eq!(kept.wait_for(1), 1, "{what} {codec}");
            let data = kept.0.lock()[0].data.to_vec();
            let got = psnr(&decoded(codec, &data, packed.len())[0], &packed);
            assert!(got > 36.0, "{what} {codec}: {got:.1} dB");
        }
    }
}

#[test]
fn key_frames_come_on_request_and_at_most_four_a_second() {
    for codec in [Codec::H264, Codec::H265] {
        let keys = |units: &[AccessUnit]| -> Vec<usize> {
            (0..units.len()).filter(|n| units[*n].random_access).collect()
        };
        let (units, _) = one_by_one(config(codec), 15, &[5]);
        assert_eq!(keys(&units), [0, 5], "{codec}");
        assert!(nal::parameter_sets(codec, &units[5].data).is_some(), "{codec}");
        // What starts at the forced key frame decodes by itself.
        let tail: Vec<u8> = units[5..].iter().flat_map(|u| u.data.to_vec()).collect();
        let frames = decoded(codec, &tail, 320 * 180 * 3 / 2);
        assert_eq!(frames.len(), 10, "{codec}");
        assert!(psnr(&frames[0], &picture(5, 320, 180).to_packed_i420()) > 36.0);

        let all: Vec<u32> = (0..25).collect();
        let (units, _) = one_by_one(config(codec), 25, &all);
        let forced = keys(&units);
        assert!((3..=5).contains(&forced.len()), "{codec}: {forced:?}");
        assert!(forced.windows(2).all(|w| w[1] - w[0] >= 6), "{codec}: {forced:?}");
    }
}

#[test]
fn the_stream_says_its_colours() {
    let (units, _) = one_by_one(config(Codec::H264), 2, &[]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.h264");
    std::fs::write(&file, units.iter().flat_map(|u| u.data.to_vec()).collect::<Vec<u8>>()).unwrap();
    let out = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-show_entries",
            "stream=color_space,color_range,has_b_frames",
            "-of",
            "csv=p=0",
        ])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), "0,tv,bt709");
}

#[test]
fn rates_are_kept() {
    let size = |codec, rate| {
        let config = EncoderConfig { rate, ..config(codec) };
        one_by_one(config, 50, &[]).0.iter().map(|u| u.data.len()).sum::<usize>()
    };
    for codec in [Codec::H264, Codec::H265] {
        let (fine, coarse) = (size(codec, Rate::Crf(10)), size(codec, Rate::Crf(40)));
        assert!(fine > 3 * coarse, "{codec}: crf 10 gives {fine} bytes, crf 40 {coarse}");
        let bits = 8 * size(codec, Rate::Kbps(200));
        assert!((150_000..800_000).contains(&bits), "{codec}: {bits} bits in two seconds at 200 kb/s");
    }
}

#[test]
fn walls_have_a_constant_quantiser_and_files_keep_the_rate_factor() {
    let config = EncoderConfig { preset: "veryfast".into(), rate: Rate::Crf(23), ..config(Codec::H264) };
    let said = |encoder: &gst::Element| {
        let pass = encoder.property_value("pass");
        let (_, pass) = gst::glib::EnumValue::from_value(&pass).unwrap();
        (pass.nick().to_owned(), encoder.property::<u32>("quantizer"))
    };
    let live = element::CANDIDATES.iter().find(|c| c.element == "x264enc").unwrap().make(&config).unwrap();
    assert_eq!(said(&live), ("quant".into(), 20));
    let (chain, _) = OfflineEncoder { config, zero_latency: false, threads: 1 }.elements().unwrap();
    let file = chain.iter().find(|element| element.has_property("quantizer")).unwrap();
    assert_eq!(said(file), ("qual".into(), 23));
    // Its default would cap the rate.
    assert_eq!(file.property::<u32>("vbv-buf-capacity"), 0);
}

/// Encodes six pictures with each of these presets in turn (`None`: the one of `config`).
fn in_turn(config: EncoderConfig, presets: &[Option<&'static str>]) -> Vec<AccessUnit> {
    let kept = Arc::new(Kept::default());
    let (w, h) = (config.width, config.height);
    let encoder =
        ScreenEncoder::start(&ScreenId::from("t"), config, kept.clone(), SystemClock::shared()).unwrap();
    for n in 0..6 * presets.len() as u32 {
        encoder.set_preset(presets[n as usize / 6]);
        encoder.submit(picture(n, w, h), tick(n));
        assert_eq!(kept.wait_for(n as usize + 1), n as usize + 1, "picture {n} did not come out by itself");
    }
    let status = encoder.status();
    assert!(encoder.finish());
    assert_eq!((status.dropped, status.fallback, status.error), (0, false, None));
    kept.0.lock().clone()
}

#[test]
fn another_preset_begins_with_a_key_frame_and_the_same_parameter_sets() {
    let mut pairs: Vec<(Codec, &str)> =
        element::PRESETS.iter().map(|preset| (Codec::H264, *preset)).collect();
    pairs.extend(["superfast", "veryfast", "fast"].map(|preset| (Codec::H265, preset)));
    let mut tried = 0;
    for (codec, asked) in pairs {
        for rate in [Rate::Crf(23), Rate::Kbps(500)] {
            for faster in element::faster(codec, asked) {
                tried += 1;
                let config = EncoderConfig { preset: asked.into(), rate, ..config(codec) };
                let units = in_turn(config, &[None, Some(faster), None]);
                let what = format!("{codec} {asked} to {faster} at {rate:?}");
                let keys: Vec<usize> = (0..units.len()).filter(|n| units[*n].random_access).collect();
                assert_eq!(keys, [0, 6, 12], "{what}");
                let sets = |n: usize| nal::parameter_sets(codec, &units[n].data).unwrap();
                assert!(sets(0) == sets(6) && sets(0) == sets(12), "{what}");
                assert!(units.windows(2).all(|w| w[0].pts < w[1].pts), "{what}");
                let stream: Vec<u8> = units.iter().flat_map(|u| u.data.to_vec()).collect();
                let frames = decoded(codec, &stream, 320 * 180 * 3 / 2);
                assert_eq!(frames.len(), 18, "{what}");
                for (n, frame) in frames.iter().enumerate().step_by(5) {
                    let quality = psnr(frame, &picture(n as u32, 320, 180).to_packed_i420());
                    assert!(quality > 28.0, "{what}: picture {n}: {quality:.1} dB");
                }
            }
        }
    }
    assert!(tried > 30, "{tried}");
    assert!(element::faster(Codec::H264, "ultrafast").is_empty());
    assert!(element::faster(Codec::H265, "slow").is_empty());
}

/// How often `without_superfast` was asked for the preset that it has not.
static IN_VAIN: AtomicU32 = AtomicU32::new(0);

/// An encoder whose `superfast` does not start.
fn without_superfast(candidate: &element::Candidate, config: &EncoderConfig) -> Result<probe::Parts> {
    if config.instead == Some("superfast") {
        IN_VAIN.fetch_add(1, Ordering::Relaxed);
        return Err(Error::new(ErrorKind::Missing, candidate.element, "does not start"));
    }
    probe::pipeline(candidate, config)
}

#[test]
fn a_preset_that_does_not_start_is_left_alone_and_told() {
    let (clock, kept) = (crate::base::SimClock::new(), Arc::new(Kept::default()));
    let config = EncoderConfig { preset: "veryfast".into(), ..config(Codec::H264) };
    let encoder =
        ScreenEncoder::start_with(&"t".into(), config, kept.clone(), clock.clone(), without_superfast)
            .unwrap();
    let mut pictures = 0;
    let mut encode = |preset| {
        // As the governor does, once a second.
        encoder.set_preset(preset);
        encoder.submit(picture(pictures, 320, 180), tick(pictures));
        pictures += 1;
        assert_eq!(kept.wait_for(pictures as usize), pictures as usize);
        let status = encoder.status();
        assert!(status.error.is_none() && status.in_software, "{status:?}");
        (status.preset, status.unusable, IN_VAIN.load(Ordering::Relaxed))
    };
    assert_eq!(encode(None), ("veryfast".into(), vec![], 0));
    for _ in 0..5 {
        assert_eq!(encode(Some("superfast")), ("veryfast".into(), vec!["superfast"], 1));
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(encode(Some("ultrafast")), ("ultrafast".into(), vec!["superfast"], 1));
    assert_eq!(encode(Some("superfast")), ("ultrafast".into(), vec!["superfast"], 1));
    clock.advance(Duration::from_secs(600));
    assert_eq!(encode(Some("superfast")).2, 2, "it may start after all");
}

/// What `unwilling` made.
static UNWILLING: Mutex<Option<gst::Pipeline>> = Mutex::new(None);

/// An encoder in a pipeline that does not start.
fn unwilling(candidate: &element::Candidate, config: &EncoderConfig) -> Result<probe::Parts> {
    let parts = probe::pipeline(candidate, config)?;
    let missing = gst::ElementFactory::make("filesrc").property("location", "/none/there").build().unwrap();
    parts.0.add(&missing).unwrap();
    *UNWILLING.lock() = Some(parts.0.clone());
    Ok(parts)
}

#[test]
fn a_pipeline_that_does_not_start_is_stopped() {
    let kept = Arc::new(Kept::default());
    let start =
        ScreenEncoder::start_with(&"t".into(), config(Codec::H264), kept, SystemClock::shared(), unwilling);
    assert_eq!(start.err().map(|e| e.kind()), Some(ErrorKind::Missing));
    let pipeline = UNWILLING.lock().take().unwrap();
    assert_eq!(pipeline.current_state(), gst::State::Null);
}

#[test]
fn key_frames_come_in_time_where_pictures_are_left_out() {
    let kept = Arc::new(Kept::default());
    let encoder =
        ScreenEncoder::start(&"t".into(), config(Codec::H264), kept.clone(), SystemClock::shared()).unwrap();
    for n in 0..60 {
        encoder.submit(picture(n, 320, 180), tick(2 * n));
        assert_eq!(kept.wait_for(n as usize + 1), n as usize + 1);
    }
    let units = kept.0.lock();
    let keys: Vec<usize> = (0..units.len()).filter(|n| units[*n].random_access).collect();
    assert_eq!(keys, [0, 25, 50], "every two seconds, as at the full rate");
}

#[test]
fn old_pictures_give_way_to_the_newest() {
    let clock = crate::base::SimClock::new();
    let kept = Arc::new(Kept::default());
    // Its parts come only when they may: until then pictures wait, and become old.
    static GATE: Mutex<()> = Mutex::new(());
    fn gated(candidate: &element::Candidate, config: &EncoderConfig) -> Result<probe::Parts> {
        let parts = probe::pipeline(candidate, config)?;
        let pad = parts.2.static_pad("sink").unwrap();
        pad.add_probe(gst::PadProbeType::BUFFER, |_, _| {
            drop(GATE.lock());
            gst::PadProbeReturn::Ok
        });
        Ok(parts)
    }
    let encoder =
        ScreenEncoder::start_with(&"t".into(), config(Codec::H264), kept.clone(), clock.clone(), gated)
            .unwrap();
    let shut = GATE.lock();
    encoder.submit(picture(0, 320, 180), tick(0));
    let end = Instant::now() + Duration::from_secs(5);
    while encoder.status().queue > 0 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    encoder.submit(picture(1, 320, 180), tick(1));
    encoder.submit(picture(2, 320, 180), tick(2));
    clock.advance(Duration::from_millis(300));
    drop(shut);
    assert_eq!(kept.wait_for(2), 2);
    let status = encoder.status();
    assert!(encoder.finish());
    let units: Vec<i64> = kept.0.lock().iter().map(|u| u.pts.0).collect();
    assert_eq!(units, [tick(0).0 as i64, tick(2).0 as i64]);
    assert_eq!((status.dropped, status.late), (1, 2));
}

#[test]
fn a_flood_drops_the_oldest_and_never_waits() {
    let kept = Arc::new(Kept::default());
    let big = EncoderConfig { width: 1920, height: 1080, preset: "veryfast".into(), ..config(Codec::H264) };
    let encoder = ScreenEncoder::start(&"t".into(), big, kept.clone(), SystemClock::shared()).unwrap();
    let frame = picture(0, 1920, 1080);
    for n in 0..200 {
        encoder.submit(frame.clone(), tick(n));
    }
    let status = encoder.status();
    assert!(status.queue <= 2 && status.dropped > 150, "{status:?}");
    assert!(encoder.finish());
    let units = kept.0.lock();
    assert_eq!(units.last().unwrap().pts.0, tick(199).0 as i64, "the newest picture is encoded");
    assert!(units[0].random_access);
}

#[test]
fn what_cannot_work_is_refused_before_it_starts() {
    for (bad, key) in [
        (EncoderConfig { width: 321, ..config(Codec::H264) }, "size"),
        (EncoderConfig { preset: "quick".into(), ..config(Codec::H264) }, "preset"),
        (EncoderConfig { rate: Rate::Crf(60), ..config(Codec::H264) }, "crf"),
        (EncoderConfig { gop: 0, ..config(Codec::H264) }, "gop"),
        (config(Codec::Mjpeg), "codec"),
    ] {
        let error = ScreenEncoder::start(&"t".into(), bad, Arc::new(Kept::default()), SystemClock::shared())
            .err()
            .unwrap();
        assert_eq!((error.kind(), error.subject()), (ErrorKind::Config, key));
    }
}

#[test]
fn hardware_that_is_not_there_falls_back_to_software() {
    if probe::working().iter().any(|w| w.candidate.family == EncoderChoice::Qsv && w.trouble.is_none()) {
        println!("skipped: this machine has Quick Sync");
        return;
    }
    let config = EncoderConfig { choice: EncoderChoice::Qsv, ..config(Codec::H264) };
    let (units, status) = one_by_one(config, 3, &[]);
    assert_eq!(units.len(), 3);
    assert!(status.fallback && status.encoder == "x264enc", "{status:?}");
}

/// When `failing` was asked for an encoder.
static ASKED: Mutex<Vec<Instant>> = Mutex::new(Vec::new());

/// An encoder that fails after a few pictures; the next two do not start; then one that works.
fn failing(candidate: &element::Candidate, config: &EncoderConfig) -> Result<probe::Parts> {
    let mut asked = ASKED.lock();
    asked.push(Instant::now());
    if asked.len() == 2 || asked.len() == 3 {
        return Err(Error::new(ErrorKind::Missing, candidate.element, "is away"));
    }
    let parts = probe::pipeline(candidate, config)?;
    if asked.len() == 1 {
        let (pipeline, seen) = (parts.0.downgrade(), AtomicU32::new(0));
        let pad = parts.2.static_pad("sink").unwrap();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            if seen.fetch_add(1, Ordering::Relaxed) == 5 {
                let message = gst::message::Error::new(gst::StreamError::Encode, "the device is lost");
                pipeline.upgrade().unwrap().post_message(message).unwrap();
            }
            gst::PadProbeReturn::Ok
        });
    }
    Ok(parts)
}

#[test]
fn an_encoder_that_fails_is_started_again_less_and_less_often() {
    let kept = Arc::new(Kept::default());
    let clock = SystemClock::shared();
    let start =
        ScreenEncoder::start_with(&"t".into(), config(Codec::H264), kept.clone(), clock.clone(), failing);
    let encoder = start.unwrap();
    let frames: Vec<Frame> = (0..8).map(|n| picture(n, 320, 180)).collect();
    let end = Instant::now() + Duration::from_secs(20);
    let (mut submitted, mut errors) = (0, Vec::new());
    while ASKED.lock().len() < 4 || kept.0.lock().iter().filter(|u| u.random_access).count() < 2 {
        assert!(Instant::now() < end, "{:?}", encoder.status());
        encoder.submit(frames[submitted % 8].clone(), clock.now());
        submitted += 1;
        if let Some(error) = encoder.status().error.filter(|e| errors.last() != Some(e)) {
            errors.push(error);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let status = encoder.status();
    assert!(encoder.finish());
    assert!(
        errors.len() == 2 && errors[0].contains("device is lost") && errors[1].contains("away"),
        "{errors:?}"
    );
    assert!(status.error.is_none(), "{status:?}");
    let asked = ASKED.lock();
    assert_eq!(asked.len(), 4);
    let waits: Vec<Duration> = asked.windows(2).map(|w| w[1] - w[0]).collect();
    for (wait, least) in waits.iter().zip([100, 200, 400]) {
        assert!(*wait >= Duration::from_millis(least), "{waits:?}");
    }
    // What came out is one stream, of which the second part decodes by itself.
    let units = kept.0.lock();
    let second = units.iter().rposition(|u| u.random_access).unwrap();
    assert!(second >= 5 && units.windows(2).all(|w| w[0].pts < w[1].pts));
    let stream: Vec<u8> = units[second..].iter().flat_map(|u| u.data.iter().copied()).collect();
    assert_eq!(decoded(Codec::H264, &stream, 320 * 180 * 3 / 2).len(), units.len() - second);
    assert!(status.dropped > 10, "what came meanwhile is counted: {status:?}");
}
