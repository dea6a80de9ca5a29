//! Wires the rooms for a live wall.
