//! ONVIF: finds cameras on the network, reads what streams they have, and moves them. Whatever a device
//! answers is bounded in size and time and taken for what it may be: hostile.
//!
//! `xml` reads, `soap` speaks, `client` carries it over HTTP, `discovery` asks the network.

mod client;
mod device;
mod discovery;
mod ptz;
mod soap;
mod xml;

#[cfg(test)]
mod tests;

pub use client::{Client, Devices, address_of};
pub use device::{About, DeviceProfile, Streams};
pub use discovery::{Discovery, Found, discover};
pub use ptz::{Move, Preset, Turn};
