//! One pass over a chain, from its first record to its last; the same for databases and exports.
//! Finds what does not fit, and which records a signature covers.

use super::findings::{Fault, Faults, Span};
use crate::audit::chain::{self, Hash, Head};
use crate::audit::{Event, Record};
use crate::base::Utc;

/// A record as it is found.
pub(in crate::audit) struct Entry<'a> {
    /// Its number, where it stands.
    pub seq: i64,
    /// What it says, or what stands for it.
    pub content: Content<'a>,
    /// Its hash; `None` where it is none.
    pub hash: Option<Hash>,
}

impl Entry<'_> {
    /// The digest that is kept beside a whole record.
    fn kept_digest(&self) -> Option<Hash> {
        match &self.content {
            Content::Whole { row: Some(row), .. } => row.digest,
            _ => None,
        }
    }
}

/// What an entry holds.
pub(in crate::audit) enum Content<'a> {
    /// All of it.
    Whole {
        salt: &'a [u8],
        body: &'a [u8],
        /// The digest and the columns beside it, in a database.
        row: Option<Columns<'a>>,
    },
    /// Its digest alone: the body is withheld.
    Digest(Option<Hash>),
}

/// The columns by which a database is searched.
pub(in crate::audit) struct Columns<'a> {
    pub at: Option<i64>,
    pub digest: Option<Hash>,
    /// kind, actor, zone, camera, screen, incident, agreement.
    pub texts: [Option<&'a str>; 7],
}

/// Where a signature was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::audit) enum Origin {
    Log,
    File,
}

/// A head whose signature is good.
pub(in crate::audit) struct Signed {
    pub head: Head,
    pub origin: Origin,
}

/// The state of a pass.
pub(in crate::audit) struct Walk {
    faults: Faults,
    notes: Vec<String>,
    trusted: Vec<Span>,
    /// By their seq.
    signed: Vec<Signed>,
    /// The newest record that the log's own signatures cover.
    signed_to: Option<i64>,
    /// Whether the newest head is among them, after which nothing follows.
    sealed: bool,
    /// The hash of the record before; `None` where it is not known.
    previous: Option<Hash>,
    expected: i64,
    /// Sound records from which an unbroken chain leads to the record before.
    run: Vec<(i64, i64)>,
    gaps: Vec<(i64, i64)>,
    shift: Option<Shift>,
    beyond: Option<(i64, i64)>,
    compared: [u64; 2],
    records: u64,
    withheld: u64,
    first: Option<i64>,
    last: Option<i64>,
    /// The highest number that a record was written as.
    reached: i64,
    times: Option<(Utc, Utc)>,
}

/// Records that stand by `by` places later than where they were written.
#[derive(Clone, Copy)]
struct Shift {
    from: i64,
    to: i64,
    by: i64,
}

/// What a pass found.
pub(in crate::audit) struct Walked {
    pub faults: Faults,
    pub notes: Vec<String>,
    pub trusted: Vec<Span>,
    pub compared: [u64; 2],
    pub records: u64,
    pub withheld: u64,
    pub first: Option<i64>,
    pub last: Option<i64>,
    pub times: Option<(Utc, Utc)>,
}

impl Walk {
    /// A pass that begins with record `first`, whose predecessor has the hash `previous`.
    pub fn new(first: i64, previous: Hash, mut signed: Vec<Signed>) -> Walk {
        signed.sort_by_key(|s| s.head.seq);
        let signed_to = signed.iter().filter(|s| s.origin == Origin::Log).map(|s| s.head.seq).max();
        Walk {
            faults: Faults::default(),
            notes: Vec::new(),
            trusted: Vec::new(),
            signed,
            signed_to,
            sealed: true,
            previous: Some(previous),
            expected: first,
            run: Vec::new(),
            gaps: Vec::new(),
            shift: None,
            beyond: None,
            compared: [0; 2],
            records: 0,
            withheld: 0,
            first: None,
            last: None,
            reached: first - 1,
            times: None,
        }
    }

    /// The same, where the newest head is missing or its signature is not good.
    pub fn unsealed(self) -> Walk {
        Walk { sealed: false, ..self }
    }

    pub fn step(&mut self, entry: &Entry<'_>) {
        self.records += 1;
        self.first.get_or_insert(entry.seq);
        self.last = self.last.max(Some(entry.seq));
        if !self.in_its_place(entry.seq) {
            return;
        }
        let (digest, record) = self.read(entry);
        let written = record.as_ref().map_or(entry.seq, |record| record.seq);
        self.reached = self.reached.max(written);
        self.note_shift(entry.seq, written);
        self.check_link(entry, digest, written);
        if let Some(record) = &record {
            let (from, _) = self.times.unwrap_or((record.at, record.at));
            self.times = Some((from, record.at));
            self.hear(record);
        }
        self.compare(written, entry.hash);
        if self.signed_to.is_some_and(|to| written > to) {
            let from = self.beyond.map_or(entry.seq, |b| b.0);
            self.beyond = Some((from, entry.seq));
        }
    }

