//! Tests of the room: whole sources against servers, files and clocks. The servers are in `testing.rs`, where other rooms
//! use them too.

mod drift;
mod history;
mod servers;
mod turned;
