//! Inputs that are addresses: recorded first, beside the target, then transcoded like any file.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use vitrail_engine::base::{Shutdown, SystemClock};
use vitrail_engine::media::CameraId;
use vitrail_engine::source::{CameraUri, Secrets, SourceConfig};
use vitrail_engine::transcode::capture::capture;
use vitrail_engine::{Error, ErrorKind, Result};

use super::Args;
use super::names::Name;
use super::targets::is_there_already;
use crate::terminal::Terminal;

/// Recordings that are removed at the end, unless they are kept.
#[derive(Debug, Default)]
pub struct Recordings {
    folder: Option<PathBuf>,
    /// So many are whole.
    whole: usize,
}

impl Recordings {
    /// Whether anything was to be recorded.
    pub fn are_any(&self) -> bool {
        self.folder.is_some()
    }

    /// Keeps what was recorded, because not all has become of it what was asked for, and says where it is.
    pub fn keep(mut self) {
        if self.whole > 0
            && let Some(folder) = self.folder.take()
        {
            let folder = Name::from(folder.as_path());
            eprintln!("vitrail: what was recorded is kept; transcode or remove it: {folder}");
        }
    }
}

impl Drop for Recordings {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// Records every input that is an address and puts its recording in its place; false where `stop` came
/// first, or the target is there and may be. `--duration` says how much, and is no order to the jobs then.
pub fn record(
    args: &mut Args,
    recordings: &mut Recordings,
    terminal: &Terminal,
    stop: &Shutdown,
) -> Result<bool> {
    if !args.inputs.iter().any(|input| address(input).is_some()) || args.job.is_some() {
        return Ok(true);
    }
    if args.dry_run {
        let message = "cannot be looked at without recording it; leave out --dry-run, or try `vitrail probe`";
        return Err(Error::new(ErrorKind::Config, "a stream", message));
    }
    let wanted = "a stream has no end: say with --duration how much to record, and leave out --from and --to";
    let wrong = || Error::new(ErrorKind::Config, "--duration", wanted);
    if args.from.is_some() || args.to.is_some() {
        return Err(wrong());
    }
    let output = args.output.clone().unwrap_or_default();
    let is_folder = output.is_dir() && args.ladder.is_none();
    let folder = folder(&output, is_folder);
    let addresses = args.inputs.clone();
    let mut names = Vec::new();
    for input in &mut args.inputs {
        let Some(address) = address(input) else { continue };
        let name = file_name(&CameraUri::parse(address)?.to_string(), &names);
        *input = folder.join(&name).into_os_string();
        names.push(name);
    }
    // What is wrong with the other options is said before anything is recorded.
    let spec = args.specify()?;
    let task = spec.tasks.first().map(|task| task.job(PathBuf::new(), PathBuf::new()));
    let length = task.and_then(|task| task.range.to).ok_or_else(wrong)?;
    args.duration = None;
    if output.exists() && !is_folder && !args.overwrite {
        let is_there = is_there_already(&Name::from(output.as_path()));
        if !args.skip_existing {
            return Err(is_there);
        }
        eprintln!("vitrail: {} is there already; nothing is recorded", Name::from(output.as_path()));
        return Ok(false);
    }
    std::fs::create_dir_all(&folder).map_err(|e| {
        Error::new(ErrorKind::Io, folder.display().to_string(), "cannot be made").caused_by(e)
    })?;
    recordings.folder = Some(folder);
    let secrets = args.secrets.as_deref().map(Secrets::load).transpose()?.unwrap_or_default();
    for (given, path) in addresses.iter().zip(&args.inputs) {
        let Some(address) = address(given) else { continue };
        let uri = CameraUri::parse(address)?;
        let login = secrets.login(&CameraId::from(""), &uri);
        let config = SourceConfig { login, ..SourceConfig::new(uri) };
        if !one(config, length, Path::new(path), terminal, stop)? {
            eprintln!("vitrail: interrupted while recording");
            return Ok(false);
        }
        recordings.whole += 1;
    }
    Ok(true)
}

fn one(
    config: SourceConfig,
    length: Duration,
    path: &Path,
    terminal: &Terminal,
    stop: &Shutdown,
) -> Result<bool> {
    let bar = terminal.status_line();
    let address = config.uri.to_string();
    let mut show = |seen: Duration| {
        bar.set_message(format!(
            "{address}: {:.1} of {:.1} s recorded",
            seen.as_secs_f64(),
            length.as_secs_f64()
        ));
    };
    let captured = capture(config, length, path, &SystemClock::shared(), stop, &mut show);
    bar.finish_and_clear();
    let Some(captured) = captured? else { return Ok(false) };
    if captured.lost > 0 {
        tracing::warn!(
            "{address}: packets were lost before {} of {} pictures",
            captured.lost,
            captured.pictures
        );
    }
    tracing::debug!("{address}: {} pictures, {} packets of sound", captured.pictures, captured.sound);
    Ok(true)
}

/// The address of a stream, where an input is one.
fn address(input: &OsStr) -> Option<&str> {
    input.to_str().filter(|text| is_address(text))
}

fn is_address(input: &str) -> bool {
    input.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty()
            && scheme.chars().all(|c| c.is_ascii_alphanumeric())
            && !scheme.eq_ignore_ascii_case("file")
    })
}

/// Hidden, where the results go: on the same disk, and found by nobody who looks for results.
fn folder(output: &Path, is_folder: bool) -> PathBuf {
    let parent = if is_folder { Some(output) } else { output.parent() };
    let parent = parent.filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    parent.join(format!(".recordings-{}", std::process::id()))
}

/// A file name of an address, without what file systems or people may mind, unlike those `given` before.
fn file_name(address: &str, given: &[String]) -> String {
    let after = address.split_once("://").map_or(address, |(_, rest)| rest);
    let plain: String = after.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let plain = plain.trim_matches('-');
    let plain: String = plain.chars().take(80).collect();
    let plain = if plain.is_empty() { "stream".to_owned() } else { plain };
    let numbered = (2..).map(|number| format!("{plain}-{number}.mkv"));
    let mut names = std::iter::once(format!("{plain}.mkv")).chain(numbered);
    names.find(|name| !given.contains(name)).unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_files() {
        for address in ["rtsp://a/b", "srt://h:1", "http://h/x.ts", "RTSPS://h/"] {
            assert!(is_address(address), "{address}");
        }
        for file in ["a.mp4", "file:///a.mp4", "C:/x", "-", "odd name://x", "://x"] {
            assert!(!is_address(file), "{file}");
        }
        let given = ["stream.mkv".to_owned()];
        assert_eq!(
            file_name("rtsp://10.0.0.1:8554/cam 1/main?x=1", &given),
            "10-0-0-1-8554-cam-1-main-x-1.mkv"
        );
        assert_eq!(file_name("srt://", &[]), "stream.mkv");
        assert_eq!(file_name("srt://", &given), "stream-2.mkv");
    }
}
