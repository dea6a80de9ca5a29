//! From the keys of a job file, or the options of the command line, to a [`JobSpec`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

use super::super::check::value_or;
use super::super::load::load_text;
use super::super::read::{At, join};
use super::super::report::{ConfigErrors, Report};
use super::leaf::{AudioChoice, BitRate, Cut, Turn};
use super::spec::{Container, EvidenceSpec, Given, JobSpec, TaskSpec};
use super::wire::{EvidenceTable, JobFile, TaskTable};
use super::{marks, video};
use crate::base::names;
use crate::transcode::spec::{AudioSpec, EditSpec, Rotation, Target, TimeRange, TranscodeSpec, Verify};

/// The largest job file that is read, in bytes: ample for a hundred thousand inputs, and a wrong file
/// (a recording) stays out of memory.
const MAX_FILE: u64 = 16 << 20;
/// Streams of a file that a number may name.
const MAX_STREAM: u32 = 99;
/// AAC where nothing else is asked for, kilobits a second: transparent for two channels to most ears.
const AAC_KBPS: u32 = 128;
/// How people record a stream.
const RECORD: &str = "record it on the command line: vitrail transcode ADDRESS --duration TIME -o FILE.mkv";

impl JobSpec {
    /// Reads and checks a job file. Paths in it begin in its folder.
    ///
    /// # Errors
    /// Everything that is wrong with it; nothing was started.
    pub fn load(path: impl AsRef<Path>) -> Result<JobSpec, ConfigErrors> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let text = load_text(path, "job file", MAX_FILE)?;
        JobSpec::from_text(&text, &name, path.parent().unwrap_or(Path::new("")))
    }

    /// Checks the text of a job file; `file_name` is for messages, and paths begin in its folder.
    ///
    /// # Errors
    /// Everything that is wrong with it. A text that is not TOML gives the errors of the syntax only.
    pub fn from_toml(text: &str, file_name: &str) -> Result<JobSpec, ConfigErrors> {
        JobSpec::from_text(text, file_name, Path::new(file_name).parent().unwrap_or(Path::new("")))
    }

    fn from_text(text: &str, file_name: &str, folder: &Path) -> Result<JobSpec, ConfigErrors> {
        let mut report = Report::of_file(file_name, text);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            report.add(&error.span().unwrap_or(0..0), "", format!("not TOML: {}", error.message()));
        }
        if !errors.is_empty() {
            return Err(report.into_errors());
        }
        let file = JobFile::read(table.get_ref(), &mut report);
        check(&file, folder, report)
    }

    /// One task from the command line: `options` are keys of `[[task]]`, or `job.KEY` and
    /// `evidence.KEY`, with their values as text; several masks are parted by `;`.
    ///
    /// # Errors
    /// Everything that is wrong, in terms of the options of `vitrail transcode`.
    pub fn from_options(
        inputs: &[String],
        output: &str,
        options: &[(&str, String)],
    ) -> Result<JobSpec, ConfigErrors> {
        let mut report = Report::of_command_line();
        let mut file = JobFile::default();
        let mut task = TaskTable { path: "task[0]".into(), ..TaskTable::default() };
        task.set_inputs(inputs);
        task.output = At::given(output.to_owned());
        let mut evidence = EvidenceTable { path: "evidence".into(), ..EvidenceTable::default() };
        for (key, text) in options {
            let known = match key.split_once('.') {
                Some(("job", key)) => file.queue.set_text(key, text, 0..0, &mut report),
                Some(("evidence", key)) => evidence.set_text(key, text, 0..0, &mut report),
                _ => task.set_text(key, text, 0..0, &mut report),
            };
            if !known {
                report.add(&(0..0), *key, "is no key of a job");
            }
        }
        file.evidence = (!evidence.given.is_empty()).then_some(evidence);
        file.tasks.push(task);
        check(&file, Path::new(""), report)
    }
}

impl TaskTable {
    fn set_inputs(&mut self, inputs: &[String]) {
        use super::super::leaf::OneOrMore;
        self.input = At::given(OneOrMore(inputs.iter().map(|i| At::new(i.clone(), 0..0)).collect()));
    }
}

