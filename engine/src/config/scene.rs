//! From screens and regions of a wall file (and its `tiles`) to a [`Scene`], every name and size
//! checked while the lines are still known. What only the solver can know, it says later (`WallSpec::located`).

use std::collections::HashMap;
use std::ops::Range;

use super::check::{Places, UsedIds, remember, value_or};
use super::measures::{GridSize, PixelSize, Point};
use super::read::{At, join};
use super::report::{Report, did_you_mean, quoted};
use super::tiles::{Choice, check_cells, fill_screens, place_tiles};
use super::wall::{OutputText, ScreenOutputs};
use super::wire::{RegionTable, ScreenTable, TileTable, WallFile};
use crate::media::{FitMode, PixelRect, ScreenId};
use crate::scene::{LayoutWish, Over, Preset, RegionWish, Scene, ScreenWish, TileWish};

/// The smallest side of a screen: one macroblock.
pub(super) const MIN_SIDE: u32 = 16;
/// The largest side of a screen.
const MAX_SIDE: u32 = 16_384;
/// How far the wall plane reaches: 64 of the largest screens.
const MAX_PLANE: u32 = 64 * MAX_SIDE;
/// The most columns or rows of a grid.
pub(super) const MAX_GRID: u32 = 64;
/// The most screens of a wall.
const MAX_SCREENS: usize = 256;
/// Endings of files that a screen can be written to.
const FILE_ENDINGS: [&str; 3] = [".mkv", ".mp4", ".m3u8"];

/// Where tiles can go: a screen's own layout, or a region.
pub(super) struct Canvas<'t> {
    /// Its table, as `region[0]`, and where that begins.
    path: &'t str,
    here: &'t Range<usize>,
    pub region: RegionWish,
    pub width: u32,
    pub height: u32,
    pub fit: FitMode,
    /// Its layout could not be read: tiles are not checked against it.
    pub broken: bool,
    /// The screen that cameras fill where no tile is on it.
    pub screen: Option<&'t ScreenTable>,
    pub tiles: Vec<(TileWish, &'t TileTable)>,
}

/// Checks screens, regions and tiles.
pub(super) fn check_scene(
    file: &WallFile,
    cameras: &mut Choice<'_>,
    places: &mut Places,
    report: &mut Report<'_>,
) -> (Scene, Vec<ScreenOutputs>) {
    if file.screens.is_empty() && report.is_clean() {
        report.add_with(&(0..0), "screen", "no screen", "add a table [[screen]] with a grid and its outputs");
    }
    if let Some(surplus) = file.screens.get(MAX_SCREENS) {
        report.add(
            &surplus.here,
            surplus.path.as_str(),
            format!("is one too many: at most {MAX_SCREENS} screens"),
        );
        return (Scene::default(), Vec::new());
    }
    let mut taken = UsedIds::default();
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
    let regions = regions_of(canvases, places, report);
    (Scene { screens, regions }, outputs)
}

fn check_screens(
    tables: &[ScreenTable],
    taken: &mut UsedIds,
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
    const SCHEMES: [&str; 6] = ["rtsp", "rtp", "udp", "srt", "rtmp", "rtmps"];
    let text = output.value.strip_prefix("file://").unwrap_or(&output.value);
    if let Some((scheme, rest)) = text.split_once("://") {
        if !SCHEMES.contains(&scheme) {
            let remedy = did_you_mean(scheme, SCHEMES).unwrap_or_else(|| {
                "a screen goes to rtsp://, rtp://, udp://, srt:// or rtmp://, a file, or display:".into()
            });
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
    let known = matches!(text, "display" | "display:" | "display:full")
        || FILE_ENDINGS.iter().any(|e| text.to_ascii_lowercase().ends_with(e) && text.len() > e.len());
    if !known {
        report.add_with(
            &output.span,
            key,
            format!("{} is neither an address nor a file that a screen can be written to", quoted(text)),
            "write rtsp://HOST:PORT/PATH, rtp://HOST:PORT, udp://HOST:PORT, srt://HOST:PORT, rtmp://HOST/APP/KEY, a file .mkv, .mp4 or .m3u8, or display:",
        );
    }
}

fn screen_canvas<'t>(wish: &ScreenWish, table: &'t ScreenTable, report: &mut Report<'_>) -> Canvas<'t> {
    let broken = table.grid.is_none() && table.given.contains(&"grid")
        || table.preset.is_none() && table.given.contains(&"preset");
    Canvas {
        path: &table.path,
        here: &table.here,
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
        path: &table.path,
        here: &table.here,
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

/// Notes a name that nothing has.
pub(super) fn no_such<'a>(
    what: &str,
    name: &At<String>,
    key: &str,
    known: impl Iterator<Item = &'a str> + Clone,
    report: &mut Report<'_>,
) {
    let message = format!("no {what} {}", quoted(&name.value));
    if report.is_long() {
        return report.add(&name.span, key, message);
    }
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

/// The regions that hold tiles or cells, in order, and their places by the solver's names.
fn regions_of(
    canvases: Vec<(String, Canvas<'_>)>,
    places: &mut Places,
    report: &Report<'_>,
) -> Vec<RegionWish> {
    let mut regions = Vec::with_capacity(canvases.len());
    for (_, mut canvas) in canvases {
        canvas.region.tiles.extend(canvas.tiles.into_iter().map(|(wish, _)| wish));
        if canvas.region.tiles.is_empty() && canvas.region.layout == LayoutWish::Free {
            continue;
        }
        let subject = format!("region {}", regions.len() + 1);
        remember(places, subject, canvas.path, canvas.here, report);
        regions.push(canvas.region);
    }
    regions
}
