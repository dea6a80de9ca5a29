//! What the wall shows, and changes to it.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vitrail_engine::effort::Admission;

use super::Shared;
use crate::base::{Problem, Result, blocking};
use crate::people::{Caller, Permission};
use crate::rights::Refusal;
use crate::wall::{Change, Conductor, Layout, WallState};

/// Changes to a layout, and the version that they were made from.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// The version of the layout that the caller saw.
    pub version: u64,
    /// All of them are made, or none.
    pub changes: Vec<Change>,
}

/// Changes that are only tried.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// The changes.
    pub changes: Vec<Change>,
}

/// The layout after a change.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Changed {
    /// What is wanted now.
    pub layout: Layout,
    /// Tiles whose camera may not be shown, and why.
    pub refused: Vec<RefusedTile>,
}

/// A tile whose camera may not be shown.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RefusedTile {
    /// The tile.
    pub tile: String,
    /// The camera.
    pub camera: String,
    /// Why it may not be shown.
    pub refusal: Refusal,
}

/// What would come of changes.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(tag = "admission", rename_all = "kebab-case")]
pub enum Admitted {
    /// Every tile gets what it deserves.
    Fits {
        /// CPU seconds a second that are left.
        spare: f64,
    },
    /// It fits, but these cameras get less than they deserve, and these screens less than was asked for.
    Degraded {
        /// The cameras, and how far below.
        cameras: Vec<DegradedCamera>,
        /// The screens, and how far below.
        screens: Vec<DegradedScreen>,
    },
    /// It does not fit.
    DoesNotFit {
        /// CPU seconds a second that are missing.
        missing: f64,
        /// Cameras that would show nothing.
        paused: Vec<String>,
    },
}

/// A camera that gets less than its tile deserves.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DegradedCamera {
    /// The camera.
    pub camera: String,
    /// How far below, as a word.
    pub step: String,
}

/// A screen that is made with less effort than was asked for.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DegradedScreen {
    /// The screen.
    pub screen: String,
    /// How far below: `faster-preset`, `half-rate`, `quarter-rate`.
    pub step: String,
}

/// Under which incident a wall shows.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnderIncident {
    /// Its id; null: under none, and then nothing is shown.
    pub incident: Option<String>,
    /// The version of the layout that the caller saw; left out: whichever it is.
    #[serde(default)]
    pub version: Option<u64>,
}

/// From which layout a change as a whole was made.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SeenVersion {
    /// The version of the layout that the caller saw; left out: whichever it is.
    pub version: Option<u64>,
}

/// Why a picture is taken.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// In the words of whoever takes it.
    pub reason: String,
}

pub(super) fn changed(conductor: &Conductor, layout: Layout) -> Changed {
    let refused = |tile: &crate::wall::layout::Tile| {
        let camera = tile.camera.clone()?;
        let refusal = conductor.refusal(&camera)?;
        Some(RefusedTile { tile: tile.id.clone(), camera, refusal })
    };
    Changed { refused: layout.tiles().filter_map(refused).collect(), layout }
}

pub(super) fn admitted(admission: Admission) -> Admitted {
    match admission {
        Admission::Fits { spare } => Admitted::Fits { spare },
        Admission::Degraded { cameras, screens } => Admitted::Degraded {
            screens: screens
                .into_iter()
                .map(|(screen, step)| DegradedScreen { screen: screen.to_string(), step: step.word().into() })
                .collect(),
            cameras: cameras
                .into_iter()
                .map(|(camera, step)| DegradedCamera {
                    camera: camera.to_string(),
                    step: format!("{step:?}"),
                })
                .collect(),
        },
        Admission::DoesNotFit { missing, paused } => {
            Admitted::DoesNotFit { missing, paused: paused.iter().map(ToString::to_string).collect() }
        }
    }
}

/// What the wall shows now: screens, tiles, machine, alarms, tours.
#[utoipa::path(get, path = "/wall", operation_id = "wall_state", tag = "wall",
    extensions(("x-permission" = json!("view-wall"))),
    responses((status = 200, description = "State", body = WallState)))]
