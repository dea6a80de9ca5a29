//! What job files and options become, and what is said of wrong ones.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::media::Ratio;
use crate::transcode::spec::*;

fn task(text: &str) -> TaskSpec {
    let text = format!("[[task]]\ninput = \"a.avi\"\noutput = \"b.mp4\"\n{text}\n");
    let spec = JobSpec::from_toml(&text, "job.toml").unwrap_or_else(|e| panic!("{text}\n{e}"));
    spec.tasks.into_iter().next().unwrap()
}

fn job(text: &str) -> TranscodeSpec {
    task(text).job("a.avi".into(), "b.mp4".into())
}

/// All that is wrong, a line each.
fn wrong(text: &str) -> String {
    JobSpec::from_toml(text, "job.toml").unwrap_err().to_string()
}

fn options(options: &[(&str, &str)]) -> Result<TranscodeSpec, String> {
    let options: Vec<(&str, String)> = options.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
    let spec = JobSpec::from_options(&["a.avi".into()], "b.mp4", &options).map_err(|e| e.to_string())?;
    Ok(spec.tasks[0].job("a.avi".into(), "b.mp4".into()))
}

fn encode(spec: &TranscodeSpec) -> &EncodeSpec {
    spec.renditions[0].video.encode().unwrap()
}

#[test]
fn the_smallest_task_copies_what_may_be_copied() {
    let spec = job("");
    assert_eq!(spec.input, PathBuf::from("a.avi"));
    assert_eq!(spec.target, Target::File("b.mp4".into()));
    assert!(spec.range.is_whole() && spec.edit.is_nothing() && !spec.overwrite && !spec.salvage);
    assert_eq!(spec.verify, Verify::Full);
    let VideoSpec::CopyOrEncode(encode) = &spec.renditions[0].video else { panic!("{spec:?}") };
    assert_eq!(encode.rate, RateSpec::Crf(23.0));
    assert_eq!((encode.preset.as_str(), encode.codec, encode.gop), ("veryfast", TargetCodec::H264, None));
    assert_eq!((spec.renditions[0].size, spec.audio), (SizeSpec::Keep, AudioSpec::Auto));
}

