//! ONVIF devices: found on the network, asked for their streams.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vitrail_engine::base::Login;

use super::object;
use crate::api::Shared;
use crate::audit::Event;
use crate::base::{Problem, Result, blocking};
use crate::onvif::{Discovery, Found, Streams, address_of, discover};
use crate::people::{Caller, Permission};

/// The port of WS-Discovery.
const PORT: u16 = 3702;
/// How long answers are waited for where nothing is said.
const WAIT: f64 = 3.0;

/// The routes of this file.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(find_devices)).routes(routes!(read_device))
}

/// Where devices are looked for.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Where)]
struct DiscoveryRequest {
    /// The network that is asked: the interface by its own IPv4 address, or `default` for the one that the
    /// system takes. Needed, unless there is an `address`.
    #[schema(example = "192.168.1.5")]
    interface: Option<String>,
    /// One address (`10.0.0.3` or `10.0.0.3:3702`) that is asked instead of the network.
    address: Option<String>,
    /// For how long answers are waited for; 3 where it is left out.
    #[schema(minimum = 0.1, maximum = 10)]
    seconds: Option<f64>,
}

/// Look for ONVIF devices. Takes as long as it waits for answers.
#[utoipa::path(
    post,
    path = "/discovery",
    operation_id = "find_devices",
    tag = "registry",
    extensions(("x-permission" = json!("write-registry"))),
    request_body = DiscoveryRequest,
    responses(
        (status = 200, description = "The devices that answered", body = Vec<Found>),
        (status = 422, description = "A field is wrong: the title names it", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The network cannot be asked", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn find_devices(
    State(shared): State<Shared>,
    caller: Caller,
    Json(place): Json<DiscoveryRequest>,
) -> Result<Json<Vec<Found>>> {
    caller.require(Permission::WriteRegistry)?;
    let seconds = place.seconds.unwrap_or(WAIT);
    if !(0.1..=Discovery::LONGEST.as_secs_f64()).contains(&seconds) {
        return Err(Problem::invalid("seconds", "takes 0.1 to 10"));
    }
    let target = place.address.as_deref().map(target).transpose()?;
    let interface = match (place.interface.as_deref(), target) {
        (None, None) => {
            return Err(Problem::invalid("interface", "say which network is asked, or which address"));
        }
        (None | Some("default"), _) => None,
        (Some(text), _) => {
            let wrong =
                |_| Problem::invalid("interface", "must be default, or an IPv4 address of this machine");
            Some(text.trim().parse::<Ipv4Addr>().map_err(wrong)?)
        }
    };
    let how = Discovery { interface, target, wait: Duration::from_secs_f64(seconds) };
    let found = discover(&how).await?;
    let details =
        json!({ "address": target.map(|t| t.to_string()), "interface": interface, "found": found.len() });
    let event = Event { details, ..Event::new("registry.discovered") };
    blocking(move || shared.db.record(&caller.actor, event)).await?;
    Ok(Json(found))
}

fn target(text: &str) -> Result<SocketAddr> {
    let text = text.trim();
    let ip = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT));
    let address = ip.or_else(|_| text.parse::<SocketAddr>()).ok().filter(SocketAddr::is_ipv4);
    address.ok_or_else(|| Problem::invalid("address", "must be an IPv4 address, with a port or without"))
}

/// A device that is asked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(
    dead_code,
    reason = "the form in the OpenAPI document; it is read by hand, so that no message shows it"
)]
#[schema(as = Asked)]
struct DeviceRequest {
    /// `10.0.0.3`, `10.0.0.3:8000` or the address of its device service.
    address: String,
    /// Its login, where it wants one. It is not stored.
    user: Option<String>,
    /// Its login, where it wants one. It is not stored.
    #[schema(format = Password)]
    password: Option<String>,
    /// Takes a certificate that no authority signed.
    any_certificate: Option<bool>,
}

/// Ask a device what it is and which streams it has.
#[utoipa::path(
    post,
    path = "/discovery/profiles",
    operation_id = "read_device",
    tag = "registry",
    extensions(("x-permission" = json!("write-registry"))),
    request_body = DeviceRequest,
    responses(
        (status = 200, description = "The device and its streams, the largest first", body = Streams),
        (status = 409, description = "It refuses: `code` is `device-login`, `device-cannot`, `device-refused` or `device-strange`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is wrong: the title names it", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "It does not answer", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn read_device(State(shared): State<Shared>, caller: Caller, body: Bytes) -> Result<Json<Streams>> {
    caller.require(Permission::WriteRegistry)?;
    let said = object(&body)?;
    if let Some(other) =
        said.keys().find(|k| !["address", "user", "password", "any_certificate"].contains(&k.as_str()))
    {
        let other: String = other.chars().filter(|c| c.is_alphanumeric() || *c == '_').take(40).collect();
        return Err(Problem::invalid(other, "is no field of this request"));
    }
    let text = |key: &str| match said.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Problem::invalid(key, "must be text")),
    };
    let any_certificate = match said.get("any_certificate") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(any)) => *any,
        Some(_) => return Err(Problem::invalid("any_certificate", "must be true or false")),
    };
    let address = address_of(&text("address")?.unwrap_or_default())?;
    let user = text("user")?.filter(|user| !user.is_empty());
    let login = match user {
        Some(user) => Some(Login { user, password: text("password")?.unwrap_or_default() }),
        None => None,
    };
    // Whose login is tried where goes on record, before it is tried; never the login itself.
    let details = json!({ "address": address.as_str(), "login": login.is_some() });
    let event = Event { details, ..Event::new("registry.device-asked") };
    let db = shared.db.clone();
    blocking(move || db.record(&caller.actor, event)).await?;
    let client = shared.devices.connect(address, login, any_certificate, shared.db.clock()).await?;
    Ok(Json(client.streams().await?))
}
