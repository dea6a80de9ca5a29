//! The solver: checks a scene and gives every tile its pixels on every screen.

use std::collections::HashSet;

use super::grid::{Grid, MIN_TILE};
use super::preset::CellRect;
use super::wish::{LayoutWish, Over, Placement, RegionWish, Scene, ScreenWish, TileWish};
use super::{Layout, ScreenLayout, Tile};
use crate::base::{Error, ErrorKind, Result};
use crate::media::{FitSpec, PixelRect, Region};

/// The smallest screen, in pixels each way.
pub const MIN_SCREEN: u32 = 16;
/// The largest screen, in pixels each way: what H.264 level 6.2 and H.265 level 6.2 can code is
/// smaller; this leaves room for canvases that are only shown.
pub const MAX_SCREEN: u32 = 16_384;
/// How far the wall plane reaches, in pixels each way: 64 of the largest screens.
pub const MAX_PLANE: u32 = 64 * MAX_SCREEN;

/// Checks a scene without keeping the layout.
pub fn check(scene: &Scene) -> Result<()> {
    solve(scene).map(drop)
}

/// Solves a scene: every tile becomes a rectangle with even edges on every screen that shows it.
///
/// Odd gaps and margins are rounded up to even, because chroma samples cover two pixels each way.
/// Tiles with an explicit cell are placed first, then those that take the next free cell. Tiles
/// of one grid or preset never overlap; free tiles and regions may, later over earlier.
///
/// # Errors
/// [`ErrorKind::Config`], with the screen, region or tile at fault as subject and what to do.
pub fn solve(scene: &Scene) -> Result<Layout> {
    check_screens(&scene.screens)?;
    check_tile_ids(&scene.regions)?;
    let mut layout = Layout {
        screens: scene
            .screens
            .iter()
            .map(|s| ScreenLayout {
                id: s.id.clone(),
                width: s.rect.width,
                height: s.rect.height,
                tiles: Vec::new(),
            })
            .collect(),
    };
    for (index, region) in scene.regions.iter().enumerate() {
        let name = region_name(index, region);
        let screens = screens_of(region, &name, &scene.screens)?;
        for (tile, rect) in place_tiles(region, &name, bounding_box(&screens, &scene.screens))? {
            split_over_screens(tile, rect, &screens, &scene.screens, &mut layout)?;
        }
    }
    Ok(layout)
}

fn wrong(subject: impl Into<String>, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, subject.into(), message.into())
}

fn check_screens(screens: &[ScreenWish]) -> Result<()> {
    if screens.is_empty() {
        return Err(wrong("scene", "has no screens; add at least one"));
    }
    let mut ids = HashSet::new();
    for (i, screen) in screens.iter().enumerate() {
        let subject = format!("screen {}", screen.id);
        if screen.id.as_str().is_empty() {
            return Err(wrong(format!("screen {}", i + 1), "has an empty id; give it one"));
        }
        if !ids.insert(&screen.id) {
            return Err(wrong(subject, "appears twice; give every screen its own id"));
        }
        let PixelRect { x, y, width, height } = screen.rect;
        let allowed = MIN_SCREEN..=MAX_SCREEN;
        if !allowed.contains(&width) || !allowed.contains(&height) {
            return Err(wrong(
                subject,
                format!("is {width}x{height} pixels; each side must be {MIN_SCREEN} to {MAX_SCREEN}"),
            ));
        }
        if [x, y, width, height].iter().any(|v| v % 2 != 0) {
            return Err(wrong(
                subject,
                format!(
                    "is {width}x{height} pixels at {x},{y}; all four must be even, because a colour sample covers two pixels"
                ),
            ));
        }
        if x > MAX_PLANE - width || y > MAX_PLANE - height {
            return Err(wrong(
                subject,
                format!(
                    "lies at {x},{y}, beyond the wall plane; keep right and lower edge within {MAX_PLANE}"
                ),
            ));
        }
        if let Some(other) = screens[..i].iter().find(|s| !s.rect.intersect(&screen.rect).is_empty()) {
            return Err(wrong(
                subject,
                format!("overlaps screen {} on the wall plane; move one of them", other.id),
            ));
        }
    }
    Ok(())
}