fn check(file: &JobFile, folder: &Path, mut report: Report<'_>) -> Result<JobSpec, ConfigErrors> {
    for (name, given) in [
        ("input", file.defaults.input.as_ref().map(|at| &at.span)),
        ("output", file.defaults.output.as_ref().map(|at| &at.span)),
    ] {
        if let Some(span) = given {
            report.add_with(span, join("defaults", name), "is no default", "write it into each [[task]]");
        }
    }
    if file.tasks.is_empty() && report.is_clean() {
        report.add_with(&(0..0), "task", "no task", "add a table [[task]] with its input and output");
    }
    let workers = file.queue.workers.as_ref().map(|workers| {
        if !(1..=1024).contains(&workers.value) {
            report.add(&workers.span, "job.workers", "is out of range: 1 to 1024");
        }
        workers.value as usize
    });
    let fresh = value_or(&file.queue.fresh, false);
    let evidence = file.evidence.as_ref().and_then(|table| check_evidence(table, folder, &mut report));
    let mut tasks = Vec::with_capacity(file.tasks.len());
    for table in &file.tasks {
        let merged = merged(table, &file.defaults);
        let order = Order { table: &merged, own: table, folder };
        tasks.extend(check_task(&order, &mut report));
    }
    let spec = JobSpec { tasks, workers, fresh, evidence };
    if report.is_clean() { Ok(spec) } else { Err(report.into_errors()) }
}

/// A task with its defaults. Where a task chooses one of several ways, it does not get another way
/// from the defaults.
fn merged(task: &TaskTable, defaults: &TaskTable) -> TaskTable {
    let mut usual = TaskTable { input: None, output: None, ..defaults.clone() };
    let copies = task.codec.as_ref().is_some_and(|c| c.value == super::leaf::CodecChoice::Copy);
    if copies {
        (usual.preset, usual.encoder, usual.gop) = (None, None, None);
    }
    if copies || task.crf.is_some() || task.bitrate.is_some() || task.target_size.is_some() {
        (usual.crf, usual.bitrate, usual.target_size) = (None, None, None);
    }
    if task.ladder.is_some() {
        (usual.bitrate, usual.target_size) = (None, None);
    }
    let sized = task.size.is_some() || task.height.is_some() || task.width.is_some();
    if sized || task.within.is_some() || task.ladder.is_some() {
        (usual.size, usual.height, usual.width, usual.within) = (None, None, None, None);
        usual.ladder = None;
    }
    if task.to.is_some() || task.duration.is_some() {
        (usual.to, usual.duration) = (None, None);
    }
    let mut merged = task.clone();
    merged.fill_from(&usual);
    merged
}

/// A task's keys, with and without its defaults.
pub(super) struct Order<'a> {
    pub table: &'a TaskTable,
    pub own: &'a TaskTable,
    pub folder: &'a Path,
}

impl Order<'_> {
    /// The path of a key, as it was written: that of the defaults where it comes from there.
    pub(super) fn key(&self, name: &str) -> String {
        let is_own = self.own.given.contains(&name) || name == "input" || name == "output";
        join(if is_own { &self.own.path } else { "defaults" }, name)
    }

    /// A key that means something only beside another. As a default it waits for tasks that have both.
    pub(super) fn needs<T>(
        &self,
        name: &str,
        given: &Option<At<T>>,
        met: bool,
        message: &str,
        report: &mut Report<'_>,
    ) {
        if let Some(given) = given
            && !met
            && self.own.given.contains(&name)
        {
            report.add(&given.span, self.key(name), message);
        }
    }

    /// Notes a number that is out of its range.
    pub(super) fn within<T: PartialOrd + Copy>(
        &self,
        name: &str,
        given: &Option<At<T>>,
        range: std::ops::RangeInclusive<T>,
        says: &str,
        report: &mut Report<'_>,
    ) {
        if let Some(given) = given
            && !range.contains(&given.value)
        {
            report.add(&given.span, self.key(name), format!("is out of range: {says}"));
        }
    }
}

