//! Where each result goes; refuses what would write one name twice or a source over.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use vitrail_engine::base::names::LONGEST;
use vitrail_engine::config::{ConfigErrors, Existing, Given, JobSpec, Problem, TaskSpec};
use vitrail_engine::transcode::job::finished_before;
use vitrail_engine::transcode::spec::{Target, TranscodeSpec};
use vitrail_engine::{Error, ErrorKind, Result};

use super::inputs::{self, Found};
use super::names::Name;

/// Collisions that are named one by one.
const NAMED: usize = 10;

/// A job, or why there is none.
#[derive(Debug)]
pub struct Todo {
    /// The source, as people know it.
    pub input: Name,
    /// The target, as people know it; empty where none was found out.
    pub output: Name,
    /// What is to be done.
    pub what: What,
}

/// What is to be done for a source.
#[derive(Debug)]
pub enum What {
    /// The queue does it.
    Run(Box<TranscodeSpec>),
    /// Nothing can be done.
    Fail(Error),
    /// Nothing has to be done.
    Skip(String),
}

/// Everything that is to be done.
#[derive(Debug, Default)]
pub struct List {
    /// A line of the summary each.
    pub todo: Vec<Todo>,
    /// What is no reason to stop.
    pub warnings: Vec<Problem>,
}

/// From a checked job to its files.
///
/// # Errors
/// Targets that collide with each other or with a source, and jobs that mean no file at all; nothing
/// was started.
pub fn list(spec: &JobSpec, read_list: &mut dyn FnMut() -> Result<Vec<u8>>) -> Result<List> {
    let mut problems = Vec::new();
    let mut list = List::default();
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for task in &spec.tasks {
        let output = task.output.path();
        let except = output.canonicalize().ok().filter(|path| path.is_dir());
        let finding = inputs::find(task, except.as_deref(), read_list)?;
        list.warnings.extend(finding.empty);
        for (folder, error) in finding.failed {
            let input = folder.as_path().into();
            list.todo.push(Todo { input, output: Name::default(), what: What::Fail(error) });
        }
        match place(task, finding.many) {
            Ok(place) => jobs.extend(finding.files.into_iter().map(|found| Job::new(task, &place, found))),
            Err(problem) => problems.push(problem),
        }
    }
    once(&mut jobs);
    collisions(&jobs, &mut problems);
    sources_are_safe(&jobs, &mut problems);
    if jobs.is_empty() && list.todo.is_empty() && problems.is_empty() {
        // Nothing to do for anybody: then the warnings are what is wrong.
        problems = std::mem::take(&mut list.warnings);
    }
    if let Some(errors) = ConfigErrors::some(problems) {
        return Err(errors.into());
    }
    list.todo.extend(jobs.into_iter().map(Job::into_todo));
    Ok(list)
}

/// How targets are named.
enum Place {
    /// The target itself.
    Itself(PathBuf),
    /// Below a folder, each in its place.
    Below(PathBuf),
}

fn place(task: &TaskSpec, many: bool) -> std::result::Result<Place, Problem> {
    let (given, path) = (&task.output, task.output.path());
    let is_folder = path.is_dir();
    if many {
        if path.exists() && !is_folder {
            return Err(given.problem("is a file, and there may be several results", "name a folder"));
        }
        if given.names_a_file() && !is_folder {
            let message = "is the name of a file, and there may be several results";
            return Err(given.problem(message, "name a folder"));
        }
        return Ok(Place::Below(path));
    }
    if task.ladder.is_some() {
        return Ok(Place::Itself(path));
    }
    if is_folder || given.text().ends_with('/') {
        return Ok(Place::Below(path));
    }
    if given.names_a_file() {
        return Ok(Place::Itself(path));
    }
    match path.extension() {
        None => Ok(Place::Below(path)),
        Some(_) => {
            let remedy = "write a folder with a / at its end";
            Err(given.problem("ends in none of .mp4, .mov, .m4v, .mkv and .ts", remedy))
        }
    }
}

struct Job<'a> {
    given: &'a Given,
    existing: Existing,
    spec: TranscodeSpec,
    /// The target without links and dots, as far as it is there.
    plain: PathBuf,
}

