//! HTTP and JSON: one file per resource, thin: check who calls, call the room, answer.

pub mod live;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;

use crate::db::Database;
use crate::live::Live;
use crate::{Problem, Result};

/// What every handler can reach.
pub struct Control {
    /// The database.
    pub db: Arc<Database>,
    /// Live pictures.
    pub live: Arc<Live>,
}

/// The state of the router.
pub type Shared = Arc<Control>;

/// Every route under `/api/v1`, each with its documentation.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().merge(live::routes())
}

/// Runs what waits for the disk where it holds nobody up.
pub async fn blocking<T: Send + 'static>(f: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(f)
        .await
        .unwrap_or_else(|e| Err(Problem::internal("worker", format!("ended early: {e}"))))
}
