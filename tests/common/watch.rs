//! Watches a decoded wall: which camera is in which tile, which frames were missed, how old each is.

use std::time::Duration;

use vitrail_engine::base::Histogram;
use vitrail_simulator::Simulator;
use vitrail_simulator::code::{Code, Region};
use vitrail_simulator::viewer::{Seen, Viewer};

/// What was seen in one tile.
#[derive(Clone, Debug, Default)]
pub struct Tile {
    /// Pictures in which the tile's own camera was read.
    pub right: u64,
    /// Pictures in which another camera was read.
    pub wrong: u64,
    /// Pictures without a readable code.
    pub unreadable: u64,
    /// Different camera frames seen.
    pub frames: u64,
    /// Camera frames that were sent between two seen ones and never shown.
    pub missed: u64,
    /// Camera frames that came after a newer one.
    pub backwards: u64,
    /// Number of the camera's frame that was read last.
    frame: Option<u32>,
    newest: Option<u64>,
}

/// What was seen of a wall whose tile `n` (from 0, row by row) shows camera `n + 1`.
pub struct Watch {
    grid: (usize, usize),
    /// Each tile, row by row.
    pub tiles: Vec<Tile>,
    /// Pictures of the wall.
    pub pictures: u64,
    /// From the simulator's send to the viewer's decoder.
    pub latency: Histogram,
    /// The same, each by itself: a histogram's steps are 9 %.
    pub latencies: Vec<Duration>,
    first: Option<u64>,
    last: u64,
    /// The longest time between two pictures of the wall.
    pub longest_gap: Duration,
}

impl Watch {
    pub fn new(columns: usize, rows: usize) -> Watch {
        Watch {
            grid: (columns, rows),
            tiles: vec![Tile::default(); columns * rows],
            pictures: 0,
            latency: Histogram::default(),
            latencies: Vec::new(),
            first: None,
            last: 0,
            longest_gap: Duration::ZERO,
        }
    }

    /// Looks at one picture that came live. The viewer and the simulator share a clock.
    pub fn look(&mut self, seen: &Seen, simulator: &Simulator) {
        if self.first.is_some() {
            self.longest_gap = self.longest_gap.max(Duration::from_nanos(seen.arrival.0 - self.last));
        }
        self.first.get_or_insert(seen.arrival.0);
        self.last = seen.arrival.0;
        for (index, code) in self.read(seen) {
            let tile = &mut self.tiles[index];
            if tile.frame.replace(code.frame) == Some(code.frame) {
                continue;
            }
            let Some(sent) = simulator.sending(&code, seen.arrival) else { continue };
            match tile.newest {
                Some(newest) if newest > sent.count => tile.backwards += 1,
                Some(newest) => tile.missed += sent.count - newest - 1,
                None => {}
            }
            tile.newest = Some(sent.count);
            tile.frames += 1;
            let latency = seen.arrival.since(sent.moment);
            self.latency.record(latency);
            self.latencies.push(latency);
        }
    }

    /// Looks at one picture of a recording, whenever it was made; the codes of the tiles that show their cameras.
    pub fn read(&mut self, seen: &Seen) -> Vec<(usize, Code)> {
        self.pictures += 1;
        let size = (seen.width, seen.height);
        let mut codes = Vec::new();
        for (index, tile) in self.tiles.iter_mut().enumerate() {
            let place = (index % self.grid.0, index / self.grid.0);
            match seen.code(Some(Region::tile(size, self.grid, place))) {
                None => tile.unreadable += 1,
                Some(code) if usize::from(code.camera) != index + 1 => tile.wrong += 1,
                Some(code) => {
                    tile.right += 1;
                    codes.push((index, code));
                }
            }
        }
        codes
    }

    /// Watches for a while.
    pub fn watch(&mut self, viewer: &Viewer, simulator: &Simulator, time: Duration) {
        let end = std::time::Instant::now() + time;
        while std::time::Instant::now() < end {
            match viewer.next(Duration::from_millis(500)) {
                Ok(Some(seen)) => self.look(&seen, simulator),
                Ok(None) => {}
                Err(error) => panic!("the viewer: {error}"),
            }
        }
    }

    /// Pictures of the wall per second.
    pub fn fps(&self) -> f64 {
        let span = self.last.saturating_sub(self.first.unwrap_or_default()) as f64 / 1e9;
        if span > 0.0 { (self.pictures - 1) as f64 / span } else { 0.0 }
    }

    /// True once every tile shows its own camera in the newest picture.
    pub fn all_right(seen: &Seen, columns: usize, rows: usize, cameras: usize) -> bool {
        let size = (seen.width, seen.height);
        (0..cameras).all(|index| {
            let place = (index % columns, index / columns);
            let code = seen.code(Some(Region::tile(size, (columns, rows), place)));
            code.is_some_and(|c| usize::from(c.camera) == index + 1)
        })
    }
}

/// Waits until every tile shows its own camera; panics where that does not happen.
pub fn until_all_right(viewer: &Viewer, columns: usize, rows: usize, cameras: usize, limit: Duration) {
    let end = std::time::Instant::now() + limit;
    while std::time::Instant::now() < end {
        let seen = viewer.next(Duration::from_millis(500));
        if matches!(seen, Ok(Some(seen)) if Watch::all_right(&seen, columns, rows, cameras)) {
            return;
        }
    }
    panic!("not every camera was in its tile within {limit:?}");
}
