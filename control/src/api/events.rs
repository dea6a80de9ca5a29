//! Server-sent events: what happens on the walls, as it happens.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt, stream};
use tokio::sync::broadcast::error::RecvError;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Shared;
use crate::base::Result;
use crate::people::{Caller, Permission};

/// How often a quiet stream says that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// News of the walls: `layout`, `wall` (once a second), `alarm`, `tour`, `incident`, `agreement`, `registry`,
/// `notice`; `missed` where this reader was too slow: read `/wall` and `/wall/layout` again. Ends with the login.
#[utoipa::path(get, path = "/events", operation_id = "events", tag = "wall",
    extensions(("x-permission" = json!("view-wall"))),
    responses((status = 200, description = "Events", body = String, content_type = "text/event-stream")))]
async fn events(
    State(shared): State<Shared>,
    caller: Caller,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    caller.require(Permission::ViewWall)?;
    let news = shared.wall()?.bus().listen();
    let next = |mut news: tokio::sync::broadcast::Receiver<crate::wall::News>| async move {
        let event = match news.recv().await {
            Ok(happened) => Event::default().event(happened.event).data(&*happened.data),
            Err(RecvError::Lagged(missed)) => Event::default().event("missed").data(missed.to_string()),
            Err(RecvError::Closed) => return None,
        };
        Some((Ok(event), news))
    };
    let ended = caller.ended.clone();
    let events = stream::unfold(news, next).take_until(async move { ended.cancelled().await });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// The routes of this file.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(events))
}
