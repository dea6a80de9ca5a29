//! Containers that are cut anywhere or say what is not so: each has one answer, whatever is to become of it, no panic,
//! and nothing left behind. `CONTAINER_CASES=N` tries N changes and a cut at every byte.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use super::helpers::jobs::ffmpeg;
use crate::base::{Error, ErrorKind, Shutdown, SystemClock};
use crate::transcode::job::{JobOutcome, QueueOptions, run_all};
use crate::transcode::spec::*;

/// Changes that are tried where nobody asks for more.
const CASES: u32 = 70;
/// Cuts of each file, then.
const CUTS: usize = 14;
/// Where structures lie: words of containers, behind which numbers stand.
const WORDS: [&[u8]; 22] = [
    b"elst",
    b"mdhd",
    b"mvhd",
    b"tkhd",
    b"stts",
    b"ctts",
    b"stss",
    b"stsz",
    b"stsc",
    b"stco",
    b"tfhd",
    b"tfdt",
    b"trun",
    b"mdat",
    b"moof",
    b"strh",
    b"avih",
    b"idx1",
    b"00dc",
    b"movi",
    b"\x1f\x43\xb6\x75",
    b"\x1c\x53\xbb\x6b",
];

/// Small files of every kind that has a structure, by their names.
fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let dir = tempfile::tempdir().unwrap();
    let made = "-f lavfi -i testsrc2=size=64x48:rate=25:duration=0.8 -f lavfi -i \
                sine=frequency=440:sample_rate=8000:duration=0.8 -pix_fmt yuv420p -c:v libx264 -preset ultrafast -g 8";
    let at = |name: &str| dir.path().join(name);
    ffmpeg(&format!("{made} -bf 2 -c:a aac -b:a 16k"), &at("whole.mp4"));
    ffmpeg(&format!("-ss 0.4 -i {} -c copy", at("whole.mp4").display()), &at("trimmed.mp4"));
    ffmpeg(&format!("-itsoffset 1 -i {} -c copy -an", at("whole.mp4").display()), &at("late.mp4"));
    ffmpeg(&format!("{made} -bf 0 -an -movflags frag_keyframe+empty_moov"), &at("fragments.mp4"));
    ffmpeg(&format!("{made} -bf 2 -c:a aac -b:a 16k"), &at("whole.mkv"));
    ffmpeg(&format!("{made} -bf 0 -an -live 1 -cluster_time_limit 200"), &at("live.mkv"));
    ffmpeg(
        &format!("{made} -bf 0 -an -vf select=lt(mod(n\\,7)\\,3) -vsync vfr -enc_time_base 1/25"),
        &at("holes.avi"),
    );
    ffmpeg(&format!("{made} -bf 2 -c:a aac -b:a 16k"), &at("whole.ts"));
    ffmpeg(&format!("{made} -bf 0 -an"), &at("whole.flv"));
    ffmpeg(&format!("{made} -bf 2 -an"), &at("raw.h264"));
    [
        "whole.mp4",
        "trimmed.mp4",
        "late.mp4",
        "fragments.mp4",
        "whole.mkv",
        "live.mkv",
        "holes.avi",
        "whole.ts",
        "whole.flv",
        "raw.h264",
    ]
    .map(|name| (name, std::fs::read(at(name)).unwrap()))
    .into()
}

/// What a job made of a file.
type Answer = Result<u64, Error>;

/// Takes a file in one way, and looks that nothing else is there afterwards.
fn take(dir: &Path, name: &str, video: VideoSpec, target: Target, salvage: bool) -> Answer {
    let folder = matches!(target, Target::Hls { .. });
    let rendition =
        |name: &str| RenditionSpec { name: name.into(), size: SizeSpec::Keep, video: video.clone() };
    let spec = TranscodeSpec {
        input: dir.join(name),
        video_stream: 0,
        range: TimeRange::default(),
        edit: EditSpec::default(),
        frame_rate: None,
        renditions: vec![rendition("main")],
        audio: AudioSpec::Auto,
        target: target.clone(),
        overwrite: false,
        salvage,
        verify: Verify::Full,
    };
    let options = QueueOptions { workers: Some(1), ..QueueOptions::default() };
    let clock = SystemClock::shared();
    let outcome =
        run_all(std::slice::from_ref(&spec), &options, &clock, &Shutdown::new(), &|_| {}).pop().unwrap();
    let made = target.path().file_name().unwrap().to_owned();
    let others = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let others: Vec<_> = others.filter(|other| other != name && *other != made).collect();
    assert!(others.is_empty(), "{name}: {others:?} is left");
    assert_eq!(target.path().exists(), matches!(outcome, JobOutcome::Done(_)), "{name}: {outcome:?}");
    let _ = if folder { std::fs::remove_dir_all(target.path()) } else { std::fs::remove_file(target.path()) };
    match outcome {
        JobOutcome::Done(report) => Ok(report.pictures),
        JobOutcome::Failed(error) => {
            assert_ne!(error.kind(), ErrorKind::Internal, "{name}: {error}");
            Err(error)
        }
        other => panic!("{name}: {other:?}"),
    }
}

