//! How much of a result is decoded before it counts: the same bytes, and more or less found.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use ffmpeg_next as ff;

use crate::base::{Shutdown, SystemClock};
use crate::evidence::SigningKeyFile;
use crate::transcode::codec::proof::Proof;
use crate::transcode::files::record::{Record, RecordReader, RecordWriter};
use crate::transcode::job::{Evidence, JobOutcome, JobReport, QueueOptions, run_all};
use crate::transcode::spec::*;

/// Sixty pictures in three groups.
fn clip(path: &Path) {
    let picture = "testsrc2=size=64x48:rate=25:duration=2.4";
    let run = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-nostdin", "-f", "lavfi", "-i", picture, "-pix_fmt", "yuv420p"])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-bf", "2"])
        .arg(path)
        .output()
        .expect("ffmpeg runs: scripts/install-deps.sh installs it");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

fn run(
    source: &Path,
    target: &Path,
    video: VideoSpec,
    verify: Verify,
    evidence: Option<Evidence>,
) -> JobReport {
    let spec = TranscodeSpec {
        input: source.to_owned(),
        video_stream: 0,
        range: TimeRange::default(),
        edit: EditSpec::default(),
        frame_rate: None,
        renditions: vec![RenditionSpec { name: "main".into(), size: SizeSpec::Keep, video }],
        audio: AudioSpec::Auto,
        target: Target::File(target.to_owned()),
        overwrite: true,
        salvage: false,
        verify,
    };
    let options = QueueOptions { evidence, ..QueueOptions::default() };
    let clock = SystemClock::shared();
    match run_all(&[spec], &options, &clock, &Shutdown::new(), &|_| {}).pop() {
        Some(JobOutcome::Done(report)) => report,
        other => panic!("{other:?}"),
    }
}

#[test]
fn whatever_is_verified_the_bytes_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    clip(&at("in.mp4"));
    for video in [VideoSpec::Encode(EncodeSpec::usual()), VideoSpec::Copy] {
        let mut made = Vec::new();
        for verify in [Verify::Full, Verify::Ends, Verify::None] {
            let report = run(&at("in.mp4"), &at("out.mp4"), video.clone(), verify, None);
            assert_eq!((report.verified, report.pictures, report.missing_pictures), (verify, 60, 0));
            made.push(std::fs::read(at("out.mp4")).unwrap());
        }
        assert!(made[1..].iter().all(|bytes| *bytes == made[0]), "{video:?}");
    }
}

/// x265 leaves groups open where they need not be aligned: the last one begins with pictures that refer to the
/// group before it.
#[test]
fn the_ends_of_open_groups_are_what_they_should_be() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    clip(&at("in.mp4"));
    let usual = EncodeSpec::usual();
    for encode in [
        EncodeSpec { codec: TargetCodec::H265, gop: Some(25), ..usual.clone() },
        EncodeSpec { codec: TargetCodec::H264, gop: Some(25), ..usual },
    ] {
        let report = run(&at("in.mp4"), &at("out.mp4"), VideoSpec::Encode(encode), Verify::Ends, None);
        assert_eq!((report.pictures, report.missing_pictures), (60, 0));
    }
}

#[test]
fn evidence_is_verified_in_full() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    clip(&at("in.mp4"));
    SigningKeyFile::create(&at("unit.key")).unwrap();
    let text = || "x".to_owned();
    let evidence = Evidence { key: at("unit.key"), reason: text(), reference: text(), operator: None };
    let report = run(&at("in.mp4"), &at("out.mp4"), VideoSpec::Copy, Verify::None, Some(evidence));
    assert_eq!(report.verified, Verify::Full);
    assert!(report.notes.iter().any(|note| note.contains("verified in full")), "{:?}", report.notes);
}

/// What a proof says of the clip, of which one packet became another.
fn found(verify: Verify, threads: usize, change: impl Fn(usize, Record) -> Option<Record>) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    clip(&at("in.mp4"));
    let mut input = ff::format::input(&at("in.mp4")).unwrap();
    let stream = input.streams().next().unwrap();
    let (parameters, base) = (stream.parameters(), stream.time_base());
    let mut proof = Proof::open(parameters, base, threads, verify).unwrap();
    let mut file = RecordWriter::create(&at("segment"), &[]).unwrap();
    for (number, (_, packet)) in input.packets().enumerate() {
        let Some(record) = change(number, Record::of(&packet).unwrap()) else { continue };
        file.write(&record).unwrap();
        proof.note(record);
    }
    file.commit().unwrap();
    proof.end(RecordReader::open(&at("segment")).unwrap(), 60).unwrap().is_some()
}

#[test]
fn a_picture_that_does_not_decode_is_found_where_it_is_looked_for() {
    // A delimiter and no picture.
    let spoilt = |at: usize| {
        move |number, record: Record| {
            let data = if number == at { vec![0, 0, 0, 2, 9, 0xf0] } else { record.data };
            Some(Record { data, ..record })
        }
    };
    for threads in [1, 2] {
        assert!(!found(Verify::Full, threads, |_, record| Some(record)), "all is well");
        assert!(found(Verify::Full, threads, spoilt(42)), "in the middle");
    }
    assert!(!found(Verify::Ends, 1, |_, record| Some(record)), "all is well");
    assert!(found(Verify::Ends, 1, spoilt(3)) && found(Verify::Ends, 1, spoilt(53)));
    assert!(!found(Verify::Ends, 1, spoilt(42)), "not looked for");
    assert!(!found(Verify::None, 1, spoilt(3)));
    for verify in [Verify::Full, Verify::Ends, Verify::None] {
        let lost = |number, record| (number != 42).then_some(record);
        assert!(found(verify, 1, lost), "{verify:?}: one is gone");
    }
}
