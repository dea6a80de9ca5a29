//! Inventories: thousands of cameras from CSV or TOML, found by id, zone, tag or query.
//!
//! A row that is wrong costs its camera and nothing else: it is reported with file, line and column,
//! and the others are taken. What makes a whole file doubtful (no header, an unknown column, no TOML)
//! refuses the file, because a privacy mask in a column that nobody reads would be no mask.

mod changes;
mod csv;
mod query;
mod toml;
mod write;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use super::camera::check_camera;
use super::check::{Places, UsedIds, remember};
use super::load::read_bytes;
use super::read::join;
use super::report::{ConfigErrors, Place, Problem, Report};
use super::wall::CameraSpec;
use super::wire::CameraTable;
use crate::media::CameraId;

pub use changes::{Changed, Changes, Field, changed_keys, diff};
pub use csv::csv_columns;
pub use query::{Query, QueryError};

/// The largest inventory that is read, in bytes: some 200,000 cameras, and keeps a wrong file (a
/// recording) out of memory.
const MAX_FILE: u64 = 64 << 20;
/// So much is noted of one file; who has more looks at the export, not at lines.
const MAX_PROBLEMS: usize = 10_000;

/// All cameras that a wall can be told to show. Ids are unique.
#[derive(Clone, Default)]
pub struct Inventory {
    cameras: Vec<CameraSpec>,
    by_id: HashMap<CameraId, usize>,
    files: Vec<PathBuf>,
    problems: Vec<Problem>,
    rejected: usize,
    bad: HashMap<String, Place>,
}

impl fmt::Debug for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inventory({} cameras, {} left out)", self.cameras.len(), self.rejected)
    }
}

impl Inventory {
    /// Reads files, `.csv` or `.toml`. Rows that are wrong are left out and told by
    /// [`problems`](Inventory::problems).
    ///
    /// # Errors
    /// What is wrong with files as a whole: they cannot be read, have no header, or an unknown column.
    pub fn load<P: AsRef<Path>>(files: &[P]) -> Result<Inventory, ConfigErrors> {
        let mut builder = Builder::default();
        let mut refused = Vec::new();
        for file in files {
            if let Err(errors) = builder.add_file(file.as_ref()) {
                refused.extend_from_slice(errors.problems());
            }
        }
        match ConfigErrors::some(refused) {
            Some(errors) => Err(errors),
            None => Ok(builder.finish().0),
        }
    }

    /// Reads the text of a file; `file_name` ends in `.csv` or `.toml`, and is for messages.
    ///
    /// # Errors
    /// As [`load`](Inventory::load).
    pub fn from_text(text: &str, file_name: &str) -> Result<Inventory, ConfigErrors> {
        let mut builder = Builder::default();
        builder.add_text(text, file_name)?;
        Ok(builder.finish().0)
    }

    /// The cameras, in the order of the files.
    pub fn cameras(&self) -> &[CameraSpec] {
        &self.cameras
    }

    /// How many cameras there are.
    pub fn len(&self) -> usize {
        self.cameras.len()
    }

    /// Without a camera.
    pub fn is_empty(&self) -> bool {
        self.cameras.is_empty()
    }

    /// The camera of this id.
    pub fn get(&self, id: &str) -> Option<&CameraSpec> {
        // A `CameraId` is compared by its text; making one costs an allocation.
        self.by_id.get(&CameraId::new(id)).map(|i| &self.cameras[*i])
    }

    /// The cameras that a query means: in the order of the files, or nearest first where it has a
    /// `near`.
    pub fn select(&self, query: &Query) -> Vec<&CameraSpec> {
        let mut found: Vec<&CameraSpec> = self.cameras.iter().filter(|c| query.matches(c)).collect();
        if let Some(place) = query.place() {
            let distance = |c: &&CameraSpec| c.position.map_or(f64::INFINITY, |p| p.metres_to(&place));
            found.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
        }
        found
    }

    /// How many cameras each zone has; `None` are those without a zone.
    pub fn zones(&self) -> BTreeMap<Option<&str>, usize> {
        let mut zones = BTreeMap::new();
        for camera in &self.cameras {
            *zones.entry(camera.zone.as_deref()).or_default() += 1;
        }
        zones
    }

    /// What is wrong with rows, in the order of the files.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many cameras were left out because their rows are wrong.
    pub fn rejected(&self) -> usize {
        self.rejected
    }

