//! What operators want the wall to show: regions over screens, tiles with cameras, as it stands on the
//! wire and in the database, and as a scene for the engine. Pure.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vitrail_engine::media::FitMode;
use vitrail_engine::media::Region as Part;
use vitrail_engine::scene::{LayoutWish, Over, Placement, Preset, RegionWish, Scene, ScreenWish, TileWish};

use crate::base::{Problem, Result, Utc};

/// Columns and rows of a grid, at most: the engine takes no more tiles in one region.
const MAX_SIDE: u32 = 32;

/// The wish, one version of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Layout {
    /// Raised by every change.
    pub version: u64,
    /// The incident under which the wall shows.
    pub incident: Option<String>,
    /// Account that made this version.
    pub by: String,
    /// When it was made.
    pub at: Utc,
    /// What lies over the screens; later ones lie over earlier ones.
    pub regions: Vec<Region>,
}

/// A layout over one screen, or over several: then it is a span.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Region {
    /// Its id: the screen's for the region that every screen has.
    pub id: String,
    /// The screens.
    pub screens: Vec<String>,
    /// `CxR`, or a preset: `1`, `1+5`, `1+7`, `2+8`, `1+12`.
    pub arrangement: String,
    /// The tile that fills the region for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spotlight: Option<String>,
    /// Its tiles, in the order of the cells.
    pub tiles: Vec<Tile>,
    /// The version that changed it last (not its tiles).
    #[serde(default)]
    pub changed: u64,
}

/// A tile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Tile {
    /// Its id, unique in the wall.
    pub id: String,
    /// The camera that it shows.
    pub camera: Option<String>,
    /// `[column, row, columns, rows]` where it has a place of its own in the grid.
    #[serde(default)]
    pub at: Option<[u32; 4]>,
    /// It degrades last.
    #[serde(default)]
    pub pinned: bool,
    /// It takes no change but `lock`.
    #[serde(default)]
    pub locked: bool,
    /// `contain`, `cover` or `stretch`.
    #[serde(default)]
    pub fit: Fit,
    /// Digital zoom: `[x, y, width, height]`, parts of the picture.
    #[serde(default)]
    pub crop: Option<[f32; 4]>,
    /// Who put the camera there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The version that changed it last.
    #[serde(default)]
    pub changed: u64,
}

/// A camera on a screen, in however many tiles.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OnScreen {
    /// The screen.
    pub screen: String,
    /// The camera.
    pub camera: String,
}

/// What to do where the aspects of picture and tile differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// All of the picture, with bars.
    #[default]
    Contain,
    /// All of the tile, with a part of the picture.
    Cover,
    /// All of both, out of proportion.
    Stretch,
}

impl From<Fit> for FitMode {
    fn from(fit: Fit) -> FitMode {
        match fit {
            Fit::Contain => FitMode::Contain,
            Fit::Cover => FitMode::Cover,
            Fit::Stretch => FitMode::Stretch,
        }
    }
}

impl From<FitMode> for Fit {
    fn from(mode: FitMode) -> Fit {
        match mode {
            FitMode::Contain => Fit::Contain,
            FitMode::Cover => Fit::Cover,
            FitMode::Stretch => Fit::Stretch,
        }
    }
}

/// An arrangement that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrangement {
    /// As the engine takes it.
    pub wish: LayoutWish,
    /// How many tiles it has, where none has a place of its own.
    pub tiles: usize,
    /// Columns and rows of its grid.
    pub grid: (u32, u32),
}