#[test]
fn every_key_reaches_the_orders() {
    let spec = job(r##"
        video_stream = 2
        from = "1:00"
        duration = 90.5
        cut = "keyframe"
        deinterlace = "always"
        rotate = 270
        crop = [16, 8, 640, 480]
        size = "1280x720"
        fit = "fill"
        fps = "30000/1001"
        codec = "h265"
        encoder = "auto"
        preset = "slow"
        bitrate = "4M"
        gop = 50
        audio = "aac"
        audio_bitrate = "96k"
        existing = "replace"
        salvage = true
        verify = "none"
        label = "Gate 4"
        time_code = 2026-11-24T10:00:00Z
        watermark = "logo.png"
        [[task.mask]]
        points = [[0.1, 0.2], [0.4, 0.6]]
        style = "mosaic"
        from = 10
        to = "0:20"
    "##);
    let second = Duration::from_secs(1);
    assert_eq!(spec.video_stream, 2);
    assert_eq!(spec.range.from, Some(60 * second));
    assert_eq!(spec.range.to, Some(150 * second + second / 2));
    assert!(spec.range.at_key_frame && spec.overwrite && spec.salvage);
    assert_eq!(spec.verify, Verify::None);
    assert_eq!((spec.edit.deinterlace, spec.edit.rotate), (Deinterlace::Always, Rotation::Left));
    assert_eq!(spec.edit.crop, Some(CropRect { x: 16, y: 8, width: 640, height: 480 }));
    assert_eq!(spec.frame_rate, Ratio::new(30_000, 1001));
    assert_eq!(spec.renditions[0].size, SizeSpec::Fill(1280, 720));
    assert!(matches!(spec.renditions[0].video, VideoSpec::Encode(_)));
    let EncodeSpec { codec, encoder, rate, preset, gop } = encode(&spec);
    assert_eq!((*codec, *encoder), (TargetCodec::H265, EncoderChoice::Auto));
    assert_eq!((*rate, preset.as_str(), *gop), (RateSpec::Kbps(4000), "slow", Some(50)));
    assert_eq!(spec.audio, AudioSpec::Aac(96));
    let label = spec.edit.label.unwrap();
    assert_eq!((label.text.as_str(), label.corner), ("Gate 4", Corner::TopLeft));
    let utc = TimeCodeStart::Utc(1_795_514_400_000_000_000);
    assert_eq!(spec.edit.time_code.unwrap().start, utc);
    assert_eq!(spec.edit.watermark.unwrap().image, PathBuf::from("logo.png"));
    let mask = &spec.edit.masks[0];
    assert_eq!(mask.polygon, [(0.1, 0.2), (0.4, 0.2), (0.4, 0.6), (0.1, 0.6)]);
    assert_eq!((mask.style, mask.from, mask.to), (MaskStyle::Mosaic, Some(10 * second), Some(20 * second)));
}

#[test]
fn a_codec_or_an_order_to_the_encoder_asks_for_encoding() {
    for text in [
        "codec = \"h264\"",
        "crf = 20",
        "bitrate = \"1M\"",
        "target_size = \"9MB\"",
        "gop = 25",
        "preset = \"fast\"",
        "encoder = \"auto\"",
    ] {
        assert!(matches!(job(text).renditions[0].video, VideoSpec::Encode(_)), "{text}");
    }
    assert_eq!(job("codec = \"copy\"").renditions[0].video, VideoSpec::Copy);
    assert_eq!(encode(&job("codec = \"h265\"")).rate, RateSpec::Crf(28.0));
    assert_eq!(encode(&job("codec = \"av1\"")).rate, RateSpec::Crf(35.0));
    assert_eq!(encode(&job("target_size = \"1.5MB\"")).rate, RateSpec::TargetBytes(1_500_000));
    // Edits leave the choice to the plan, which knows the source.
    assert!(matches!(job("height = 720").renditions[0].video, VideoSpec::CopyOrEncode(_)));
}

#[test]
fn sizes_by_their_rules() {
    assert_eq!(job("size = [640, 360]").renditions[0].size, SizeSpec::Pad(640, 360));
    assert_eq!(job("size = \"640x360\"\nfit = \"stretch\"").renditions[0].size, SizeSpec::Stretch(640, 360));
    assert_eq!(job("height = 720").renditions[0].size, SizeSpec::Height(720));
    assert_eq!(job("width = 640").renditions[0].size, SizeSpec::Width(640));
    assert_eq!(job("within = \"641x361\"").renditions[0].size, SizeSpec::Within(641, 361));
}

#[test]
fn a_ladder_is_a_folder_of_sizes() {
    let text = "[[task]]\ninput = \"a.mp4\"\noutput = \"web\"\nladder = \"1080:5M,720p:3M,480\"\ncrf = 21\nsegment = \"4s\"";
    let spec = JobSpec::from_toml(text, "job.toml").unwrap();
    let job = spec.tasks[0].job("a.mp4".into(), "web/a".into());
    assert_eq!(job.target, Target::Hls { folder: "web/a".into(), segment: Duration::from_secs(4) });
    let names: Vec<&str> = job.renditions.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["1080p", "720p", "480p"]);
    assert_eq!(job.renditions[1].size, SizeSpec::Height(720));
    let rates: Vec<RateSpec> = job.renditions.iter().map(|r| r.video.encode().unwrap().rate).collect();
    assert_eq!(rates, [RateSpec::Kbps(5000), RateSpec::Kbps(3000), RateSpec::Crf(21.0)]);
}