    /// Ends the pass. `complete`: the log ends here, and is no part of one.
    pub fn end(mut self, complete: bool) -> Walked {
        self.end_shift(true);
        for (from, to) in std::mem::take(&mut self.gaps) {
            self.faults.range(Fault::Removed, Some(from), Some(to), missing(from, to));
        }
        if let Some((from, to)) = self.beyond {
            let (what, detail) = match self.sealed {
                true => (Fault::Inserted, "the log was signed without it, so this log did not write it"),
                false => (Fault::Unsigned, "no signature covers it"),
            };
            self.faults.range(what, Some(from), Some(to), detail);
        }
        self.check_end(complete);
        self.faults.list.sort_by_key(|fault| fault.seq);
        Walked {
            faults: self.faults,
            notes: self.notes,
            trusted: self.trusted,
            compared: self.compared,
            records: self.records,
            withheld: self.withheld,
            first: self.first,
            last: self.last,
            times: self.times,
        }
    }

    /// Numbers go up by one. False where this one is out of its place, and the chain goes on without it.
    fn in_its_place(&mut self, seq: i64) -> bool {
        if seq < self.expected {
            match self.gaps.iter().position(|(from, to)| (*from..=*to).contains(&seq)) {
                Some(index) => {
                    let (from, to) = self.gaps.remove(index);
                    let parts = [(from, seq - 1), (seq + 1, to)];
                    self.gaps.extend(parts.into_iter().filter(|(from, to)| from <= to));
                    let after = self.expected - 1;
                    self.faults.add(Fault::Reordered, seq, format!("stands after record {after}"));
                }
                None => {
                    self.faults.add(Fault::Inserted, seq, "there is another record of this number before it")
                }
            }
            return false;
        }
        if seq > self.expected {
            self.gaps.push((self.expected, seq - 1));
            self.previous = None;
        }
        self.expected = seq.saturating_add(1);
        true
    }

    /// The digest as it follows from the content, and the record where it can be read.
    fn read(&mut self, entry: &Entry<'_>) -> (Option<Hash>, Option<Record>) {
        match &entry.content {
            Content::Digest(digest) => {
                self.withheld += 1;
                (*digest, None)
            }
            Content::Whole { salt, body, row } => {
                let digest = chain::digest(salt, body);
                let record = serde_json::from_slice::<Record>(body).ok();
                match (&record, row) {
                    (None, _) => self.faults.add(Fault::Changed, entry.seq, "its body is no record"),
                    (Some(record), Some(row)) => self.check_columns(entry.seq, record, row),
                    _ => {}
                }
                (Some(digest), record)
            }
        }
    }

    fn check_columns(&mut self, seq: i64, record: &Record, row: &Columns<'_>) {
        let Event { kind, zone, camera, screen, incident, agreement, .. } = &record.event;
        let told = [
            Some(kind),
            Some(&record.by.account),
            zone.as_ref(),
            camera.as_ref(),
            screen.as_ref(),
            incident.as_ref(),
            agreement.as_ref(),
        ];
        let names = ["kind", "actor", "zone", "camera", "screen", "incident", "agreement"];
        let mut wrong: Vec<&str> = names
            .iter()
            .zip(told.iter().zip(&row.texts))
            .filter(|(_, (told, column))| told.map(String::as_str) != **column)
            .map(|(name, _)| *name)
            .collect();
        wrong.extend((row.at != Some(record.at.0)).then_some("at"));
        if !wrong.is_empty() {
            let detail = format!(
                "columns that say something else than the record, so that searches miss it: {}",
                wrong.join(", ")
            );
            self.faults.add(Fault::Index, seq, detail);
        }
    }

    /// A record says which number it was written as. Where many stand elsewhere, that is one fault.
    fn note_shift(&mut self, seq: i64, written: i64) {
        let by = seq.wrapping_sub(written);
        let before = self.shift.map_or(0, |shift| shift.by);
        if by == before {
            if let Some(shift) = &mut self.shift {
                shift.to = seq;
            }
            return;
        }
        self.end_shift(false);
        self.shift = (by != 0).then_some(Shift { from: seq, to: seq, by });
        self.previous = None;
    }

