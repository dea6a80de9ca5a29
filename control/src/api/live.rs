//! Live pictures: WHEP sessions, canvases and thumbnails.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Shared;
use crate::base::{Problem, Result, blocking};
use crate::live::{Conditions, LookBasis, LookTarget, OpenLook};
use crate::people::{Caller, Permission};

/// Where the peer is, where the server was told.
type Peer = Option<Extension<ConnectInfo<SocketAddr>>>;

/// Twice what an offer may have, so that one that is too long is told so by the room.
const LARGEST_BODY: usize = 128 << 10;

/// Routes of live pictures.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(watch))
        .routes(routes!(end))
        .routes(routes!(picture))
        .routes(routes!(stream))
        .routes(routes!(thumbnail))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
}

/// How wide a picture is to be.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Size {
    /// Pixels; it is never wider than the screen. Left out: 960.
    #[param(minimum = 16, maximum = 8192)]
    width: Option<u32>,
}

/// How wide a camera's picture is to be, and which way up.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct View {
    /// Pixels; at most 640. Left out: 320.
    #[param(minimum = 16, maximum = 8192)]
    width: Option<u32>,
    /// False: as the camera sends it, not turned to be seen. Masks lie on that picture. Left out: true.
    upright: Option<bool>,
}

/// How wide, and how often.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Pace {
    /// Pixels; it is never wider than the screen. Left out: 960.
    #[param(minimum = 16, maximum = 8192)]
    width: Option<u32>,
    /// Pictures a second, 0.2 to 15; fewer where nothing changes. Left out: 5.
    fps: Option<f64>,
}

const WIDTH: u32 = 960;
const THUMBNAIL: u32 = 320;
const FPS: f64 = 5.0;

fn peer(peer: Peer) -> Option<std::net::IpAddr> {
    // An IPv4 client of a dual-stack listener is an IPv4 client.
    peer.map(|Extension(ConnectInfo(address))| address.ip().to_canonical())
}

/// The room's screens are for the unit that sits there, and who else looks at them is on record.
async fn open_look(control: &Shared, caller: &Caller, screen: &str) -> Result<Arc<OpenLook>> {
    let (control, caller, screen) = (control.clone(), caller.clone(), screen.to_owned());
    blocking(move || {
        let conductor = control.wall()?;
        let room = conductor.settings();
        if caller.unit != room.unit {
            let text = format!("shows for {}, and you look for {}", room.unit, caller.unit);
            return Err(Problem::refused(format!("screen {screen}"), text).code("unit"));
        }
        if !room.wall.scene.screens.iter().any(|known| known.id.as_str() == screen) {
            return Err(Problem::not_found(format!("screen {screen}")));
        }
        let basis = LookBasis { incident: conductor.layout().incident, ..LookBasis::default() };
        control.looks()?.open_look(&caller.actor, LookTarget::Screen(screen), basis)
    })
    .await
}

/// Watch a screen live over WebRTC (WHEP): an offer for one video that is received, H.264.
#[utoipa::path(post, path = "/whep/{screen}", tag = "live", extensions(("x-permission" = json!("view-wall"))),
    params(("screen" = String, Path, description = "Screen")),
    request_body(content = String, content_type = "application/sdp", description = "SDP offer"),
    responses(
        (status = 201, description = "SDP answer; `Location` is the session", body = String,
            content_type = "application/sdp", headers(("Location" = String))),
        (status = 400, description = "No SDP offer", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed to this role, or the screen is for another unit (`unit`)", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such screen", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The screen is compressed as H.265 (`codec`): `more.fallback` names what to show instead",
            body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The offer is too long", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The offer has no video to be received, or no H.264", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "Too many viewers, or no picture yet", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn watch(
    caller: Caller,
    State(control): State<Shared>,
    Path(screen): Path<String>,
    from: Peer,
    headers: HeaderMap,
    offer: Bytes,
) -> Result<Response> {
    caller.require(Permission::ViewWall)?;
    let look = open_look(&control, &caller, &screen).await?;
    let watcher = control.live()?.watcher(&caller, peer(from), look);
    control.live()?.answer_offer(&watcher, &screen, &headers, &offer).await
}

/// End a session of one's own. A session also ends with the login, and when its browser is gone.
#[utoipa::path(delete, path = "/whep/{screen}/{session}", tag = "live", extensions(("x-permission" = json!("view-wall"))),
    params(("screen" = String, Path, description = "Screen"), ("session" = String, Path, description = "Session")),
    responses(
        (status = 204, description = "Ended"),
        (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed to this role, or the screen is for another unit (`unit`)", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such session, or another account's", body = Problem,
            content_type = "application/problem+json"),
    ))]