impl Arrangement {
    /// Reads `4x3`, `1+5`, …
    pub fn parse(text: &str) -> Result<Arrangement> {
        let wrong = || {
            let names: Vec<&str> = Preset::ALL.iter().map(|p| p.name()).collect();
            let detail = format!(
                "{text:?} is no arrangement; write CxR (up to {MAX_SIDE}x{MAX_SIDE}) or one of {}",
                names.join(", ")
            );
            Problem::invalid("arrangement", detail)
        };
        if let Some(preset) = Preset::ALL.into_iter().find(|p| p.name() == text) {
            let side = preset.grid();
            let wish = match preset {
                Preset::One | Preset::TwoByTwo | Preset::ThreeByThree | Preset::FourByFour => {
                    LayoutWish::Grid { columns: side, rows: side }
                }
                _ => LayoutWish::Preset(preset),
            };
            return Ok(Arrangement { wish, tiles: preset.cells().len(), grid: (side, side) });
        }
        let (columns, rows) = text.split_once('x').ok_or_else(wrong)?;
        let side = |text: &str| text.parse().ok().filter(|side| (1..=MAX_SIDE).contains(side));
        let (columns, rows) = side(columns).zip(side(rows)).ok_or_else(wrong)?;
        Ok(Arrangement {
            wish: LayoutWish::Grid { columns, rows },
            tiles: (columns * rows) as usize,
            grid: (columns, rows),
        })
    }

    /// Tiles may have places of their own in it.
    pub fn is_grid(&self) -> bool {
        matches!(self.wish, LayoutWish::Grid { .. })
    }
}

impl Layout {
    /// The first wish: what the wall file says, as far as it can be said in regions of screens.
    pub fn of_scene(scene: &Scene, at: Utc) -> Layout {
        let mut regions: Vec<Region> =
            scene.screens.iter().map(|screen| empty(screen.id.as_str(), "2x2")).collect();
        for wish in &scene.regions {
            let arrangement = match wish.layout {
                LayoutWish::Grid { columns, rows } => format!("{columns}x{rows}"),
                LayoutWish::Preset(preset) => preset.name().to_owned(),
                LayoutWish::Free => continue,
            };
            let screens: Vec<String> = match &wish.over {
                Over::Screen(id) => vec![id.to_string()],
                Over::Screens(ids) => ids.iter().map(ToString::to_string).collect(),
            };
            let id = if let [one] = screens.as_slice() {
                one.clone()
            } else {
                format!("span-{}", screens.join("-"))
            };
            let mut region = Region { screens, ..empty(&id, &arrangement) };
            for (index, tile) in wish.tiles.iter().enumerate() {
                let at = match tile.at {
                    Placement::Cell { column, row, columns, rows } => Some([column, row, columns, rows]),
                    _ => None,
                };
                let id = format!("{id}.{}", index + 1);
                let camera = tile.camera.as_ref().map(ToString::to_string);
                let whole = tile.crop == Part::WHOLE;
                let crop = (!whole).then_some([tile.crop.x, tile.crop.y, tile.crop.width, tile.crop.height]);
                let fresh = Tile {
                    id,
                    camera,
                    at,
                    pinned: tile.pinned,
                    fit: tile.fit.into(),
                    crop,
                    ..Tile::default()
                };
                match region.tiles.get_mut(index) {
                    Some(tile) => *tile = fresh,
                    None => region.tiles.push(fresh),
                }
            }
            region.trim();
            match regions.iter_mut().find(|r| r.id == id) {
                Some(place) => *place = region,
                None => regions.push(region),
            }
        }
        Layout { version: 1, incident: None, by: "system".into(), at, regions }
    }

    /// As the engine takes it, over these screens.
    pub fn to_scene(&self, screens: &[ScreenWish]) -> Result<Scene> {
        let regions = self.regions.iter().map(Region::to_wish).collect::<Result<Vec<_>>>()?;
        Ok(Scene { screens: screens.to_vec(), regions })
    }

    /// All tiles.
    pub fn tiles(&self) -> impl Iterator<Item = &Tile> {
        self.regions.iter().flat_map(|region| &region.tiles)
    }

    /// Every camera that can be seen, once for each screen: what a spotlight hides is not shown.
    pub fn showings(&self) -> BTreeSet<OnScreen> {
        let mut showings = BTreeSet::new();
        for region in &self.regions {
            for camera in region.visible().filter_map(|tile| tile.camera.as_ref()) {
                let on = |screen: &String| OnScreen { screen: screen.clone(), camera: camera.clone() };
                showings.extend(region.screens.iter().map(on));
            }
        }
        showings
    }
}

