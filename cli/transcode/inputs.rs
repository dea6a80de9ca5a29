//! Which files the inputs of a task mean: files, folders, patterns and lists.

use std::io::Read;
use std::path::{Component, Path, PathBuf};

use vitrail_engine::config::{Given, Problem, TaskSpec};
use vitrail_engine::{Error, ErrorKind};

use super::pattern::{Pattern, is_pattern, unread};

/// Endings that a folder is searched for: what FFmpeg's demuxers and cameras commonly write.
const ENDINGS: [&str; 26] = [
    "mp4", "m4v", "mov", "mkv", "webm", "ts", "mts", "m2ts", "avi", "flv", "h264", "264", "avc", "h265",
    "265", "hevc", "mpg", "mpeg", "vob", "3gp", "wmv", "asf", "mjpeg", "mjpg", "mxf", "dav",
];

/// A file to be read, and its place below an output folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The file.
    pub path: PathBuf,
    /// Its name, with the folders that are kept.
    pub below: PathBuf,
}

/// What the inputs of a task mean.
#[derive(Debug, Default)]
pub struct Finding {
    /// The files, in the order of the inputs; those of a folder by name.
    pub files: Vec<Found>,
    /// There may be several files, so that the target is a folder.
    pub many: bool,
    /// Inputs that mean no file.
    pub empty: Vec<Problem>,
    /// Folders that could not be read. An error names them for people only, so their names are beside it.
    pub failed: Vec<(PathBuf, Error)>,
}

/// Looks for the files of a task. `list` reads the names for `-`; the folder `except` is not searched.
pub fn find(
    task: &TaskSpec,
    except: Option<&Path>,
    list: &mut dyn FnMut() -> Result<Vec<u8>, Error>,
) -> Result<Finding, Error> {
    let mut finding = Finding { many: task.inputs.len() > 1, ..Finding::default() };
    for given in &task.inputs {
        let path = given.path();
        if given.text() == "-" && given.folder() == Path::new("") {
            finding.many = true;
            let named = named(&list()?)?;
            if named.is_empty() {
                finding.empty.push(given.problem("no name came on standard input", ""));
            }
            finding.files.extend(named.into_iter().filter_map(plain));
        } else if path.is_dir() {
            finding.many = true;
            folder(given, &path, task.recursive, except, &mut finding);
        } else if is_pattern(given.text()) && !path.exists() {
            finding.many = true;
            pattern(given, except, &mut finding);
        } else {
            // Whether it can be read is found out when its turn comes, like all other trouble with it.
            finding.files.extend(plain(path));
        }
    }
    Ok(finding)
}

/// A file that was named: below an output folder it has its name alone.
fn plain(path: PathBuf) -> Option<Found> {
    let below = PathBuf::from(path.file_name()?);
    Some(Found { path, below })
}

/// The names of standard input: a line each, or parted by zeros, as `find -print0` writes them.
pub fn standard_input() -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|e| Error::new(ErrorKind::Io, "standard input", "cannot be read").caused_by(e))?;
    Ok(bytes)
}

#[cfg(unix)]
fn named(bytes: &[u8]) -> Result<Vec<PathBuf>, Error> {
    use std::os::unix::ffi::OsStrExt;
    let between = if bytes.contains(&0) { 0 } else { b'\n' };
    let names = bytes.split(|b| *b == between).map(|name| name.strip_suffix(b"\r").unwrap_or(name));
    let names: Vec<PathBuf> = names
        .filter(|name| !name.is_empty())
        .map(|name| PathBuf::from(std::ffi::OsStr::from_bytes(name)))
        .collect();
    // Never the address itself: it may hold a login.
    if names.iter().any(|name| name.to_string_lossy().contains("://")) {
        let message = "has the address of a stream, and only files are read; record it first";
        return Err(Error::new(ErrorKind::Config, "the list on standard input", message));
    }
    Ok(names)
}

fn is_known(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// True where it is the folder that takes the results, which are no inputs of the next run.
fn is_excepted(path: &Path, except: Option<&Path>) -> bool {
    except.is_some_and(|except| path.canonicalize().is_ok_and(|path| path == except))
}

fn folder(given: &Given, top: &Path, recursive: bool, except: Option<&Path>, finding: &mut Finding) {
    let before = finding.files.len();
    let failed = finding.failed.len();
    let mut has_folders = false;
    let mut waiting = vec![top.to_owned()];
    while let Some(folder) = waiting.pop() {
        let entries = std::fs::read_dir(&folder)
            .and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect::<Result<Vec<_>, _>>());
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(e) => {
                let error = unread(&folder, e);
                finding.failed.push((folder, error));
                continue;
            }
        };
        entries.sort();
        let mut folders = Vec::new();
        for path in entries.into_iter().filter(|path| !is_hidden(path)) {
            // A linked folder could lead back to where it is.
            if path.is_dir() {
                if !path.is_symlink() && !is_excepted(&path, except) {
                    folders.push(path);
                }
            } else if is_known(&path) && path.is_file() {
                let below = path.strip_prefix(top).unwrap_or(&path).to_owned();
                finding.files.push(Found { path, below });
            }
        }
        has_folders |= !folders.is_empty();
        if recursive {
            waiting.extend(folders.into_iter().rev());
        }
    }
    finding.files[before..].sort_by(|a, b| a.below.cmp(&b.below));
    if finding.files.len() == before && finding.failed.len() == failed {
        let remedy = if has_folders && !recursive { "recursive looks into the folders in it" } else { "" };
        let message = format!("{} holds no file with an ending of video", given.text());
        finding.empty.push(given.problem(message, remedy));
    }
}

