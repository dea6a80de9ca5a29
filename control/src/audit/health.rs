//! Whether the log can be written: what operators see, and what the conductor asks before it shows.

use std::fmt;

use parking_lot::Mutex;
use serde::Serialize;
use utoipa::ToSchema;

use crate::base::Utc;

/// What is wrong with the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LogTrouble {
    /// What kind.
    pub what: Trouble,
    /// Since when.
    pub since: Utc,
    /// In English, for those who can mend it.
    pub reason: String,
}

/// What can be wrong with the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// Records cannot be written: nothing is changed and nothing new is shown until they can.
    Records,
    /// The log was changed by something else than this program. Records are written still.
    Tampered,
    /// The checkpoint file cannot be written. Records are written still.
    Checkpoints,
}

impl fmt::Display for LogTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            Trouble::Records => "the audit log cannot be written",
            Trouble::Tampered => "the audit log was tampered with",
            Trouble::Checkpoints => "the file of the audit log's checkpoints cannot be written",
        };
        write!(f, "{what} since {}: {}", self.since, self.reason)
    }
}

/// The state of the log. Asking never waits for a writer.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<[Option<LogTrouble>; 3]>);

impl Health {
    /// Nothing, or the worst of what is wrong.
    pub fn state(&self) -> Result<(), LogTrouble> {
        self.lock().iter().flatten().next().map_or(Ok(()), |trouble| Err(trouble.clone()))
    }

    /// What is wrong of this kind.
    pub fn trouble(&self, what: Trouble) -> Option<LogTrouble> {
        self.lock()[what as usize].clone()
    }

    /// Says what is wrong; where something of this kind was wrong already, since when stays.
    pub fn failed(&self, what: Trouble, now: Utc, reason: String) {
        let place = &mut self.lock()[what as usize];
        let since = place.as_ref().map_or(now, |trouble| trouble.since);
        if place.as_ref().is_none_or(|trouble| trouble.reason != reason) {
            let trouble = LogTrouble { what, since, reason };
            tracing::error!("{trouble}");
            *place = Some(trouble);
        }
    }

    /// Says that nothing of this kind is wrong any more.
    pub fn mended(&self, what: Trouble) {
        if let Some(trouble) = self.lock()[what as usize].take() {
            tracing::info!("no more: {trouble}");
        }
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, [Option<LogTrouble>; 3]> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_told_and_each_ends_by_itself() {
        let health = Health::default();
        assert_eq!(health.state(), Ok(()));
        health.failed(Trouble::Checkpoints, Utc(1), "no such folder".into());
        health.failed(Trouble::Records, Utc(2), "disk full".into());
        health.failed(Trouble::Records, Utc(3), "disk full".into());
        let worst = health.state().expect_err("both are wrong");
        assert_eq!((worst.what, worst.since), (Trouble::Records, Utc(2)));
        health.mended(Trouble::Records);
        assert_eq!(health.state().map_err(|t| t.what), Err(Trouble::Checkpoints));
        health.mended(Trouble::Checkpoints);
        assert_eq!(health.state(), Ok(()));
    }
}
