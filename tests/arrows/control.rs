//! The rooms of the controller (`control/src/`) and their arrows, as docs/design/control.md has them.

use super::{Arrows, House};

pub const HOUSE: House =
    House { src: "control/src", arrows: ARROWS, wiring: &["lib", "controller"], inner: &[], barred: BARRED };

const ARROWS: Arrows = &[
    ("base", &[]),
    ("audit", &["base"]),
    ("db", &["base", "audit"]),
    ("people", &["base", "audit", "db"]),
    ("registry", &["base", "audit", "db", "people"]),
    ("onvif", &["base", "registry"]),
    ("rights", &["base", "audit", "db", "people"]),
    ("wall", &["base", "audit", "db", "people", "rights"]),
    ("live", &["base", "audit", "db", "people", "rights"]),
    ("api", &["base", "audit", "db", "people", "registry", "onvif", "rights", "wall", "live"]),
    ("server", &["base", "api"]),
];

/// Places of the controller that must not name a crate or a room, and what they must not name.
const BARRED: Arrows = &[
    // `crate::Result` and its like are for those outside; a room says that it needs `base`.
    ("", &["clap", "indicatif", "crate::Problem", "crate::Result", "crate::Utc", "crate::Controller"]),
    // Only wall and live know the engine's wall; the controller starts and stops it.
    ("base", &[WALL]),
    ("audit", &[WALL, "axum"]),
    ("db", &[WALL, "axum"]),
    ("people", &[WALL, "axum"]),
    ("registry", &[WALL, "axum"]),
    ("onvif", &[WALL, "axum", "rusqlite"]),
    ("rights", &[WALL, "axum"]),
    ("wall", &["axum"]),
    ("live", &["rusqlite"]),
    ("api", &[WALL, "rusqlite"]),
    ("server.rs", &[WALL, "rusqlite"]),
    // Pure: the same facts give the same answer.
    ("rights/policy.rs", PURE),
    ("rights/snapshot.rs", PURE),
    ("wall/change.rs", PURE),
    ("wall/layout.rs", PURE),
    ("wall/level.rs", PURE),
];

/// The engine's wall.
const WALL: &str = "vitrail_engine::wall";

/// What reads, writes, waits or tells the time.
const PURE: &[&str] = &[
    "crate::db",
    "rusqlite",
    "tokio",
    "parking_lot",
    "std::fs",
    "std::io",
    "std::net",
    "std::sync",
    "std::thread",
    "std::time",
    "vitrail_engine::base",
];
