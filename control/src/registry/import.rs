//! Import and export of the whole inventory: planned first, then done in one transaction.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, Transaction};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use vitrail_engine::config::WallSpec;

use super::address;
use super::author::Author;
use super::cameras::{Step, remove};
use super::plan::{Plan, SecretStep, WantedCamera, plan};
use super::row::{self, RowProblem};
use super::store::{self, Names, Secrets, Stored};
use super::{Registry, geojson, zones};
use crate::audit::Event;
use crate::base::{Kind, Problem, Result, hex};

/// The largest inventory that is taken, in bytes: some 100,000 cameras.
pub const MAX_IMPORT: usize = 32 << 20;
/// Entries of each list of a report.
const MAX_LISTED: usize = 1000;

/// How an inventory is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The columns of docs/ref/inventory.md.
    Csv,
    /// Point features with these columns as properties, and `onvif`.
    Geojson,
}

/// What an import may do.
#[derive(Clone, Copy, Debug)]
pub struct ImportOptions {
    /// How the text is written.
    pub format: Format,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
    /// Remove the cameras that the text does not name; nothing is removed where rows were left out,
    /// for a row that is wrong is no wish to remove its camera.
    pub remove: bool,
}

/// A camera that an import changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImportChange {
    /// The camera that is added, changed or removed.
    pub id: String,
    /// The names of its fields that change.
    pub fields: Vec<String>,
    /// What happens to its credentials: `kept`, `set`, or `removed` because its address is another one.
    pub credentials: String,
}

/// What an import did, or would do. Lists end after 1000 entries; the counts are whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImportReport {
    /// Nothing was done.
    pub dry_run: bool,
    /// How many cameras were added.
    pub added_count: usize,
    /// How many cameras were changed.
    pub changed_count: usize,
    /// How many cameras were removed.
    pub removed_count: usize,
    /// How many cameras are as they were.
    pub unchanged_count: usize,
    /// How many cameras the text does not name; they were kept.
    pub not_named_count: usize,
    /// How many rows were left out.
    pub left_out_count: usize,
    /// Ids of cameras that were added.
    pub added: Vec<String>,
    /// Cameras that were changed.
    pub changed: Vec<ImportChange>,
    /// Ids of cameras that were removed.
    pub removed: Vec<String>,
    /// What is wrong with rows.
    pub left_out: Vec<RowProblem>,
    /// Zones that came with it.
    pub zones_added: Vec<String>,
    /// Sites that came with it.
    pub sites_added: Vec<String>,
}

/// A camera of the text that has to be written.
struct Entry {
    before: Option<usize>,
    wanted: WantedCamera,
    plan: Plan,
}

/// Everything that has to be done.
struct Prepared {
    stored: Vec<Stored>,
    entries: Vec<Entry>,
    remove: Vec<usize>,
    report: ImportReport,
}

impl Registry {
    /// Takes an inventory, all of it in one transaction with its records. Rows that are wrong, or of
    /// zones for which the author does not speak, are left out and told.
    ///
    /// # Errors
    /// The text as a whole is refused: too large, no header, an unknown column. Then nothing is done.
    pub fn import(&self, by: &Author, text: &str, options: ImportOptions) -> Result<ImportReport> {
        if text.len() > MAX_IMPORT {
            let detail = format!("has {} bytes, of at most {MAX_IMPORT}", text.len());
            return Err(Problem::new(Kind::TooLarge, "inventory", detail));
        }
        let rows = read(text, options.format)?;
        if options.dry_run {
            return self.db.read(|connection| {
                let mut prepared = self.prepare(connection, by, rows, options)?;
                prepared.report.dry_run = true;
                Ok(prepared.report)
            });
        }
        let sum = hex(&Sha256::digest(text.as_bytes()));
        self.db.change(&by.actor, |transaction, events| {
            let prepared = self.prepare(transaction, by, rows, options)?;
            let report = &prepared.report;
            events.push(Event {
                details: json!({
                    "format": options.format, "sha256": sum, "added": report.added_count,
                    "changed": report.changed_count, "removed": report.removed_count,
                    "unchanged": report.unchanged_count, "left_out": report.left_out_count,
                }),
                ..Event::new("registry.imported")
            });
            self.apply(transaction, &prepared, events)?;
            Ok(prepared.report)
        })
    }

