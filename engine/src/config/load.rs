//! Reads files that somebody wrote: wall files, job files, inventories.

use std::path::Path;

use super::report::{ConfigErrors, Report};

/// The bytes of a file, of at most so many; `what` it should be is for messages (`inventory`).
///
/// # Errors
/// Why it cannot be that, in words that go on after its name.
pub(super) fn read_bytes(path: &Path, what: &str, most: u64) -> Result<Vec<u8>, String> {
    let unreadable = |e: std::io::Error| format!("cannot be read: {e}");
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > most {
        return Err(format!("is no {what}: {length} bytes, of at most {most}"));
    }
    std::fs::read(path).map_err(unreadable)
}

/// The text of a file, with the error that the caller of the program sees.
pub(super) fn load_text(path: &Path, what: &str, most: u64) -> Result<String, ConfigErrors> {
    let text = read_bytes(path, what, most).and_then(|bytes| {
        String::from_utf8(bytes).map_err(|_| format!("is no {what}: it is not UTF-8 text"))
    });
    text.map_err(|message| {
        let mut report = Report::of_command_line();
        report.add(&(0..0), path.display().to_string(), message);
        report.into_errors()
    })
}
