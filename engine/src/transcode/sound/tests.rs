//! What becomes of sound, and that gaps, damage and ranges keep it in time.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use ff::format::Sample;
use ff::format::sample::Type as Layout;

use super::*;
use crate::base::ErrorKind;
use crate::transcode::package::{Expected, Packager, Track, VideoTrack, check};
use crate::transcode::spec::{AudioSpec, Target};

fn source(path: PathBuf, arguments: &str) -> PathBuf {
    let all = format!("-y -v error {arguments}");
    let done = Command::new("ffmpeg").args(all.split(' ')).arg(&path).status().unwrap();
    assert!(done.success(), "{arguments}");
    path
}

fn read(path: &Path) -> (ff::codec::Parameters, ff::Rational, Vec<ff::Packet>) {
    let mut input = ff::format::input(path).unwrap();
    let best = input.streams().best(ff::media::Type::Audio).unwrap();
    let (index, parameters, base) = (best.index(), best.parameters(), best.time_base());
    let mut packets = Vec::new();
    let mut packet = ff::Packet::empty();
    while packet.read(&mut input).is_ok() {
        if packet.stream() == index {
            packets.push(std::mem::replace(&mut packet, ff::Packet::empty()));
        }
    }
    (parameters, base, packets)
}

fn video(path: &Path) -> (VideoTrack, Vec<ff::Packet>) {
    let mut input = ff::format::input(path).unwrap();
    let best = input.streams().best(ff::media::Type::Video).unwrap();
    let track = VideoTrack {
        name: "v".to_owned(),
        parameters: best.parameters(),
        time_base: best.time_base(),
        frame_rate: None,
        kbps: None,
        matrix: None,
    };
    let index = best.index();
    let mut packets = Vec::new();
    let mut packet = ff::Packet::empty();
    while packet.read(&mut input).is_ok() {
        if packet.stream() == index {
            packets.push(std::mem::replace(&mut packet, ff::Packet::empty()));
        }
    }
    (track, packets)
}

fn target(ending: &str) -> Target {
    Target::File(PathBuf::from(format!("out.{ending}")))
}

/// What comes out, and how many packets were damaged.
fn through(
    plan: &SoundPlan,
    parameters: ff::codec::Parameters,
    base: ff::Rational,
    range: SoundRange,
    packets: Vec<ff::Packet>,
) -> (AudioTrack, Vec<ff::Packet>, u64) {
    let mut sound = Sound::open(plan, parameters, base, range).unwrap().unwrap();
    let mut out = Vec::new();
    for packet in packets.into_iter().map(Some).chain([None]) {
        let mut sink = |packet| {
            out.push(packet);
            Ok(())
        };
        sound.push(packet, &mut sink).unwrap();
    }
    (sound.track(), out, sound.damaged())
}

/// Samples of the first channel, without what the encoder needs to start.
fn decoded(track: &AudioTrack, packets: &[ff::Packet]) -> Vec<f32> {
    let context = ff::codec::Context::from_parameters(track.parameters.clone()).unwrap();
    let mut decoder = context.decoder().audio().unwrap();
    let mut samples = Vec::new();
    let mut take = |decoder: &mut ff::decoder::Audio| {
        let mut frame = ff::frame::Audio::empty();
        while decoder.receive_frame(&mut frame).is_ok() {
            samples.extend_from_slice(frame.plane::<f32>(0));
        }
    };
    for packet in packets {
        decoder.send_packet(packet).unwrap();
        take(&mut decoder);
    }
    decoder.send_eof().unwrap();
    take(&mut decoder);
    let early = usize::try_from(-packets[0].pts().unwrap()).unwrap();
    samples.split_off(early.min(samples.len()))
}

/// Loudness of a piece, as the root of the mean square.
fn loudness(samples: &[f32], rate: f64, from: f64, to: f64) -> f32 {
    let piece = &samples[(from * rate) as usize..((to * rate) as usize).min(samples.len())];
    (piece.iter().map(|sample| sample * sample).sum::<f32>() / piece.len().max(1) as f32).sqrt()
}

