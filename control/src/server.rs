//! Listening: plain HTTP on loopback only, elsewhere with TLS; connections that say nothing are
//! closed; a stop waits a few seconds for what is under way.

use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Extension;
use axum::extract::ConnectInfo;
use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use base64ct::{Base64, Encoding};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Layer;
use vitrail_engine::base::Shutdown;
use vitrail_engine::base::files::sync_parent;

use crate::api::{Shared, router};
use crate::base::{Kind, Problem, Result, beside, blocking};

/// How often logins and looks whose time is over are ended.
const TEND_EVERY: Duration = Duration::from_millis(500);
/// How long a generated certificate is valid. Browsers of Apple take no more than 825 days.
const VALID: Duration = Duration::from_secs(820 * 24 * 3600);
/// How long before its end a generated certificate is made anew, at a start.
const RENEW: Duration = Duration::from_secs(60 * 24 * 3600);

/// Where and how to listen: the part of `[control]` that is about it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address and port; port 0: any that is free.
    pub listen: SocketAddr,
    /// TLS; none: plain HTTP, on loopback only.
    pub tls: Option<Tls>,
    /// Further names that a generated certificate is for, beside the machine's own.
    pub names: Vec<String>,
    /// What a connection may take.
    pub limits: Limits,
}

/// What a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Until a request's headers, and the first request, are there.
    pub headers: Duration,
    /// Connections at once; more are closed at once.
    pub connections: usize,
    /// For what is under way when the server stops.
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { headers: Duration::from_secs(15), connections: 2000, stop: Duration::from_secs(5) }
    }
}

/// The certificate to serve with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Made at the first start and kept beside the database.
    Generated,
    /// One's own, as PEM files; the certificate with its chain.
    Own {
        /// Certificate and chain.
        certificate: PathBuf,
        /// Private key.
        key: PathBuf,
    },
}

/// An address that is listened on, before anything is served.
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
    pem: Option<Pem>,
    limits: Limits,
}

struct Pem {
    certificate: Vec<u8>,
    key: zeroize::Zeroizing<Vec<u8>>,
    fingerprint: String,
}

impl Listening {
    /// Listens. `database` is the file beside which a generated certificate is kept.
    ///
    /// # Errors
    /// Where others than this machine could listen in (no TLS and not loopback), the address is
    /// taken, or the certificate cannot be read.
    pub fn bind(config: &Config, database: &Path) -> Result<Listening> {
        if config.tls.is_none() && !config.listen.ip().is_loopback() {
            let remedy = format!(
                "{} is not loopback, and without TLS others could listen in; set tls = true, or your own certificate and key",
                config.listen.ip()
            );
            return Err(Problem::invalid("listen", remedy));
        }
        let pem = match &config.tls {
            None => None,
            Some(Tls::Own { certificate, key }) => {
                Some(Pem::new(read(certificate)?, read(key)?, certificate)?)
            }
            Some(Tls::Generated) => Some(generated(config, database)?),
        };
        let listener = TcpListener::bind(config.listen).map_err(|e| {
            Problem::new(Kind::Unavailable, config.listen.to_string(), format!("cannot be listened on: {e}"))
        })?;
        let address = listener.local_addr().map_err(|e| Problem::internal("listen", e.to_string()))?;
        Ok(Listening { listener, address, pem, limits: config.limits })
    }

    /// The address, with the port that was given.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a browser finds the page on this machine.
    pub fn url(&self) -> String {
        let scheme = if self.pem.is_some() { "https" } else { "http" };
        match self.address.ip() {
            ip if ip.is_unspecified() => format!("{scheme}://localhost:{}/", self.address.port()),
            _ => format!("{scheme}://{}/", self.address),
        }
    }

    /// SHA-256 of the certificate, as browsers show it: to be compared at the first visit.
    pub fn fingerprint(&self) -> Option<&str> {
        self.pem.as_ref().map(|pem| pem.fingerprint.as_str())
    }

    /// Serves until `shutdown`, then waits a few seconds for what is under way.
    pub async fn serve(self, shared: Shared, shutdown: Shutdown) -> Result<()> {
        let handle = Handle::new();
        let stop = handle.clone();
        let limits = self.limits;
        let watched = shutdown.clone();
        let stopper = tokio::spawn(async move {
            watched.cancelled().await;
            stop.graceful_shutdown(Some(limits.stop));
        });
        let logins = tokio::spawn(tend_logins(shared.clone(), shutdown.clone()));
        let looks = tokio::spawn(tend_looks(shared.clone(), shutdown));
        let connection =
            Connection { router: router(shared), turns: Arc::new(Semaphore::new(limits.connections)) };
        let make = tower::service_fn(move |peer: SocketAddr| std::future::ready(connection.accept(peer)));
        let mut server = axum_server::from_tcp(self.listener)
            .map_err(|e| Problem::internal("listen", e.to_string()))?
            .handle(handle)
            .first_request_timeout(limits.headers);
        server.http_builder().http1().header_read_timeout(limits.headers);
        server
            .http_builder()
            .http2()
            .max_concurrent_streams(100)
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10));
        let served = match self.pem {
            None => server.acceptor(NoDelayAcceptor::new()).serve(make).await,
            Some(pem) => {
                let tls = RustlsConfig::from_pem(pem.certificate, pem.key.to_vec())
                    .await
                    .map_err(|e| Problem::invalid("tls", format!("certificate and key do not do: {e}")))?;
                let tls = RustlsAcceptor::new(tls).handshake_timeout(limits.headers);
                server.acceptor(tls.acceptor(NoDelayAcceptor::new())).serve(make).await
            }
        };
        stopper.abort();
        logins.abort();
        looks.abort();
        served.map_err(|e| Problem::new(Kind::Unavailable, "server", e.to_string()))
    }
}

