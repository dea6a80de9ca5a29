//! (placeholder while the room is compiled for the first time)
