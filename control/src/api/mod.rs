//! HTTP and JSON: one file per resource, thin: check who calls, call the room, answer.

pub mod accounts;
pub mod agreements;
pub mod alarms;
pub mod audit;
mod caller;
pub mod events;
pub mod health;
pub mod incidents;
mod layers;
pub mod layouts;
pub mod live;
pub mod login;
pub mod metrics;
pub mod oidc;
pub mod openapi;
pub mod page;
mod registry;
pub mod setup;
pub mod tokens;
pub mod tours;
pub mod wall;

use std::sync::Arc;

use axum::Router;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use crate::base::{Kind, Problem, Result};
use crate::db::Database;
use crate::live::{Live, Looks};
use crate::people::{People, Settings};
use crate::registry::Registry;
use crate::rights::Policy;
use crate::wall::Conductor;

/// What every handler can reach.
pub struct Control {
    /// The database.
    pub db: Arc<Database>,
    /// Who calls.
    pub people: Arc<People>,
    /// The right to see, as it stands now.
    pub rights: Arc<Policy>,
    /// ONVIF devices, and what was learnt of them.
    pub devices: crate::onvif::Devices,
    /// Counters and readiness, for monitoring.
    pub monitor: metrics::Monitor,
    /// Zones, sites and cameras, where there are any.
    registry: Option<Arc<Registry>>,
    /// The wall, where one runs.
    wall: Option<Arc<Conductor>>,
    /// Its live pictures.
    live: Option<Arc<Live>>,
    /// Who looks at them.
    looks: Option<Arc<Looks>>,
}

impl Control {
    /// A controller over this database.
    pub fn new(db: Arc<Database>, people: Settings) -> Result<Control> {
        Ok(Control {
            people: Arc::new(People::new(db.clone(), people)?),
            rights: Policy::open(db.clone())?,
            monitor: metrics::Monitor::new(db.clock().clone()),
            devices: Default::default(),
            registry: None,
            wall: None,
            live: None,
            looks: None,
            db,
        })
    }

    /// With a registry.
    pub fn with_registry(self, registry: Arc<Registry>) -> Control {
        Control { registry: Some(registry), ..self }
    }

    /// Zones, sites and cameras.
    ///
    /// # Errors
    /// Unavailable where there is no registry.
    pub fn registry(&self) -> Result<&Arc<Registry>> {
        let none = || Problem::new(Kind::Unavailable, "registry", "is not served here");
        self.registry.as_ref().ok_or_else(none)
    }

    /// With a wall, its live pictures, and the record of who looks at them.
    pub fn with_wall(self, wall: Arc<Conductor>, live: Arc<Live>, looks: Arc<Looks>) -> Control {
        Control { wall: Some(wall), live: Some(live), looks: Some(looks), ..self }
    }

    /// The wall.
    ///
    /// # Errors
    /// Unavailable where none runs.
    pub fn wall(&self) -> Result<&Arc<Conductor>> {
        self.wall.as_ref().ok_or_else(no_wall)
    }

    /// Live pictures.
    ///
    /// # Errors
    /// Unavailable where no wall runs.
    pub fn live(&self) -> Result<&Arc<Live>> {
        self.live.as_ref().ok_or_else(no_wall)
    }

    /// Who looks at live pictures.
    ///
    /// # Errors
    /// Unavailable where no wall runs.
    pub fn looks(&self) -> Result<&Arc<Looks>> {
        self.looks.as_ref().ok_or_else(no_wall)
    }
}

fn no_wall() -> Problem {
    Problem::new(Kind::Unavailable, "wall", "no wall runs here; start one with vitrail wall")
}

/// The state of the router.
pub type Shared = Arc<Control>;

/// Every route under `/api/v1`, each with its documentation.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .merge(audit::routes())
        .merge(setup::routes())
        .merge(login::routes())
        .merge(oidc::routes())
        .merge(accounts::routes())
        .merge(tokens::routes())
        .merge(agreements::routes())
        .merge(incidents::routes())
        .merge(registry::routes())
        .merge(openapi::routes())
        .merge(live::routes())
        .merge(wall::routes())
        .merge(layouts::routes())
        .merge(tours::routes())
        .merge(alarms::routes())
        .merge(events::routes())
}

/// Everything that is served: the API, what monitoring asks, the page; each answer with its headers,
/// each error as problem+json.
pub fn router(shared: Shared) -> Router {
    let (api, mut document) = OpenApiRouter::new().nest("/api/v1", routes()).split_for_parts();
    let api = layers::Guard::new(shared.clone(), &mut document).before(api);
    let (outside, _) = outside().split_for_parts();
    layers::around(api.merge(outside).fallback(page::serve), &shared).with_state(shared)
}

/// What monitoring asks, outside `/api/v1`.
fn outside() -> OpenApiRouter<Shared> {
    health::routes().merge(metrics::routes())
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
            _ => Err(Problem::new(Kind::Malformed, "limit", "takes 1 to 1000")),
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
