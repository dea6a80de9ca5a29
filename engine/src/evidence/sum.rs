//! SHA-256 of files, read once in pieces, and files that are opened without following links.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path};

use sha2::{Digest, Sha256};

/// Bytes read at once.
const PIECE: usize = 1 << 20;

/// Size and SHA-256 of what a file held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    pub bytes: u64,
    /// 64 digits, lower case.
    pub sha256: String,
}

/// Reads to the end; `read` hears of every piece and may stop it with an error.
pub(super) fn sum(mut from: impl Read, read: &mut dyn FnMut(u64) -> io::Result<()>) -> io::Result<Sum> {
    let mut piece = vec![0; PIECE];
    let mut hash = Sha256::new();
    let mut bytes = 0;
    loop {
        let n = match from.read(&mut piece) {
            Ok(0) => return Ok(Sum { bytes, sha256: hex(&hash.finalize()) }),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        hash.update(&piece[..n]);
        bytes += n as u64;
        read(n as u64)?;
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Why a path was not opened.
#[derive(Debug)]
pub(super) enum NotOpened {
    /// There is nothing of that name.
    Missing,
    /// A link, a folder, a pipe or a device.
    NoFile(&'static str),
    /// The system refused.
    Refused(io::Error),
}

/// Opens the file `name` below `folder`. No part of the name may be a link: what it leads to is not
/// what was recorded.
pub(super) fn open_below(folder: &Path, name: &Path) -> Result<File, NotOpened> {
    let mut path = folder.to_owned();
    let parts: Vec<Component> = name.components().collect();
    for (at, part) in parts.iter().enumerate() {
        path.push(part);
        let about = path.symlink_metadata().map_err(refused)?;
        if about.is_symlink() {
            return Err(NotOpened::NoFile("is a link, not a file"));
        }
        if at + 1 < parts.len() && !about.is_dir() {
            return Err(NotOpened::Missing);
        }
    }
    open(&path, libc::O_NOFOLLOW)
}

/// Opens a file, through links too.
pub(super) fn open_file(path: &Path) -> Result<File, NotOpened> {
    open(path, 0)
}

fn open(path: &Path, flags: i32) -> Result<File, NotOpened> {
    // Does not wait at a pipe.
    let file =
        OpenOptions::new().read(true).custom_flags(flags | libc::O_NONBLOCK).open(path).map_err(refused)?;
    let about = file.metadata().map_err(refused)?;
    match about.is_file() {
        true => Ok(file),
        false if about.is_dir() => Err(NotOpened::NoFile("is a folder, not a file")),
        false => Err(NotOpened::NoFile("is a pipe or a device, not a file")),
    }
}

fn refused(e: io::Error) -> NotOpened {
    match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => NotOpened::Missing,
        _ => NotOpened::Refused(e),
    }
}
