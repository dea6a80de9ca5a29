//! What operators do to a layout, one change after the other. Pure: the same layout and changes give
//! the same layout, or the same problem.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::layout::{Arrangement, Fit, Layout, Region, Tile};
use crate::base::{Kind, Problem, Result, Utc};

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub enum Change {
    /// Shows a camera in a tile.
    Show {
        /// The tile.
        tile: String,
        /// The camera.
        camera: String,
    },
    /// Empties a tile.
    Clear {
        /// The tile.
        tile: String,
    },
    /// Exchanges what two tiles show.
    Swap {
        /// The first tile.
        a: String,
        /// The second tile.
        b: String,
    },
    /// Lets a tile degrade last, or no longer.
    Pin {
        /// The tile.
        tile: String,
        /// True: it degrades last; false: like all others.
        pinned: bool,
    },
    /// Keeps a tile as it is, or no longer.
    Lock {
        /// The tile.
        tile: String,
        /// True: it takes no change but this one; false: it takes all.
        locked: bool,
    },
    /// Shows a part of the picture: digital zoom; none: all of it.
    Crop {
        /// The tile.
        tile: String,
        /// `[x, y, width, height]`, parts of the picture.
        crop: Option<[f32; 4]>,
    },
    /// What to do where the aspects differ.
    Fit {
        /// The tile.
        tile: String,
        /// With bars, cut off, or out of proportion.
        fit: Fit,
    },
    /// Divides a region otherwise.
    Arrange {
        /// The region.
        region: String,
        /// `CxR` or a preset.
        arrangement: String,
    },
    /// Gives a tile cells of its own; none: the next free one.
    Place {
        /// The tile.
        tile: String,
        /// `[column, row, columns, rows]`.
        at: Option<[u32; 4]>,
    },
    /// Lets a tile fill its region, or no longer.
    Spotlight {
        /// The tile.
        tile: String,
        /// True: this tile alone is seen in its region; false: all of them.
        on: bool,
    },
    /// Lays a region over several screens.
    Span {
        /// The screens.
        screens: Vec<String>,
        /// `CxR` or a preset.
        arrangement: String,
    },
    /// Takes a span away.
    Unspan {
        /// The region.
        region: String,
    },
}

/// Who changes, when, and from which version.
#[derive(Clone, Debug)]
pub struct Author<'a> {
    /// Account id.
    pub account: &'a str,
    /// Date of the new version.
    pub at: Utc,
    /// The version that the changes were made from.
    pub from: u64,
}

/// The layout after `changes`: all of them or none.
///
/// # Errors
/// Conflict where a tile or region that a change names was changed after `author.from` (the present
/// layout is in `more`), or is locked; Invalid or NotFound where a change is wrong in itself.
pub fn apply(layout: &Layout, changes: &[Change], author: &Author<'_>) -> Result<Layout> {
    if author.from > layout.version {
        let detail = format!("{} is no version of this layout; it is at {}", author.from, layout.version);
        return Err(Problem::invalid("version", detail));
    }
    let mut new = Layout {
        version: layout.version + 1,
        by: author.account.to_owned(),
        at: author.at,
        ..layout.clone()
    };
    for change in changes {
        one(&mut new, change, author).map_err(|problem| with_layout(problem, layout))?;
    }
    Ok(new)
}

/// After a conflict the caller sees what is there now.
fn with_layout(problem: Problem, layout: &Layout) -> Problem {
    if problem.kind == Kind::Conflict { problem.more(json!({ "layout": layout })) } else { problem }
}

