//! HTTP and JSON: one file per resource, thin: check who calls, call the room, answer.

use std::sync::Arc;

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
    OpenApiRouter::new()
}

/// Runs what waits for the disk where it holds nobody up.
pub async fn blocking<T: Send + 'static>(f: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(f)
        .await
        .unwrap_or_else(|e| Err(Problem::internal("worker", format!("ended early: {e}"))))
}