fn pattern(given: &Given, except: Option<&Path>, finding: &mut Finding) {
    let pattern = match Pattern::parse(given.text()) {
        Ok(pattern) => pattern,
        Err(error) => {
            finding
                .empty
                .push(given.problem(format!("is no pattern: {}", error.msg), "* ? [abc] and ** are known"));
            return;
        }
    };
    let (paths, failed) = pattern.find(given.folder());
    let had_failed = !failed.is_empty();
    finding.failed.extend(failed);
    let kept = fixed_part(&given.path());
    // `*.dat` means those files; `*` means video.
    let names_ending = given.text().rsplit_once('.').is_some_and(|(_, ending)| !is_pattern(ending));
    let before = finding.files.len();
    for path in paths.into_iter().filter(|path| path.is_file() && (names_ending || is_known(path))) {
        if except.is_some_and(|except| path.canonicalize().is_ok_and(|p| p.starts_with(except))) {
            continue;
        }
        let plain = without_dots(&path);
        let below = plain.strip_prefix(&kept).map(Path::to_owned).ok();
        let below = below.or_else(|| path.file_name().map(PathBuf::from)).unwrap_or_default();
        finding.files.push(Found { path, below });
    }
    if finding.files.len() == before && !had_failed {
        finding.empty.push(given.problem(format!("{} finds no file", given.text()), ""));
    }
}

/// The folders of a pattern before its first wildcard: they do not come back below the output folder.
fn fixed_part(pattern: &Path) -> PathBuf {
    let is_fixed = |part: &Component<'_>| !is_pattern(&part.as_os_str().to_string_lossy());
    let parts: PathBuf = pattern.components().take_while(is_fixed).collect();
    without_dots(&parts)
}