#[test]
fn plans_follow_the_target_and_the_source() {
    let dir = tempfile::tempdir().unwrap();
    let tone = "-f lavfi -i sine=d=0.2:r=48000 -c:a";
    let of = |name: &str, codec: &str| read(&source(dir.path().join(name), &format!("{tone} {codec}"))).0;
    let aac = of("aac.mp4", "aac -ac 2");
    let alaw = of("alaw.mkv", "pcm_alaw -ar 8000 -ac 1");
    let flac = of("flac.mkv", "flac");
    let hls = Target::Hls { folder: PathBuf::from("out"), segment: Duration::from_secs(6) };
    let encoded = |kbps, rate, channels| SoundAction::Aac { kbps, rate, channels };
    let cases = [
        (AudioSpec::Auto, Some(&aac), target("mp4"), SoundAction::Copy),
        (AudioSpec::Auto, Some(&aac), hls.clone(), SoundAction::Copy),
        (AudioSpec::Aac(160), Some(&aac), target("mp4"), encoded(160, 48000, 2)),
        (AudioSpec::Aac(9000), Some(&aac), target("mp4"), encoded(576, 48000, 2)),
        (AudioSpec::Auto, Some(&alaw), target("mp4"), encoded(32, 8000, 1)),
        (AudioSpec::Auto, Some(&alaw), target("mov"), SoundAction::Copy),
        (AudioSpec::Auto, Some(&alaw), target("mkv"), SoundAction::Copy),
        (AudioSpec::Auto, Some(&alaw), target("ts"), encoded(32, 8000, 1)),
        (AudioSpec::Auto, Some(&flac), target("mp4"), SoundAction::Copy),
        (AudioSpec::Auto, Some(&flac), hls, encoded(64, 48000, 1)),
        (AudioSpec::Drop, Some(&aac), target("mp4"), SoundAction::Drop),
        (AudioSpec::Copy, None, target("mp4"), SoundAction::Drop),
    ];
    for (spec, source, target, action) in cases {
        let plan = SoundPlan::decide(spec, source, &target).unwrap();
        assert_eq!(plan.action, action, "{spec:?} {target:?}: {}", plan.reason);
        assert!(!plan.reason.is_empty());
    }
    let error = SoundPlan::decide(AudioSpec::Copy, Some(&alaw), &target("mp4")).expect_err("no G.711 in MP4");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("pcm_alaw"), "{error}");
}

/// What the table says a container holds, libavformat writes.
#[test]
fn what_may_be_copied_can_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let codecs = [
        "aac",
        "libmp3lame",
        "mp2",
        "ac3",
        "eac3",
        "libopus",
        "alac",
        "flac",
        "pcm_s16le",
        "pcm_s24be",
        "pcm_alaw",
        "pcm_mulaw",
        "libvorbis",
    ];
    // Pictures with B-frames, and with decoding times, as a job hands them over: Matroska does not tell
    // the first ones.
    let pictures = "-f lavfi -i color=s=64x64:d=1 -c:v libx264 -bf 2";
    let (track, pictures) = video(&source(dir.path().join("pictures.mp4"), pictures));
    assert!(pictures[0].dts().unwrap() < pictures[0].pts().unwrap(), "no B-frames");
    let tone = "-f lavfi -i sine=d=1:r=48000 -c:a";
    let (mut copied, mut failed) = (0, Vec::new());
    for codec in codecs {
        let ending = if matches!(codec, "alac" | "pcm_s24be") { "mov" } else { "mkv" };
        let source = source(dir.path().join(format!("{codec}.{ending}")), &format!("{tone} {codec}"));
        let (parameters, base, packets) = read(&source);
        for ending in ["mp4", "mov", "mkv", "ts", "hls"] {
            let path = dir.path().join(format!("{codec}-out.{ending}"));
            let target = match ending {
                "hls" => Target::Hls { folder: path.clone(), segment: Duration::from_secs(6) },
                _ => Target::File(path.clone()),
            };
            let Ok(plan) = SoundPlan::decide(AudioSpec::Copy, Some(&parameters), &target) else { continue };
            let range = SoundRange::default();
            let (audio, sound, _) = through(&plan, parameters.clone(), base, range, packets.clone());
            let tracks = std::slice::from_ref(&track);
            let mut expected = Expected::new(tracks, Some(&audio));
            let mut packager = Packager::create(&target, &path, tracks, Some(&audio)).unwrap();
            let pictures = pictures.iter().map(|packet| (Track::Video(0), packet.clone()));
            let sound = sound.into_iter().map(|packet| (Track::Audio, packet));
            for (track, packet) in pictures.chain(sound) {
                expected.note(track, &packet);
                packager.write(track, packet).unwrap();
            }
            packager.finish().unwrap();
            match check(&target, &path, &expected) {
                Ok(checked) => println!("{codec} in {ending}: {:?}", checked.audio.unwrap()),
                Err(error) => failed.push(format!("{codec} in {ending}: {error}")),
            }
            copied += 1;
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    // What the table says of these codecs: 7 in MP4, 9 in MOV, all 13 in Matroska, 5 in a transport
    // stream, 3 in a ladder.
    assert_eq!(copied, 37);
}

/// Half a second is missing in the middle: what follows is where it was.
#[test]
fn gaps_stay_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let path = source(dir.path().join("tone.mkv"), "-f lavfi -i sine=d=3:r=48000 -c:a pcm_mulaw -ar 8000");
    let (parameters, base, packets) = read(&path);
    let seconds = |packet: &ff::Packet| packet.pts().unwrap() as f64 * f64::from(base);
    let kept: Vec<_> = packets.into_iter().filter(|packet| !(1.0..1.5).contains(&seconds(packet))).collect();
    let plan = SoundPlan::decide(AudioSpec::Auto, Some(&parameters), &target("mp4")).unwrap();
    let (track, out, damaged) = through(&plan, parameters, base, SoundRange::default(), kept);
    assert_eq!(damaged, 0);
    for (number, packet) in out.iter().enumerate() {
        assert_eq!(packet.pts(), Some(number as i64 * 1024 - 1024), "exact to the sample");
    }
    let samples = decoded(&track, &out);
    let at = |from, to| loudness(&samples, 8000.0, from, to);
    assert!(at(0.2, 0.8) > 0.05 && at(1.7, 2.7) > 0.05, "{} {}", at(0.2, 0.8), at(1.7, 2.7));
    assert!(at(1.3, 1.4) < 0.005, "{}", at(1.3, 1.4));
    assert!((samples.len() as f64 / 8000.0 - 3.0).abs() < 0.13, "{}", samples.len());
}