async fn wall_state(State(shared): State<Shared>, caller: Caller) -> Result<Json<WallState>> {
    caller.require(Permission::ViewWall)?;
    let conductor = shared.wall()?.clone();
    Ok(Json(blocking(move || conductor.state()).await?))
}

/// What is wanted: the layout with its version.
#[utoipa::path(get, path = "/wall/layout", operation_id = "wall_layout", tag = "wall",
    extensions(("x-permission" = json!("view-wall"))),
    responses((status = 200, description = "Layout; `ETag` is its version", body = Layout)))]
async fn wall_layout(State(shared): State<Shared>, caller: Caller) -> Result<Response> {
    caller.require(Permission::ViewWall)?;
    let conductor = shared.wall()?.clone();
    let layout = blocking(move || Ok(conductor.layout())).await?;
    let tag = format!("\"{}\"", layout.version);
    Ok(([(header::ETAG, tag)], Json(layout)).into_response())
}

/// Change the layout: all of the changes or none.
#[utoipa::path(post, path = "/wall/changes", operation_id = "change_wall", tag = "wall",
    extensions(("x-permission" = json!("operate-wall"))),
    request_body = Changes,
    responses(
        (status = 200, description = "Changed", body = Changed),
        (status = 404, description = "No such tile, region or camera", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Somebody else changed it meanwhile (`more.layout`), or it is locked", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A change is wrong in itself", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The audit log cannot be written: nothing new is shown", body = Problem, content_type = "application/problem+json"),
    ))]
async fn change_wall(
    State(shared): State<Shared>,
    caller: Caller,
    Json(changes): Json<Changes>,
) -> Result<Json<Changed>> {
    caller.require(Permission::OperateWall)?;
    let conductor = shared.wall()?.clone();
    let change = move || {
        let layout = conductor.change(&caller.actor, changes.version, &changes.changes)?;
        Ok(changed(&conductor, layout))
    };
    Ok(Json(blocking(change).await?))
}

/// Try changes without making them: do they fit this machine?
#[utoipa::path(post, path = "/wall/admit", operation_id = "admit_changes", tag = "wall",
    extensions(("x-permission" = json!("operate-wall"))),
    request_body = Trial,
    responses(
        (status = 200, description = "What would come of them", body = Admitted),
        (status = 404, description = "No such tile, region or camera", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "A tile is locked", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A change is wrong in itself", body = Problem, content_type = "application/problem+json"),
    ))]
async fn admit_changes(
    State(shared): State<Shared>,
    caller: Caller,
    Json(trial): Json<Trial>,
) -> Result<Json<Admitted>> {
    caller.require(Permission::OperateWall)?;
    let conductor = shared.wall()?.clone();
    Ok(Json(blocking(move || Ok(admitted(conductor.admit(&caller.actor, &trial.changes)?))).await?))
}

/// Take the last change back.
#[utoipa::path(post, path = "/wall/undo", operation_id = "undo", tag = "wall",
    extensions(("x-permission" = json!("operate-wall"))),
    params(SeenVersion),
    responses(
        (status = 200, description = "Taken back", body = Changed),
        (status = 409, description = "There is nothing to take back (`nothing`), somebody else changed it meanwhile (`changed`), or a tile is locked", body = Problem, content_type = "application/problem+json"),
    ))]
async fn undo(
    State(shared): State<Shared>,
    caller: Caller,
    from: Query<SeenVersion>,
) -> Result<Json<Changed>> {
    take_back(shared, caller, from.version, false).await
}

/// Make what was taken back again.
#[utoipa::path(post, path = "/wall/redo", operation_id = "redo", tag = "wall",
    extensions(("x-permission" = json!("operate-wall"))),
    params(SeenVersion),
    responses(
        (status = 200, description = "Made again", body = Changed),
        (status = 409, description = "There is nothing to make again (`nothing`), somebody else changed it meanwhile (`changed`), or a tile is locked", body = Problem, content_type = "application/problem+json"),
    ))]
