//! How much decoding each camera and how much encoding each screen deserves, and what it costs: one cost
//! model for governor, admission and capacity planner. Pure: nothing here connects, decodes or starts a thread.

pub mod cost;
mod fit;
mod governor;
mod ladder;
pub mod plan;
#[cfg(test)]
mod screen_tests;
mod screens;
#[cfg(test)]
mod tests;

pub use cost::{CostModel, StreamLoad};
pub use governor::{Admission, Decision, Governor, Load, Plan};
pub use ladder::{EffortSettings, ProfileLoad, Rung, Step, Wish, ladder};
pub use screens::{ScreenDecision, ScreenRung, ScreenStep, ScreenWish, screen_ladder};