    fn end_shift(&mut self, at_the_end: bool) {
        let Some(Shift { from, to, by }) = self.shift.take() else { return };
        let written = from.wrapping_sub(by);
        let holds = format!("holds what was written as record {written}");
        match (at_the_end, by.signum()) {
            (true, 1) => {
                let detail = format!("{by} were inserted before this one, which {holds}");
                self.faults.range(Fault::Inserted, Some(from - by), Some(from - 1), detail);
            }
            (true, -1) => {
                let last = written.saturating_sub(1);
                let detail = format!("{}; record {from} {holds}", missing(from, last));
                self.faults.range(Fault::Removed, Some(from), Some(last), detail);
            }
            _ => self.faults.range(Fault::Reordered, Some(from), Some(to), holds),
        }
    }

    fn check_link(&mut self, entry: &Entry<'_>, digest: Option<Hash>, written: i64) {
        let (seq, kept) = (entry.seq, entry.kept_digest());
        let fits = |digest: Option<Hash>| match (self.previous, digest, entry.hash) {
            (Some(previous), Some(digest), Some(hash)) => chain::link(&previous, &digest) == hash,
            _ => false,
        };
        if fits(digest) {
            if kept.is_some_and(|kept| Some(kept) != digest) {
                self.faults.add(Fault::Index, seq, "the digest beside it is another than its own");
            }
            match self.run.last_mut().filter(|last| last.1 + 1 == written) {
                Some(last) => last.1 = written,
                None => self.run.push((written, written)),
            }
        } else if fits(kept) {
            // The chain holds, and proves that this body is another than the one that was hashed.
            self.faults.add(Fault::Changed, seq, "its body or salt is another than the one that was hashed");
        } else {
            // Where the one before is not there, nothing says whether this one is sound.
            if self.previous.is_some() {
                let detail = match seq {
                    1 => "does not fit its hash".to_owned(),
                    _ => format!("does not fit its hash: it was changed, or the hash of record {}", seq - 1),
                };
                self.faults.add(Fault::Changed, seq, detail);
            }
            self.run.clear();
        }
        self.previous = entry.hash;
    }

    /// What the program itself told of the log.
    fn hear(&mut self, record: &Record) {
        let reason = record.event.reason.as_deref().unwrap_or_default();
        match record.event.kind.as_str() {
            "log.broken" | "log.rolled-back" => {
                self.faults.add(Fault::Told, record.seq, format!("the log says of {}: {reason}", record.at));
            }
            "log.key-replaced" => self.notes.push(format!("record {}: {reason}", record.seq)),
            _ => {}
        }
    }

    /// Compares with what was signed for the record that was written as `seq`.
    fn compare(&mut self, seq: i64, hash: Option<Hash>) {
        let first = self.signed.partition_point(|signed| signed.head.seq < seq);
        for Signed { head, origin } in self.signed[first..].iter().take_while(|signed| signed.head.seq == seq)
        {
            if Some(head.hash) != hash {
                let (what, place) = match origin {
                    Origin::Log => (Fault::Remade, "in the log"),
                    Origin::File => (Fault::RolledBack, "in the checkpoint file"),
                };
                let after = self.trusted.last().map_or(1, |span| span.to + 1);
                let detail = format!(
                    "is another than the one that was signed at {} ({}, {place}): this one or some since record {after} were made anew",
                    head.at, head.why
                );
                self.faults.add(what, seq, detail);
                continue;
            }
            self.compared[(*origin == Origin::File) as usize] += 1;
            for (from, to) in self.run.drain(..) {
                match self.trusted.last_mut().filter(|last| last.to + 1 == from) {
                    Some(last) => (last.to, last.signed_at) = (to, head.at),
                    None => self.trusted.push(Span { from, to, signed_at: head.at }),
                }
            }
        }
    }

    /// Signatures for records that are not there any more.
    fn check_end(&mut self, complete: bool) {
        let last = self.reached.max(self.expected - 1);
        let newest = |origin| {
            let left = self.signed.iter().rev().take_while(|signed| signed.head.seq > last);
            left.filter(|signed| signed.origin == origin).map(|signed| &signed.head).next()
        };
        let detail = |head: &Head| {
            format!(
                "the log ends with record {last}, but record {} was signed at {}: {}",
                head.seq,
                head.at,
                missing(last + 1, head.seq)
            )
        };
        if let Some(head) = newest(Origin::Log) {
            self.faults.range(Fault::Truncated, Some(last + 1), Some(head.seq), detail(head));
        }
        match newest(Origin::File) {
            Some(head) if complete => {
                let detail = format!("set back: {} (checkpoint file)", detail(head));
                self.faults.range(Fault::RolledBack, Some(last + 1), Some(head.seq), detail);
            }
            Some(head) => self.notes.push(format!(
                "the checkpoint file knows of record {}, signed at {}; this export ends with record {last}",
                head.seq, head.at
            )),
            None => {}
        }
    }
}

fn missing(from: i64, to: i64) -> String {
    if from == to {
        format!("record {from} is missing")
    } else {
        format!("records {from} to {to} are missing")
    }
}
