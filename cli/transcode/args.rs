//! The options of `vitrail transcode`. They are keys of a job file under another spelling, and the
//! engine's check of job files says what is wrong with them, all of it at once.

use std::ffi::OsString;
use std::path::PathBuf;

use vitrail_engine::base::names::lossless;
use vitrail_engine::config::{Existing, JobSpec};
use vitrail_engine::{Error, ErrorKind, Result};

/// Bring video files into another form: one, a folder of them, or all that a job file names
#[derive(clap::Args, Default)]
#[command(after_help = "Examples:
  vitrail transcode old.avi -o new.mp4                              (copied where nothing has to change)
  vitrail transcode recordings --recursive -o uniform --within 1280x720 --codec h264 --skip-existing
  vitrail transcode 'north/**/*.ts' -o archive --format mkv --codec h265 --crf 30 --audio drop
  vitrail transcode film.mp4 -o film-web --ladder 1080:5M,720:3M,480:1200k
  vitrail transcode gate.mkv -o part.mp4 --from 12:30 --to 14:00 --cut keyframe   (no loss)
  vitrail transcode gate.mkv -o part.mp4 --mask '0.62,0.08 0.81,0.35' --time-code=2026-11-24T10:00:00Z
  find . -name '*.avi' | vitrail transcode - -o out --dry-run
  vitrail transcode --job pipelines/camera-archive.toml

A result takes its name when it is whole and has been checked; nothing else is ever seen under that
name. Interrupted, the same command goes on where it was. Sources are never changed.

Exit codes beside the general ones: 6 some jobs failed and others are done; 130 interrupted.")]
pub struct Args {
    /// Files, folders, patterns ('*.avi', with **), - for a list on standard input; or streams (rtsp,
    /// srt, http, …), of which --duration is recorded
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<OsString>,
    /// User names and passwords of streams by host, in a file that only its owner can read
    #[arg(long, value_name = "FILE", help_heading = "Files", conflicts_with = "job")]
    pub secrets: Option<PathBuf>,
    /// A file (.mp4, .mov, .m4v, .mkv, .ts), or a folder; a folder for several inputs and for a ladder
    #[arg(short, long, value_name = "OUT|DIR")]
    pub output: Option<PathBuf>,
    /// Take what is to be done from a job file
    #[arg(long, value_name = "JOB.toml")]
    pub job: Option<PathBuf>,
    /// Print every key of a job file, with its meaning, and end
    #[arg(long)]
    pub job_schema: bool,

    /// What comes out: h264, h265, av1 or copy [default: as it is, or h264 where something asks for a change]
    #[arg(long, help_heading = "Compression")]
    codec: Option<String>,
    /// Speed against size, from ultrafast to veryslow [default: veryfast]
    #[arg(long, help_heading = "Compression")]
    preset: Option<String>,
    /// Constant quality, 0 to 51, lower is better [default: 23 for h264, 28 for h265, 35 for av1]
    #[arg(long, value_name = "N", help_heading = "Compression")]
    crf: Option<String>,
    /// Average bits a second, such as 4M or 800k
    #[arg(long, value_name = "RATE", help_heading = "Compression")]
    bitrate: Option<String>,
    /// Bytes of the whole file, such as 100M
    #[arg(long, value_name = "BYTES", help_heading = "Compression")]
    target_size: Option<String>,
    /// Pictures from one key frame to the next, at most
    #[arg(long, value_name = "PICTURES", help_heading = "Compression")]
    gop: Option<String>,
    /// Who encodes: software, auto, nvenc, va or qsv [default: software]
    #[arg(long, help_heading = "Compression")]
    encoder: Option<String>,
    /// Several sizes at once, lines and rates: a folder with a master playlist (HLS) and CMAF segments
    #[arg(long, value_name = "1080:5M,720:3M,…", help_heading = "Compression")]
    pub ladder: Option<String>,
    /// With --ladder: length of a segment [default: 6s]
    #[arg(long, value_name = "TIME", help_heading = "Compression")]
    segment: Option<String>,