impl<'a> Job<'a> {
    fn new(task: &'a TaskSpec, place: &Place, found: Found) -> Job<'a> {
        let output = match place {
            Place::Itself(path) => path.clone(),
            Place::Below(folder) if task.ladder.is_some() => folder.join(found.below.with_extension("")),
            Place::Below(folder) => folder.join(found.below.with_extension(task.container.ending())),
        };
        let plain = plain(&output);
        let spec = task.job(found.path, output);
        Job { given: &task.output, existing: task.existing, spec, plain }
    }

    fn into_todo(self) -> Todo {
        let (input, output): (Name, Name) =
            (self.spec.input.as_path().into(), self.spec.target.path().into());
        let is_there = self.spec.target.path().symlink_metadata().is_ok();
        let what = match self.existing {
            _ if is_too_long(self.spec.target.path()) => What::Fail(too_long(&output)),
            Existing::Fail if is_there && finished_before(&self.spec.target) => {
                What::Skip("an earlier run had finished it".into())
            }
            Existing::Skip if is_there => What::Skip("is there already".into()),
            Existing::Fail if is_there => What::Fail(is_there_already(&output)),
            _ => What::Run(Box::new(self.spec)),
        };
        Todo { input, output, what }
    }
}

/// A target that nobody allowed to be replaced.
pub fn is_there_already(output: &Name) -> Error {
    let remedy = "is there already; --overwrite replaces it, --skip-existing is content with it";
    Error::new(ErrorKind::Config, output.as_str().to_owned(), remedy)
}

/// Another ending can make a name longer than it may be.
fn is_too_long(target: &Path) -> bool {
    target.file_name().is_some_and(|name| name.len() > LONGEST)
}

fn too_long(output: &Name) -> Error {
    let message = format!("has a name of more than {LONGEST} bytes; name this result yourself, with -o FILE");
    Error::new(ErrorKind::Config, output.as_str().to_owned(), message)
}

/// The path as it will be: links and dots resolved as far as folders are there.
fn plain(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut missing = Vec::new();
    let mut there = path.as_path();
    loop {
        if let Ok(real) = there.canonicalize() {
            return missing.iter().rev().fold(real, |path, name| path.join(name));
        }
        let (Some(parent), Some(name)) = (there.parent(), there.file_name()) else { return path };
        missing.push(name);
        there = parent;
    }
}

/// A file that several inputs of one task mean is done once.
fn once(jobs: &mut Vec<Job<'_>>) {
    let mut seen = std::collections::HashSet::new();
    jobs.retain(|job| {
        let source = job.spec.input.canonicalize().unwrap_or_else(|_| job.spec.input.clone());
        seen.insert((source, job.plain.clone(), std::ptr::from_ref(job.given)))
    });
}

fn collisions(jobs: &[Job<'_>], problems: &mut Vec<Problem>) {
    let mut taken: HashMap<&Path, &Job<'_>> = HashMap::new();
    let mut found = 0;
    for job in jobs {
        match taken.get(job.plain.as_path()) {
            None => drop(taken.insert(&job.plain, job)),
            Some(first) => {
                found += 1;
                if found <= NAMED {
                    let (a, b) = (first.spec.input.display(), job.spec.input.display());
                    let target = job.spec.target.path().display();
                    let message = format!("{a} and {b} would both become {target}");
                    problems.push(job.given.problem(message, "give them folders of their own"));
                }
            }
        }
    }
    if found > NAMED
        && let Some(last) = problems.last_mut()
    {
        last.message.push_str(&format!(", and {} more like it", found - NAMED));
    }
    // A ladder is replaced as a whole: nothing else may go into its folder.
    for job in jobs {
        let inside = job.plain.ancestors().skip(1).find_map(|folder| taken.get(folder));
        if let Some(outer) = inside.filter(|outer| matches!(outer.spec.target, Target::Hls { .. })) {
            let (a, b) = (job.spec.target.path().display(), outer.spec.target.path().display());
            let message = format!("{a} would lie in the ladder {b}");
            problems.push(job.given.problem(message, "give them folders of their own"));
        }
    }
}

/// No source is ever written over, under whatever name it is reached.
fn sources_are_safe(jobs: &[Job<'_>], problems: &mut Vec<Problem>) {
    let identity = |path: &Path| path.metadata().ok().map(|m| (m.dev(), m.ino()));
    let mut sources = HashMap::new();
    for job in jobs {
        if let Some(id) = identity(&job.spec.input) {
            sources.entry(id).or_insert(&job.spec.input);
        }
    }
    let ladders: Vec<&Job<'_>> =
        jobs.iter().filter(|job| matches!(job.spec.target, Target::Hls { .. })).collect();
    for job in jobs {
        let target = job.spec.target.path();
        if let Some(source) = identity(target).and_then(|id| sources.get(&id)) {
            let message = match *source == &job.spec.input {
                true => format!("{} would be its own result", source.display()),
                false => format!("{} would be written over {}", target.display(), source.display()),
            };
            problems.push(job.given.problem(message, "name another folder or file"));
        }
        let source = plain(&job.spec.input);
        if let Some(ladder) = ladders.iter().find(|ladder| source.starts_with(&ladder.plain)) {
            let folder = ladder.spec.target.path().display();
            let message = format!("{} lies in the folder of the ladder {folder}", job.spec.input.display());
            problems.push(ladder.given.problem(message, "name another folder"));
        }
    }
}

/// The folders that results need; those that were made and stayed empty go again.
#[derive(Default)]
pub struct Folders {
    made: Vec<PathBuf>,
}

impl Folders {
    /// Makes the folder of a target.
    pub fn make_for(&mut self, target: &Path) -> Result<()> {
        let Some(folder) = target.parent().filter(|f| !f.as_os_str().is_empty()) else { return Ok(()) };
        let missing: Vec<&Path> = folder
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .collect();
        self.made.extend(missing.into_iter().rev().map(Path::to_owned));
        std::fs::create_dir_all(folder).map_err(|e| {
            Error::new(ErrorKind::Io, folder.display().to_string(), "cannot be made").caused_by(e)
        })
    }

    /// Removes what stayed empty.
    pub fn tidy(&self) {
        for folder in self.made.iter().rev() {
            // Fails where something is in it, which is as it should be.
            let _ = std::fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::*;

    fn files(dir: &Path, names: &[&str]) {
        for name in names {
            fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
            fs::write(dir.join(name), *name).unwrap();
        }
    }

    /// The targets of inputs in a folder, or what is said.
    fn targets(dir: &Path, inputs: &[&str], output: &str, options: &[(&str, &str)]) -> Result<List> {
        let path = |name: &str| format!("{}/{name}", dir.display());
        let inputs: Vec<String> = inputs.iter().map(|i| path(i)).collect();
        let options: Vec<(&str, String)> = options.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
        let spec = JobSpec::from_options(&inputs, &path(output), &options).unwrap();
        list(&spec, &mut || Ok(Vec::new()))
    }

    fn outputs(dir: &Path, list: &List) -> Vec<String> {
        let below =
            |todo: &Todo| Path::new(todo.output.as_str()).strip_prefix(dir).unwrap().display().to_string();
        list.todo.iter().map(below).collect()
    }

    #[test]
    fn one_input_goes_to_a_file_or_into_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        files(at, &["a.avi", "there/x", "v.mp4/x"]);
        for (output, becomes) in [
            ("b.mp4", "b.mp4"),
            ("B.MKV", "B.MKV"),
            ("out", "out/a.mkv"),
            ("out.d/", "out.d/a.mkv"),
            ("there", "there/a.mkv"),
            ("v.mp4", "v.mp4/a.mkv"),
        ] {
            let list = targets(at, &["a.avi"], output, &[("format", "mkv")]).unwrap();
            assert_eq!(outputs(at, &list), [becomes]);
        }
        let said = targets(at, &["a.avi"], "b.gif", &[]).unwrap_err().to_string();
        assert!(said.contains("-o: ends in none of .mp4"), "{said}");
        let ladder = [("ladder", "720:3M")];
        assert_eq!(outputs(at, &targets(at, &["a.avi"], "web", &ladder).unwrap()), ["web"]);
        let list = targets(at, &["a.avi", "there/"], "web", &ladder).unwrap();
        assert_eq!(outputs(at, &list), ["web/a"]);
    }

    #[test]
    fn several_inputs_need_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        files(at, &["a.avi", "in/n/b.ts", "file"]);
        let list = targets(at, &["a.avi", "in"], "out", &[("recursive", "true")]).unwrap();
        assert_eq!(outputs(at, &list), ["out/a.mp4", "out/n/b.mp4"]);
        for output in ["b.mp4", "file"] {
            let said = targets(at, &["in"], output, &[]).unwrap_err().to_string();
            assert!(said.contains("there may be several results; name a folder"), "{said}");
        }
    }

    #[test]
    fn two_sources_never_become_one_target() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        files(at, &["n/a.avi", "s/a.mkv", "n/b.avi", "real/x"]);
        let error = targets(at, &["n", "s"], "out", &[]).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("n/a.avi and ") && said.contains("s/a.mkv would both become "), "{said}");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!at.join("out").exists(), "nothing was started");
        // The same file named twice is one job.
        let list = targets(at, &["n", "n/a.avi", "./n/../n/b.avi"], "out", &[]).unwrap();
        assert_eq!(outputs(at, &list), ["out/a.mp4", "out/b.mp4"]);
        // Two names of one folder are one folder.
        std::os::unix::fs::symlink(at.join("real"), at.join("link")).unwrap();
        let text = "[[task]]\ninput = \"n/a.avi\"\noutput = \"real/\"\n[[task]]\ninput = \"s/a.mkv\"\noutput = \"link/\"\n";
        fs::write(at.join("job.toml"), text).unwrap();
        let spec = JobSpec::load(at.join("job.toml")).unwrap();
        let said = list_of(&spec).unwrap_err().to_string();
        assert!(said.contains("job.toml:6:10: task[1].output: "), "{said}");
    }