fn check_tile_ids(regions: &[RegionWish]) -> Result<()> {
    let mut ids = HashSet::new();
    for (index, region) in regions.iter().enumerate() {
        for tile in &region.tiles {
            if tile.id.is_empty() {
                return Err(wrong(
                    region_name(index, region),
                    "has a tile with an empty id; give every tile one",
                ));
            }
            if !ids.insert(&tile.id) {
                return Err(wrong(tile_name(tile), "appears twice; give every tile its own id"));
            }
            check_crop(tile)?;
        }
    }
    Ok(())
}

fn check_crop(tile: &TileWish) -> Result<()> {
    let Region { x, y, width, height } = tile.crop;
    let within = |start: f32, length: f32| start >= 0.0 && length > 0.0 && start + length <= 1.0 + 1e-6;
    if within(x, width) && within(y, height) {
        return Ok(());
    }
    Err(wrong(
        tile_name(tile),
        format!(
            "crops {width} x {height} at {x},{y}; crops are fractions of the picture: 0 to 1, not empty, within the picture"
        ),
    ))
}

fn tile_name(tile: &TileWish) -> String {
    format!("tile {}", tile.id)
}

fn region_name(index: usize, region: &RegionWish) -> String {
    let number = index + 1;
    match &region.over {
        Over::Screen(id) => format!("region {number} (over screen {id})"),
        Over::Screens(ids) => {
            let ids: Vec<_> = ids.iter().map(|id| id.as_str()).collect();
            format!("region {number} (over screens {})", ids.join(", "))
        }
    }
}

/// Indices of the screens that a region lies over, without doubles.
fn screens_of(region: &RegionWish, name: &str, screens: &[ScreenWish]) -> Result<Vec<usize>> {
    let ids = match &region.over {
        Over::Screen(id) => std::slice::from_ref(id),
        Over::Screens(ids) => ids.as_slice(),
    };
    if ids.is_empty() {
        return Err(wrong(name, "lies over no screen; name at least one"));
    }
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let index = screens.iter().position(|s| s.id == *id).ok_or_else(|| {
            let known: Vec<_> = screens.iter().map(|s| s.id.as_str()).collect();
            wrong(
                name,
                format!("names screen {id}, which is not there; the screens are {}", known.join(", ")),
            )
        })?;
        if !found.contains(&index) {
            found.push(index);
        }
    }
    Ok(found)
}

fn bounding_box(indices: &[usize], screens: &[ScreenWish]) -> PixelRect {
    let rects = || indices.iter().map(|i| screens[*i].rect);
    let x = rects().map(|r| r.x).min().unwrap_or(0);
    let y = rects().map(|r| r.y).min().unwrap_or(0);
    let right = rects().map(|r| r.right()).max().unwrap_or(0);
    let bottom = rects().map(|r| r.bottom()).max().unwrap_or(0);
    PixelRect::new(x, y, right - x, bottom - y)
}

/// The tiles of a region with their rectangles on the wall plane, in the order of the wish.
fn place_tiles<'a>(
    region: &'a RegionWish,
    name: &str,
    area: PixelRect,
) -> Result<Vec<(&'a TileWish, PixelRect)>> {
    match region.layout {
        LayoutWish::Free => region.tiles.iter().map(|t| Ok((t, free_rect(t, area)?))).collect(),
        LayoutWish::Grid { columns, rows } => {
            let grid = grid_in(region, name, area, columns, rows)?;
            place_in_grid(region, name, &grid)
        }
        LayoutWish::Preset(preset) => {
            let grid = grid_in(region, name, area, preset.grid(), preset.grid())?;
            place_in_preset(region, name, &grid, &preset.cells())
        }
    }
}

