//! Moving cameras. Whoever moves a camera changes what others see of it: that needs the right to see it
//! now, and goes on record first.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Shared;
use crate::api::layers::nothing;
use crate::audit::Event;
use crate::base::{Problem, Result, blocking};
use crate::onvif::{Move, Preset, Turn};
use crate::people::{Caller, Permission};
use crate::registry::{Camera, Device};
use crate::rights::{Action, Asker, CameraFacts, Permit, Refusal};

/// The routes of this file.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(look, turn))
}

/// How a camera is to move: one of `move`, `stop` and `preset`.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = How)]
struct MoveRequest {
    /// `[pan, tilt, zoom]`, each -1 to 1 as part of its speed. It stops by itself after 5 s: send it again
    /// to go on.
    #[serde(rename = "move")]
    turn: Option<[f64; 3]>,
    /// Stop.
    stop: Option<bool>,
    /// The token of a preset.
    #[schema(max_length = 200)]
    preset: Option<String>,
}

impl MoveRequest {
    fn read(self) -> Result<Move> {
        match self {
            MoveRequest { turn: Some(parts), stop: None | Some(false), preset: None } => {
                if parts.iter().all(|part| (-1.0..=1.0).contains(part)) {
                    Ok(Move::Turn(parts))
                } else {
                    Err(Problem::invalid("move", "must be [pan, tilt, zoom], each -1 to 1"))
                }
            }
            MoveRequest { turn: None, stop: Some(true), preset: None } => Ok(Move::Stop),
            MoveRequest { turn: None, stop: None | Some(false), preset: Some(token) } => {
                let length = token.chars().count();
                if (1..=200).contains(&length) && !token.contains(char::is_control) {
                    Ok(Move::Preset(token))
                } else {
                    Err(Problem::invalid("preset", "must be the token of a preset"))
                }
            }
            _ => Err(Problem::invalid("body", "must be one of move, stop and preset")),
        }
    }
}

/// What is known of a camera that can be moved.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Looking)]
struct PtzState {
    /// Places that it remembers.
    presets: Vec<Preset>,
    /// Where it looks; null where it does not say.
    #[schema(required)]
    position: Option<Turn>,
}