async fn redo(
    State(shared): State<Shared>,
    caller: Caller,
    from: Query<SeenVersion>,
) -> Result<Json<Changed>> {
    take_back(shared, caller, from.version, true).await
}

async fn take_back(
    shared: Shared,
    caller: Caller,
    from: Option<u64>,
    forward: bool,
) -> Result<Json<Changed>> {
    caller.require(Permission::OperateWall)?;
    let conductor = shared.wall()?.clone();
    let step = move || {
        let layout = conductor.undo(&caller.actor, from, forward)?;
        Ok(changed(&conductor, layout))
    };
    Ok(Json(blocking(step).await?))
}

/// Put the wall under an incident; every showing stands on it.
#[utoipa::path(put, path = "/wall/incident", operation_id = "set_wall_incident", tag = "wall",
    extensions(("x-permission" = json!("operate-wall"))),
    request_body = UnderIncident,
    responses(
        (status = 200, description = "Set", body = Changed),
        (status = 404, description = "No such open incident", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Somebody else changed the wall meanwhile (`more.layout`)", body = Problem, content_type = "application/problem+json"),
    ))]
async fn set_incident(
    State(shared): State<Shared>,
    caller: Caller,
    Json(under): Json<UnderIncident>,
) -> Result<Json<Changed>> {
    caller.require(Permission::OperateWall)?;
    let conductor = shared.wall()?.clone();
    let set = move || {
        let layout = conductor.set_incident(&caller.actor, under.version, under.incident)?;
        Ok(changed(&conductor, layout))
    };
    Ok(Json(blocking(set).await?))
}

/// A picture of a whole screen, on record; every camera on it must be granted for export.
#[utoipa::path(post, path = "/wall/screens/{screen}/snapshot", operation_id = "snapshot_screen", tag = "wall",
    extensions(("x-permission" = json!("export"))),
    params(("screen" = String, Path, description = "Screen")),
    request_body = Reason,
    responses(
        (status = 200, description = "PNG", body = Vec<u8>, content_type = "image/png"),
        (status = 403, description = "A camera on it may not be exported: `more.refused`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such screen, or no picture yet", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It was changed at this moment", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "It composes no pictures at the moment", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Without a reason", body = Problem, content_type = "application/problem+json"),
    ))]
async fn snapshot_screen(
    State(shared): State<Shared>,
    caller: Caller,
    Path(screen): Path<String>,
    Json(why): Json<Reason>,
) -> Result<Response> {
    caller.require(Permission::Export)?;
    let png = blocking(move || shared.wall()?.snapshot_screen(&caller, &screen, &why.reason));
    Ok(([(header::CONTENT_TYPE, "image/png")], png.await?).into_response())
}

/// A picture of what one tile shows, at the size of the camera's newest key frame, on record.
#[utoipa::path(post, path = "/wall/tiles/{tile}/snapshot", operation_id = "snapshot_tile", tag = "wall",
    extensions(("x-permission" = json!("export"))),
    params(("tile" = String, Path, description = "Tile")),
    request_body = Reason,
    responses(
        (status = 200, description = "PNG", body = Vec<u8>, content_type = "image/png"),
        (status = 403, description = "The camera may not be exported", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such tile, or no picture", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Without a reason", body = Problem, content_type = "application/problem+json"),
    ))]
async fn snapshot_tile(
    State(shared): State<Shared>,
    caller: Caller,
    Path(tile): Path<String>,
    Json(why): Json<Reason>,
) -> Result<Response> {
    caller.require(Permission::Export)?;
    let png = blocking(move || shared.wall()?.snapshot_tile(&caller, &tile, &why.reason));
    Ok(([(header::CONTENT_TYPE, "image/png")], png.await?).into_response())
}

/// The routes of this file.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(wall_state))
        .routes(routes!(wall_layout))
        .routes(routes!(change_wall))
        .routes(routes!(admit_changes))
        .routes(routes!(undo))
        .routes(routes!(redo))
        .routes(routes!(set_incident))
        .routes(routes!(snapshot_screen))
        .routes(routes!(snapshot_tile))
}