/// From 1.25 s to 2 s of a tone that begins at 1.5 s: exact to the sample.
#[test]
fn a_range_is_cut_to_the_sample() {
    let dir = tempfile::tempdir().unwrap();
    let tone = "-f lavfi -i aevalsrc=gt(t\\,1.5)*sin(6283*t):s=44100:d=4 -c:a flac";
    let (parameters, base, packets) = read(&source(dir.path().join("tone.mkv"), tone));
    let plan = SoundPlan::decide(AudioSpec::Aac(128), Some(&parameters), &target("mp4")).unwrap();
    let range = SoundRange { start: Duration::from_millis(1250), end: Some(Duration::from_millis(2000)) };
    let (track, out, _) = through(&plan, parameters, base, range, packets);
    let length: i64 = out.iter().map(|packet| packet.duration()).sum::<i64>() + out[0].pts().unwrap();
    assert!((length - 33075).abs() <= 1024, "{length}");
    let samples = decoded(&track, &out);
    let onset = samples.iter().position(|sample| sample.abs() > 0.3).unwrap() as f64 / 44100.0;
    assert!((onset - 0.25).abs() < 0.003, "{onset}");
}

#[test]
fn damaged_packets_are_counted_and_silent() {
    let dir = tempfile::tempdir().unwrap();
    let path = source(dir.path().join("tone.mp4"), "-f lavfi -i sine=d=3:r=48000 -c:a aac");
    let (parameters, base, mut packets) = read(&path);
    for packet in &mut packets[60..80] {
        packet.data_mut().unwrap().fill(0xff);
    }
    let plan = SoundPlan::decide(AudioSpec::Aac(96), Some(&parameters), &target("mp4")).unwrap();
    let (track, out, damaged) = through(&plan, parameters, base, SoundRange::default(), packets);
    assert!((1..=20).contains(&damaged), "{damaged}");
    let samples = decoded(&track, &out);
    assert!((samples.len() as i64 - 144_000).abs() < 2048, "{}", samples.len());
    assert!(loudness(&samples, 48000.0, 1.9, 2.9) > 0.05);
}

/// Rate and channels change on the way, as they do in recordings of broadcasts.
#[test]
fn another_shape_of_sound_goes_on_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let one = source(dir.path().join("one.mkv"), "-f lavfi -i sine=d=1:r=48000 -c:a pcm_s16le -ac 1");
    let (parameters, base, first) = read(&one);
    let plan = SoundPlan::decide(AudioSpec::Aac(96), Some(&parameters), &target("mp4")).unwrap();
    let mut sound = Sound::open(&plan, parameters, base, SoundRange::default()).unwrap().unwrap();
    let Way::Encode(transcoder) = &mut sound.way else { panic!("AAC was asked for") };
    assert!(!first.is_empty());
    let layout = ff::ChannelLayout::STEREO;
    for (second, rate) in (0_i64..).zip([48000, 44100, 8000, 96000, 48000]) {
        let start = second * 1000;
        let mut frame = ff::frame::Audio::new(Sample::F32(Layout::Planar), rate as usize, layout);
        frame.set_rate(rate);
        frame.set_pts(Some(start));
        for channel in 0..2 {
            frame.plane_mut::<f32>(channel).fill(0.25);
        }
        transcoder.filter(&mut frame).unwrap();
    }
    transcoder.drain().unwrap();
    let produced = transcoder.produced();
    assert!((produced - 5 * 48000).abs() < 64, "{produced}");
}
