//! From screens, regions and tiles of a wall file to a [`Scene`], every name and size checked while
//! the lines are still known. What only the solver can know, it says later (`WallSpec::located`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use super::check::{Places, Taken, remember, value_or};
use super::leaf::{CellSpan, GridSize, PixelSize, Point};
use super::read::{At, join};
use super::report::{Report, did_you_mean, quoted};
use super::wall::{CameraSpec, OutputText, ScreenOutputs};
use super::wire::{RegionTable, ScreenTable, TileTable, WallFile};
use crate::fit::{FitMode, PixelRect, Region};
use crate::media::{CameraId, ScreenId};
use crate::scene::{LayoutWish, Over, Placement, Preset, RegionWish, Scene, ScreenWish, TileWish};

/// The smallest side of a screen: one macroblock.
const MIN_SIDE: u32 = 16;
/// The largest side of a screen.
const MAX_SIDE: u32 = 16_384;
/// How far the wall plane reaches: 64 of the largest screens.
const MAX_PLANE: u32 = 64 * MAX_SIDE;
/// The most columns or rows of a grid.
const MAX_GRID: u32 = 64;
/// Endings of files that a screen can be written to.
const FILE_ENDINGS: [&str; 3] = [".mkv", ".mp4", ".m3u8"];

/// Where tiles can go: a screen's own layout, or a region.
struct Canvas<'t> {
    region: RegionWish,
    width: u32,
    height: u32,
    fit: FitMode,
    /// Its layout could not be read: tiles are not checked against it.
    broken: bool,
    /// The screen that cameras fill where no tile is on it.
    screen: Option<&'t ScreenTable>,
    tiles: Vec<(TileWish, &'t TileTable)>,
}

