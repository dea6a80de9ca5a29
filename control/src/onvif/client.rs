//! Carries SOAP to a device over HTTP, within bounds of time and size, and knows its clock.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_auth::{PasswordClient, PasswordParams};
use parking_lot::Mutex;
use reqwest::StatusCode;
use url::{Position, Url};
use vitrail_engine::base::{Login, Moment, SharedClock};

use super::soap;
use super::xml::{Element, MAX_BYTES};
use crate::base::{Kind, Problem, Result, Utc};
use crate::registry::Device;

/// How long a device may take to take the connection.
const CONNECT: Duration = Duration::from_secs(2);
/// How long it may take for a whole answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long what was learnt of a device is kept; its clock drifts.
const KEPT: Duration = Duration::from_secs(300);
/// Devices of which something is kept at most.
const MAX_KEPT: usize = 10_000;
/// The path of the device service, which ONVIF fixes.
const DEVICE_SERVICE: &str = "/onvif/device_service";

/// The address of a device service from `10.0.0.3`, `10.0.0.3:8000` or a whole address.
pub fn address_of(text: &str) -> Result<Url> {
    let wrong = || {
        Problem::invalid(
            "address",
            "is no address of a device; write 10.0.0.3, 10.0.0.3:8000 or http://HOST/onvif/device_service",
        )
    };
    let text = text.trim();
    // An empty host would make the path the host.
    if text.is_empty() || text.contains('/') && !text.contains("://") {
        return Err(wrong());
    }
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}{DEVICE_SERVICE}") };
    let url = Url::parse(&whole).map_err(|_| wrong())?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let named = url.host_str().is_some_and(|host| !host.is_empty());
    if !matches!(url.scheme(), "http" | "https") || !plain || !named || text.chars().count() > 500 {
        return Err(wrong());
    }
    Ok(url)
}

/// A device that is known.
struct Known {
    since: Moment,
    /// Of its address and login.
    stamp: u64,
    client: Arc<Client>,
}

/// HTTP to devices, and what was learnt of them.
#[derive(Default)]
pub struct Devices {
    strict: OnceLock<reqwest::Client>,
    lenient: OnceLock<reqwest::Client>,
    known: Mutex<HashMap<String, Known>>,
}

impl Devices {
    /// A client for a device; the device is asked for its clock.
    ///
    /// # Errors
    /// [`Kind::DeviceSilent`] where it does not answer.
    pub async fn connect(
        &self,
        address: Url,
        login: Option<Login>,
        any_certificate: bool,
        clock: &SharedClock,
    ) -> Result<Client> {
        let cell = if any_certificate { &self.lenient } else { &self.strict };
        let http = match cell.get() {
            Some(http) => http.clone(),
            None => {
                let http = http(any_certificate)?;
                cell.get_or_init(|| http).clone()
            }
        };
        let about = format!("device {}", address.host_str().unwrap_or_default());
        let mut client = Client {
            http,
            address,
            login,
            about,
            ahead_ms: 0,
            clock: clock.clone(),
            services: OnceLock::new(),
            moving: OnceLock::new(),
        };
        client.ask_for_time().await?;
        Ok(client)
    }

    /// The client of a camera's device, kept for some minutes.
    pub async fn of_camera(&self, camera: &str, device: Device, clock: &SharedClock) -> Result<Arc<Client>> {
        let stamp = stamp(&device);
        let now = clock.now();
        {
            let known = self.known.lock();
            if let Some(known) = known.get(camera)
                && known.stamp == stamp
                && now.since(known.since) < KEPT
            {
                return Ok(known.client.clone());
            }
        }
        let address = address_of(&device.address)?;
        let client = Arc::new(self.connect(address, device.login, device.any_certificate, clock).await?);
        let mut known = self.known.lock();
        if known.len() >= MAX_KEPT {
            known.clear();
        }
        known.insert(camera.to_owned(), Known { since: now, stamp, client: client.clone() });
        Ok(client)
    }
}

/// Tells another address or login from the one that is known, without keeping it.
fn stamp(device: &Device) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    static STATE: OnceLock<RandomState> = OnceLock::new();
    let login = device.login.as_ref().map(|l| (&l.user, &l.password));
    STATE.get_or_init(RandomState::new).hash_one((&device.address, login, device.any_certificate))
}

fn http(any_certificate: bool) -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        // A device that sends us elsewhere would have the digest sent there too.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .timeout(ANSWER)
        .user_agent("Vitrail")
        .danger_accept_invalid_certs(any_certificate)
        .build()
        .map_err(|e| Problem::internal("HTTP", e.without_url().to_string()))
}

/// A device.
pub struct Client {
    http: reqwest::Client,
    address: Url,
    login: Option<Login>,
    about: String,
    /// By how much its clock is ahead of ours.
    ahead_ms: i64,
    clock: SharedClock,
    pub(super) services: OnceLock<super::device::Services>,
    /// The profile through which it is moved.
    pub(super) moving: OnceLock<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.about)
    }
}

