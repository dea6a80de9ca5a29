//! What all who open the file of the database agree on: the writer of `db`, and the verification of `audit`, which
//! opens it beside a writer or after all have gone.

/// The form of a database that this program writes: how many steps of `db/migrate.rs` were done to it.
pub(crate) const FORM: i64 = 6;
/// How long anybody waits for a lock that another program holds, in milliseconds.
pub(crate) const BUSY_MS: i64 = 5000;