/// Checks screens, regions and tiles.
pub(super) fn check_scene(
    file: &WallFile,
    cameras: &[CameraSpec],
    places: &mut Places,
    report: &mut Report<'_>,
) -> (Scene, Vec<ScreenOutputs>) {
    if file.screens.is_empty() && report.is_clean() {
        report.add_with(&(0..0), "screen", "no screen", "add a table [[screen]] with a grid and its outputs");
    }
    let mut taken = Taken::default();
    let screens = check_screens(&file.screens, &mut taken, places, report);
    let outputs = check_outputs(&file.screens, &screens, report);
    let mut canvases: Vec<(String, Canvas<'_>)> = Vec::new();
    for (wish, table) in screens.iter().zip(&file.screens) {
        canvases.push((wish.id.to_string(), screen_canvas(wish, table, report)));
    }
    for (i, table) in file.regions.iter().enumerate() {
        let id = taken.take(&table.id, &table.path, &table.here, format!("region-{}", i + 1), report);
        if let Some(canvas) = region_canvas(table, &screens, report) {
            canvases.push((id, canvas));
        }
    }
    place_tiles(&file.tiles, file.screens.len(), &mut canvases, cameras, places, report);
    for (_, canvas) in &canvases {
        check_cells(canvas, report);
    }
    fill_screens(&mut canvases, cameras, places, report);
    let regions = regions_of(canvases, places);
    (Scene { screens, regions }, outputs)
}

fn check_screens(
    tables: &[ScreenTable],
    taken: &mut Taken,
    places: &mut Places,
    report: &mut Report<'_>,
) -> Vec<ScreenWish> {
    let mut screens: Vec<ScreenWish> = Vec::with_capacity(tables.len());
    for (i, table) in tables.iter().enumerate() {
        let id = taken.take(&table.id, &table.path, &table.here, format!("screen-{}", i + 1), report);
        remember(places, format!("screen {id}"), &table.path, &table.here, report);
        let PixelSize(width, height) = check_size(table, report);
        let next = screens.last().map_or(0, |s| s.rect.right());
        let Point(x, y) = value_or(&table.at, Point(next, 0));
        let span = table.at.as_ref().map_or(&table.here, |at| &at.span);
        let rect = if x > MAX_PLANE - width || y > MAX_PLANE - height {
            let message = format!("lies beyond the wall plane, which is {MAX_PLANE} pixels each way");
            report.add(span, join(&table.path, "at"), message);
            PixelRect::new(0, 0, width, height)
        } else {
            PixelRect::new(x, y, width, height)
        };
        if rect.x % 2 != 0 || rect.y % 2 != 0 {
            report.add_with(
                span,
                join(&table.path, "at"),
                format!("{x},{y} is odd"),
                "colour covers two pixels each way, so both must be even",
            );
        }
        if let Some(other) = screens.iter().find(|s| !s.rect.intersect(&rect).is_empty()) {
            report.add_with(
                span,
                join(&table.path, "at"),
                format!("screen {} lies over screen {}", quoted(&id), quoted(other.id.as_str())),
                format!("its right neighbour would begin at [{}, {}]", other.rect.right(), other.rect.y),
            );
        }
        screens.push(ScreenWish { id: ScreenId::new(id), rect });
    }
    screens
}

/// The size of a screen; the default in place of an impossible one, so that checking can go on.
fn check_size(table: &ScreenTable, report: &mut Report<'_>) -> PixelSize {
    let full_hd = PixelSize(1920, 1080);
    let Some(size) = &table.size else { return full_hd };
    let PixelSize(width, height) = size.value;
    let key = join(&table.path, "size");
    let allowed = MIN_SIDE..=MAX_SIDE;
    if !allowed.contains(&width) || !allowed.contains(&height) {
        let message = format!("{width}x{height} is impossible: each side is {MIN_SIDE} to {MAX_SIDE} pixels");
        report.add(&size.span, key, message);
        return full_hd;
    }
    if width % 2 != 0 || height % 2 != 0 {
        report.add_with(
            &size.span,
            key,
            format!("{width}x{height} is odd"),
            format!("colour covers two pixels each way: take {}x{}", width & !1, height & !1),
        );
        return full_hd;
    }
    size.value
}

fn check_outputs(
    tables: &[ScreenTable],
    screens: &[ScreenWish],
    report: &mut Report<'_>,
) -> Vec<ScreenOutputs> {
    let mut seen: HashMap<String, Range<usize>> = HashMap::new();
    let mut all = Vec::with_capacity(tables.len());
    for (table, screen) in tables.iter().zip(screens) {
        let mut outputs = Vec::new();
        for (i, output) in table.outputs.iter().flat_map(|o| &o.value).enumerate() {
            let key = format!("{}.outputs[{i}]", table.path);
            check_output(output, &key, report);
            match seen.get(&without_login(&output.value)) {
                Some(first) => {
                    let line =
                        report.place(first).map(|p| format!(", on line {}", p.line)).unwrap_or_default();
                    report.add(
                        &output.span,
                        &key,
                        format!("is given twice{line}; each output needs its own"),
                    );
                }
                None => drop(seen.insert(without_login(&output.value), output.span.clone())),
            }
            let place = report.place(&output.span);
            outputs.push(OutputText { text: output.value.clone(), key, place });
        }
        all.push(ScreenOutputs { screen: screen.id.clone(), outputs });
    }
    all
}

/// What two outputs share that would get in each other's way.
fn without_login(output: &str) -> String {
    match output.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}/{path}")
        }
        None => output.to_owned(),
    }
}

/// Scheme or ending; the rest is for the output's own parser.
fn check_output(output: &At<String>, key: &str, report: &mut Report<'_>) {
    const SCHEMES: [&str; 3] = ["rtsp", "rtp", "srt"];
    let text = output.value.as_str();
    if let Some((scheme, rest)) = text.split_once("://") {
        if !SCHEMES.contains(&scheme) {
            let remedy = did_you_mean(scheme, SCHEMES)
                .unwrap_or_else(|| "a screen goes to rtsp://, rtp:// or srt://, a file, or display:".into());
            report.add_with(
                &output.span,
                key,
                format!("scheme {} is not one that a screen can go to", quoted(scheme)),
                remedy,
            );
        } else if rest.is_empty() {
            report.add(&output.span, key, format!("names no host; write {scheme}://HOST:PORT"));
        }
        return;
    }
    let known = matches!(text, "display:" | "display:full")
        || FILE_ENDINGS.iter().any(|e| text.to_ascii_lowercase().ends_with(e) && text.len() > e.len());
    if !known {
        report.add_with(
            &output.span,
            key,
            format!("{} is neither an address nor a file that a screen can be written to", quoted(text)),
            "write rtsp://HOST:PORT/PATH, rtp://HOST:PORT, srt://HOST:PORT, a file .mkv, .mp4 or .m3u8, or display:",
        );
    }
}