/// A region of one screen without cameras.
pub(super) fn empty(id: &str, arrangement: &str) -> Region {
    let mut region = Region {
        id: id.to_owned(),
        screens: vec![id.to_owned()],
        arrangement: arrangement.to_owned(),
        spotlight: None,
        tiles: Vec::new(),
        changed: 1,
    };
    region.trim();
    region
}

impl Region {
    /// The tiles that are seen now.
    pub fn visible(&self) -> impl Iterator<Item = &Tile> {
        self.tiles.iter().filter(|tile| self.spotlight.as_ref().is_none_or(|id| *id == tile.id))
    }

    /// As many tiles as its arrangement has room for: empty ones are added or taken away. A tile with
    /// a camera that has no room goes too; who arranges says so before.
    pub(super) fn trim(&mut self) {
        let Ok(arrangement) = Arrangement::parse(&self.arrangement) else { return };
        let (columns, rows) = arrangement.grid;
        let mut room = arrangement.tiles;
        if arrangement.is_grid() {
            // What has a place of its own takes its cells.
            for tile in &mut self.tiles {
                if tile
                    .at
                    .is_some_and(|[c, r, w, h]| c.saturating_add(w) > columns || r.saturating_add(h) > rows)
                {
                    tile.at = None;
                }
            }
            let taken: u32 = self.tiles.iter().filter_map(|t| t.at).map(|[_, _, w, h]| w * h).sum();
            let placed = self.tiles.iter().filter(|t| t.at.is_some()).count();
            room = (columns * rows).saturating_sub(taken) as usize + placed;
        } else {
            self.tiles.iter_mut().for_each(|tile| tile.at = None);
        }
        // Empty tiles go first, from the back.
        while self.tiles.len() > room {
            let empty = self.tiles.iter().rposition(|t| t.camera.is_none() && t.at.is_none());
            let free = self.tiles.iter().rposition(|t| t.at.is_none());
            let Some(index) = empty.or(free) else { break };
            self.tiles.remove(index);
        }
        let mut number = 1;
        while self.tiles.len() < room {
            let id = format!("{}.{number}", self.id);
            if !self.tiles.iter().any(|t| t.id == id) {
                self.tiles.push(Tile { id, ..Tile::default() });
            }
            number += 1;
        }
        if self.spotlight.as_ref().is_some_and(|id| !self.tiles.iter().any(|t| t.id == *id)) {
            self.spotlight = None;
        }
    }

    /// Two tiles with places of their own that lie over each other.
    pub(super) fn overlap(&self) -> Option<(&str, &str)> {
        let placed: Vec<(&str, [u32; 4])> =
            self.tiles.iter().filter_map(|t| Some((t.id.as_str(), t.at?))).collect();
        let meet = |a: [u32; 4], b: [u32; 4]| {
            a[0] < b[0] + b[2] && b[0] < a[0] + a[2] && a[1] < b[1] + b[3] && b[1] < a[1] + a[3]
        };
        placed.iter().enumerate().find_map(|(i, (id, at))| {
            placed[i + 1..].iter().find(|(_, other)| meet(*at, *other)).map(|(other, _)| (*id, *other))
        })
    }

    fn to_wish(&self) -> Result<RegionWish> {
        let arrangement = match self.spotlight {
            Some(_) => Arrangement::parse("1")?,
            None => Arrangement::parse(&self.arrangement)?,
        };
        let tile = |tile: &Tile| TileWish {
            id: tile.id.clone(),
            camera: tile.camera.as_deref().map(Into::into),
            at: match tile.at.filter(|_| self.spotlight.is_none()) {
                Some([column, row, columns, rows]) => Placement::Cell { column, row, columns, rows },
                None => Placement::Next,
            },
            fit: tile.fit.into(),
            crop: tile.crop.map_or(Part::WHOLE, |[x, y, width, height]| Part { x, y, width, height }),
            label: None,
            pinned: tile.pinned,
        };
        let over = match self.screens.as_slice() {
            [one] => Over::Screen(one.as_str().into()),
            several => Over::Screens(several.iter().map(|id| id.as_str().into()).collect()),
        };
        Ok(RegionWish {
            over,
            layout: arrangement.wish,
            gap: 0,
            margin: 0,
            tiles: self.visible().map(tile).collect(),
        })
    }
}