async fn end(
    caller: Caller,
    State(control): State<Shared>,
    Path((screen, session)): Path<(String, String)>,
) -> Result<StatusCode> {
    caller.require(Permission::ViewWall)?;
    control.live()?.close(&caller.account, &screen, &session)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The newest picture of a screen. Its entity tag stays as long as nothing on it changes.
#[utoipa::path(get, path = "/wall/screens/{screen}/picture.jpg", tag = "live", extensions(("x-permission" = json!("view-wall"))),
    params(("screen" = String, Path, description = "Screen"), Size),
    responses(
        (status = 200, description = "JPEG", body = Vec<u8>, content_type = "image/jpeg", headers(("ETag" = String))),
        (status = 304, description = "As the one that `If-None-Match` names"),
        (status = 400, description = "Not a width", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed to this role, or the screen is for another unit (`unit`)", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such screen, or no picture yet", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "Too many ask at once", body = Problem, content_type = "application/problem+json"),
    ))]
async fn picture(
    caller: Caller,
    State(control): State<Shared>,
    Path(screen): Path<String>,
    Query(size): Query<Size>,
    headers: HeaderMap,
) -> Result<Response> {
    caller.require(Permission::ViewWall)?;
    let _look = open_look(&control, &caller, &screen).await?;
    control.live()?.answer_picture(&screen, size.width.unwrap_or(WIDTH), &Conditions::of(&headers)).await
}

/// The pictures of a screen one after the other, for what has no WebRTC; it ends with the login.
#[utoipa::path(get, path = "/wall/screens/{screen}/stream.mjpeg", tag = "live", extensions(("x-permission" = json!("view-wall"))),
    params(("screen" = String, Path, description = "Screen"), Pace),
    responses(
        (status = 200, description = "JPEGs", body = Vec<u8>, content_type = "multipart/x-mixed-replace"),
        (status = 400, description = "Not a width or a rate", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed to this role, or the screen is for another unit (`unit`)", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such screen, or no picture yet", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "Too many watch", body = Problem, content_type = "application/problem+json"),
    ))]
async fn stream(
    caller: Caller,
    State(control): State<Shared>,
    Path(screen): Path<String>,
    Query(pace): Query<Pace>,
) -> Result<Response> {
    caller.require(Permission::ViewWall)?;
    let look = open_look(&control, &caller, &screen).await?;
    let watcher = control.live()?.watcher(&caller, None, look);
    let (width, fps) = (pace.width.unwrap_or(WIDTH), pace.fps.unwrap_or(FPS));
    control.live()?.answer_stream(&watcher, &screen, width, fps).await
}

/// The newest key frame of a camera, where the policy lets the caller see it now.
#[utoipa::path(get, path = "/cameras/{camera}/thumbnail.jpg", tag = "live", extensions(("x-permission" = json!("view-wall"))),
    params(("camera" = String, Path, description = "Camera"), View),
    responses(
        (status = 200, description = "JPEG", body = Vec<u8>, content_type = "image/jpeg", headers(("ETag" = String))),
        (status = 304, description = "As the one that `If-None-Match` names"),
        (status = 400, description = "Not a width", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed to this role, or by the policy: `code` says why", body = Problem,
            content_type = "application/problem+json"),
        (status = 404, description = "No such camera, or no picture of it", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "Too many ask at once", body = Problem, content_type = "application/problem+json"),
    ))]
async fn thumbnail(
    caller: Caller,
    State(control): State<Shared>,
    Path(camera): Path<String>,
    Query(view): Query<View>,
    headers: HeaderMap,
) -> Result<Response> {
    caller.require(Permission::ViewWall)?;
    let (width, upright) = (view.width.unwrap_or(THUMBNAIL), view.upright.unwrap_or(true));
    control.live()?.answer_thumbnail(&caller, &camera, width, upright, &Conditions::of(&headers)).await
}
