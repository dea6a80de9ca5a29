//! Accounts, roles, sessions, API tokens and sign-on: who calls, and what that role may do.

mod caller;
mod role;

pub use caller::Caller;
pub use role::{Permission, Role};