fn without_dots(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use vitrail_engine::config::JobSpec;

    use super::*;

    /// The files that inputs mean in a folder, with their places below the output.
    fn found(dir: &Path, inputs: &[&str], recursive: bool, list: &str) -> (Vec<String>, Finding) {
        let inputs: Vec<String> = inputs
            .iter()
            .map(|i| if *i == "-" { "-".into() } else { dir.join(i).to_str().unwrap().to_owned() })
            .collect();
        let options = [("recursive", recursive.to_string())];
        let spec = JobSpec::from_options(&inputs, "out", &options).unwrap();
        let except = dir.join("out").canonicalize().ok();
        let mut read = || Ok(list.as_bytes().to_vec());
        let finding = find(&spec.tasks[0], except.as_deref(), &mut read).unwrap();
        let below = finding.files.iter().map(|f| f.below.to_str().unwrap().to_owned()).collect();
        (below, finding)
    }

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for path in [
            "rec/b.MP4",
            "rec/a.avi",
            "rec/notes.txt",
            "rec/.hidden.mp4",
            "rec/n/c.ts",
            "rec/n/d/e.h264",
            "rec/.work/x.mp4",
            "rec/n/only.dat",
            "out/done.mp4",
            "odd[1].mp4",
        ] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        dir
    }

    #[test]
    fn a_folder_means_its_videos_and_the_tree_is_kept() {
        let dir = tree();
        let (flat, finding) = found(dir.path(), &["rec"], false, "");
        assert_eq!(flat, ["a.avi", "b.MP4"]);
        assert!(finding.many);
        let (deep, _) = found(dir.path(), &["rec"], true, "");
        assert_eq!(deep, ["a.avi", "b.MP4", "n/c.ts", "n/d/e.h264"]);
        // Results of the last run are no inputs of the next.
        let (all, _) = found(dir.path(), &[""], true, "");
        assert_eq!(all, ["odd[1].mp4", "rec/a.avi", "rec/b.MP4", "rec/n/c.ts", "rec/n/d/e.h264"]);
        std::os::unix::fs::symlink(dir.path().join("rec"), dir.path().join("rec/n/loop")).unwrap();
        assert_eq!(found(dir.path(), &["rec"], true, "").0.len(), 4);
    }

    #[test]
    fn a_pattern_keeps_what_its_wildcards_stand_for() {
        let dir = tree();
        assert_eq!(found(dir.path(), &["rec/*.avi"], false, "").0, ["a.avi"]);
        assert_eq!(found(dir.path(), &["rec/**/*"], false, "").0, ["a.avi", "b.MP4", "n/c.ts", "n/d/e.h264"]);
        let all = ["a.avi", "b.MP4", "n/c.ts", "n/d/e.h264"];
        assert_eq!(found(dir.path(), &["rec/**"], false, "").0, all, "nothing that is hidden");
        assert_eq!(found(dir.path(), &["rec/.*.mp4"], false, "").0, [".hidden.mp4"], "it is asked for");
        assert_eq!(found(dir.path(), &["rec/./n/*.dat"], false, "").0, ["only.dat"]);
        assert_eq!(found(dir.path(), &["*/n/*.ts"], false, "").0, ["rec/n/c.ts"]);
        // A file of that very name is meant before a pattern is.
        let (odd, finding) = found(dir.path(), &["odd[1].mp4"], false, "");
        assert_eq!((odd, finding.many), (vec!["odd[1].mp4".to_owned()], false));
        let (none, finding) = found(dir.path(), &["rec/*.wmv"], false, "");
        assert!(none.is_empty() && finding.empty[0].to_string().contains("finds no file"));
        let (_, finding) = found(dir.path(), &["rec/[*.wmv"], false, "");
        assert!(finding.empty[0].to_string().contains("is no pattern"), "{:?}", finding.empty);
    }

    #[test]
    fn a_name_may_be_any_bytes() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let dir = tempfile::tempdir().unwrap();
        for name in [&b"caf\xe9.mp4"[..], b"a\nb.mp4", b"-c.mp4", b"\"d\".mp4"] {
            let path = dir.path().join(OsStr::from_bytes(b"r\xff")).join(OsStr::from_bytes(name));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        let names = |input: std::ffi::OsString| {
            let input = vitrail_engine::base::names::lossless(dir.path().join(input));
            let spec = JobSpec::from_options(&[input], "out", &[]).unwrap();
            let finding = find(&spec.tasks[0], None, &mut || Ok(Vec::new())).unwrap();
            assert!(finding.files.iter().all(|found| found.path.is_file()), "{finding:?}");
            finding.files.iter().map(|f| f.below.as_os_str().as_bytes().to_vec()).collect::<Vec<_>>()
        };
        let all = [&b"\"d\".mp4"[..], b"-c.mp4", b"a\nb.mp4", b"caf\xe9.mp4"];
        assert_eq!(names(OsStr::from_bytes(b"r\xff").into()), all);
        assert_eq!(names(OsStr::from_bytes(b"r\xff/caf\xe9.mp4").into()), [b"caf\xe9.mp4"]);
        assert_eq!(names("*/*.mp4".into()).len(), 4);
        assert_eq!(names("*/caf?.mp4".into()).len(), 1, "one odd byte is one character");
    }

    #[test]
    fn named_files_come_even_where_they_are_not_there() {
        let dir = tree();
        let (files, finding) = found(dir.path(), &["rec/a.avi", "gone.mp4"], false, "");
        assert_eq!((files.len(), finding.many), (2, true));
        let (files, finding) = found(dir.path(), &["rec/notes.txt"], false, "");
        assert_eq!((files, finding.many), (vec!["notes.txt".to_owned()], false));
    }

    #[test]
    fn a_list_has_a_name_a_line_or_zeros_between() {
        let dir = tree();
        assert_eq!(found(dir.path(), &["-"], false, "a/x.avi\r\n\n#1.mp4\n").0, ["x.avi", "#1.mp4"]);
        assert_eq!(
            found(dir.path(), &["-"], false, "a/new\nline.avi\0b.mp4\0").0,
            ["new\nline.avi", "b.mp4"]
        );
        assert!(found(dir.path(), &["-"], false, "\n").1.empty[0].to_string().contains("standard input"));
        let spec = JobSpec::from_options(&["-".into()], "out", &[]).unwrap();
        let mut read = || Ok(b"rtsp://u:hunter2@h/1\n".to_vec());
        let error = find(&spec.tasks[0], None, &mut read).unwrap_err().to_string();
        assert!(error.contains("record it first") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn an_empty_folder_is_said_with_what_to_do() {
        let dir = tree();
        fs::create_dir_all(dir.path().join("e/f")).unwrap();
        let (_, finding) = found(dir.path(), &["e"], false, "");
        assert!(finding.empty[0].to_string().contains("recursive looks into"), "{:?}", finding.empty);
        let (_, finding) = found(dir.path(), &["e"], true, "");
        assert!(finding.empty[0].to_string().ends_with("holds no file with an ending of video"));
    }
}