impl Client {
    /// What problems are about: the device and its host.
    pub(super) fn about(&self) -> &str {
        &self.about
    }

    /// Its device service.
    pub(super) fn address(&self) -> &Url {
        &self.address
    }

    /// By how many milliseconds its clock is ahead of ours.
    pub fn ahead_ms(&self) -> i64 {
        self.ahead_ms
    }

    /// Digests are good for a short while of the device's clock, which is often wrong.
    async fn ask_for_time(&mut self) -> Result<()> {
        let body = "<GetSystemDateAndTime xmlns=\"http://www.onvif.org/ver10/device/wsdl\"/>";
        let asked = Utc::now(&self.clock);
        let answer = match self.post(&self.address, soap::envelope(body, None)).await {
            Err(problem) if problem.kind == Kind::DeviceSilent => return Err(problem),
            answer => answer.and_then(|text| soap::body(&text, &self.about)),
        };
        // Some devices want a login for this too: then our clock must do.
        let Ok(answer) = answer else { return Ok(()) };
        if let Some(time) = time_of(&answer) {
            self.ahead_ms = time.0.saturating_sub(asked.0);
        }
        Ok(())
    }

    /// Asks a service of the device.
    pub(super) async fn ask(&self, service: &Url, body: &str) -> Result<Element> {
        let now = Utc(Utc::now(&self.clock).0.saturating_add(self.ahead_ms));
        let envelope = soap::envelope(body, self.login.as_ref().map(|login| (login, now)));
        soap::body(&self.post(service, envelope).await?, &self.about)
    }

    async fn post(&self, service: &Url, envelope: String) -> Result<String> {
        let silent = |e: reqwest::Error| self.silent(&e);
        let mut response = self.send(service, &envelope, None).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let refused = || soap::login_refused(&self.about);
            let authorization = self.authorization(service, &envelope, &response).ok_or_else(refused)?;
            response = self.send(service, &envelope, Some(authorization)).await?;
            if response.status() == StatusCode::UNAUTHORIZED {
                return Err(refused());
            }
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(silent)? {
            if bytes.len() + chunk.len() > MAX_BYTES {
                return Err(
                    Problem::conflict(self.about.clone(), "the answer is too large").code("device-strange")
                );
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn send(&self, service: &Url, envelope: &str, login: Option<String>) -> Result<reqwest::Response> {
        let mut request = self.http.post(service.clone());
        request =
            request.header("Content-Type", "application/soap+xml; charset=utf-8").body(envelope.to_owned());
        if let Some(login) = login {
            request = request.header("Authorization", login);
        }
        request.send().await.map_err(|e| self.silent(&e))
    }

    fn silent(&self, error: &reqwest::Error) -> Problem {
        let why = if error.is_timeout() { "does not answer in time" } else { "cannot be reached" };
        Problem::new(Kind::DeviceSilent, self.about.clone(), why).code("device-silent")
    }

    /// The answer to a device that wants HTTP authentication: a digest, or over TLS the password itself.
    fn authorization(&self, service: &Url, envelope: &str, response: &reqwest::Response) -> Option<String> {
        let login = self.login.as_ref()?;
        let mut asked: Vec<PasswordClient> = response
            .headers()
            .get_all("WWW-Authenticate")
            .iter()
            .filter_map(|value| PasswordClient::try_from(value.to_str().ok()?).ok())
            .filter(|asked| matches!(asked, PasswordClient::Digest(_)) || service.scheme() == "https")
            .collect();
        asked.sort_by_key(|asked| !matches!(asked, PasswordClient::Digest(_)));
        let parameters = PasswordParams {
            username: &login.user,
            password: &login.password,
            uri: &service[Position::BeforePath..Position::AfterQuery],
            method: "POST",
            body: Some(envelope.as_bytes()),
        };
        asked.first_mut()?.respond(&parameters).ok()
    }

    /// The address of a service that a device names: on the same machine, whatever address the device
    /// believes to have. Behind an address translation it names one that nobody reaches; and the digest
    /// goes to no other machine.
    pub(super) fn service(&self, named: &str) -> Url {
        let mut own = self.address.clone();
        let Ok(url) = Url::parse(named.trim()) else { return own };
        let downgraded = own.scheme() == "https" && url.scheme() != "https";
        if url.host() == own.host() && matches!(url.scheme(), "http" | "https") && !downgraded {
            own = url.clone();
            let _ = own.set_username("").and_then(|()| own.set_password(None));
            return own;
        }
        own.set_path(url.path());
        own.set_query(url.query());
        own
    }
}

fn time_of(answer: &Element) -> Option<Utc> {
    let utc = answer.find("UTCDateTime")?;
    let (time, date) = (utc.child("Time")?, utc.child("Date")?);
    let number = |of: &Element, name: &str| of.text_of(name)?.parse::<u32>().ok();
    let text = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        number(date, "Year")?,
        number(date, "Month")?,
        number(date, "Day")?,
        number(time, "Hour")?,
        number(time, "Minute")?,
        number(time, "Second")?.min(59),
    );
    Utc::parse(&text)
}
