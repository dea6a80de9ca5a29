//! What a verification finds, in words that programs and people share.

use serde::Serialize;
use utoipa::ToSchema;

use crate::base::Utc;

/// Faults that are listed; all are counted.
const MOST_LISTED: usize = 100;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Signed with a key that was given, and every record is as it was written.
    Verified,
    /// Every record fits, but no key was given: anyone could have made this log and its signatures.
    Unattributed,
    /// Something is not as it was written.
    Failed,
}

impl Verdict {
    /// The exit code of `vitrail audit verify`, as that of `vitrail verify`.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Verified => 0,
            Verdict::Failed => 1,
            Verdict::Unattributed => 6,
        }
    }
}

/// What is wrong with a record, or with the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// A record does not fit its hash.
    Changed,
    /// Records are not there.
    Removed,
    /// A record stands in the place of another.
    Reordered,
    /// A record is there that was not written by this log.
    Inserted,
    /// The end is missing.
    Truncated,
    /// The log as a whole was set back to an earlier state, or forked from one.
    RolledBack,
    /// Records fit together, but they are others than those that were signed.
    Remade,
    /// A column by which records are searched says something else than the record.
    Index,
    /// A signature is wrong or missing.
    Unsigned,
    /// Signed with a key that was not given.
    OtherKey,
    /// The log itself says, in a record that is sound, that it was not as it had been left.
    Told,
}

impl Fault {
    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::Changed => "changed",
            Fault::Removed => "removed",
            Fault::Reordered => "reordered",
            Fault::Inserted => "inserted",
            Fault::Truncated => "truncated",
            Fault::RolledBack => "rolled-back",
            Fault::Remade => "remade",
            Fault::Index => "index",
            Fault::Unsigned => "unsigned",
            Fault::OtherKey => "other-key",
            Fault::Told => "told",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Finding {
    /// What kind of fault.
    pub what: Fault,
    /// The record, or the first of several.
    pub seq: Option<i64>,
    /// The last of several.
    pub to: Option<i64>,
    /// In English. Never holds what a record says.
    pub detail: String,
}

/// Records that are proven to be as they were written: a signature covers them all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Span {
    /// The first.
    pub from: i64,
    /// The last: the one that was signed.
    pub to: i64,
    /// When it was signed.
    pub signed_at: Utc,
}

/// All that was found.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Findings {
    /// What was looked at.
    pub log: String,
    /// What came of it.
    pub verdict: Verdict,
    /// Records that were looked at.
    pub records: u64,
    /// Records of which only the digest is there: left out of an export, and in their place.
    pub withheld: u64,
    /// The first record; none where there are no records.
    pub first: Option<i64>,
    /// The last record; none where there are no records.
    pub last: Option<i64>,
    /// When the first record was written, as it says.
    pub from: Option<Utc>,
    /// When the last one was.
    pub to: Option<Utc>,
    /// The key of the newest signature.
    pub key_id: Option<String>,
    /// Whether the keys were given by the one who asks, and not taken from the log itself.
    pub key_given: bool,
    /// Good signatures in the log that were compared with its records.
    pub signatures: u64,
    /// Good signatures of the checkpoint file that were compared.
    pub file_signatures: u64,
    /// What is proven; up to the last of these the log can be trusted, gaps between them excepted.
    pub trusted: Vec<Span>,
    /// What is wrong, by record; at most 100.
    pub faults: Vec<Finding>,
    /// How many there are.
    pub faults_total: u64,
    /// What is worth knowing and no fault.
    pub notes: Vec<String>,
}

/// Faults as they are found.
#[derive(Debug, Default)]
pub(in crate::audit) struct Faults {
    pub list: Vec<Finding>,
    pub total: u64,
}

impl Faults {
    pub fn add(&mut self, what: Fault, seq: impl Into<Option<i64>>, detail: impl Into<String>) {
        self.range(what, seq.into(), None, detail);
    }

    pub fn range(&mut self, what: Fault, seq: Option<i64>, to: Option<i64>, detail: impl Into<String>) {
        self.total += 1;
        if self.list.len() < MOST_LISTED {
            self.list.push(Finding {
                what,
                seq,
                to: to.filter(|to| Some(*to) != seq),
                detail: detail.into(),
            });
        }
    }
}