/// The presets of a camera, and where it looks.
#[utoipa::path(
    get,
    path = "/cameras/{id}/ptz",
    operation_id = "look_of_camera",
    tag = "registry",
    extensions(("x-permission" = json!("move-camera"))),
    params(("id" = String, Path, description = "Camera")),
    responses(
        (status = 200, description = "Presets and position", body = PtzState),
        (status = 403, description = "The right to see it is missing: `code` says why", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such camera", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It cannot be moved, or refuses: `code` says why", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "It does not answer", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn look(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<PtzState>> {
    caller.require(Permission::MoveCamera)?;
    let (device, _, _) = permitted(&shared, &caller, &id, policy(&shared, &caller)).await?;
    let client = shared.devices.of_camera(&id, device, shared.db.clock()).await?;
    let presets = client.presets().await?;
    Ok(Json(PtzState { presets, position: client.position().await.unwrap_or_default() }))
}

/// Move a camera, by its ONVIF device. Needs the right to see it now, and goes on record.
#[utoipa::path(
    post,
    path = "/cameras/{id}/ptz",
    operation_id = "move_camera",
    tag = "registry",
    extensions(("x-permission" = json!("move-camera"))),
    params(("id" = String, Path, description = "Camera")),
    request_body = MoveRequest,
    responses(
        (status = 204, description = "The camera was told"),
        (status = 403, description = "The right to see it is missing: `code` says why", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such camera", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It cannot be moved, or refuses: `code` says why", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It is not said how, or in several ways", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "It does not answer", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn turn(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Json(how): Json<MoveRequest>,
) -> Result<Response> {
    caller.require(Permission::MoveCamera)?;
    let how = how.read()?;
    turn_where(&shared, &caller, &id, &how, policy(&shared, &caller)).await?;
    Ok(nothing())
}

/// Moves a camera where that is permitted: on record first, so that nothing moves without one.
async fn turn_where(
    shared: &Shared,
    caller: &Caller,
    id: &str,
    how: &Move,
    permit: impl FnOnce(&CameraFacts) -> Result<Permit, Refusal> + Send + 'static,
) -> Result<()> {
    let (device, camera, permit) = permitted(shared, caller, id, permit).await?;
    let event = event(camera, permit, how);
    let (db, actor) = (shared.db.clone(), caller.actor.clone());
    blocking(move || db.record(&actor, event)).await?;
    let client = shared.devices.of_camera(id, device, shared.db.clock()).await?;
    client.turn(how).await
}

/// Whether the one who calls may see a camera now, under the incident of the wall.
fn policy(
    shared: &Shared,
    caller: &Caller,
) -> impl FnOnce(&CameraFacts) -> Result<Permit, Refusal> + Send + use<> {
    let (shared, caller) = (shared.clone(), caller.clone());
    move |facts| {
        let asker = Asker::of(&caller);
        // Where no wall runs there is no incident under which it would be.
        let incident = shared.wall().ok().and_then(|wall| wall.layout().incident);
        shared.rights.decide(&asker, incident.as_deref(), facts, Action::Live)
    }
}

/// The device of a camera that may be seen. A refusal goes on record.
async fn permitted(
    shared: &Shared,
    caller: &Caller,
    id: &str,
    permit: impl FnOnce(&CameraFacts) -> Result<Permit, Refusal> + Send + 'static,
) -> Result<(Device, Camera, Permit)> {
    let (shared, actor, id) = (shared.clone(), caller.actor.clone(), id.to_owned());
    blocking(move || {
        let registry = shared.registry()?;
        let camera = registry.camera(&id)?;
        let facts = CameraFacts { camera: id.clone(), zone: camera.zone.clone(), tags: camera.tags.clone() };
        match permit(&facts) {
            Ok(permit) => Ok((registry.device(&id)?, camera, permit)),
            Err(refusal) => {
                let details = json!({ "code": refusal.code });
                let event = Event {
                    zone: camera.zone,
                    camera: Some(id),
                    details,
                    ..Event::new("camera.move-refused")
                };
                shared.db.record(&actor, event)?;
                Err(refusal.into())
            }
        }
    })
    .await
}

fn event(camera: Camera, permit: Permit, how: &Move) -> Event {
    let details: Value = match how {
        Move::Turn(parts) => json!({ "move": parts }),
        Move::Stop => json!({ "stop": true }),
        Move::Preset(token) => json!({ "preset": token }),
    };
    Event {
        zone: camera.zone,
        camera: Some(camera.id),
        incident: Some(permit.incident),
        agreement: Some(permit.agreement),
        basis: Some(permit.basis),
        details,
        ..Event::new("camera.moved")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use vitrail_engine::base::{Login, SimClock};
    use vitrail_simulator::onvif::{Config, Devices};

    use super::*;
    use crate::api::Control;
    use crate::audit::query::{Order, Query, list};
    use crate::audit::{Actor, Ledger};
    use crate::base::Utc;
    use crate::db::Database;
    use crate::people::Role;
    use crate::registry::{Author, KeySource, Registry};

    fn permit() -> Permit {
        Permit {
            agreement: "A-2026-0001".into(),
            incident: "I-2026-0001".into(),
            basis: "law".into(),
            until: Utc::NEVER,
        }
    }

    fn caller() -> Caller {
        Caller {
            account: "u-1".into(),
            name: "anna".into(),
            role: Role::Operator,
            zones: Vec::new(),
            unit: "u".into(),
            session: None,
            narrowed: None,
            ended: Default::default(),
            actor: Actor { account: "u-1".into(), name: "anna".into(), ..Actor::system() },
        }
    }

    fn kinds(shared: &Shared) -> Vec<String> {
        let of_camera = Query { camera: Some("a".into()), ..Query::default() };
        let read = |c: &_| list(c, &of_camera, Order::OldestFirst, None, 1000);
        let (records, _) = shared.db.read(read).expect("records");
        records.into_iter().map(|record| record.event.kind).collect()
    }

    #[test]
    fn a_camera_moves_with_a_permit_and_a_record_and_not_without() {
        let folder = tempfile::tempdir().expect("folder");
        let clock = SimClock::new();
        clock.advance(Duration::from_secs(86_400));
        let login = vitrail_simulator::Login::parse("viewer:hunter2");
        let devices =
            Devices::start(Config { login, clock: clock.clone(), ..Config::default() }).expect("starts");
        let db =
            Database::open(&folder.path().join("v.db"), Ledger::default(), clock.clone()).expect("opens");
        let registry =
            Registry::open(db.clone(), &KeySource::File(folder.path().join("key"))).expect("opens");
        let by = Author::system();
        let said = json!({ "id": "a", "onvif": devices.address_of(1), "tags": ["t"],
            "profiles": { "main": { "uri": "rtsp://127.0.0.1:8554/cam/1/main" } } });
        registry.add_camera(&by, said.as_object().expect("an object")).expect("added");
        registry
            .set_login(&by, "a", Login { user: "viewer".into(), password: "hunter2".into() })
            .expect("set");
        let control = Control::new(db, Default::default()).expect("starts").with_registry(Arc::new(registry));
        let shared: Shared = Arc::new(control);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let how = Move::Turn([1.0, 0.0, 0.0]);

        let refused = runtime.block_on(turn_where(&shared, &caller(), "a", &how, policy(&shared, &caller())));
        assert!(refused.expect_err("without an incident").code.is_some());
        clock.advance(Duration::from_secs(1));
        assert_eq!(devices.position(1).expect("there").pan, 0.0);
        assert_eq!(kinds(&shared).last().map(String::as_str), Some("camera.move-refused"));

        let permitted = |facts: &CameraFacts| {
            assert_eq!((facts.camera.as_str(), facts.tags.as_slice()), ("a", ["t".to_owned()].as_slice()));
            Ok(permit())
        };
        runtime.block_on(turn_where(&shared, &caller(), "a", &how, permitted)).expect("moved");
        clock.advance(Duration::from_secs(1));
        assert_eq!(devices.position(1).expect("there").pan, 0.5);
        assert_eq!(kinds(&shared).last().map(String::as_str), Some("camera.moved"));
        let unknown = runtime.block_on(turn_where(&shared, &caller(), "b", &how, |_| Ok(permit())));
        assert_eq!(unknown.expect_err("no camera").kind, crate::base::Kind::NotFound);
    }

    #[test]
    fn one_way_of_moving_is_said() {
        let read = |value: Value| {
            serde_json::from_value::<MoveRequest>(value)
                .map_err(|_| ())
                .and_then(|how| how.read().map_err(|_| ()))
        };
        assert_eq!(read(json!({ "move": [1, -0.5, 0] })), Ok(Move::Turn([1.0, -0.5, 0.0])));
        assert_eq!(read(json!({ "stop": true })), Ok(Move::Stop));
        assert_eq!(read(json!({ "preset": "1" })), Ok(Move::Preset("1".into())));
        for wrong in [
            json!({}),
            json!({ "stop": false }),
            json!({ "stop": true, "preset": "1" }),
            json!({ "move": [2, 0, 0] }),
            json!({ "preset": "" }),
            json!({ "move": [0, 0] }),
            json!({ "home": true }),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
