//! A screen that goes over to a faster preset and to half its rate, and back: every output goes on, and
//! independent readers find one whole stream.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

use super::tests::{Studio, probe, watch};
use crate::encode::tests::{config, picture, psnr};
use crate::encode::{EncoderConfig, Rate};
use crate::media::Codec;

/// How far each picture of the studio is behind the one before, in its own steps; all of them whole.
fn steps(frames: &[Vec<u8>]) -> Vec<usize> {
    let (width, height) = (320, 180);
    let around = width as usize / 8;
    let references: Vec<Vec<u8>> =
        (0..width / 8).map(|n| picture(n, width, height).to_packed_i420()).collect();
    let mut place = 0;
    let mut steps = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        let best = |steps: usize| {
            let scores = (0..steps).map(|step| (step, psnr(frame, &references[(place + step) % around])));
            scores.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
        };
        // Those that follow as a rule, which are found soon; then all, because an encoder may lose some.
        let near = best(4);
        let (step, quality) = if index > 0 && near.1 > 30.0 { near } else { best(around) };
        assert!(quality > 30.0, "picture {index}: {quality:.1} dB");
        place = (place + step) % around;
        steps.push(step);
    }
    steps.split_off(1)
}

#[test]
fn outputs_go_on_through_other_presets_and_rates() {
    let dir = tempfile::tempdir().unwrap();
    for (codec, preset, faster) in [
        (Codec::H264, "veryfast", "ultrafast"),
        (Codec::H264, "medium", "ultrafast"),
        (Codec::H265, "superfast", "ultrafast"),
    ] {
        let (gop, rate) = (25, Rate::Crf(18));
        let studio = Studio::open_with(EncoderConfig { preset: preset.into(), gop, rate, ..config(codec) });
        let name = format!("{}-{preset}", codec.to_string().replace('.', ""));
        let files = ["mp4", "mkv", "m3u8"].map(|ending| dir.path().join(format!("{name}.{ending}")));
        let ids = [0, 1, 2].map(|n: usize| studio.add(files[n].to_str().unwrap()));
        let until = |units: u64| {
            studio.wait_until("recording", |s| ids.iter().all(|id| s.status(*id).units >= units));
        };
        let asked = studio.encoder.status().preset;
        until(30);
        studio.encoder.set_preset(Some(faster));
        until(60);
        let instead = studio.encoder.status().preset;
        studio.every.store(2, Ordering::Relaxed);
        until(90);
        studio.every.store(1, Ordering::Relaxed);
        studio.encoder.set_preset(None);
        until(130);
        assert_eq!((asked.as_str(), instead.as_str()), (preset, faster));
        assert_eq!(studio.encoder.status().preset, preset);
        assert!(studio.hub.finish());
        for (file, id) in files.iter().zip(ids) {
            let status = studio.status(id);
            assert_eq!((status.dropped, status.error.clone()), (0, None), "{status:?}");
            let (frames, errors) = watch(&["-i", file.to_str().unwrap()], 130);
            assert_eq!(errors, "", "{}", file.display());
            // A playlist lists its newest twelve seconds.
            let (least, slower) = if file.extension().unwrap() == "m3u8" { (60, 0) } else { (125, 20) };
            assert!(frames.len() >= least, "{}: {} pictures", file.display(), frames.len());
            // A busy machine loses some before the encoder; none is shown twice, and none again.
            let steps = steps(&frames);
            let two = steps.iter().filter(|step| **step == 2).count();
            let ahead = steps.iter().all(|step| (1..36).contains(step));
            assert!(ahead && two >= slower, "{}: {steps:?}", file.display());
        }
        // Thirty pictures took twice as long: time goes on at its own pace.
        let (packets, last) = probe(&files[1]);
        assert!(last > f64::from(u32::try_from(packets).unwrap()) * 0.04 + 0.9, "{packets} in {last} s");
    }
}

#[test]
fn a_viewer_sees_another_preset_as_nothing_but_a_key_frame() {
    let studio =
        Studio::open_with(EncoderConfig { preset: "veryfast".into(), gop: 1000, ..config(Codec::H264) });
    let id = studio.add("rtsp://127.0.0.1:0/wall");
    let address = studio.status(id).address;
    let viewer = Command::new("timeout")
        .args(["25", "ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", &address])
        .args(["-frames:v", "100", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    studio.wait_until("watching", |s| s.status(id).units >= 20);
    studio.encoder.set_preset(Some("ultrafast"));
    studio.wait_until("going on", |s| s.status(id).units >= 50);
    studio.encoder.set_preset(None);
    let out = viewer.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&out.stderr);
    let errors: Vec<&str> =
        errors.lines().filter(|l| !l.contains("[rawvideo") && !l.contains("Last message")).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let frames: Vec<Vec<u8>> = out.stdout.chunks_exact(320 * 180 * 3 / 2).map(<[u8]>::to_vec).collect();
    assert_eq!(frames.len(), 100);
    let steps = steps(&frames);
    assert!(steps.iter().all(|step| (1..36).contains(step)), "{steps:?}");
}
