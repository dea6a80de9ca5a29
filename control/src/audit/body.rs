//! A record as bytes: what is hashed, and the last net that keeps logins out of it.

use super::Record;
use crate::base::{Kind, Problem, Result};

/// Longest body, in bytes: a record says what happened, it is no place for documents.
pub(super) const MOST: usize = 64 << 10;

/// The body of a record: JSON on one line, without logins.
pub(super) fn body(record: &Record) -> Result<String> {
    let body = serde_json::to_string(record).map_err(|e| Problem::internal("audit record", e.to_string()))?;
    if body.len() > MOST {
        let detail = format!("a record takes {MOST} bytes at most, and this would be {}", body.len());
        return Err(Problem::new(Kind::TooLarge, "audit record", detail));
    }
    Ok(without_logins(body))
}

/// Rooms keep credentials out of their events; an address that slipped through loses its login here.
fn without_logins(body: String) -> String {
    const MARK: &str = "://";
    if !body.contains(MARK) {
        return body;
    }
    let mut clean = String::with_capacity(body.len());
    let mut rest = body.as_str();
    while let Some(start) = rest.find(MARK) {
        let (before, after) = rest.split_at(start + MARK.len());
        clean.push_str(before);
        let end = after.find(|c: char| c == '"' || c == '\\' || c.is_whitespace()).unwrap_or(after.len());
        // As far as the last @: a password may hold any of /, ? and @.
        let login = after[..end].rfind('@');
        if login.is_some() {
            clean.push('…');
        }
        rest = &after[login.unwrap_or(0)..];
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Actor, Event};
    use crate::base::Utc;

    fn record(reason: &str) -> Record {
        let event = Event { reason: Some(reason.into()), ..Event::new("showing.refused") };
        Record { seq: 7, at: Utc(1_000), by: Actor::system(), event }
    }

    #[test]
    fn no_login_gets_into_a_body() {
        let text =
            body(&record("rtsp://root:p/a@ss@10.0.0.1/s and http://x/ and rtsp://u@h")).expect("a body");
        assert!(!text.contains("root") && !text.contains("ss@") && !text.contains("//u@"), "{text}");
        assert!(text.contains("rtsp://…@10.0.0.1/s and http://x/ and rtsp://…@h"), "{text}");
        let back: Record = serde_json::from_str(&text).expect("JSON");
        assert_eq!(back.seq, 7);
    }

    #[test]
    fn a_body_is_a_line_and_bounded() {
        let text = body(&record("two\nlines")).expect("a body");
        assert_eq!(text.lines().count(), 1);
        assert_eq!(serde_json::from_str::<Record>(&text).expect("JSON"), record("two\nlines"));
        assert_eq!(body(&record(&"x".repeat(MOST))).map_err(|p| p.kind), Err(Kind::TooLarge));
    }
}
