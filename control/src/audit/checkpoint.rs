//! The checkpoint file: signed heads, appended elsewhere than the database, so that a database that was
//! set back as a whole is found. A thread of its own writes it: a share that hangs holds no commit up.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use vitrail_engine::base::files::sync_parent;

use super::Head;
use super::health::{Health, Trouble};
use crate::base::{Problem, Result};

/// Checkpoints that wait; older ones go first, because a newer one covers them.
const MOST_WAITING: usize = 1024;
/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_secs(10);
/// How long the start waits for what the file holds.
const ANSWER: Duration = Duration::from_secs(5);
/// Longest line, in bytes; a checkpoint has about 350.
const MOST_LINE: u64 = 4096;

/// The file, and the thread that appends to it.
#[derive(Debug)]
pub(crate) struct CheckpointFile {
    path: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    health: Arc<Health>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Head>,
    /// Attempts that were asked for, and the newest of them that has ended.
    asked: u64,
    answered: u64,
    closing: bool,
}

impl CheckpointFile {
    /// Starts the thread. The file is made with the first checkpoint.
    pub fn start(path: &Path, health: Arc<Health>) -> Result<CheckpointFile> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), health });
        let (ours, file) = (Arc::clone(&shared), path.to_owned());
        let thread = std::thread::Builder::new()
            .name("checkpoints".into())
            .spawn(move || ours.run(&file))
            .map_err(|e| Problem::internal("checkpoints", format!("no thread: {e}")))?;
        Ok(CheckpointFile { path: path.to_owned(), shared, thread: Some(thread) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hands a checkpoint over; does not wait.
    pub fn push(&self, head: Head) {
        let mut state = self.shared.lock();
        state.waiting.push_back(head);
        if state.waiting.len() > MOST_WAITING {
            state.waiting.pop_front();
        }
        state.asked += 1;
        self.shared.changed.notify_all();
    }

    /// Tries now, and waits until that has ended, at most this long. True where nothing waits any more.
    pub fn settle(&self, most: Duration) -> bool {
        let end = Instant::now() + most;
        let mut state = self.shared.lock();
        state.asked += 1;
        let ticket = state.asked;
        self.shared.changed.notify_all();
        while state.answered < ticket {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            self.shared.changed.wait_for(&mut state, left);
        }
        state.waiting.is_empty()
    }
}

impl Drop for CheckpointFile {
    fn drop(&mut self) {
        // A thread that hangs in a dead share is left to itself.
        let ended = self.settle(ANSWER);
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take().filter(|_| ended) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    fn run(&self, path: &Path) {
        let mut state = self.lock();
        while !state.closing {
            if state.asked == state.answered {
                self.wait(&mut state);
            }
            let (heads, asked) = (std::mem::take(&mut state.waiting), state.asked);
            drop(state);
            let outcome = if heads.is_empty() { Ok(()) } else { append(path, &heads) };
            state = self.lock();
            match (outcome, heads.back()) {
                (Ok(()), Some(_)) => self.health.mended(Trouble::Checkpoints),
                (Err(why), Some(newest)) => {
                    let reason = format!("{}: {why}", path.display());
                    self.health.failed(Trouble::Checkpoints, newest.at, reason);
                    let newer = std::mem::replace(&mut state.waiting, heads);
                    state.waiting.extend(newer);
                }
                _ => {}
            }
            state.answered = asked;
            self.changed.notify_all();
        }
    }

    /// Until somebody asks; after a failure not for ever.
    fn wait(&self, state: &mut MutexGuard<'_, State>) {
        if state.waiting.is_empty() {
            self.changed.wait(state);
        } else {
            self.changed.wait_for(state, RETRY);
        }
    }
}

/// Appends lines, and returns when they are on the disk.
fn append(path: &Path, heads: &VecDeque<Head>) -> std::io::Result<()> {
    let mut lines = String::new();
    for head in heads {
        lines.push_str(&serde_json::to_string(head).map_err(std::io::Error::other)?);
        lines.push('\n');
    }
    let new = !path.exists();
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    // A line that a power cut left in half must not spoil the next one. Where the file can only be
    // appended to and not read, the reader copes.
    if ends_within_a_line(path).unwrap_or(false) {
        lines.insert(0, '\n');
    }
    file.write_all(lines.as_bytes())?;
    file.sync_all()?;
    // A share need not let its folder be opened; the next checkpoint brings the file itself to disk again.
    if new && let Err(why) = sync_parent(path) {
        tracing::warn!("checkpoints: the name {} may not be on disk yet: {why}", path.display());
    }
    Ok(())
}

fn ends_within_a_line(path: &Path) -> std::io::Result<bool> {
    let mut file = std::fs::File::open(path)?;
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// What a line of the file holds.
pub(crate) enum Line {
    /// A head, signed or not.
    Head(Head),
    /// The last line, cut off: a power cut, or a writer at this moment.
    CutOff,
    /// Something else.
    Unreadable,
}

/// The lines of a checkpoint file.
pub(crate) fn read(path: &Path) -> std::io::Result<Vec<Line>> {
    let mut text = Vec::new();
    std::fs::File::open(path)?.read_to_end(&mut text)?;
    let whole = text.last() == Some(&b'\n');
    let lines: Vec<&[u8]> = text.split(|c| *c == b'\n').collect();
    let count = lines.len();
    let read = |(index, line): (usize, &&[u8])| match serde_json::from_slice(line) {
        Ok(head) => Line::Head(head),
        Err(_) if index + 1 == count && !whole => Line::CutOff,
        Err(_) => Line::Unreadable,
    };
    Ok(lines.iter().enumerate().filter(|(_, line)| !line.is_empty()).map(read).collect())
}

/// The newest checkpoint of the file, asked with a time limit: a share may hang.
pub(crate) fn newest(path: &Path) -> std::io::Result<Option<Head>> {
    let (send, receive) = std::sync::mpsc::channel();
    let path = path.to_owned();
    std::thread::Builder::new().name("checkpoint".into()).spawn(move || {
        let _ = send.send(last_head(&path));
    })?;
    receive.recv_timeout(ANSWER).unwrap_or_else(|_| Err(std::io::Error::other("does not answer")))
}

fn last_head(path: &Path) -> std::io::Result<Option<Head>> {
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(4 * MOST_LINE)))?;
    let mut end = Vec::new();
    file.take(4 * MOST_LINE).read_to_end(&mut end)?;
    Ok(end.split(|c| *c == b'\n').rev().find_map(|line| serde_json::from_slice(line).ok()))
}
