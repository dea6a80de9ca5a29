//! From the keys of a wall file to a [`WallSpec`]: files and settings. Cameras are in `camera`, screens
//! in `scene`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use super::inventory::{Builder, Inventory, Query};
use super::load::load_text;
use super::measures::{GridSize, PixelSize, text_ratio};
use super::read::{At, join};
use super::report::{ConfigErrors, Place, Problem, Report, quoted};
use super::scene::check_scene;
use super::settings::{check_control, check_effort, check_encoder, check_limits, check_overlay};
use super::tiles::Choice;
use super::wall::{CameraSpec, WallSpec};
use super::wire::{CameraTable, ScreenTable, WallFile, WallTable};
use crate::media::{CameraId, Ratio, WallId};
use crate::scene::Scene;

/// The largest wall file that is read, in bytes: a camera takes about 100, so this is ample for
/// 8,000 of them and keeps a wrong file (a recording) out of memory.
const MAX_FILE: u64 = 16 << 20;
const FRAME_RATES: RangeInclusive<f64> = 1.0..=120.0;

impl WallSpec {
    /// Reads and checks a wall file.
    ///
    /// # Errors
    /// Everything that is wrong with it; nothing was started.
    pub fn load(path: impl AsRef<Path>) -> Result<WallSpec, ConfigErrors> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let text = load_text(path, "wall file", MAX_FILE)?;
        let spec = WallSpec::from_text(&text, &name, path.parent().unwrap_or(Path::new("")))?;
        Ok(WallSpec { file: Some(path.to_owned()), ..spec })
    }

    /// Checks the text of a wall file; `file_name` is for messages, and inventories are looked for in
    /// its folder.
    ///
    /// # Errors
    /// Everything that is wrong with it. A text that is not TOML gives the errors of the syntax only.
    pub fn from_toml(text: &str, file_name: &str) -> Result<WallSpec, ConfigErrors> {
        WallSpec::from_text(text, file_name, Path::new(file_name).parent().unwrap_or(Path::new("")))
    }

    fn from_text(text: &str, file_name: &str, folder: &Path) -> Result<WallSpec, ConfigErrors> {
        let mut report = Report::of_file(file_name, text);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            // Only what the grammar says, never the line itself: that may hold a login.
            report.add(&error.span().unwrap_or(0..0), "", format!("not TOML: {}", error.message()));
        }
        if !errors.is_empty() {
            return Err(report.into_errors());
        }
        let file = WallFile::read(table.get_ref(), &mut report);
        let stem = Path::new(file_name).file_stem().map(|s| s.to_string_lossy().into_owned());
        check(&file, &stem.unwrap_or_else(|| "wall".into()), folder, report)
    }

    /// A wall of one screen without a file: `uris` fill a grid of cells in order. Camera ids are
    /// `cam-1`, `cam-2`, …; names come from the addresses, without logins.
    ///
    /// # Errors
    /// Everything that is wrong, in terms of the options of `vitrail wall`.
    pub fn grid(
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        frame_rate: Ratio,
        uris: &[String],
        outs: &[String],
    ) -> Result<WallSpec, ConfigErrors> {
        let mut report = Report::of_command_line();
        if uris.is_empty() {
            report.add_with(
                &(0..0),
                "",
                "no camera to show",
                "name at least one address, as rtsp://HOST/PATH",
            );
        }
        let cells = u64::from(columns) * u64::from(rows);
        if cells > 0 && uris.len() as u64 > cells {
            report.add_with(
                &(0..0),
                "screen[0].grid",
                format!("{} cameras, but {columns}x{rows} has {cells} cells", uris.len()),
                format!("take --grid {}", grid_that_fits(uris.len())),
            );
        }
        let camera = |(i, uri): (usize, &String)| CameraTable {
            path: format!("camera[{i}]"),
            uri: At::given(file_uri(uri)),
            ..CameraTable::default()
        };
        let screen = ScreenTable {
            path: "screen[0]".into(),
            size: At::given(PixelSize(width, height)),
            grid: At::given(GridSize(columns, rows)),
            outputs: At::given(outs.iter().map(|o| At::new(o.clone(), 0..0)).collect()),
            ..ScreenTable::default()
        };
        let wall =
            WallTable { path: "wall".into(), frame_rate: At::given(frame_rate), ..WallTable::default() };
        let file = WallFile {
            wall,
            cameras: uris.iter().enumerate().map(camera).collect(),
            screens: vec![screen],
            ..WallFile::default()
        };
        check(&file, "wall", Path::new(""), report)
    }

    /// A frame rate as `--fps` takes it: `25`, `12.5` or `30000/1001`.
    pub fn parse_frame_rate(text: &str) -> Option<Ratio> {
        text_ratio(text)
    }
}

