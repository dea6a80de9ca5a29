//! The rooms of the engine (`engine/src/`) and their arrows, as docs/design/README.md has them.

use super::{Arrows, House};

pub const HOUSE: House =
    House { src: "engine/src", arrows: ARROWS, wiring: &["lib"], inner: INNER, barred: BARRED };

const ARROWS: Arrows = &[
    ("base", &[]),
    ("media", &["base"]),
    ("source", &["base", "media"]),
    ("ingest", &["base", "media", "source"]),
    ("decode", &["base", "media", "source"]),
    ("effort", &["base", "media", "decode"]),
    ("store", &["base", "media"]),
    ("fit", &["base", "media", "decode", "store"]),
    ("scene", &["base", "media"]),
    ("composite", &["base", "media", "fit", "scene"]),
    ("encode", &["base", "media"]),
    ("output", &["base", "media", "encode"]),
    ("evidence", &["base"]),
    // Of `transcode` only the plain values of a job; see BARRED.
    ("config", &["base", "media", "scene", "effort", "encode", "source", "composite", "transcode"]),
    // The three that wire rooms together.
    (
        "wall",
        &[
            "base",
            "media",
            "source",
            "ingest",
            "decode",
            "effort",
            "store",
            "fit",
            "scene",
            "composite",
            "encode",
            "output",
            "config",
        ],
    ),
    ("mosaic", &["base", "media", "source", "decode", "fit", "scene", "composite", "output"]),
    ("transcode", &["base", "media", "source", "ingest", "composite", "encode", "evidence"]),
    // Each room is run to measure what it costs.
    (
        "measure",
        &[
            "base",
            "media",
            "source",
            "ingest",
            "decode",
            "effort",
            "store",
            "fit",
            "composite",
            "encode",
            "output",
        ],
    ),
];

/// Rooms within a room.
const INNER: &[(&str, Arrows)] = &[("transcode", TRANSCODE)];

const TRANSCODE: Arrows = &[
    ("spec", &[]),
    ("time", &[]),
    ("edit", &["spec"]),
    ("package", &["spec", "time"]),
    ("sound", &["spec", "package"]),
    ("files", &["spec"]),
    ("codec", &["spec", "time", "edit", "package", "files"]),
    ("input", &["time", "sound", "codec"]),
    ("capture", &["spec", "time", "package", "files", "codec"]),
    ("job", &["spec", "time", "edit", "package", "sound", "files", "codec", "input"]),
    // Tests through several rooms.
    ("tests", &["spec", "package", "sound", "files", "codec", "job"]),
];

/// Folders of the engine that must not name a crate or a room, and what they must not name.
const BARRED: Arrows = &[
    ("", &["vitrail_control", "vitrail_simulator", "axum", "rusqlite", "indicatif", "clap"]),
    (
        "config",
        &[
            "crate::transcode::capture",
            "crate::transcode::codec",
            "crate::transcode::edit",
            "crate::transcode::files",
            "crate::transcode::input",
            "crate::transcode::job",
            "crate::transcode::package",
            "crate::transcode::sound",
        ],
    ),
    ("composite/cpu", &["wgpu", "crate::composite::gpu"]),
    ("composite/plan.rs", &["wgpu", "crate::composite::gpu", "crate::composite::cpu"]),
    ("scene", &["gstreamer", "retina", "ffmpeg_next", "wgpu", "tokio", "std::fs", "std::net"]),
    ("media", &["gstreamer", "retina", "ffmpeg_next", "wgpu", "tokio", "std::fs", "std::net"]),
];
