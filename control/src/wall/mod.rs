//! The conductor: it alone drives the engine's wall, and keeps what operators want it to show.
