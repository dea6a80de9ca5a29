//! HTTP and JSON: one file per resource, thin: check who calls, call the room, answer.

pub mod audit;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use crate::db::Database;
use crate::{Problem, Result};

/// What every handler can reach.
pub struct Control {
    /// The database.
    pub db: Arc<Database>,
}

/// The state of the router.
pub type Shared = Arc<Control>;

/// Every route under `/api/v1`, each with its documentation.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().merge(audit::routes())
}

/// Runs what waits for the disk where it holds nobody up.
pub async fn blocking<T: Send + 'static>(f: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(f)
        .await
        .unwrap_or_else(|e| Err(Problem::internal("worker", format!("ended early: {e}"))))
}

/// Which part of a list is asked for.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// Items at most; 100 where it is left out, 1000 at most.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub after: Option<String>,
}

impl Paging {
    /// Items at most.
    pub fn limit(&self) -> Result<usize> {
        match self.limit.unwrap_or(100) {
            limit @ 1..=1000 => Ok(limit as usize),
            _ => Err(Problem::new(crate::base::Kind::Malformed, "limit", "takes 1 to 1000")),
        }
    }
}

/// A part of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct List<T> {
    /// The items.
    pub items: Vec<T>,
    /// Send it as `after` for those that follow; null where this is the end.
    #[schema(required)]
    pub next: Option<String>,
}

impl<T> List<T> {
    /// The first `limit` of `items`, of which one more than `limit` was asked for.
    pub fn of(mut items: Vec<T>, limit: usize, id: impl Fn(&T) -> &str) -> List<T> {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|last| id(last).to_owned());
        List { items, next }
    }
}