fn grid_in(region: &RegionWish, name: &str, area: PixelRect, columns: u32, rows: u32) -> Result<Grid> {
    if columns == 0 || rows == 0 {
        return Err(wrong(name, format!("has a grid of {columns}x{rows}; both must be at least 1")));
    }
    inner(area, region.margin)
        .and_then(|inside| Grid::new(inside, columns, rows, even(region.gap)?))
        .ok_or_else(|| {
            wrong(
                name,
                format!(
                    "is {}x{} pixels: too small for {columns}x{rows} cells of at least {MIN_TILE} pixels with gap {} and margin {}; take fewer cells or a smaller gap",
                    area.width, area.height, region.gap, region.margin
                ),
            )
        })
}

/// The next even number; `None` beyond what a wall can hold.
fn even(pixels: u32) -> Option<u32> {
    (pixels <= MAX_PLANE).then(|| pixels.next_multiple_of(2))
}

fn inner(area: PixelRect, margin: u32) -> Option<PixelRect> {
    let margin = even(margin)?;
    Some(PixelRect {
        x: area.x + margin,
        y: area.y + margin,
        width: area.width.checked_sub(2 * margin)?,
        height: area.height.checked_sub(2 * margin)?,
    })
}

fn free_rect(tile: &TileWish, area: PixelRect) -> Result<PixelRect> {
    let Placement::Rect(rect) = tile.at else {
        return Err(wrong(tile_name(tile), "is in a free region and needs a rectangle in pixels"));
    };
    let PixelRect { x, y, width, height } = rect;
    let shown = format!("{width}x{height} at {x},{y}");
    if width < MIN_TILE || height < MIN_TILE {
        return Err(wrong(
            tile_name(tile),
            format!("is {shown}; each side must be at least {MIN_TILE} pixels"),
        ));
    }
    if [x, y, width, height].iter().any(|v| v % 2 != 0) {
        return Err(wrong(tile_name(tile), format!("is {shown}; all four numbers must be even")));
    }
    let inside =
        |start: u32, length: u32, limit: u32| u64::from(start) + u64::from(length) <= u64::from(limit);
    if !inside(x, width, area.width) || !inside(y, height, area.height) {
        return Err(wrong(
            tile_name(tile),
            format!(
                "is {shown}, outside its region of {}x{} pixels; move or shrink it",
                area.width, area.height
            ),
        ));
    }
    Ok(PixelRect::new(area.x + x, area.y + y, width, height))
}

fn place_in_grid<'a>(
    region: &'a RegionWish,
    name: &str,
    grid: &Grid,
) -> Result<Vec<(&'a TileWish, PixelRect)>> {
    let mut taken: Vec<CellRect> = Vec::with_capacity(region.tiles.len());
    let mut owners: Vec<&TileWish> = Vec::with_capacity(region.tiles.len());
    let mut cells: Vec<Option<CellRect>> = vec![None; region.tiles.len()];
    for (slot, tile) in cells.iter_mut().zip(&region.tiles) {
        let Some(cell) = explicit_cell(tile, name)? else { continue };
        if !grid.holds(&cell) {
            return Err(wrong(
                tile_name(tile),
                format!("is at {}, outside the {} grid of {name}", cell_text(&cell), region.layout),
            ));
        }
        if let Some(other) = taken.iter().position(|t| t.overlaps(&cell)) {
            return Err(wrong(
                tile_name(tile),
                format!(
                    "is at {} and overlaps {}; move one of them",
                    cell_text(&cell),
                    tile_name(owners[other])
                ),
            ));
        }
        taken.push(cell);
        owners.push(tile);
        *slot = Some(cell);
    }
    // Only explicit tiles can lie ahead of the cursor: automatic ones follow it.
    let mut cursor = (0, 0);
    for (slot, tile) in cells.iter_mut().zip(&region.tiles) {
        if slot.is_some() {
            continue;
        }
        let cell = grid.next_free(cursor, &taken).ok_or_else(|| too_many(region, name, tile))?;
        cursor = (cell.column + 1, cell.row);
        *slot = Some(cell);
    }
    Ok(region.tiles.iter().zip(cells.into_iter().flatten()).map(|(t, c)| (t, grid.rect(&c))).collect())
}

