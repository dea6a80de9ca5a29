//! What the start looks at: whether the log is as the program left it. What is not goes on record.

use std::path::Path;

use rusqlite::Transaction;
use serde_json::json;

use super::chain::{START, Signer};
use super::health::{Health, Trouble};
use super::verify::{Fault, Faults, Keys, Walk, walk_database};
use super::{Event, Head, checkpoint, store};
use crate::base::{Result, Utc};

/// Checks the head, the records since the newest checkpoint and the newest line of the checkpoint file.
/// The events say what is wrong; a verification looks at all the rest.
pub(super) fn inspect(
    transaction: &Transaction<'_>,
    signer: &Signer,
    checkpoints: Option<(&Path, &Health)>,
    now: Utc,
) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    let empty = store::newest(transaction)?.is_none();
    let known = store::keys(transaction)?;
    if !known.iter().any(|key| key.id() == signer.id) {
        store::add_key(transaction, &signer.public())?;
        if !empty {
            events.push(replaced(known.last().map(|key| key.id()), signer));
        }
    }
    // Keys that signed nothing: all of it was taken away.
    if !empty || !known.is_empty() {
        events.extend(broken(transaction)?);
    }
    if let Some((path, health)) = checkpoints {
        match checkpoint::newest(path) {
            Ok(newest) => {
                events.extend(newest.map(|head| rolled_back(transaction, &head)).transpose()?.flatten())
            }
            Err(e) => health.failed(Trouble::Checkpoints, now, format!("{}: {e}", path.display())),
        }
    }
    Ok(events)
}

fn replaced(before: Option<String>, signer: &Signer) -> Event {
    let before = before.unwrap_or_else(|| "none".into());
    let reason = format!("the key that signs was replaced: before {before}, from here on {}", signer.id);
    Event { subject: Some(signer.id.clone()), reason: Some(reason), ..Event::new("log.key-replaced") }
}

/// The end of the log, from the newest checkpoint on.
fn broken(transaction: &Transaction<'_>) -> Result<Option<Event>> {
    let mut faults = Faults::default();
    let mut keys = Keys::new(&[], store::keys(transaction)?);
    let checkpoint = store::newest_checkpoint(transaction)?;
    let (after, previous) = match keys.judge(checkpoint.into_iter().collect(), &mut faults).pop() {
        Some(signed) => (signed.head.seq, signed.head.hash),
        None => (0, START),
    };
    let head = store::head(transaction)?;
    if head.is_none() {
        faults.add(Fault::Unsigned, None, "the signed head is missing");
    }
    if after > 0 && store::hash_of(transaction, after)? != Some(previous) {
        let detail = "is another than the one that was signed";
        faults.add(Fault::Remade, after, detail);
    }
    let later = store::checkpoints(transaction, after.saturating_add(1), i64::MAX)?;
    let signed = keys.judge(later.into_iter().chain(head).collect(), &mut faults);
    let mut walk = Walk::new(after.saturating_add(1), previous, signed);
    walk_database(transaction, after, &mut walk, &mut |_, _| {})?;
    let walked = walk.end(true).faults;
    // What an earlier start has told is told.
    let told = walked.list.iter().filter(|fault| fault.what == Fault::Told).count() as u64;
    let total = faults.total + walked.total - told;
    faults.list.extend(walked.list.into_iter().filter(|fault| fault.what != Fault::Told));
    let Some(first) = faults.list.first() else { return Ok(None) };
    let record = first.seq.map(|seq| format!("record {seq}: ")).unwrap_or_default();
    let reason = format!("the log was not as it was left: {record}{}", first.detail);
    let details = json!({ "faults": total, "first": first });
    Ok(Some(Event { reason: Some(reason), details, ..Event::new("log.broken") }))
}

/// The newest checkpoint elsewhere knows of a record that is not in this log. One that another log's key
/// signed says nothing.
fn rolled_back(transaction: &Transaction<'_>, head: &Head) -> Result<Option<Event>> {
    let ours = store::keys(transaction)?.iter().any(|key| head.signed_by(key));
    if !ours || store::hash_of(transaction, head.seq)? == Some(head.hash) {
        return Ok(None);
    }
    let last = store::newest(transaction)?.map_or(0, |(seq, _)| seq);
    let reason = format!(
        "the database was set back: record {} was signed at {}, and is not in this log, which ended with record {last}",
        head.seq, head.at
    );
    let details = json!({ "checkpoint": head, "last": last });
    Ok(Some(Event { reason: Some(reason), details, ..Event::new("log.rolled-back") }))
}