fn one(layout: &mut Layout, change: &Change, author: &Author<'_>) -> Result<()> {
    let version = layout.version;
    match change {
        Change::Show { tile, camera } => {
            let tile = free(layout, tile, author)?;
            tile.camera = Some(camera.clone());
            tile.by = Some(author.account.to_owned());
            (tile.crop, tile.changed) = (None, version);
        }
        Change::Clear { tile } => {
            let tile = free(layout, tile, author)?;
            (tile.camera, tile.by, tile.crop, tile.changed) = (None, None, None, version);
        }
        Change::Swap { a, b } => {
            let content =
                |tile: &Tile| (tile.camera.clone(), tile.by.clone(), tile.crop, tile.fit, tile.pinned);
            let (first, second) = (content(free(layout, a, author)?), content(free(layout, b, author)?));
            for (id, with) in [(a, second), (b, first)] {
                let tile = free(layout, id, author)?;
                (tile.camera, tile.by, tile.crop, tile.fit, tile.pinned) = with;
                tile.changed = version;
            }
        }
        Change::Pin { tile, pinned } => {
            let tile = free(layout, tile, author)?;
            (tile.pinned, tile.changed) = (*pinned, version);
        }
        Change::Lock { tile, locked } => {
            let tile = known(layout, tile, author)?;
            (tile.locked, tile.changed) = (*locked, version);
        }
        Change::Crop { tile, crop } => {
            if let Some(part) = crop {
                check_crop(part)?;
            }
            let tile = free(layout, tile, author)?;
            (tile.crop, tile.changed) = (*crop, version);
        }
        Change::Fit { tile, fit } => {
            let tile = free(layout, tile, author)?;
            (tile.fit, tile.changed) = (*fit, version);
        }
        Change::Place { tile, at } => {
            let placed = free(layout, tile, author)?;
            (placed.at, placed.changed) = (*at, version);
            place(region_with(layout, tile)?, tile)?;
        }
        Change::Spotlight { tile, on } => {
            known(layout, tile, author)?;
            let id = region_with(layout, tile)?.id.clone();
            let region = undivided_region(layout, &id, author)?;
            region.spotlight = on.then(|| tile.clone());
            region.changed = version;
        }
        Change::Arrange { region, arrangement } => arrange(layout, region, arrangement, author)?,
        Change::Span { screens, arrangement } => span(layout, screens, arrangement)?,
        Change::Unspan { region } => {
            let found = unchanged_region(layout, region, author)?;
            if found.screens.len() < 2 {
                return Err(Problem::invalid(
                    format!("region {region}"),
                    "is a screen's own; only a span can be taken away",
                ));
            }
            no_lock(found)?;
            layout.regions.retain(|r| r.id != *region);
        }
    }
    Ok(())
}

fn check_crop([x, y, width, height]: &[f32; 4]) -> Result<()> {
    /// Beyond this a zoom shows single pixels of an 8K picture.
    const SMALLEST: f32 = 1.0 / 64.0;
    let inside = [x, y, width, height].iter().all(|v| v.is_finite() && (0.0..=1.0).contains(*v));
    // A rounding error of the caller's arithmetic is no reason to refuse.
    let within = x + width <= 1.0 + 1e-4 && y + height <= 1.0 + 1e-4;
    if inside && within && *width >= SMALLEST && *height >= SMALLEST {
        return Ok(());
    }
    Err(Problem::invalid(
        "crop",
        "must be [x, y, width, height] within the picture, each 0 to 1, at least 1/64 wide and high",
    ))
}

fn find<'a>(layout: &'a mut Layout, id: &str) -> Result<&'a mut Tile> {
    let tile = layout.regions.iter_mut().flat_map(|r| &mut r.tiles).find(|t| t.id == id);
    tile.ok_or_else(|| Problem::not_found(format!("tile {id}")))
}

/// A tile that nobody else has changed meanwhile.
fn known<'a>(layout: &'a mut Layout, id: &str, author: &Author<'_>) -> Result<&'a mut Tile> {
    let now = layout.version;
    let tile = find(layout, id)?;
    // What this very change set has touched is no conflict.
    if tile.changed > author.from && tile.changed < now {
        let detail = format!(
            "was changed in version {}, after yours ({}); look and do it again",
            tile.changed, author.from
        );
        return Err(Problem::conflict(format!("tile {id}"), detail).code("changed"));
    }
    Ok(tile)
}

/// The same, and it is not locked.
fn free<'a>(layout: &'a mut Layout, id: &str, author: &Author<'_>) -> Result<&'a mut Tile> {
    let tile = known(layout, id, author)?;
    if tile.locked {
        return Err(Problem::conflict(format!("tile {id}"), "is locked; unlock it first").code("locked"));
    }
    Ok(tile)
}

fn region_with<'a>(layout: &'a mut Layout, tile: &str) -> Result<&'a mut Region> {
    let region = layout.regions.iter_mut().find(|r| r.tiles.iter().any(|t| t.id == tile));
    region.ok_or_else(|| Problem::not_found(format!("tile {tile}")))
}

/// A region that nobody else has divided otherwise meanwhile.
fn undivided_region<'a>(layout: &'a mut Layout, id: &str, author: &Author<'_>) -> Result<&'a mut Region> {
    let now = layout.version;
    let region = layout.regions.iter_mut().find(|r| r.id == id);
    let region = region.ok_or_else(|| Problem::not_found(format!("region {id}")))?;
    if region.changed > author.from && region.changed < now {
        let detail =
            format!("was arranged anew in version {}, after yours ({})", region.changed, author.from);
        return Err(Problem::conflict(format!("region {id}"), detail).code("changed"));
    }
    Ok(region)
}