/// The grid nearest to a square that has at least `count` cells.
fn grid_that_fits(count: usize) -> String {
    let columns = (1..).find(|c| c * c >= count).unwrap_or(1);
    format!("{columns}x{}", count.div_ceil(columns).max(1))
}

/// A path of an existing file becomes its address; everything else stays.
fn file_uri(text: &str) -> String {
    if text.contains("://") {
        return text.to_owned();
    }
    std::path::absolute(text)
        .ok()
        .filter(|path| path.is_file())
        .and_then(|path| url::Url::from_file_path(path).ok())
        .map_or_else(|| text.to_owned(), String::from)
}

fn check(
    file: &WallFile,
    default_id: &str,
    folder: &Path,
    mut report: Report<'_>,
) -> Result<WallSpec, ConfigErrors> {
    let report_ref = &mut report;
    let inventories = file.wall.inventory.as_ref().map_or(&[][..], |list| &list.value.0);
    let registry = file.control.is_some();
    if file.cameras.is_empty() && inventories.is_empty() && !registry && report_ref.is_clean() {
        let remedy = "add a table [[camera]] with its uri, or name an inventory under [wall]";
        report_ref.add_with(&(0..0), "camera", "no camera", remedy);
    }
    let mut builder = Builder::default();
    builder.add_wall(&file.cameras, report_ref);
    if !add_inventories(inventories, folder, &mut builder, report_ref) {
        // Without its cameras, the rest would be blamed for naming them.
        return Err(report.into_errors());
    }
    let (inventory, mut places) = builder.finish();
    let mut warnings = inventory.problems().to_vec();
    let standby = file.wall.standby.as_ref().and_then(|text| query(text, "wall.standby", report_ref));
    let mut choice = Choice { inventory: &inventory, warnings: &mut warnings };
    let (scene, outputs) = check_scene(file, &mut choice, &mut places, report_ref);
    let cameras = open_cameras(&inventory, &scene, standby.as_ref());
    if let (Some(standby), Some(text)) = (&standby, &file.wall.standby)
        && inventory.select(standby).is_empty()
    {
        warnings.push(finds_nothing("wall.standby", &text.span, report_ref));
    }
    let spec = WallSpec {
        id: WallId::new(wall_id(&file.wall, default_id, report_ref)),
        frame_rate: frame_rate(&file.wall, report_ref),
        backend: value_or(&file.wall.backend, Default::default()),
        cameras,
        inventory: Arc::new(inventory),
        standby,
        scene,
        encoder: check_encoder(&file.encoder, report_ref),
        outputs,
        overlay: check_overlay(&file.overlay, report_ref),
        effort: check_effort(&file.effort, report_ref),
        limits: check_limits(&file.limits, report_ref),
        secrets: path_of(&file.wall.secrets, "wall.secrets", report_ref),
        control: file.control.as_ref().map(|table| check_control(table, folder, report_ref)),
        cost_model: None,
        snapshot: path_of(&file.wall.snapshot, "wall.snapshot", report_ref),
        warnings,
        file: None,
        places,
    };
    if report.is_clean() { Ok(spec) } else { Err(report.into_errors()) }
}

/// Reads the inventories; false where one is refused as a whole.
fn add_inventories(
    names: &[At<String>],
    folder: &Path,
    builder: &mut Builder,
    report: &mut Report<'_>,
) -> bool {
    let mut whole = true;
    let mut read: Vec<PathBuf> = Vec::new();
    for name in names {
        let path = folder.join(&name.value);
        if name.value.is_empty() {
            report.add(&name.span, "wall.inventory", "is empty; name a file or leave the key out");
        } else if read.contains(&path) {
            report.add(&name.span, "wall.inventory", "names a file twice");
        } else if let Err(errors) = builder.add_file(&path) {
            whole = false;
            match errors.problems() {
                // It cannot be read at all: say where it is named.
                [Problem { place: None, message, .. }] => {
                    report.add(&name.span, "wall.inventory", message.clone());
                }
                problems => report.add_foreign(problems.iter().cloned()),
            }
        }
        read.push(path);
    }
    whole
}