fn place_in_preset<'a>(
    region: &'a RegionWish,
    name: &str,
    grid: &Grid,
    cells: &[CellRect],
) -> Result<Vec<(&'a TileWish, PixelRect)>> {
    let mut owner: Vec<Option<&TileWish>> = vec![None; cells.len()];
    let mut places: Vec<Option<usize>> = vec![None; region.tiles.len()];
    for (slot, tile) in places.iter_mut().zip(&region.tiles) {
        let Some(cell) = explicit_cell(tile, name)? else { continue };
        let index = cells.iter().position(|c| *c == cell).ok_or_else(|| {
            let known: Vec<_> = cells.iter().map(cell_text).collect();
            wrong(
                tile_name(tile),
                format!(
                    "is at {}, which is no tile of preset {}; its tiles are {}",
                    cell_text(&cell),
                    region.layout,
                    known.join("; ")
                ),
            )
        })?;
        if let Some(other) = owner[index].replace(tile) {
            return Err(wrong(
                tile_name(tile),
                format!("is at {} and overlaps {}; move one of them", cell_text(&cell), tile_name(other)),
            ));
        }
        *slot = Some(index);
    }
    for (slot, tile) in places.iter_mut().zip(&region.tiles) {
        if slot.is_none() {
            let free = owner.iter().position(Option::is_none).ok_or_else(|| too_many(region, name, tile))?;
            owner[free] = Some(tile);
            *slot = Some(free);
        }
    }
    let placed = places.into_iter().flatten().map(|i| grid.rect(&cells[i]));
    Ok(region.tiles.iter().zip(placed).collect())
}

fn explicit_cell(tile: &TileWish, name: &str) -> Result<Option<CellRect>> {
    match tile.at {
        Placement::Next => Ok(None),
        Placement::Cell { columns: 0, .. } | Placement::Cell { rows: 0, .. } => {
            Err(wrong(tile_name(tile), "spans no cells; columns and rows must be at least 1"))
        }
        Placement::Cell { column, row, columns, rows } => Ok(Some(CellRect { column, row, columns, rows })),
        Placement::Rect(_) => Err(wrong(
            tile_name(tile),
            format!(
                "has a rectangle in pixels, but {name} is divided into cells; name a cell or make the layout free"
            ),
        )),
    }
}

fn too_many(region: &RegionWish, name: &str, tile: &TileWish) -> Error {
    wrong(
        tile_name(tile),
        format!(
            "finds no free cell: {name} has layout {} and {} tiles; take a larger layout or fewer tiles",
            region.layout,
            region.tiles.len()
        ),
    )
}

fn cell_text(cell: &CellRect) -> String {
    format!("column {} row {} ({}x{} cells)", cell.column, cell.row, cell.columns, cell.rows)
}

/// Adds the part of a tile that each of `screens` shows; what lies between screens is hidden.
fn split_over_screens(
    tile: &TileWish,
    rect: PixelRect,
    screens: &[usize],
    wishes: &[ScreenWish],
    layout: &mut Layout,
) -> Result<()> {
    let parts: Vec<(usize, PixelRect)> = screens
        .iter()
        .map(|i| (*i, rect.intersect(&wishes[*i].rect)))
        .filter(|(_, part)| !part.is_empty())
        .collect();
    let area = |part: &PixelRect| u64::from(part.width) * u64::from(part.height);
    let largest = parts.iter().map(|(_, part)| area(part)).max().ok_or_else(|| {
        wrong(
            tile_name(tile),
            "lies wholly between screens, where nobody can see it; move it or change the layout",
        )
    })?;
    let mut primary_found = false;
    for (index, part) in parts {
        let primary = !primary_found && area(&part) == largest;
        primary_found |= primary;
        let screen = wishes[index].rect;
        layout.screens[index].tiles.push(Tile {
            id: tile.id.clone(),
            camera: tile.camera.clone(),
            rect: PixelRect::new(part.x - screen.x, part.y - screen.y, part.width, part.height),
            spec: FitSpec {
                width: rect.width,
                height: rect.height,
                mode: tile.fit,
                crop: tile.crop,
                window: PixelRect::new(part.x - rect.x, part.y - rect.y, part.width, part.height),
            },
            label: tile.label.clone(),
            pinned: tile.pinned,
            primary,
        });
    }
    Ok(())
}