#[test]
fn tasks_take_defaults_and_choose_another_way() {
    let text = r#"
        [job]
        workers = 3
        fresh = true
        [defaults]
        crf = 20
        height = 720
        duration = "10s"
        audio = "drop"
        fit = "fill"
        label = "north"
        [[task]]
        input = "a.mp4"
        output = "o/"
        [[task]]
        input = ["b.mp4", "c"]
        output = "o/"
        bitrate = "2M"
        size = "640x480"
        to = "20s"
        audio = "auto"
        [[task]]
        input = "d.mp4"
        output = "ladder"
        ladder = ["720:3M"]
        [[task]]
        input = "e.mp4"
        output = "e.mkv"
        codec = "h265"
    "#;
    let spec = JobSpec::from_toml(text, "jobs/x.toml").unwrap();
    assert_eq!((spec.workers, spec.fresh), (Some(3), true));
    let job = |n: usize| spec.tasks[n].job("i".into(), "o".into());
    assert_eq!(job(0).range.to, Some(Duration::from_secs(10)));
    assert_eq!((job(0).audio, job(0).renditions[0].size), (AudioSpec::Drop, SizeSpec::Height(720)));
    assert_eq!(job(1).renditions[0].size, SizeSpec::Fill(640, 480));
    assert_eq!(encode(&job(1)).rate, RateSpec::Kbps(2000));
    assert_eq!((job(1).audio, job(1).range.to), (AudioSpec::Auto, Some(Duration::from_secs(20))));
    assert_eq!(job(2).renditions.len(), 1);
    assert_eq!(encode(&job(3)).rate, RateSpec::Crf(20.0));
    assert!((0..4).all(|n| job(n).edit.label.is_some()));
    assert_eq!(spec.tasks[1].inputs[1].path(), Path::new("jobs/c"));
    assert_eq!(spec.tasks[0].output.path(), Path::new("jobs/o/"));
}

#[test]
fn options_are_keys_of_a_task() {
    let spec = options(&[
        ("crf", "20"),
        ("crop", "16,0,640x480"),
        ("mask", "0.1,0.1 0.2,0.2;0,0 1,0 1,1@5-:mosaic"),
        ("salvage", "true"),
        ("verify", "ends"),
        ("time_code", "2026-11-24T10:00:00Z"),
        ("from", "90"),
        ("job.workers", "2"),
    ])
    .unwrap();
    assert_eq!(encode(&spec).rate, RateSpec::Crf(20.0));
    assert_eq!(spec.edit.crop.unwrap().width, 640);
    assert_eq!(spec.verify, Verify::Ends);
    assert_eq!(spec.edit.masks.len(), 2);
    assert_eq!(spec.edit.masks[1].from, Some(Duration::from_secs(5)));
    assert_eq!(spec.range.from, Some(Duration::from_secs(90)));
    let rungs = [("ladder", "1080:5M,720:3M")].map(|(k, v)| (k, v.to_owned()));
    let ladder = JobSpec::from_options(&["a.avi".into()], "b", &rungs).unwrap();
    assert_eq!(ladder.tasks[0].job("a".into(), "b".into()).renditions.len(), 2);
}