    /// The files that it came from.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Where the row of a camera stands that was left out.
    pub(super) fn left_out(&self, id: &str) -> Option<&Place> {
        self.bad.get(id).filter(|_| self.get(id).is_none())
    }

    /// The cameras as a TOML inventory. Holds the logins of addresses: for a file that only its owner
    /// may read, never for a message.
    pub fn to_toml(&self) -> String {
        write::to_toml(&self.cameras)
    }
}

/// Collects cameras of a wall file and of inventories.
#[derive(Default)]
pub(super) struct Builder {
    inventory: Inventory,
    taken: UsedIds,
    places: Places,
}

impl Builder {
    /// Takes the `[[camera]]` tables of a wall file: whatever is wrong there refuses the wall.
    pub(super) fn add_wall(&mut self, tables: &[CameraTable], report: &mut Report<'_>) {
        for (i, table) in tables.iter().enumerate() {
            let id = format!("cam-{}", i + 1);
            let camera = check_camera(table, id, &mut self.taken, report);
            remember(&mut self.places, format!("camera {}", camera.id), &table.path, &table.here, report);
            self.push(camera);
        }
    }

    /// Takes a row of an inventory, unless it is wrong; `broken`: something was found already.
    fn add(&mut self, table: &CameraTable, broken: bool, report: &mut Report<'_>) {
        let before = report.len();
        // Of a row that could not be parted into fields there is no more to say.
        if !broken || !table.given.is_empty() {
            if !table.given.contains(&"id") {
                let remedy = "each camera of an inventory has its own id";
                report.add_with(&table.here, join(&table.path, "id"), "is missing", remedy);
            }
            // No id that could be given, so that it takes none away.
            let none = format!("?{}", self.inventory.cameras.len() + self.inventory.rejected);
            let camera = check_camera(table, none, &mut self.taken, report);
            if !broken && report.len() == before {
                return self.push(camera);
            }
        }
        self.inventory.rejected += 1;
        if let (Some(id), Some(place)) = (&table.id, report.place(&table.here)) {
            self.inventory.bad.entry(id.value.clone()).or_insert(place);
        }
    }

    fn push(&mut self, camera: CameraSpec) {
        let cameras = &mut self.inventory.cameras;
        self.inventory.by_id.entry(camera.id.clone()).or_insert(cameras.len());
        cameras.push(camera);
    }

    /// Reads a file.
    pub(super) fn add_file(&mut self, path: &Path) -> Result<(), ConfigErrors> {
        let name = path.display().to_string();
        self.inventory.files.push(path.to_owned());
        let text = text_of(path).map_err(|message| {
            ConfigErrors::one(Problem { place: None, key: name.clone(), message, remedy: None })
        })?;
        self.add_text(&text, &name)
    }

    fn add_text(&mut self, text: &str, name: &str) -> Result<(), ConfigErrors> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut report = Report::of_file(name, text);
        let read = match Path::new(name).extension().map(|e| e.to_ascii_lowercase()) {
            Some(e) if e == "csv" => csv::read(text, self, &mut report),
            Some(e) if e == "toml" => toml::read(text, self, &mut report),
            _ => {
                report.add_with(&(0..0), "", "is no inventory", "the name ends in .csv or .toml");
                false
            }
        };
        let clean = report.is_clean();
        let errors = report.into_errors();
        if !read {
            return Err(errors);
        }
        if !clean {
            self.inventory.problems.extend_from_slice(errors.problems());
        }
        Ok(())
    }

    /// The inventory, and where the cameras of the wall file stand.
    pub(super) fn finish(self) -> (Inventory, Places) {
        (self.inventory, self.places)
    }
}

/// True where reading on is of no use; says so.
fn too_much(here: usize, report: &mut Report<'_>) -> bool {
    if report.len() < MAX_PROBLEMS {
        return false;
    }
    report.add(&(here..here), "", "too much is wrong: the rest of the file was not read");
    true
}

fn text_of(path: &Path) -> Result<String, String> {
    let bytes = read_bytes(path, "inventory", MAX_FILE)?;
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err("is UTF-16; save it as \"CSV UTF-8\"".into());
    }
    String::from_utf8(bytes).map_err(|e| {
        let good = e.utf8_error().valid_up_to();
        let line = 1 + e.as_bytes()[..good].iter().filter(|b| **b == b'\n').count();
        format!("is not UTF-8 text, first on line {line}; save it as \"CSV UTF-8\"")
    })
}