    fn list_of(spec: &JobSpec) -> Result<List> {
        list(spec, &mut || Ok(Vec::new()))
    }

    #[test]
    fn a_source_is_never_a_target() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        files(at, &["a.mp4", "in/b.mp4"]);
        fs::hard_link(at.join("a.mp4"), at.join("hard.mp4")).unwrap();
        std::os::unix::fs::symlink(at.join("a.mp4"), at.join("soft.mp4")).unwrap();
        let replace = [("existing", "replace")];
        for output in ["a.mp4", "./in/../a.mp4", "hard.mp4", "soft.mp4"] {
            let said = targets(at, &["a.mp4"], output, &replace).unwrap_err().to_string();
            assert!(said.contains("would be its own result"), "{said}");
        }
        let said = targets(at, &["in"], "in", &replace).unwrap_err().to_string();
        assert!(said.contains("would be its own result"), "{said}");
        files(at, &["other/a.avi"]);
        let said = targets(at, &["other/a.avi", "a.mp4"], "", &replace).unwrap_err().to_string();
        assert!(said.contains("would be written over"), "{said}");
        let ladder = [("ladder", "720:3M"), ("existing", "replace")];
        let said = targets(at, &["in/b.mp4"], "in", &ladder).unwrap_err().to_string();
        assert!(said.contains("lies in the folder of the ladder"), "{said}");
    }

    #[test]
    fn existing_targets_are_kept_unless_told_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        files(at, &["in/a.avi", "in/b.avi", "out/a.mp4"]);
        let kinds = |existing: &str| -> Vec<&str> {
            let list = targets(at, &["in"], "out", &[("existing", existing)]).unwrap();
            let kind = |todo: &Todo| match &todo.what {
                What::Run(spec) if spec.overwrite => "replaces",
                What::Run(_) => "runs",
                What::Fail(error) if error.message().contains("--overwrite") => "fails",
                What::Fail(_) => "fails otherwise",
                What::Skip(_) => "skips",
            };
            list.todo.iter().map(kind).collect()
        };
        assert_eq!(kinds("fail"), ["fails", "runs"]);
        assert_eq!(kinds("skip"), ["skips", "runs"]);
        assert_eq!(kinds("replace"), ["replaces", "replaces"]);
    }

    #[test]
    fn an_empty_input_is_a_warning_beside_others_and_an_error_alone() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        files(at, &["in/a.avi"]);
        fs::create_dir(at.join("none")).unwrap();
        let list = targets(at, &["in", "none"], "out", &[]).unwrap();
        assert_eq!((list.todo.len(), list.warnings.len()), (1, 1));
        let said = targets(at, &["none"], "out", &[]).unwrap_err().to_string();
        assert!(said.contains("holds no file"), "{said}");
    }

    #[test]
    fn folders_that_stay_empty_go_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut folders = Folders::default();
        folders.make_for(&dir.path().join("a/b/c.mp4")).unwrap();
        folders.make_for(&dir.path().join("a/d/e.mp4")).unwrap();
        fs::write(dir.path().join("a/d/e.mp4"), "x").unwrap();
        folders.tidy();
        assert!(!dir.path().join("a/b").exists() && dir.path().join("a/d/e.mp4").exists());
        fs::write(dir.path().join("f"), "x").unwrap();
        let error = folders.make_for(&dir.path().join("f/g/h.mp4")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
    }
}