/// The cameras to be kept open: those that a tile shows, and those on standby.
fn open_cameras(inventory: &Inventory, scene: &Scene, standby: Option<&Query>) -> Vec<CameraSpec> {
    let tiles = scene.regions.iter().flat_map(|region| &region.tiles);
    let shown: HashSet<&CameraId> = tiles.filter_map(|tile| tile.camera.as_ref()).collect();
    let open = |c: &&CameraSpec| shown.contains(&c.id) || standby.is_some_and(|query| query.matches(c));
    inventory.cameras().iter().filter(open).cloned().collect()
}

/// Reads a query, and notes what is wrong with it at the character where it is.
pub(super) fn query(text: &At<String>, key: &str, report: &mut Report<'_>) -> Option<Query> {
    match Query::parse(&text.value) {
        Ok(query) => Some(query),
        Err(error) => {
            let span = report.inside(&text.span, &text.value, error.byte());
            let picture = error.picture().map(|p| format!("\n{p}")).unwrap_or_default();
            report.add(&span, key, format!("{}{picture}", error.message()));
            None
        }
    }
}

/// A query that means no camera: right, but maybe not what was meant.
pub(super) fn finds_nothing(key: &str, span: &Range<usize>, report: &Report<'_>) -> Problem {
    Problem {
        place: report.place(span),
        key: key.to_owned(),
        message: "finds no camera".into(),
        remedy: Some("try it with vitrail inventory list FILE --where QUERY".into()),
    }
}

fn wall_id(wall: &WallTable, default: &str, report: &mut Report<'_>) -> String {
    match &wall.id {
        Some(id) => {
            check_id(id, "wall.id", report);
            id.value.clone()
        }
        None => default.to_owned(),
    }
}

fn frame_rate(wall: &WallTable, report: &mut Report<'_>) -> Ratio {
    let twenty_five = Ratio { num: 25, den: 1 };
    let Some(rate) = &wall.frame_rate else { return twenty_five };
    if !FRAME_RATES.contains(&rate.value.as_f64()) {
        report.add(&rate.span, "wall.frame_rate", "is out of range: 1 to 120 pictures per second");
    }
    rate.value
}

pub(super) fn path_of(text: &Option<At<String>>, key: &str, report: &mut Report<'_>) -> Option<PathBuf> {
    let text = text.as_ref()?;
    if text.value.is_empty() {
        report.add(&text.span, key, "is empty; name a file or leave the key out");
    }
    Some(PathBuf::from(&text.value))
}

/// An id: short, and free of what a shell, a path or an address could read otherwise.
pub(super) fn check_id(id: &At<String>, key: &str, report: &mut Report<'_>) {
    let plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    if id.value.is_empty() {
        report.add(&id.span, key, "is empty");
    } else if id.value.chars().count() > 64 || !id.value.chars().all(plain) {
        report.add_with(
            &id.span,
            key,
            format!("{} is no id", quoted(&id.value)),
            "at most 64 letters, digits, -, _ and .",
        );
    }
}

/// Ids that are taken, and where they were given.
#[derive(Default)]
pub(super) struct UsedIds {
    by_id: HashMap<String, Option<Place>>,
}

impl UsedIds {
    /// Takes an id (or, without one, `prefix-number`); notes where it is taken already.
    pub(super) fn take(
        &mut self,
        id: &Option<At<String>>,
        path: &str,
        span: &Range<usize>,
        otherwise: String,
        report: &mut Report<'_>,
    ) -> String {
        let (text, span) = match id {
            Some(id) => {
                check_id(id, &join(path, "id"), report);
                (id.value.clone(), id.span.clone())
            }
            None => (otherwise, span.clone()),
        };
        match self.by_id.get(&text) {
            Some(first) => {
                let here = report.place(&span).map(|p| p.file);
                let line = first.as_ref().map(|first| match here {
                    Some(file) if file == first.file => format!(" on line {}", first.line),
                    _ => format!(" in {}, line {}", first.file, first.line),
                });
                let line = line.unwrap_or_default();
                report.add_with(
                    &span,
                    join(path, "id"),
                    format!("{} is already taken{line}", quoted(&text)),
                    "give each its own id",
                );
            }
            None => drop(self.by_id.insert(text.clone(), report.place(&span))),
        }
        text
    }
}

pub(super) type Places = BTreeMap<String, (String, Place)>;

pub(super) fn remember(
    places: &mut Places,
    subject: String,
    key: &str,
    span: &Range<usize>,
    report: &Report<'_>,
) {
    if let Some(place) = report.place(span) {
        places.insert(subject, (key.to_owned(), place));
    }
}

pub(super) fn value_or<T: Copy>(given: &Option<At<T>>, default: T) -> T {
    given.as_ref().map_or(default, |at| at.value)
}