fn check_evidence(table: &EvidenceTable, folder: &Path, report: &mut Report<'_>) -> Option<EvidenceSpec> {
    let mut needed = |name: &str, given: &Option<At<String>>| match given {
        Some(given) if !given.value.trim().is_empty() => Some(given.value.clone()),
        Some(given) => {
            report.add(&given.span, join("evidence", name), "is empty");
            None
        }
        None => {
            let remedy = "evidence needs key, reason and reference";
            report.add_with(&table.here, join("evidence", name), "is missing", remedy);
            None
        }
    };
    let key = needed("key", &table.key);
    let reason = needed("reason", &table.reason);
    let reference = needed("reference", &table.reference);
    let operator = match &table.operator {
        Some(_) => Some(needed("operator", &table.operator)?),
        None => None,
    };
    let key = key.map(|text| names::path_of(&text).unwrap_or_else(|| PathBuf::from(&text)));
    Some(EvidenceSpec { key: folder.join(key?), reason: reason?, reference: reference?, operator })
}

fn check_task(order: &Order<'_>, report: &mut Report<'_>) -> Option<TaskSpec> {
    let table = order.table;
    let before = report.len();
    let inputs = inputs(order, report);
    let output = output(order, report);
    order.within("video_stream", &table.video_stream, 0..=MAX_STREAM, "0 to 99", report);
    let range = range(order, report);
    let renditions = video::renditions(order, report);
    let edit = EditSpec {
        deinterlace: value_or(&table.deinterlace, Default::default()),
        rotate: value_or(&table.rotate, Turn(Rotation::None)).0,
        crop: table.crop.as_ref().map(|crop| crop.value),
        masks: marks::masks(order, report),
        watermark: marks::watermark(order, report),
        label: marks::label(order, report),
        time_code: marks::time_code(order, report),
    };
    marks::in_different_corners(order, report);
    let audio = audio(order, report);
    let segment = segment(order, report);
    let ladder = table.ladder.is_some().then_some(segment);
    let frame_rate = frame_rate(order, report);
    if report.len() > before {
        return None;
    }
    Some(TaskSpec {
        inputs,
        output: output?,
        recursive: value_or(&table.recursive, false),
        container: value_or(&table.format, Container::Mp4),
        existing: value_or(&table.existing, Default::default()),
        ladder,
        template: TranscodeSpec {
            input: PathBuf::new(),
            video_stream: value_or(&table.video_stream, 0) as usize,
            range,
            edit,
            frame_rate,
            renditions,
            audio,
            target: Target::File(PathBuf::new()),
            overwrite: false,
            salvage: value_or(&table.salvage, false),
            verify: value_or(&table.verify, Verify::Full),
        },
    })
}

fn inputs(order: &Order<'_>, report: &mut Report<'_>) -> Vec<Given> {
    let own = order.own;
    let Some(list) = own.input.as_ref().filter(|list| !list.value.0.is_empty()) else {
        // A value that could not be read has been noted.
        if !own.given.contains(&"input") {
            let remedy = "name a file, a folder or a pattern";
            report.add_with(&own.here, join(&own.path, "input"), "is missing", remedy);
        } else if let Some(list) = &own.input {
            report.add(&list.span, join(&own.path, "input"), "is an empty list");
        }
        return Vec::new();
    };
    let mut inputs = Vec::with_capacity(list.value.0.len());
    for (i, input) in list.value.0.iter().enumerate() {
        let key = if list.value.0.len() > 1 { format!("input[{i}]") } else { "input".into() };
        let key = join(&own.path, &key);
        let named = match local(&input.value) {
            Some(named) if named.as_os_str().is_empty() => {
                report.add(&input.span, key, "is empty; name a file, a folder or a pattern");
                continue;
            }
            Some(named) if named == Path::new("-") && report.place(&input.span).is_some() => {
                let remedy = "name files, folders or patterns; - belongs to the command line";
                report.add_with(&input.span, key, "stands for a list on standard input", remedy);
                continue;
            }
            Some(named) => named,
            // Never the address itself: it may hold a login.
            None => {
                report.add_with(
                    &input.span,
                    key,
                    "is the address of a stream, and only files are read",
                    RECORD,
                );
                continue;
            }
        };
        let place = report.place(&input.span);
        let text = named.to_string_lossy().into_owned();
        inputs.push(Given { text, named, folder: order.folder.to_owned(), key: report.named(key), place });
    }
    inputs
}

