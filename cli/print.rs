//! What the program prints as its result: text, and JSON.

use std::io::Write as _;

use serde::Serialize;
use vitrail_engine::{Error, ErrorKind, Result};

/// Prints text and ends its line. A reader that has enough (`head`) is no fault.
pub fn print_text(text: &str) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(ErrorKind::Io, "standard output", "cannot be written").caused_by(e))
        }
        _ => Ok(()),
    }
}

/// JSON for people and programs: indented. `what` is named where it cannot be written (`report`, `plan`).
pub fn json_text(what: &'static str, value: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(value)
        .map_err(|e| Error::new(ErrorKind::Internal, what, "cannot be written as JSON").caused_by(e))
}

/// Prints a value as JSON.
pub fn print_json(what: &'static str, value: &impl Serialize) -> Result<()> {
    print_text(&json_text(what, value)?)
}