    /// Exactly this size; --fit says what becomes of another aspect
    #[arg(long, value_name = "WxH", help_heading = "Pictures")]
    size: Option<String>,
    /// So many lines; the width follows
    #[arg(long, value_name = "LINES", help_heading = "Pictures")]
    height: Option<String>,
    /// So many columns; the height follows
    #[arg(long, value_name = "COLUMNS", help_heading = "Pictures")]
    width: Option<String>,
    /// The largest size of the same aspect that goes into this, never larger than the source
    #[arg(long, value_name = "WxH", help_heading = "Pictures")]
    within: Option<String>,
    /// With --size: pad (black bars), fill (cut edges) or stretch [default: pad]
    #[arg(long, help_heading = "Pictures")]
    fit: Option<String>,
    /// Pictures per second: 25, 12.5, 30000/1001 [default: each picture keeps its time]
    #[arg(long, help_heading = "Pictures")]
    fps: Option<String>,
    /// Keep this part of the upright picture, in pixels
    #[arg(long, value_name = "X,Y,WxH", help_heading = "Pictures")]
    crop: Option<String>,
    /// Turn clockwise: 90, 180 or 270
    #[arg(long, value_name = "DEGREES", help_heading = "Pictures")]
    rotate: Option<String>,
    /// Make pictures of fields: auto (where they are marked so), always or never [default: auto]
    #[arg(long, help_heading = "Pictures")]
    deinterlace: Option<String>,

    /// Make a region unrecognisable: corners in shares of the picture (two for a rectangle), with times
    /// and style, as '0.1,0.2 0.3,0.4@10-20:mosaic' (may be repeated)
    #[arg(long, value_name = "'X,Y X,Y …[@FROM-TO][:mosaic]'", help_heading = "Masks and marks")]
    mask: Vec<String>,
    /// A line of text, top left
    #[arg(long, value_name = "TEXT", help_heading = "Masks and marks")]
    label: Option<String>,
    /// The time, bottom left: since the first picture (zero), or from the instant of the first picture
    #[arg(
        long,
        value_name = "zero|INSTANT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "zero",
        help_heading = "Masks and marks"
    )]
    time_code: Option<String>,
    /// A PNG file over the pictures, top right
    #[arg(long, value_name = "FILE.png", help_heading = "Masks and marks")]
    watermark: Option<String>,

    /// Leave out what is before this time: 90, 90s, 1:30, 1:02:03.5
    #[arg(long, value_name = "TIME", help_heading = "Time and sound")]
    pub from: Option<String>,
    /// Leave out what is from this time on
    #[arg(long, value_name = "TIME", help_heading = "Time and sound")]
    pub to: Option<String>,
    /// Take so much
    #[arg(long, value_name = "TIME", help_heading = "Time and sound")]
    pub duration: Option<String>,
    /// exact, or keyframe: begin at the key frame before --from, so that nothing is encoded again [default: exact]
    #[arg(long, help_heading = "Time and sound")]
    cut: Option<String>,
    /// Sound: auto (copied where the target can hold it, else AAC), copy, aac or drop [default: auto]
    #[arg(long, help_heading = "Time and sound")]
    audio: Option<String>,
    /// Bits a second of AAC [default: 128k]
    #[arg(long, value_name = "RATE", help_heading = "Time and sound")]
    audio_bitrate: Option<String>,
    /// Which video stream, from 0 [default: 0]
    #[arg(long, value_name = "N", help_heading = "Time and sound")]
    video_stream: Option<String>,

    /// Look into the folders below an input folder, too
    #[arg(long, help_heading = "Files")]
    recursive: bool,
    /// What files in an output folder become: mp4, mkv, ts or mov [default: mp4]
    #[arg(long, help_heading = "Files")]
    format: Option<String>,
    /// Replace targets that are there already, once the new ones are whole
    #[arg(long, conflicts_with = "skip_existing", help_heading = "Files")]
    pub overwrite: bool,
    /// Keep targets that are there already, and be content with them
    #[arg(long, help_heading = "Files")]
    pub skip_existing: bool,
    /// Keep what can be decoded of damaged or cut sources, and say what is missing
    #[arg(long, help_heading = "Files")]
    salvage: bool,
    /// How much of the result is decoded before it takes its name: full, ends or none [default: full]
    #[arg(long, value_name = "HOW", help_heading = "Running")]
    verify: Option<String>,

    /// Threads that decode and encode [default: one for each core]
    #[arg(long, value_name = "N", help_heading = "Running")]
    jobs: Option<String>,
    /// Start over, whatever an interrupted run left
    #[arg(long, help_heading = "Running")]
    pub fresh: bool,
    /// Say what would be done, how long it takes and how large it becomes; write nothing
    #[arg(long, help_heading = "Running")]
    pub dry_run: bool,
    /// Print one JSON object a line: events, outcomes, a summary
    #[arg(long, help_heading = "Running")]
    pub json: bool,
    /// Write all outcomes (JSON) at the end
    #[arg(long, value_name = "FILE.json", help_heading = "Running", conflicts_with = "dry_run")]
    pub report: Option<PathBuf>,

    /// Make each result evidence: sign a manifest with this private key
    #[arg(long, value_name = "FILE", help_heading = "Evidence")]
    key: Option<PathBuf>,
    /// Why it is exported
    #[arg(long, value_name = "TEXT", help_heading = "Evidence")]
    reason: Option<String>,
    /// The case it belongs to
    #[arg(long, value_name = "TEXT", help_heading = "Evidence")]
    reference: Option<String>,
    /// Who exports it
    #[arg(long, value_name = "NAME", help_heading = "Evidence")]
    operator: Option<String>,
}

