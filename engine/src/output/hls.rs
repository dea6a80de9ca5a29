//! Writes a screen as HTTP live streaming: a playlist and MPEG-TS segments beside it, for any web
//! server to hand out.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gstreamer::prelude::*;
use parking_lot::Mutex;

use super::feed::{Backlog, Feed, KeyRequest};
use super::file::{has_room, writable};
use super::hub::StreamParams;
use super::kept::RunningOutput;
use super::piped::{self, Recipe, short};
use crate::base::names::{self, TextPath};
use crate::base::{Error, ErrorKind, Result};

/// Length of a segment: players start about three segments behind live.
const SEGMENT: Duration = Duration::from_secs(2);
/// Segments in the playlist, and on disk: RFC 8216 section 6.2.2 keeps a removed one for a while.
const LISTED: u32 = 6;
const KEPT: u32 = 12;
/// The most bytes behind the playlist's name in that of a segment: `-NUMBER.SERIES.ts`.
const MOST_BEHIND: usize = 25;

pub(crate) fn open(playlist: &Path, params: &StreamParams, key: KeyRequest) -> Result<RunningOutput> {
    let subject = playlist.display().to_string();
    let stem = playlist
        .file_stem()
        .and_then(|s| s.to_str())
        .ok_or_else(|| {
            let message = "its name must be UTF-8, as all in a playlist; its folder may have any name";
            Error::new(ErrorKind::Config, subject.clone(), message)
        })?
        .to_owned();
    let description = format!(
        "hlssink2 name=sink target-duration={} playlist-length={LISTED} max-files={KEPT} \
         send-keyframe-requests=false appsrc name=src ! {}parse config-interval=-1 ! sink.video",
        SEGMENT.as_secs(),
        short(params.codec)
    );
    // Segments are named after it, with a number behind.
    let stem = names::fitting(stem.as_ref(), MOST_BEHIND).to_string_lossy().into_owned();
    let playlist = playlist.to_owned();
    let ways = Mutex::new(None);
    let recipe = Recipe {
        key_every: Some(SEGMENT),
        ..Recipe::new(subject, description, move |sink, failures| {
            make_folder(&playlist)?;
            writable(&playlist)?;
            let series = next_series(&playlist, &stem)?;
            let ending = if series == 0 { ".ts".to_owned() } else { format!(".{series}.ts") };
            if failures > 0 {
                has_room(&playlist.with_file_name(format!("{stem}-00000{ending}")))?;
            }
            // The muxer formats the name: a per cent sign of the person's own is doubled.
            let segments = playlist.with_file_name(format!("{}-%05d{ending}", stem.replace('%', "%%")));
            let way = |path: &Path| {
                let found = TextPath::to(path).map_err(|e| {
                    let message = "its folder cannot be opened";
                    Error::new(ErrorKind::Io, playlist.display().to_string(), message).caused_by(e)
                })?;
                found.ok_or_else(|| Error::new(ErrorKind::Internal, "HLS", "a name is not UTF-8"))
            };
            let (playlist, segments) = (way(&playlist)?, way(&segments)?);
            sink.set_property("playlist-location", playlist.text());
            sink.set_property("location", segments.text());
            *ways.lock() = Some((playlist, segments));
            Ok(())
        })
    };
    piped::start(recipe, params, Feed::new(params.frame_rate, Backlog::Keep, key))
}

/// Makes the folder of a playlist where only that is missing; a whole path that is missing is more
/// likely a mistake, or a disk that is not mounted.
fn make_folder(playlist: &Path) -> Result<()> {
    let Some(folder) = playlist.parent().filter(|f| !f.as_os_str().is_empty() && !f.is_dir()) else {
        return Ok(());
    };
    std::fs::create_dir(folder).map_err(|e| {
        let message = match e.kind() {
            std::io::ErrorKind::NotFound => "its folder and the one above it are missing; create them first",
            _ => "its folder is missing and cannot be created",
        };
        Error::new(ErrorKind::Io, playlist.display().to_string(), message).caused_by(e)
    })
}

/// The number of the segments to come: one more than those that a start or a failure before this
/// left, so that none is overwritten while a player still fetches it. Of those only the newest stay.
fn next_series(playlist: &Path, stem: &str) -> Result<u32> {
    let folder = playlist.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder).map_err(|e| {
        Error::new(ErrorKind::Io, playlist.display().to_string(), "its folder cannot be read").caused_by(e)
    })?;
    let named =
        |entry: std::fs::DirEntry| Some((series_of(entry.file_name().to_str()?, stem)?, entry.path()));
    let left: Vec<(u32, PathBuf)> = entries.flatten().filter_map(named).collect();
    let Some(newest) = left.iter().map(|(series, _)| *series).max() else { return Ok(0) };
    for (_, path) in left.iter().filter(|(series, _)| *series != newest) {
        if let Err(error) = std::fs::remove_file(path) {
            tracing::warn!(%error, "{} stays", path.display());
        }
    }
    Ok(newest + 1)
}

/// Which series a segment `STEM-NUMBER.ts` (0) or `STEM-NUMBER.SERIES.ts` belongs to; `None` for
/// another playlist's segments and for all other files. Stems may end in numbers, too: only the last
/// hyphen parts one from the number.
fn series_of(name: &str, stem: &str) -> Option<u32> {
    let (before, rest) = name.strip_suffix(".ts")?.rsplit_once('-')?;
    let (number, series) = rest.split_once('.').unwrap_or((rest, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if before != stem || number.len() < 5 || !digits(number) || !digits(series) {
        return None;
    }
    series.parse().ok().filter(|series| *series < u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_segments_are_counted_and_cleared() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let playlist = dir.path().join("wall.m3u8");
        let touch = |name: &str| std::fs::write(dir.path().join(name), "x").expect("writable");
        assert_eq!(next_series(&playlist, "wall").expect("readable"), 0);
        for name in
            ["wall-1-00000.ts", "wall-notes.ts", "wall-00000.ts.bak", "wall-2024.ts", "other-00000.7.ts"]
        {
            touch(name);
        }
        assert_eq!(next_series(&playlist, "wall").expect("readable"), 0);
        touch("wall-00003.ts");
        assert_eq!(next_series(&playlist, "wall").expect("readable"), 1);
        touch("wall-00000.1.ts");
        touch("wall-123456.4.ts");
        assert_eq!(next_series(&playlist, "wall").expect("readable"), 5);
        assert!(!dir.path().join("wall-00003.ts").exists() && !dir.path().join("wall-00000.1.ts").exists());
        assert!(dir.path().join("wall-123456.4.ts").exists(), "the newest stay for players");
        assert!(dir.path().join("wall-1-00000.ts").exists() && dir.path().join("other-00000.7.ts").exists());
    }
}