#[test]
fn what_is_wrong_with_options_is_said_by_their_names() {
    for (given, said) in [
        (&[("crf", "many")][..], "--crf: \"many\" is not a number"),
        (&[("crf", "52")], "--crf: is out of range: 0 to 51"),
        (
            &[("crf", "20"), ("bitrate", "1M")],
            "--bitrate: crf and bitrate are both given; quality, bits or bytes: keep one",
        ),
        (
            &[("codec", "copy"), ("height", "720")],
            "--height: asks for a change, and codec \"copy\" touches no picture; leave one of the two out",
        ),
        (
            &[("size", "101x100")],
            "--size: 101 is odd, and a colour sample covers two pixels; take 100 or 102",
        ),
        (&[("fit", "fill")], "--fit: goes with size"),
        (&[("codec", "h246")], "--codec: \"h246\" is unknown; did you mean \"h264\"?"),
        (&[("preset", "warp")], "--preset: \"warp\" is unknown"),
        (&[("from", "1:00"), ("to", "60")], "--to: must be later than from"),
        (&[("mask", "0,0 1,1;0.5,0.5 0.5,0.9")], "--mask: covers nothing: its corners are on one line"),
        (&[("mask", "0,0 1.2,1")], "--mask: reaches out of the picture"),
        (&[("evidence.key", "k.pem")], "--reason: is missing; evidence needs key, reason and reference"),
        (&[("ladder", "720:3M")], "-o: is the name of a file, and a ladder is a folder; name a folder"),
        (&[("audio_bitrate", "96k")], "--audio-bitrate: goes with aac as audio"),
        (&[("segment", "6s")], "--segment: goes with a ladder"),
        (&[("watermark", "logo.jpg")], "--watermark: does not end in .png"),
        (&[("job.workers", "0")], "--jobs: is out of range: 1 to 1024"),
        (&[("gop", "0")], "--gop: is out of range"),
    ] {
        let error = options(given).unwrap_err();
        assert!(error.contains(said), "{given:?} said: {error}");
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_place() {
    let text = "[defaults]\ncrf = 60\noutput = \"x\"\n[[task]]\ninput = \"a\"\n[[task]]\ninput = []\noutput = \"b/\"\nframerate = 3\nrotate = 45\n[task.label]\nheight = 0.04\n[tusk]\n";
    assert_eq!(
        wrong(text).lines().collect::<Vec<_>>(),
        [
            "job.toml:2:7: defaults.crf: is out of range: 0 to 51",
            "job.toml:3:10: defaults.output: is no default; write it into each [[task]]",
            "job.toml:4:1: task[0].output: is missing; name a file or a folder",
            "job.toml:7:9: task[1].input: is an empty list",
            "job.toml:9:1: task[1]: unknown key \"framerate\"; known here: input, output, recursive, format, existing, salvage, verify, video_stream, from, to, duration, cut, deinterlace, rotate, crop, size, height, width, within, fit, fps, codec, encoder, preset, crf, bitrate, target_size, gop, audio, audio_bitrate, ladder, segment, mask, label, time_code, watermark",
            "job.toml:10:10: task[1].rotate: must be degrees: 0, 90, 180 or 270",
            "job.toml:11:1: task[1].label.text: is missing",
            "job.toml:13:2: unknown key \"tusk\"; did you mean \"task\"?",
        ]
    );
    assert_eq!(wrong(""), "job.toml:1:1: task: no task; add a table [[task]] with its input and output");
    assert!(wrong("[[task]\n").starts_with("job.toml:1:"), "{}", wrong("[[task]\n"));
    for (keys, said) in [
        (
            "time_code = \"zero\"\nlabel = { text = \"a\", corner = \"bottom-left\" }",
            "time_code: is in the same corner as label; give one of them another corner",
        ),
        ("ladder = \"720:3M,720:2M\"", "task[0].ladder: has 720p twice"),
        ("ladder = \"720:3M\"\nheight = 3", "task[0].height: is given beside a ladder"),
        ("label = \"a\\nb\"", "has more than one line"),
        (
            "mask = [{ points = [[0, 0], [1, 1]], from = 9, to = 8 }]",
            "task[0].mask[0].to: must be later than from",
        ),
        ("mask = [{ style = \"black\" }]", "task[0].mask[0].points: is missing"),
        ("mask = [\"0,0\"]", "task[0].mask[0].points: has 1 points, of 2 to 1000"),
        ("to = 5\nduration = 5", "task[0].duration: to and duration are both given; keep one"),
        ("duration = 0", "task[0].duration: takes nothing"),
        ("fps = 500", "is out of range: 0.1 to 240"),
        ("time_code = \"noon\"", "task[0].time_code: \"noon\" is not \"zero\", or an instant with its zone"),
        ("crop = [0, 0, 1, 480]", "task[0].crop: keeps nothing"),
    ] {
        let text = format!("[[task]]\ninput = \"a\"\noutput = \"b\"\n{keys}\n");
        assert!(wrong(&text).contains(said), "{keys} said: {}", wrong(&text));
    }
}

#[test]
fn a_stream_is_refused_with_the_way_to_record_it_and_without_its_login() {
    let text = "[[task]]\ninput = \"rtsp://admin:hunter2@10.0.0.7/main\"\noutput = \"b.mp4\"\n";
    let said = wrong(text);
    assert!(
        said.contains("is the address of a stream") && said.contains("vitrail transcode ADDRESS --duration"),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");
    let file = task("").inputs[0].clone();
    assert_eq!(file.text(), "a.avi");
    let file = JobSpec::from_toml("[[task]]\ninput = \"file:///tmp/a%20b.mp4\"\noutput = \"o\"", "j.toml");
    assert_eq!(file.unwrap().tasks[0].inputs[0].path(), Path::new("/tmp/a b.mp4"));
}

#[test]
fn the_schema_is_toml_and_has_every_key() {
    let schema = job_schema();
    assert!(toml::from_str::<toml::Table>(&schema).unwrap().is_empty(), "all of it is comment");
    for table in JOB_TABLES {
        assert!(schema.contains(&format!("# {}\n", table.heading)));
        for key in table.keys {
            assert!(schema.contains(&format!("# {} =\n", key.name)), "{}", key.name);
        }
    }
    assert!(schema.lines().all(|line| line.chars().count() <= 120), "{schema}");
}