fn screen_canvas<'t>(wish: &ScreenWish, table: &'t ScreenTable, report: &mut Report<'_>) -> Canvas<'t> {
    let broken = table.grid.is_none() && table.given.contains(&"grid")
        || table.preset.is_none() && table.given.contains(&"preset");
    Canvas {
        region: RegionWish {
            over: Over::Screen(wish.id.clone()),
            layout: layout(&table.grid, &table.preset, &table.path, report),
            gap: value_or(&table.gap, 0),
            margin: value_or(&table.margin, 0),
            tiles: Vec::new(),
        },
        width: wish.rect.width,
        height: wish.rect.height,
        fit: value_or(&table.fit, FitMode::default()),
        broken,
        screen: Some(table),
        tiles: Vec::new(),
    }
}

fn region_canvas<'t>(
    table: &'t RegionTable,
    screens: &[ScreenWish],
    report: &mut Report<'_>,
) -> Option<Canvas<'t>> {
    let layout_wish = layout(&table.grid, &table.preset, &table.path, report);
    let key = join(&table.path, "over");
    let Some(over) = &table.over else {
        if !table.given.contains(&"over") {
            report.add_with(&table.here, key, "is missing", "name the screens that the region covers");
        }
        return None;
    };
    if over.value.0.is_empty() {
        report.add(&over.span, &key, "is empty; name the screens that the region covers");
    }
    let mut found: Vec<&ScreenWish> = Vec::new();
    for name in &over.value.0 {
        match screens.iter().find(|s| s.id.as_str() == name.value) {
            Some(screen) if found.iter().any(|f| f.id == screen.id) => {
                report.add(&name.span, &key, format!("{} is named twice", quoted(&name.value)));
            }
            Some(screen) => found.push(screen),
            None => no_such("screen", name, &key, screens.iter().map(|s| s.id.as_str()), report),
        }
    }
    if found.len() < over.value.0.len() || found.is_empty() {
        return None;
    }
    let box_of = |start: fn(&PixelRect) -> u32, end: fn(&PixelRect) -> u32| {
        let low = found.iter().map(|s| start(&s.rect)).min().unwrap_or(0);
        found.iter().map(|s| end(&s.rect)).max().unwrap_or(0) - low
    };
    let over = match found.as_slice() {
        [one] => Over::Screen(one.id.clone()),
        several => Over::Screens(several.iter().map(|s| s.id.clone()).collect()),
    };
    Some(Canvas {
        region: RegionWish {
            over,
            layout: layout_wish,
            gap: value_or(&table.gap, 0),
            margin: value_or(&table.margin, 0),
            tiles: Vec::new(),
        },
        width: box_of(|r| r.x, PixelRect::right),
        height: box_of(|r| r.y, PixelRect::bottom),
        fit: FitMode::default(),
        broken: table.grid.is_none() && table.given.contains(&"grid")
            || table.preset.is_none() && table.given.contains(&"preset"),
        screen: None,
        tiles: Vec::new(),
    })
}

fn layout(
    grid: &Option<At<GridSize>>,
    preset: &Option<At<Preset>>,
    path: &str,
    report: &mut Report<'_>,
) -> LayoutWish {
    if let (Some(grid), Some(preset)) = (grid, preset) {
        let (key, span) =
            if grid.span.start > preset.span.start { ("grid", &grid.span) } else { ("preset", &preset.span) };
        report.add_with(
            span,
            join(path, key),
            "grid and preset are both given",
            "one of them divides it: keep one",
        );
    }
    match (grid, preset) {
        (Some(grid), _) => {
            let GridSize(columns, rows) = grid.value;
            if !(1..=MAX_GRID).contains(&columns) || !(1..=MAX_GRID).contains(&rows) {
                report.add(
                    &grid.span,
                    join(path, "grid"),
                    format!("{columns}x{rows} is impossible: 1 to {MAX_GRID} columns and rows"),
                );
            }
            LayoutWish::Grid { columns, rows }
        }
        (None, Some(preset)) => LayoutWish::Preset(preset.value),
        (None, None) => LayoutWish::Free,
    }
}