impl Args {
    /// The options that say what is done to a file, by their keys in a job file.
    fn task_options(&self) -> Vec<(&'static str, String)> {
        let texts = [
            ("codec", &self.codec),
            ("preset", &self.preset),
            ("crf", &self.crf),
            ("bitrate", &self.bitrate),
            ("target_size", &self.target_size),
            ("gop", &self.gop),
            ("encoder", &self.encoder),
            ("ladder", &self.ladder),
            ("segment", &self.segment),
            ("size", &self.size),
            ("height", &self.height),
            ("width", &self.width),
            ("within", &self.within),
            ("fit", &self.fit),
            ("fps", &self.fps),
            ("crop", &self.crop),
            ("rotate", &self.rotate),
            ("deinterlace", &self.deinterlace),
            ("label", &self.label),
            ("time_code", &self.time_code),
            ("watermark", &self.watermark),
            ("from", &self.from),
            ("to", &self.to),
            ("duration", &self.duration),
            ("cut", &self.cut),
            ("audio", &self.audio),
            ("audio_bitrate", &self.audio_bitrate),
            ("video_stream", &self.video_stream),
            ("format", &self.format),
            ("verify", &self.verify),
            ("evidence.reason", &self.reason),
            ("evidence.reference", &self.reference),
            ("evidence.operator", &self.operator),
        ];
        let mut options: Vec<(&'static str, String)> =
            texts.into_iter().filter_map(|(key, text)| Some((key, text.clone()?))).collect();
        options.extend(self.key.iter().map(|key| ("evidence.key", lossless(key.as_os_str()))));
        for (key, set) in [("recursive", self.recursive), ("salvage", self.salvage)] {
            if set {
                options.push((key, "true".into()));
            }
        }
        if !self.mask.is_empty() {
            options.push(("mask", self.mask.join(";")));
        }
        options
    }

    /// What is to be done, checked. Which files are meant is not known yet.
    pub fn specify(&self) -> Result<JobSpec> {
        let options = self.task_options();
        let mut spec = match &self.job {
            Some(path) => {
                self.refuse_beside_a_job(&options)?;
                let mut spec = JobSpec::load(path)?;
                if let Some(jobs) = &self.jobs {
                    let jobs = jobs.parse().ok().filter(|jobs| (1..=1024).contains(jobs));
                    let wrong = || Error::new(ErrorKind::Config, "--jobs", "takes a number, 1 to 1024");
                    spec.workers = Some(jobs.ok_or_else(wrong)?);
                }
                spec
            }
            None => {
                let missing = |what: &'static str, remedy: &'static str| {
                    Err(Error::new(
                        ErrorKind::Config,
                        what,
                        format!("is missing; {remedy}, or --job JOB.toml"),
                    ))
                };
                if self.inputs.is_empty() {
                    return missing("INPUT", "name a file, a folder or a pattern");
                }
                let Some(output) = &self.output else { return missing("-o", "name a file or a folder") };
                let mut options = options;
                options.extend(self.jobs.iter().map(|jobs| ("job.workers", jobs.clone())));
                let inputs: Vec<String> = self.inputs.iter().map(lossless).collect();
                JobSpec::from_options(&inputs, &lossless(output.as_os_str()), &options)?
            }
        };
        spec.fresh |= self.fresh;
        for task in &mut spec.tasks {
            task.existing = match (self.overwrite, self.skip_existing) {
                (true, _) => Existing::Replace,
                (_, true) => Existing::Skip,
                _ => task.existing,
            };
        }
        Ok(spec)
    }

    /// A job file says all that is done to files; what is given beside it would not be heard.
    fn refuse_beside_a_job(&self, options: &[(&'static str, String)]) -> Result<()> {
        let given = (!self.inputs.is_empty())
            .then(|| "INPUT".to_owned())
            .or_else(|| self.output.is_some().then(|| "-o".to_owned()))
            .or_else(|| {
                let key = options.first()?.0;
                let key = key.strip_prefix("evidence.").unwrap_or(key);
                Some(format!("--{}", key.replace('_', "-")))
            });
        match given {
            Some(given) => {
                let remedy = "does not go with --job; write it into the job file (see --job-schema)";
                Err(Error::new(ErrorKind::Config, given, remedy))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::{CommandFactory, FromArgMatches};
    use vitrail_engine::config::JOB_TABLES;
    use vitrail_engine::transcode::spec::{
        AudioSpec, EncoderChoice, MaskStyle, RateSpec, Target, TargetCodec, TimeCodeStart, VideoSpec,
    };

    use super::*;

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        args: Args,
    }

    pub fn parse(line: &[&str]) -> Args {
        let matches =
            Program::command().try_get_matches_from([&["transcode"], line].concat()).unwrap_or_else(|e| {
                panic!("{line:?}: {e}");
            });
        Program::from_arg_matches(&matches).unwrap().args
    }

    #[test]
    fn a_long_command_line_reaches_the_orders() {
        let args = parse(&[
            "in.avi",
            "-o",
            "out.mp4",
            "--codec",
            "h265",
            "--preset",
            "fast",
            "--bitrate",
            "4M",
            "--gop",
            "50",
            "--encoder",
            "auto",
            "--height",
            "720",
            "--fps",
            "12.5",
            "--mask",
            "0,0 0.5,0.5",
            "--mask",
            "0.6,0.6 0.9,0.6 0.9,0.9@1:00-:mosaic",
            "--time-code",
            "--label",
            "Gate; north",
            "--from",
            "10",
            "--duration",
            "5s",
            "--audio",
            "aac",
            "--audio-bitrate",
            "96k",
            "--overwrite",
            "--salvage",
            "--jobs",
            "3",
            "--fresh",
            "--key",
            "k",
            "--reason",
            "r",
            "--reference",
            "c",
        ]);
        let spec = args.specify().unwrap();
        assert_eq!((spec.workers, spec.fresh), (Some(3), true));
        assert_eq!(spec.evidence.as_ref().unwrap().reference, "c");
        let job = spec.tasks[0].job("in.avi".into(), "out.mp4".into());
        assert_eq!(job.target, Target::File("out.mp4".into()));
        assert!(job.overwrite && job.salvage);
        let VideoSpec::Encode(encode) = &job.renditions[0].video else { panic!("{job:?}") };
        assert_eq!((encode.codec, encode.rate), (TargetCodec::H265, RateSpec::Kbps(4000)));
        assert_eq!((encode.encoder, encode.gop), (EncoderChoice::Auto, Some(50)));
        assert_eq!(job.edit.masks.len(), 2);
        assert_eq!(job.edit.masks[1].style, MaskStyle::Mosaic);
        assert_eq!(job.edit.label.as_ref().unwrap().text, "Gate; north");
        assert_eq!(job.edit.time_code.as_ref().unwrap().start, TimeCodeStart::Zero);
        assert_eq!(job.range.to.unwrap().as_secs(), 15);
        assert_eq!(job.audio, AudioSpec::Aac(96));
    }

    #[test]
    fn every_option_is_a_key_of_a_job_file() {
        let keys: Vec<&str> = JOB_TABLES.iter().flat_map(|t| t.keys).map(|k| k.name).collect();
        let others = [
            "inputs",
            "secrets",
            "job",
            "job_schema",
            "overwrite",
            "skip_existing",
            "jobs",
            "fresh",
            "dry_run",
            "json",
            "report",
        ];
        let command = Program::command();
        let options: Vec<String> = command.get_arguments().map(|a| a.get_id().as_str().to_owned()).collect();
        for option in options.iter().filter(|o| !others.contains(&o.as_str())) {
            assert!(keys.contains(&option.as_str()), "{option} is no key");
        }
        // And each reaches its key: a value that no key takes is refused by the option's name.
        for option in options.iter().filter(|o| !others.contains(&o.as_str())) {
            let flag = format!("--{}", option.replace('_', "-"));
            let free = ["output", "key", "reason", "reference", "operator", "label", "recursive", "salvage"];
            if free.contains(&option.as_str()) {
                continue;
            }
            let error = parse(&["a", "-o", "b", &format!("{flag}=?")]).specify().unwrap_err().to_string();
            assert!(error.contains(&flag), "{flag}=? said: {error}");
        }
    }

    #[test]
    fn a_job_file_stands_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("job.toml");
        std::fs::write(&path, "[[task]]\ninput = \"a\"\noutput = \"b/\"\n").unwrap();
        let file = path.to_str().unwrap();
        let spec = parse(&["--job", file, "--jobs", "2", "--skip-existing", "--fresh"]).specify().unwrap();
        assert_eq!((spec.workers, spec.fresh), (Some(2), true));
        assert_eq!(spec.tasks[0].existing, Existing::Skip);
        assert_eq!(spec.tasks[0].inputs[0].path(), dir.path().join("a"));
        for (more, said) in [
            (&["x.mp4"][..], "INPUT: does not go with --job"),
            (&["-o", "x"], "-o: does not go with --job"),
            (&["--target-size", "9M"], "--target-size: does not go with --job"),
            (&["--key", "x"], "--key: does not go with --job"),
            (&["--jobs", "none"], "--jobs: takes a number"),
        ] {
            let error = parse(&[&["--job", file], more].concat()).specify().unwrap_err();
            assert!(error.to_string().contains(said), "{more:?} said: {error}");
            assert_eq!(error.kind(), ErrorKind::Config);
        }
        assert!(parse(&[]).specify().unwrap_err().to_string().contains("INPUT: is missing"));
        assert!(parse(&["a"]).specify().unwrap_err().to_string().contains("-o: is missing"));
    }
}
