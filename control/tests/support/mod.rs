//! What tests of the controller share: a controller that is asked through its router, a log to tamper with, a wall
//! of one simulated camera, and a viewer like a browser.
#![allow(dead_code, unused_imports, clippy::unwrap_used, reason = "each test file uses a part of it")]

pub mod audit_log;
mod controller;
pub mod stage;
pub mod viewer;

pub use controller::{Answer, As, PASSWORD, TestController, request};