/// A path, also of a `file://` address, which can name what is not UTF-8; `None` for other addresses.
fn local(text: &str) -> Option<PathBuf> {
    match text.split_once("://") {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("file") => names::path_of(text),
        // `a://b` with a separator in front is an odd path, not an address.
        Some((scheme, _)) if !scheme.contains(['/', '.']) => None,
        _ => Some(text.into()),
    }
}

fn output(order: &Order<'_>, report: &mut Report<'_>) -> Option<Given> {
    let own = order.own;
    let key = join(&own.path, "output");
    let Some(output) = &own.output else {
        if !own.given.contains(&"output") {
            report.add_with(&own.here, key, "is missing", "name a file or a folder");
        }
        return None;
    };
    if output.value.is_empty() {
        report.add(&output.span, key, "is empty; name a file or a folder");
        return None;
    }
    let Some(named) = local(&output.value) else {
        let remedy = "name a file or a folder";
        report.add_with(&output.span, key, "is an address, and results are files", remedy);
        return None;
    };
    if order.table.ladder.is_some() && super::spec::is_file_name(&named) {
        report.add_with(
            &output.span,
            key,
            "is the name of a file, and a ladder is a folder",
            "name a folder",
        );
        return None;
    }
    let (key, place) = (report.named(key), report.place(&output.span));
    let text = named.to_string_lossy().into_owned();
    Some(Given { text, named, folder: order.folder.to_owned(), key, place })
}

fn range(order: &Order<'_>, report: &mut Report<'_>) -> TimeRange {
    let table = order.table;
    let from = table.from.as_ref().map(|at| at.value.0);
    if let (Some(to), Some(duration)) = (&table.to, &table.duration) {
        let later = if duration.span.start >= to.span.start { "duration" } else { "to" };
        let span = if later == "to" { &to.span } else { &duration.span };
        report.add_with(span, order.key(later), "to and duration are both given", "keep one");
    }
    if let Some(duration) = table.duration.as_ref().filter(|at| at.value.0.is_zero()) {
        report.add(&duration.span, order.key("duration"), "takes nothing: it must be above 0");
    }
    let to = match (&table.to, &table.duration) {
        (Some(to), _) => {
            if to.value.0 <= from.unwrap_or_default() {
                report.add(&to.span, order.key("to"), "must be later than from");
            }
            Some(to.value.0)
        }
        (None, duration) => duration.as_ref().map(|at| from.unwrap_or_default() + at.value.0),
    };
    TimeRange { from, to, at_key_frame: value_or(&table.cut, Cut::Exact) == Cut::KeyFrame }
}

fn audio(order: &Order<'_>, report: &mut Report<'_>) -> AudioSpec {
    let table = order.table;
    let choice = value_or(&table.audio, AudioChoice::Auto);
    let is_aac = choice == AudioChoice::Aac;
    order.needs("audio_bitrate", &table.audio_bitrate, is_aac, "goes with aac as audio", report);
    order.within(
        "audio_bitrate",
        &table.audio_bitrate.as_ref().map(|at| At::new(at.value.0, at.span.clone())),
        16..=640,
        "16k to 640k",
        report,
    );
    match choice {
        AudioChoice::Auto => AudioSpec::Auto,
        AudioChoice::Copy => AudioSpec::Copy,
        AudioChoice::Aac => AudioSpec::Aac(value_or(&table.audio_bitrate, BitRate(AAC_KBPS)).0),
        AudioChoice::Drop => AudioSpec::Drop,
    }
}

fn segment(order: &Order<'_>, report: &mut Report<'_>) -> Duration {
    let (table, usual) = (order.table, Duration::from_secs(6));
    let is_ladder = table.ladder.is_some();
    order.needs("segment", &table.segment, is_ladder, "goes with a ladder", report);
    let allowed = Duration::from_secs(1)..=Duration::from_secs(60);
    order.within("segment", &table.segment, allowed, "1s to 60s", report);
    value_or(&table.segment, usual)
}

fn frame_rate(order: &Order<'_>, report: &mut Report<'_>) -> Option<crate::media::Ratio> {
    let rate = order.table.fps.as_ref()?;
    if !(0.1..=240.0).contains(&rate.value.as_f64()) {
        let message = "is out of range: 0.1 to 240 pictures per second";
        report.add(&rate.span, order.key("fps"), message);
    }
    Some(rate.value)
}