/// The same, and nobody else has changed what is in it: a tile may go.
fn unchanged_region<'a>(layout: &'a mut Layout, id: &str, author: &Author<'_>) -> Result<&'a mut Region> {
    let now = layout.version;
    let region = undivided_region(layout, id, author)?;
    let changed = region.tiles.iter().find(|tile| tile.changed > author.from && tile.changed < now);
    if let Some(tile) = changed {
        let detail = format!(
            "was changed in version {}, after yours ({}); look and do it again",
            tile.changed, author.from
        );
        return Err(Problem::conflict(format!("tile {}", tile.id), detail).code("changed"));
    }
    Ok(region)
}

fn no_lock(region: &Region) -> Result<()> {
    match region.tiles.iter().find(|t| t.locked) {
        None => Ok(()),
        Some(tile) => {
            Err(Problem::conflict(format!("tile {}", tile.id), "is locked; unlock it first").code("locked"))
        }
    }
}

/// Fails where a locked tile would show something else, or would be gone.
pub(super) fn keeps_locked(now: &Layout, next: &Layout) -> Result<()> {
    let content = |tile: &Tile| (tile.camera.clone(), tile.at, tile.crop, tile.fit, tile.pinned);
    let stays = |tile: &Tile| next.tiles().any(|o| o.id == tile.id && content(o) == content(tile));
    match now.tiles().find(|tile| tile.locked && !stays(tile)) {
        None => Ok(()),
        Some(tile) => {
            Err(Problem::conflict(format!("tile {}", tile.id), "is locked; unlock it first").code("locked"))
        }
    }
}

fn arrange(layout: &mut Layout, id: &str, arrangement: &str, author: &Author<'_>) -> Result<()> {
    let (version, parsed) = (layout.version, Arrangement::parse(arrangement)?);
    let region = unchanged_region(layout, id, author)?;
    no_lock(region)?;
    // Cameras move up, so that the first ones stay seen.
    let cameras: Vec<Tile> = region.tiles.iter().filter(|t| t.camera.is_some()).cloned().collect();
    let kept = cameras.into_iter().take(parsed.tiles);
    let mut tiles: Vec<Tile> = Vec::new();
    for (index, tile) in kept.enumerate() {
        tiles.push(Tile { id: format!("{id}.{}", index + 1), at: None, changed: version, ..tile });
    }
    region.tiles = tiles;
    region.arrangement = arrangement.to_owned();
    (region.spotlight, region.changed) = (None, version);
    region.trim();
    // An empty tile of this name may have been another cell before.
    region.tiles.iter_mut().for_each(|tile| tile.changed = version);
    Ok(())
}

fn place(region: &mut Region, tile: &str) -> Result<()> {
    let arrangement = Arrangement::parse(&region.arrangement)?;
    let (columns, rows) = arrangement.grid;
    let at = region.tiles.iter().find(|t| t.id == tile).and_then(|t| t.at);
    if let Some([column, row, width, height]) = at {
        if !arrangement.is_grid() {
            return Err(Problem::invalid(
                format!("region {}", region.id),
                "is a preset; only tiles of a grid have places of their own",
            ));
        }
        let outside = column.saturating_add(width) > columns || row.saturating_add(height) > rows;
        if width == 0 || height == 0 || outside {
            return Err(Problem::invalid(
                format!("tile {tile}"),
                format!("does not lie within {columns}x{rows} cells"),
            ));
        }
    }
    if let Some((a, b)) = region.overlap() {
        return Err(Problem::invalid(format!("tile {a}"), format!("would lie over tile {b}")));
    }
    let cameras = |region: &Region| region.tiles.iter().filter(|t| t.camera.is_some()).count();
    let before = cameras(region);
    region.trim();
    if cameras(region) < before {
        return Err(Problem::invalid(
            format!("tile {tile}"),
            "leaves no room for all cameras of the region; empty some tiles first",
        ));
    }
    Ok(())
}

fn span(layout: &mut Layout, screens: &[String], arrangement: &str) -> Result<()> {
    Arrangement::parse(arrangement)?;
    let unknown =
        screens.iter().find(|id| !layout.regions.iter().any(|r| r.id == **id && r.screens.len() == 1));
    if let Some(id) = unknown {
        return Err(Problem::not_found(format!("screen {id}")));
    }
    let mut unique = screens.to_vec();
    unique.sort();
    unique.dedup();
    if unique.len() < 2 || unique.len() != screens.len() {
        return Err(Problem::invalid("span", "lies over two different screens or more"));
    }
    let id = format!("span-{}", screens.join("-"));
    if layout.regions.iter().any(|r| r.screens.len() > 1 && r.screens.iter().any(|s| screens.contains(s))) {
        return Err(Problem::conflict(
            id,
            "lies over a screen that has a span already; take that one away first",
        ));
    }
    let mut region = super::layout::empty(&id, arrangement);
    (region.screens, region.changed) = (screens.to_vec(), layout.version);
    layout.regions.push(region);
    Ok(())
}