/// Ends logins whose time is over, while the server runs.
async fn tend_logins(shared: Shared, shutdown: Shutdown) {
    while shutdown.run_until_cancelled(tokio::time::sleep(TEND_EVERY)).await.is_some() {
        let people = shared.people.clone();
        if let Err(problem) = blocking(move || people.end_timed_out()).await {
            tracing::warn!("logins are not looked through: {problem}");
        }
    }
}

/// Puts on record whose looks have ended, while the server runs.
async fn tend_looks(shared: Shared, shutdown: Shutdown) {
    while shutdown.run_until_cancelled(tokio::time::sleep(TEND_EVERY)).await.is_some() {
        let shared = shared.clone();
        let tend = move || {
            let Ok(looks) = shared.looks() else { return Ok(()) };
            looks.tend(shared.wall()?.layout().incident.as_deref())
        };
        if let Err(problem) = blocking(tend).await {
            tracing::warn!("the end of looks is not on record yet: {problem}");
        }
    }
}

/// What each connection is served by: the router, which learns the peer, and a place among the
/// connections, which is given back at its end.
struct Connection {
    router: axum::Router,
    turns: Arc<Semaphore>,
}

/// A place among the connections.
#[derive(Clone)]
struct Place(#[expect(dead_code, reason = "held, not read")] Arc<OwnedSemaphorePermit>);

/// One connection's service.
type Served = <Extension<Place> as Layer<
    <Extension<ConnectInfo<SocketAddr>> as Layer<axum::Router>>::Service,
>>::Service;

impl Connection {
    fn accept(&self, peer: SocketAddr) -> std::result::Result<Served, &'static str> {
        let place = self.turns.clone().try_acquire_owned().map_err(|_| "too many connections")?;
        let told = Extension(ConnectInfo(peer)).layer(self.router.clone());
        Ok(Extension(Place(Arc::new(place))).layer(told))
    }
}

impl Pem {
    fn new(certificate: Vec<u8>, key: Vec<u8>, path: &Path) -> Result<Pem> {
        let fingerprint = fingerprint(&certificate).ok_or_else(|| {
            Problem::invalid(
                path.display().to_string(),
                "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)",
            )
        })?;
        Ok(Pem { certificate, key: key.into(), fingerprint })
    }
}

/// SHA-256 of the first certificate of a PEM file, in pairs of hexadecimal digits.
fn fingerprint(pem: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(pem).ok()?;
    let body = text.split_once("-----BEGIN CERTIFICATE-----")?.1.split_once("-----END CERTIFICATE-----")?.0;
    let body: String = body.split_whitespace().collect();
    let der = Base64::decode_vec(&body).ok()?;
    let pairs: Vec<String> = Sha256::digest(der).iter().map(|byte| format!("{byte:02X}")).collect();
    Some(pairs.join(":"))
}

/// The certificate kept beside the database, made where there is none or its end is near.
fn generated(config: &Config, database: &Path) -> Result<Pem> {
    let (certificate, key) = (beside(database, ".tls.crt"), beside(database, ".tls.key"));
    if !fresh(&certificate) || !key.exists() {
        make_certificate(config, &certificate, &key)?;
    }
    Pem::new(read(&certificate)?, read(&key)?, &certificate)
}

fn fresh(certificate: &Path) -> bool {
    let made = std::fs::metadata(certificate).and_then(|data| data.modified());
    made.is_ok_and(|made| SystemTime::now().duration_since(made).unwrap_or_default() < VALID - RENEW)
}

fn make_certificate(config: &Config, certificate: &Path, key: &Path) -> Result<()> {
    let wrong = |e: rcgen::Error| Problem::internal("certificate", e.to_string());
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".into(), "::1".into()];
    names.extend(std::fs::read_to_string("/etc/hostname").map(|name| name.trim().to_owned()));
    if !config.listen.ip().is_unspecified() {
        names.push(config.listen.ip().to_string());
    }
    names.extend(config.names.iter().cloned());
    names.retain(|name| is_name(name));
    names.sort();
    names.dedup();
    let mut params = rcgen::CertificateParams::new(names).map_err(wrong)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "Vitrail");
    params.extended_key_usages.push(rcgen::ExtendedKeyUsagePurpose::ServerAuth);
    let now = jiff::Timestamp::now();
    let day = |at: jiff::Timestamp| {
        let date = at.to_zoned(jiff::tz::TimeZone::UTC).date();
        rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    params.not_before = day(now - Duration::from_secs(24 * 3600));
    params.not_after = day(now + VALID);
    let pair = rcgen::KeyPair::generate().map_err(wrong)?;
    let made = params.self_signed(&pair).map_err(wrong)?;
    write(key, zeroize::Zeroizing::new(pair.serialize_pem()).as_bytes(), 0o600)?;
    write(certificate, made.pem().as_bytes(), 0o644)
}

fn is_name(name: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    name.parse::<IpAddr>().is_ok() || (!name.is_empty() && name.chars().all(letters))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|e| Problem::invalid(path.display().to_string(), format!("cannot be read: {e}")))
}

/// Writes a file whole: under another name first.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let draft = beside(path, ".new");
    let written = std::fs::remove_file(&draft)
        .or_else(|e| if e.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(e) })
        .and_then(|()| std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft))
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&draft, path))
        .and_then(|()| sync_parent(path));
    written.map_err(|e| {
        Problem::new(Kind::Unavailable, path.display().to_string(), format!("cannot be written: {e}"))
    })
}