    /// Fills a registry that holds nothing with the cameras of a wall file and its inventories. Gives
    /// how many: none where it holds something.
    pub fn seed_from(&self, wall: &WallSpec) -> Result<usize> {
        if self.count()? > 0 || !self.zones(None, 1)?.is_empty() {
            return Ok(0);
        }
        let mut rows = Rows::default();
        for camera in wall.inventory.cameras() {
            match row::tidy(camera.clone()) {
                Ok(spec) => rows.wanted.push(WantedCamera::part(spec, None)),
                Err((field, why)) => {
                    tracing::warn!(camera = %camera.id, field, why, "left out of the registry")
                }
            }
        }
        if rows.wanted.is_empty() {
            return Ok(0);
        }
        let by = Author::system();
        let options = ImportOptions { format: Format::Csv, dry_run: false, remove: false };
        self.db.change(&by.actor, |transaction, events| {
            let prepared = self.prepare(transaction, &by, rows, options)?;
            for problem in &prepared.report.left_out {
                tracing::warn!(camera = problem.key, why = problem.message, "left out of the registry");
            }
            let details = json!({ "cameras": prepared.report.added_count, "wall": wall.id.as_str() });
            events.push(Event { details, ..Event::new("registry.seeded") });
            self.apply(transaction, &prepared, events)?;
            Ok(prepared.report.added_count)
        })
    }

    /// The whole inventory as text, without anything secret, in the order in which cameras were added.
    pub fn export(&self, format: Format) -> Result<String> {
        let cameras = self.db.read(|connection| store::load(connection, "ORDER BY n", &[]))?;
        Ok(match format {
            Format::Csv => row::to_csv(cameras.iter().map(|c| &c.spec)),
            Format::Geojson => geojson::write(&cameras),
        })
    }

    fn prepare(
        &self,
        connection: &Connection,
        by: &Author,
        rows: Rows,
        options: ImportOptions,
    ) -> Result<Prepared> {
        let stored = store::load(connection, "ORDER BY n", &[])?;
        let secrets = store::load_secrets(connection, &self.key(), None)?;
        let names = Names::load(connection)?;
        let by_id: HashMap<&str, usize> =
            stored.iter().enumerate().map(|(i, c)| (c.spec.id.as_str(), i)).collect();
        let mut report = ImportReport::default();
        let mut left_out = rows.problems;
        let mut left_out_count = rows.left_out;
        let mut entries = Vec::new();
        let mut named = vec![false; stored.len()];
        let (mut zones_added, mut sites_added) = (BTreeSet::new(), BTreeSet::new());
        for mut wanted in rows.wanted {
            let id = wanted.spec.id.to_string();
            let index = by_id.get(id.as_str()).copied();
            let before = index.map(|i| &stored[i]);
            if let Some(i) = index {
                named[i] = true;
            }
            // CSV has no column for it: what is known stays.
            if options.format == Format::Csv && wanted.onvif.is_none() {
                wanted.onvif = before.and_then(|stored| stored.onvif.clone());
            }
            let zones = [before.map(|s| s.spec.zone.as_deref()), Some(wanted.spec.zone.as_deref())];
            if zones.into_iter().flatten().any(|zone| !by.covers(zone)) {
                left_out_count += 1;
                let message = "you do not speak for its zone".to_owned();
                left_out.push(RowProblem { row: None, key: format!("camera {id}.zone"), message });
                continue;
            }
            let none = Secrets::new();
            let kept = before.map(|stored| (stored, secrets.get(&stored.n).unwrap_or(&none)));
            let plan = match plan(kept, &wanted) {
                Ok(plan) => plan,
                Err((field, message)) => {
                    left_out_count += 1;
                    left_out.push(RowProblem { row: None, key: format!("camera {id}.{field}"), message });
                    continue;
                }
            };
            if before.is_some() && plan.is_nothing() {
                report.unchanged_count += 1;
                continue;
            }
            zones_added.extend(wanted.spec.zone.clone().filter(|z| !names.zones.contains_key(z)));
            sites_added.extend(wanted.spec.site.clone().filter(|s| !names.sites.contains_key(s)));
            note(&mut report, &id, before.is_some(), &plan);
            entries.push(Entry { before: index, wanted, plan });
        }
        let others: Vec<usize> =
            (0..stored.len()).filter(|i| !named[*i] && by.covers(stored[*i].spec.zone.as_deref())).collect();
        let remove = if options.remove && left_out_count == 0 { others.clone() } else { Vec::new() };
        report.removed_count = remove.len();
        report.removed = remove.iter().take(MAX_LISTED).map(|i| stored[*i].spec.id.to_string()).collect();
        report.not_named_count = others.len() - remove.len();
        report.left_out_count = left_out_count;
        left_out.truncate(MAX_LISTED);
        report.left_out = left_out;
        report.zones_added = zones_added.into_iter().collect();
        report.sites_added = sites_added.into_iter().take(MAX_LISTED).collect();
        Ok(Prepared { stored, entries, remove, report })
    }

