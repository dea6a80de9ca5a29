//! Zones, sites and cameras: what there is, whose it is, and how to reach it.
mod address;
mod fold;
mod vault;
