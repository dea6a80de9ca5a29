//! Tiles in their cells: those that a wall file names, and those that cameras fill.

use std::collections::{BTreeMap, HashSet};

use super::check::{Places, UsedIds, finds_nothing, query, remember, value_or};
use super::inventory::Inventory;
use super::leaf::CameraChoice;
use super::measures::CellSpan;
use super::read::{At, join};
use super::report::{Problem, Report, quoted};
use super::scene::{Canvas, MAX_GRID, MIN_SIDE, no_such};
use super::wall::CameraSpec;
use super::wire::{ScreenTable, TileTable};
use crate::media::{CameraId, PixelRect, Region};
use crate::scene::{LayoutWish, Placement, Preset, TileWish};

/// The cameras that can be shown, and what is to be said of choosing them.
pub(super) struct Choice<'i> {
    pub inventory: &'i Inventory,
    pub warnings: &'i mut Vec<Problem>,
}

impl<'i> Choice<'i> {
    /// The camera of this id; notes where there is none.
    fn by_id(&self, name: &At<String>, key: &str, report: &mut Report<'_>) -> Option<&'i CameraSpec> {
        let found = self.inventory.get(&name.value);
        if found.is_none() {
            match self.inventory.left_out(&name.value) {
                Some(place) => report.add_with(
                    &name.span,
                    key,
                    format!("camera {} is left out: its row is wrong", quoted(&name.value)),
                    format!("see {place}"),
                ),
                None => {
                    let known = self.inventory.cameras().iter().map(|c| c.id.as_str());
                    no_such("camera", name, key, known, report);
                }
            }
        }
        found
    }

    /// The cameras that a query means, in order; warns where there is none.
    fn by_query(&mut self, text: &At<String>, key: &str, report: &mut Report<'_>) -> Vec<&'i CameraSpec> {
        let Some(query) = query(text, key, report) else { return Vec::new() };
        let found = self.inventory.select(&query);
        if found.is_empty() {
            self.warnings.push(finds_nothing(key, &text.span, report));
        }
        found
    }
}

/// Gives every tile of the file its canvas and its place there.
pub(super) fn place_tiles<'t>(
    tables: &'t [TileTable],
    screens: usize,
    canvases: &mut [(String, Canvas<'t>)],
    cameras: &mut Choice<'_>,
    places: &mut Places,
    report: &mut Report<'_>,
) {
    let mut taken = UsedIds::default();
    // Tiles that name their camera come first: a query then finds one that is not shown yet.
    let mut shown: HashSet<String> =
        tables.iter().filter_map(|t| t.camera.as_ref()).map(|name| name.value.clone()).collect();
    for (i, table) in tables.iter().enumerate() {
        let id = taken.take(&table.id, &table.path, &table.here, format!("tile-{}", i + 1), report);
        remember(places, format!("tile {id}"), &table.path, &table.here, report);
        let camera = camera_of(table, cameras, &mut shown, report);
        let Some(index) = canvas_of(table, screens, canvases, report) else { continue };
        let canvas = &mut canvases[index].1;
        let at = if canvas.broken { Placement::Next } else { placement(table, canvas, report) };
        let wish = TileWish {
            id,
            camera: camera.map(|c| c.id.clone()),
            at,
            fit: value_or(&table.fit, canvas.fit),
            crop: value_or(&table.crop, Region::WHOLE),
            label: table.label.as_ref().map(|l| l.value.clone()),
            pinned: value_or(&table.pinned, camera.is_some_and(|c| c.pinned)),
        };
        canvas.tiles.push((wish, table));
    }
}

/// The camera that a tile names or finds.
fn camera_of<'i>(
    table: &TileTable,
    cameras: &mut Choice<'i>,
    shown: &mut HashSet<String>,
    report: &mut Report<'_>,
) -> Option<&'i CameraSpec> {
    let key = join(&table.path, "query");
    match (&table.camera, &table.query) {
        (Some(_), Some(query)) => {
            report.add_with(&query.span, key, "and camera are both given", "keep one");
            None
        }
        (Some(name), None) => cameras.by_id(name, &join(&table.path, "camera"), report),
        (None, Some(query)) => {
            let found = cameras.by_query(query, &key, report);
            let free = found.iter().find(|c| !shown.contains(c.id.as_str())).copied();
            if let Some(camera) = free {
                shown.insert(camera.id.to_string());
            }
            free
        }
        (None, None) => None,
    }
}

fn canvas_of(
    table: &TileTable,
    screens: usize,
    canvases: &[(String, Canvas<'_>)],
    report: &mut Report<'_>,
) -> Option<usize> {
    let key = join(&table.path, "on");
    match &table.on {
        Some(on) => {
            let found = canvases.iter().position(|(id, _)| *id == on.value);
            if found.is_none() {
                no_such("screen or region", on, &key, canvases.iter().map(|(id, _)| id.as_str()), report);
            }
            found
        }
        None if table.given.contains(&"on") => None,
        None if screens == 1 => Some(0),
        None => {
            if screens > 1 {
                let message = format!("is missing, and there are {screens} screens");
                report.add_with(&table.here, key, message, "say which screen or region the tile is on");
            }
            None
        }
    }
}

fn placement(table: &TileTable, canvas: &Canvas<'_>, report: &mut Report<'_>) -> Placement {
    let divided = canvas.region.layout != LayoutWish::Free;
    let key = |name: &str| join(&table.path, name);
    if let Some(rect) = &table.rect {
        if divided {
            report.add_with(
                &rect.span,
                key("rect"),
                "is given, but what the tile is on has cells",
                "use cell, or put a region without a grid over the screen",
            );
        } else if let Some(other) =
            table.cell.as_ref().map(|c| &c.span).or(table.span.as_ref().map(|s| &s.span))
        {
            report.add_with(other, key("cell"), "and rect are both given", "keep one");
        } else {
            check_rect(rect, canvas, &key("rect"), report);
        }
        return Placement::Rect(rect.value);
    }
    if !divided {
        if !table.given.contains(&"rect") {
            report.add_with(
                &table.here,
                key("rect"),
                "is missing",
                "what the tile is on has neither grid nor preset: give the tile its place, or a grid",
            );
        }
        return Placement::Next;
    }
    let CellSpan(columns, rows) = match &table.span {
        Some(span) if span.value.0 == 0 || span.value.1 == 0 => {
            report.add(&span.span, key("span"), "covers no cell; both numbers are at least 1");
            CellSpan(1, 1)
        }
        Some(span) => span.value,
        None => CellSpan(1, 1),
    };
    match (&table.cell, &table.span) {
        (Some(cell), _) => {
            let (column, row) = (cell.value.0, cell.value.1);
            if let LayoutWish::Grid { columns: all_columns, rows: all_rows } = canvas.region.layout {
                let outside =
                    |start: u32, length: u32, all: u32| u64::from(start) + u64::from(length) > u64::from(all);
                if outside(column, columns, all_columns) || outside(row, rows, all_rows) {
                    report.add_with(
                        &cell.span,
                        key("cell"),
                        format!(
                            "column {column}, row {row}, {columns}x{rows} cells, lies outside the {all_columns}x{all_rows} grid"
                        ),
                        "columns and rows count from 0",
                    );
                }
            }
            Placement::Cell { column, row, columns, rows }
        }
        (None, Some(span)) if !table.given.contains(&"cell") => {
            report.add_with(&span.span, key("span"), "needs cell", "say where the tile begins");
            Placement::Next
        }
        (None, _) => Placement::Next,
    }
}

fn check_rect(rect: &At<PixelRect>, canvas: &Canvas<'_>, key: &str, report: &mut Report<'_>) {
    let PixelRect { x, y, width, height } = rect.value;
    if width < MIN_SIDE || height < MIN_SIDE {
        let message = format!("{width}x{height} is too small: each side is at least {MIN_SIDE} pixels");
        report.add(&rect.span, key, message);
    } else if [x, y, width, height].iter().any(|n| n % 2 != 0) {
        report.add_with(
            &rect.span,
            key,
            "is odd",
            "colour covers two pixels each way, so all four numbers must be even",
        );
    } else if rect.value.right() > canvas.width || rect.value.bottom() > canvas.height {
        report.add_with(
            &rect.span,
            key,
            format!(
                "{width}x{height} at {x},{y} lies outside the {}x{} pixels of its screen",
                canvas.width, canvas.height
            ),
            "move or shrink it",
        );
    }
}

/// Cells of a grid or preset are enough, and no two tiles claim one.
pub(super) fn check_cells(canvas: &Canvas<'_>, report: &mut Report<'_>) {
    if canvas.broken {
        return;
    }
    let (cells, name) = match canvas.region.layout {
        LayoutWish::Free => return,
        LayoutWish::Preset(preset) => (cells_of(preset), "the preset".to_owned()),
        LayoutWish::Grid { columns, rows } => {
            (columns.min(MAX_GRID) * rows.min(MAX_GRID), format!("the {columns}x{rows} grid"))
        }
    };
    let mut owner: BTreeMap<(u32, u32), &str> = BTreeMap::new();
    let mut free = cells;
    if let LayoutWish::Grid { .. } = canvas.region.layout {
        for (wish, table) in &canvas.tiles {
            let Placement::Cell { column, row, columns, rows } = wish.at else { continue };
            let mut overlapped = None;
            for r in row..row.saturating_add(rows.min(MAX_GRID)) {
                for c in column..column.saturating_add(columns.min(MAX_GRID)) {
                    match owner.get(&(c, r)) {
                        Some(other) => overlapped = Some(*other),
                        None => drop(owner.insert((c, r), &wish.id)),
                    }
                }
            }
            if let (Some(other), Some(cell)) = (overlapped, &table.cell) {
                let message = format!("lies over tile {}", quoted(other));
                report.add_with(&cell.span, join(&table.path, "cell"), message, "move one of them");
            }
        }
        free = cells.saturating_sub(owner.len() as u32);
    } else {
        free -=
            canvas.tiles.iter().filter(|(w, _)| w.at != Placement::Next).count().min(free as usize) as u32;
    }
    let next = canvas.tiles.iter().filter(|(wish, _)| wish.at == Placement::Next);
    for (_, table) in next.skip(free as usize) {
        report.add_with(
            &table.here,
            table.path.as_str(),
            format!("finds no free cell: {name} has {cells}"),
            "take a larger layout or fewer tiles",
        );
    }
}

fn cells_of(preset: Preset) -> u32 {
    match preset {
        Preset::One => 1,
        Preset::TwoByTwo => 4,
        Preset::OnePlusFive => 6,
        Preset::OnePlusSeven => 8,
        Preset::ThreeByThree => 9,
        Preset::TwoPlusEight => 10,
        Preset::OnePlusTwelve => 13,
        Preset::FourByFour => 16,
    }
}

/// Cameras fill the cells of screens that have a layout but no tile: those that the screen names,
/// or those that nothing before it shows.
pub(super) fn fill_screens(
    canvases: &mut [(String, Canvas<'_>)],
    cameras: &mut Choice<'_>,
    places: &mut Places,
    report: &mut Report<'_>,
) {
    let mut shown: HashSet<CameraId> =
        canvases.iter().flat_map(|(_, c)| &c.tiles).filter_map(|(wish, _)| wish.camera.clone()).collect();
    let mut names: HashSet<String> =
        canvases.iter().flat_map(|(_, c)| &c.tiles).map(|(wish, _)| wish.id.clone()).collect();
    for (id, canvas) in canvases.iter_mut() {
        let Some(table) = canvas.screen else { continue };
        let cells = match canvas.region.layout {
            LayoutWish::Grid { columns, rows } => columns.min(MAX_GRID) * rows.min(MAX_GRID),
            LayoutWish::Preset(preset) => cells_of(preset),
            LayoutWish::Free => 0,
        } as usize;
        let chosen = chosen_cameras(table, cells, canvas.tiles.is_empty(), cameras, report);
        if !canvas.tiles.is_empty() || canvas.broken {
            continue;
        }
        let fill: Vec<&CameraSpec> = match chosen {
            Some(chosen) => chosen,
            None => {
                let all = cameras.inventory.cameras();
                all.iter().filter(|c| !shown.contains(&c.id)).take(cells).collect()
            }
        };
        for (i, camera) in fill.into_iter().enumerate() {
            shown.insert(camera.id.clone());
            let mut tile = format!("{id}-{}", i + 1);
            while !names.insert(tile.clone()) {
                tile.push('_');
            }
            remember(places, format!("tile {tile}"), &table.path, &table.here, report);
            canvas.region.tiles.push(TileWish {
                id: tile,
                camera: Some(camera.id.clone()),
                at: Placement::Next,
                fit: canvas.fit,
                crop: Region::WHOLE,
                label: None,
                pinned: camera.pinned,
            });
        }
    }
}

/// The cameras that a screen names; `None` where it names none.
fn chosen_cameras<'i>(
    table: &ScreenTable,
    cells: usize,
    no_tiles: bool,
    cameras: &mut Choice<'i>,
    report: &mut Report<'_>,
) -> Option<Vec<&'i CameraSpec>> {
    let choice = table.cameras.as_ref()?;
    let key = join(&table.path, "cameras");
    let broken = table.given.iter().any(|k| match *k {
        "grid" => table.grid.is_none(),
        "preset" => table.preset.is_none(),
        _ => false,
    });
    let too_many = match &choice.value {
        CameraChoice::Ids(list) if list.len() > cells => Some(list.len()),
        // A query may find more than there is room for: the first ones are shown.
        CameraChoice::Ids(_) | CameraChoice::Query(_) => None,
    };
    if !no_tiles {
        report.add_with(
            &choice.span,
            &key,
            "is given, but tiles are on this screen too",
            "name cameras in tiles or in this list, not in both",
        );
    } else if cells == 0 && !broken {
        report.add_with(
            &choice.span,
            &key,
            "fills cells, but this screen has none",
            "give it a grid or a preset",
        );
    } else if let Some(count) = too_many.filter(|_| !broken) {
        report.add_with(
            &choice.span,
            &key,
            format!("names {count} cameras, but there are cells for {cells}"),
            "take a larger layout or fewer cameras",
        );
    }
    Some(match &choice.value {
        CameraChoice::Ids(list) => {
            let by_id = |(i, name): (usize, &At<String>)| cameras.by_id(name, &format!("{key}[{i}]"), report);
            list.iter().enumerate().filter_map(by_id).collect()
        }
        CameraChoice::Query(text) => {
            let mut found = cameras.by_query(&At::new(text.clone(), choice.span.clone()), &key, report);
            found.truncate(cells);
            found
        }
    })
}