/// The same answer from all ways; how many were refused without a salvage, and with one.
fn one_answer(name: &str, bytes: &[u8]) -> Result<[bool; 2], TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(name), bytes).unwrap();
    let usual = EncodeSpec { preset: "ultrafast".into(), ..EncodeSpec::usual() };
    let file = || Target::File(dir.path().join("out.mkv"));
    let ladder = || Target::Hls { folder: dir.path().join("out"), segment: Duration::from_secs(2) };
    let mut refused = [false; 2];
    for salvage in [false, true] {
        let encoded = take(dir.path(), name, VideoSpec::Encode(usual.clone()), file(), salvage);
        let copied = take(dir.path(), name, VideoSpec::CopyOrEncode(usual.clone()), file(), salvage);
        let laddered = take(dir.path(), name, VideoSpec::Encode(usual.clone()), ladder(), salvage);
        for (way, other) in [("copied", &copied), ("in a ladder", &laddered)] {
            prop_assert_eq!(
                encoded.is_ok(),
                other.is_ok(),
                "{}, salvage {}: encoded {:?}, {} {:?}",
                name,
                salvage,
                encoded,
                way,
                other
            );
            let (Ok(one), Ok(other)) = (&encoded, other) else { continue };
            prop_assert!(
                one.abs_diff(*other) <= 2 || salvage,
                "{}: {} pictures and {} {}",
                name,
                one,
                other,
                way
            );
        }
        refused[usize::from(salvage)] = encoded.is_err();
    }
    prop_assert!(refused[0] || !refused[1], "{}: taken, and not with a salvage", name);
    Ok(refused)
}

fn asked() -> Option<u32> {
    std::env::var("CONTAINER_CASES").ok()?.parse().ok()
}

/// Containers that say how much they hold: what is missing of them is known before it is known what is to become of
/// them.
fn promises(name: &str) -> bool {
    ["mp4", "mkv", "avi"].iter().any(|ending| name.ends_with(ending))
}

#[test]
fn a_file_that_is_cut_anywhere_has_one_answer() {
    cut(promises);
}

#[test]
#[ignore = "a copy is judged by what both its ends decode to, an encoding is not"]
fn a_stream_that_is_cut_anywhere_has_one_answer() {
    cut(|name| !promises(name));
}

fn cut(which: impl Fn(&str) -> bool) {
    let (mut tried, mut refused, mut lost) = (0, 0, 0);
    for (name, bytes) in seeds().into_iter().filter(|(name, _)| which(name)) {
        let step = if asked().is_some() { 1 } else { bytes.len() / CUTS };
        for length in (1..=bytes.len()).rev().step_by(step) {
            let [without, with] =
                one_answer(name, &bytes[..length]).unwrap_or_else(|e| panic!("{name} cut at {length}: {e}"));
            assert!(length < bytes.len() || !without, "{name} is whole");
            tried += 1;
            refused += u32::from(without);
            lost += u32::from(with);
        }
    }
    println!("{tried} cuts, {refused} refused, {lost} of them with a salvage too");
}

/// A change to a file: numbers are shares of what there is.
#[derive(Clone, Debug)]
enum Change {
    /// Numbers behind a word of the container.
    Number {
        word: usize,
        which: u16,
        offset: usize,
        value: u32,
    },
    Byte {
        place: u16,
        value: u8,
    },
    Gone {
        place: u16,
        length: usize,
    },
    Twice {
        place: u16,
        length: usize,
    },
    Cut {
        place: u16,
    },
}

fn change() -> impl Strategy<Value = Change> {
    let number = prop_oneof![
        Just(0_u32),
        Just(1),
        Just(u32::MAX),
        Just(u32::MAX - 1),
        Just(i32::MAX.unsigned_abs()),
        0..5000_u32,
        any::<u32>()
    ];
    prop_oneof![
        6 => (0..WORDS.len(), any::<u16>(), 0..40_usize, number)
            .prop_map(|(word, which, offset, value)| Change::Number { word, which, offset, value }),
        2 => (any::<u16>(), any::<u8>()).prop_map(|(place, value)| Change::Byte { place, value }),
        1 => (any::<u16>(), 1..64_usize).prop_map(|(place, length)| Change::Gone { place, length }),
        1 => (any::<u16>(), 1..64_usize).prop_map(|(place, length)| Change::Twice { place, length }),
        1 => any::<u16>().prop_map(|place| Change::Cut { place }),
    ]
}

fn share(of: usize, place: u16) -> usize {
    of * usize::from(place) / (usize::from(u16::MAX) + 1)
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match *change {
        Change::Number { word, which, offset, value } => {
            let word = WORDS[word];
            let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(word)).collect();
            let Some(at) = places.get(share(places.len(), which)) else { return };
            let at = at + word.len() + offset;
            if at + 4 <= bytes.len() {
                bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
            }
        }
        Change::Byte { place, value } => {
            let at = share(bytes.len(), place);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        Change::Gone { place, length } => {
            let at = share(bytes.len(), place);
            bytes.drain(at..(at + length).min(bytes.len()));
        }
        Change::Twice { place, length } => {
            let at = share(bytes.len(), place);
            let again = bytes[at..(at + length).min(bytes.len())].to_vec();
            bytes.splice(at..at, again);
        }
        Change::Cut { place } => bytes.truncate(share(bytes.len(), place)),
    }
}

#[test]
#[ignore = "a copy is judged by what both its ends decode to, an encoding is not"]
fn whatever_a_container_says_there_is_one_answer() {
    let seeds = seeds();
    let config = ProptestConfig {
        cases: asked().unwrap_or(CASES),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    // The same changes in each run, unless a campaign looks for new ones.
    let mut runner = match asked() {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let counts = std::cell::Cell::new((0, 0, 0));
    let cases = (0..seeds.len(), proptest::collection::vec(change(), 1..4));
    let result = runner.run(&cases, |(seed, changes)| {
        let (name, mut bytes) = seeds[seed].clone();
        changes.iter().for_each(|change| apply(&mut bytes, change));
        let [without, with] = one_answer(name, &bytes)?;
        let (tried, refused, lost) = counts.get();
        counts.set((tried + 1, refused + u32::from(without), lost + u32::from(with)));
        Ok(())
    });
    println!("changes, refused, and with a salvage too: {:?}", counts.get());
    result.unwrap_or_else(|error| panic!("{error}"));
}