    fn apply(
        &self,
        transaction: &Transaction<'_>,
        prepared: &Prepared,
        events: &mut Vec<Event>,
    ) -> Result<()> {
        let now = self.db.now();
        let mut names = Names::load(transaction)?;
        for entry in &prepared.entries {
            zones::make_known(transaction, &mut names, &entry.wanted.spec, events)?;
            let before = entry.before.and_then(|i| prepared.stored.get(i));
            let step = Step { before, wanted: &entry.wanted, plan: &entry.plan };
            step.apply(transaction, &names, &self.key(), now, events)?;
        }
        for stored in prepared.remove.iter().filter_map(|i| prepared.stored.get(*i)) {
            remove(transaction, stored, events)?;
        }
        Ok(())
    }
}

fn note(report: &mut ImportReport, id: &str, is_there: bool, plan: &Plan) {
    if !is_there {
        report.added_count += 1;
        if report.added.len() < MAX_LISTED {
            report.added.push(id.to_owned());
        }
        return;
    }
    report.changed_count += 1;
    if report.changed.len() < MAX_LISTED {
        let credentials = match plan.secrets {
            SecretStep::Keep => "kept",
            SecretStep::Set(_) => "set",
            SecretStep::Cut(_) => "removed",
        };
        let change =
            ImportChange { id: id.to_owned(), fields: plan.fields.clone(), credentials: credentials.into() };
        report.changed.push(change);
    }
}

/// The rows of a text, parted from their secrets.
#[derive(Default)]
struct Rows {
    wanted: Vec<WantedCamera>,
    problems: Vec<RowProblem>,
    left_out: usize,
}

fn read(text: &str, format: Format) -> Result<Rows> {
    if format == Format::Csv {
        let rows = row::read_csv(text)?;
        let wanted = rows.cameras.into_iter().map(|spec| WantedCamera::part(spec, None)).collect();
        return Ok(Rows { wanted, problems: rows.problems, left_out: rows.left_out });
    }
    let mut problems = Vec::new();
    let mut left_out = 0;
    let mut cells = Vec::new();
    let mut onvif: HashMap<String, String> = HashMap::new();
    let mut features = Vec::new();
    for (i, record) in geojson::read(text)?.into_iter().enumerate() {
        let mut wrong = |key: String, message: String| {
            left_out += 1;
            problems.push(RowProblem { row: Some(i + 1), key, message });
        };
        match record {
            Ok(record) => {
                let id = record.cells.get("id").cloned().unwrap_or_default();
                match record.onvif.as_deref().map(address::check_onvif) {
                    Some(Err(why)) => wrong("onvif".into(), why.to_owned()),
                    Some(Ok((address, _))) => {
                        onvif.insert(id, address);
                        features.push(i + 1);
                        cells.push(record.cells);
                    }
                    None => {
                        features.push(i + 1);
                        cells.push(record.cells);
                    }
                }
            }
            Err(problem) => wrong(problem.key, problem.message),
        }
    }
    if cells.is_empty() {
        return Ok(Rows { wanted: Vec::new(), problems, left_out });
    }
    let rows = row::read_cells(&cells)?;
    problems.extend(rows.problems.into_iter().map(|mut problem| {
        problem.row = problem.row.and_then(|row| features.get(row.saturating_sub(1)).copied());
        problem
    }));
    let wanted = rows.cameras.into_iter().map(|spec| {
        let onvif = onvif.remove(spec.id.as_str());
        WantedCamera::part(spec, onvif)
    });
    Ok(Rows { wanted: wanted.collect(), problems, left_out: left_out + rows.left_out })
}
