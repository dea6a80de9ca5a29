//! The chain: every record's hash covers the one before.

use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{Actor, Event};
use crate::{Problem, Result, Utc};

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Record {
    /// 1, 2, 3 … without a gap.
    pub seq: i64,
    /// When.
    pub at: Utc,
    /// Who.
    pub by: Actor,
    /// What.
    pub event: Event,
}

/// Appends records to the chain.
#[derive(Debug, Default)]
pub struct Ledger {}

impl Ledger {
    /// Appends `events` to the chain within `transaction`.
    pub fn append(
        &mut self,
        transaction: &Transaction<'_>,
        now: Utc,
        by: &Actor,
        events: Vec<Event>,
    ) -> Result<Vec<Record>> {
        let head: Option<(i64, Vec<u8>)> = transaction
            .query_row("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let (mut seq, mut hash) = head.unwrap_or((0, vec![0; 32]));
        let mut records = Vec::with_capacity(events.len());
        for event in events {
            seq += 1;
            let record = Record { seq, at: now, by: by.clone(), event };
            let body = serde_json::to_string(&record)
                .map_err(|e| Problem::internal("audit record", e.to_string()))?;
            hash = Sha256::new().chain_update(&hash).chain_update(body.as_bytes()).finalize().to_vec();
            let e = &record.event;
            transaction.execute(
                "INSERT INTO audit (seq, at, kind, actor, zone, camera, screen, incident, agreement, body, hash)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                params![seq, now, e.kind, by.account, e.zone, e.camera, e.screen, e.incident, e.agreement, body, hash],
            )?;
            records.push(record);
        }
        Ok(records)
    }

    /// Told after the commit.
    pub fn committed(&mut self, _records: &[Record]) {}
}