fn no_such<'a>(
    what: &str,
    name: &At<String>,
    key: &str,
    known: impl Iterator<Item = &'a str> + Clone,
    report: &mut Report<'_>,
) {
    let message = format!("no {what} {}", quoted(&name.value));
    let remedy = did_you_mean(&name.value, known.clone()).unwrap_or_else(|| {
        let names: Vec<String> = known.clone().take(8).map(quoted).collect();
        match (names.len(), known.count()) {
            (0, _) => format!("there is no {what}"),
            (shown, all) if shown < all => format!("there are {}, … ({all} in all)", names.join(", ")),
            _ => format!("there is {}", names.join(", ")),
        }
    });
    report.add_with(&name.span, key, message, remedy);
}

fn place_tiles<'t>(
    tables: &'t [TileTable],
    screens: usize,
    canvases: &mut [(String, Canvas<'t>)],
    cameras: &[CameraSpec],
    places: &mut Places,
    report: &mut Report<'_>,
) {
    let by_id: HashMap<&str, &CameraSpec> = cameras.iter().map(|c| (c.id.as_str(), c)).collect();
    let mut taken = Taken::default();
    for (i, table) in tables.iter().enumerate() {
        let id = taken.take(&table.id, &table.path, &table.here, format!("tile-{}", i + 1), report);
        remember(places, format!("tile {id}"), &table.path, &table.here, report);
        let camera = table.camera.as_ref().and_then(|name| {
            let found = by_id.get(name.value.as_str()).copied();
            if found.is_none() {
                let known = cameras.iter().map(|c| c.id.as_str());
                no_such("camera", name, &join(&table.path, "camera"), known, report);
            }
            found
        });
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
                    |start: u32, length: u32, all: u32| u64::from(start) + u64::from(length) > all.into();
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
fn check_cells(canvas: &Canvas<'_>, report: &mut Report<'_>) {
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
fn fill_screens(
    canvases: &mut [(String, Canvas<'_>)],
    cameras: &[CameraSpec],
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
            None => cameras.iter().filter(|c| !shown.contains(&c.id)).take(cells).collect(),
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
fn chosen_cameras<'c>(
    table: &ScreenTable,
    cells: usize,
    no_tiles: bool,
    cameras: &'c [CameraSpec],
    report: &mut Report<'_>,
) -> Option<Vec<&'c CameraSpec>> {
    let list = table.cameras.as_ref()?;
    let key = join(&table.path, "cameras");
    let broken = table.given.iter().any(|k| match *k {
        "grid" => table.grid.is_none(),
        "preset" => table.preset.is_none(),
        _ => false,
    });
    if !no_tiles {
        report.add_with(
            &list.span,
            &key,
            "is given, but tiles are on this screen too",
            "name cameras in tiles or in this list, not in both",
        );
    } else if cells == 0 && !broken {
        report.add_with(
            &list.span,
            &key,
            "fills cells, but this screen has none",
            "give it a grid or a preset",
        );
    } else if list.value.len() > cells && !broken {
        report.add_with(
            &list.span,
            &key,
            format!("names {} cameras, but there are cells for {cells}", list.value.len()),
            "take a larger layout or fewer cameras",
        );
    }
    let mut chosen = Vec::new();
    for (i, name) in list.value.iter().enumerate() {
        match cameras.iter().find(|c| c.id.as_str() == name.value) {
            Some(camera) => chosen.push(camera),
            None => {
                no_such(
                    "camera",
                    name,
                    &format!("{key}[{i}]"),
                    cameras.iter().map(|c| c.id.as_str()),
                    report,
                );
            }
        }
    }
    Some(chosen)
}

/// The regions that hold tiles or cells, in order, and their places by the solver's names.
fn regions_of(canvases: Vec<(String, Canvas<'_>)>, places: &mut Places) -> Vec<RegionWish> {
    let mut regions = Vec::with_capacity(canvases.len());
    for (_, mut canvas) in canvases {
        canvas.region.tiles.extend(canvas.tiles.into_iter().map(|(wish, _)| wish));
        if canvas.region.tiles.is_empty() && canvas.region.layout == LayoutWish::Free {
            continue;
        }
        if let Over::Screen(id) = &canvas.region.over
            && let Some(place) = places.get(&format!("screen {id}")).cloned()
        {
            places.insert(format!("region {}", regions.len() + 1), place);
        }
        regions.push(canvas.region);
    }
    regions
}
