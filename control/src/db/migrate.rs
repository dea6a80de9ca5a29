//! Brings a database to today's form, one step after the other. A step that was released is never
//! edited: another one follows.

use rusqlite::{Connection, TransactionBehavior};

use crate::base::database::FORM;
use crate::base::{Problem, Result};

/// In this order; `PRAGMA user_version` counts those that are done. [`FORM`] says how many there are.
const STEPS: [&str; FORM as usize] = [
    include_str!("migrations/01-audit.sql"),
    include_str!("migrations/02-people.sql"),
    include_str!("migrations/03-registry.sql"),
    include_str!("migrations/04-rights.sql"),
    include_str!("migrations/05-walls.sql"),
    include_str!("migrations/06-turn.sql"),
];

pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    let done: usize = connection
        .pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))?
        .try_into()
        .unwrap_or(0);
    if done > STEPS.len() {
        let remedy = format!(
            "was written by a newer Vitrail (form {done}, this one knows {}); use that one",
            STEPS.len()
        );
        return Err(Problem::internal("database", remedy));
    }
    for (index, step) in STEPS.iter().enumerate().skip(done) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", index as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}
