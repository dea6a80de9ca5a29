//! `/metrics`: counters for Prometheus, in its text format. No name of a camera, no credential.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use parking_lot::{Mutex, RwLock};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vitrail_engine::base::{Moment, SharedClock};

use super::Shared;
use crate::base::{Problem, Result, blocking};
use crate::people::{Caller, Permission};

/// Upper bounds of the latency histogram, in seconds.
const BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// Writes gauges of another room when monitoring asks.
pub type Gauges = Box<dyn Fn(&mut Exposition) + Send + Sync>;
/// Says what is wrong with another room, in a few words; nothing where it is well.
pub type Check = Box<dyn Fn() -> std::result::Result<(), String> + Send + Sync>;

/// Counts requests, and asks other rooms for their gauges and whether they are well.
pub struct Monitor {
    clock: SharedClock,
    started: Moment,
    numbers: AtomicU64,
    seed: u32,
    requests: Mutex<BTreeMap<(String, String, u16), u64>>,
    latency: Mutex<BTreeMap<String, Latency>>,
    gauges: RwLock<Vec<Gauges>>,
    checks: RwLock<Vec<(&'static str, Check)>>,
    pub(super) written: Mutex<Option<(Moment, std::result::Result<(), String>)>>,
}

#[derive(Clone, Default)]
struct Latency {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: Duration,
}

impl Monitor {
    /// Nothing counted yet.
    pub fn new(clock: SharedClock) -> Monitor {
        Monitor {
            started: clock.now(),
            clock,
            numbers: AtomicU64::new(0),
            seed: rand::random(),
            requests: Mutex::default(),
            latency: Mutex::default(),
            gauges: RwLock::default(),
            checks: RwLock::default(),
            written: Mutex::default(),
        }
    }

    /// Asks `gauges` each time that monitoring asks.
    pub fn on_scrape(&self, gauges: Gauges) {
        self.gauges.write().push(gauges);
    }

    /// Asks `check` each time that somebody asks whether the controller is ready (`/readyz`).
    pub fn on_ready(&self, name: &'static str, check: Check) {
        self.checks.write().push((name, check));
    }

    /// What the rooms say: their names, and what is wrong.
    pub(super) fn checks(&self) -> Vec<(&'static str, std::result::Result<(), String>)> {
        let checks = self.checks.read();
        checks.iter().map(|(name, check)| (*name, check())).collect()
    }

    pub(super) fn next_request(&self) -> String {
        format!("{:08x}-{}", self.seed, self.numbers.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(super) fn answered(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        // Anybody may invent a method; they are counted as one.
        let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        let method = if known.contains(method) { method.as_str() } else { "other" };
        let key = (method.to_owned(), route.to_owned(), status.as_u16());
        *self.requests.lock().entry(key).or_default() += 1;
        let mut latency = self.latency.lock();
        let latency = latency.entry(route.to_owned()).or_default();
        latency.count += 1;
        latency.sum += took;
        for (bound, bucket) in BUCKETS.iter().zip(&mut latency.buckets) {
            *bucket += u64::from(took.as_secs_f64() <= *bound);
        }
    }

    fn write(&self, out: &mut Exposition) {
        out.gauge(
            "vitrail_up_seconds",
            "Since the program started",
            &[],
            self.clock.now().since(self.started).as_secs_f64(),
        );
        let requests = self.requests.lock().clone();
        for ((method, route, status), count) in requests {
            let labels = [("method", method.as_str()), ("route", &route), ("status", &status.to_string())];
            out.counter("vitrail_http_requests_total", "Requests answered", &labels, count as f64);
        }
        let latency = self.latency.lock().clone();
        for (route, latency) in latency {
            out.histogram("vitrail_http_seconds", "Until an answer began", &[("route", &route)], &latency);
        }
        for gauges in self.gauges.read().iter() {
            gauges(out);
        }
    }
}

/// What monitoring reads: metrics of one name stand together, each name explained once.
#[derive(Default)]
pub struct Exposition {
    families: BTreeMap<String, (String, String)>,
}

impl Exposition {
    /// A value that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.line("gauge", name, "", help, labels, value);
    }

    /// A value that only grows; `name` ends in `_total`.
    pub fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.line("counter", name, "", help, labels, value);
    }

    fn histogram(&mut self, name: &str, help: &str, labels: &[(&str, &str)], latency: &Latency) {
        for (bound, count) in BUCKETS.iter().zip(latency.buckets) {
            let bound = bound.to_string();
            let labels: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            self.line("histogram", name, "_bucket", help, &labels, count as f64);
        }
        let all: Vec<_> = labels.iter().copied().chain([("le", "+Inf")]).collect();
        self.line("histogram", name, "_bucket", help, &all, latency.count as f64);
        self.line("histogram", name, "_sum", help, labels, latency.sum.as_secs_f64());
        self.line("histogram", name, "_count", help, labels, latency.count as f64);
    }

    fn line(
        &mut self,
        kind: &str,
        name: &str,
        suffix: &str,
        help: &str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        let family = self
            .families
            .entry(name.to_owned())
            .or_insert_with(|| (format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"), String::new()));
        let out = &mut family.1;
        let _ = write!(out, "{name}{suffix}");
        for (index, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(out, "{}{label}=\"{text}\"", if index == 0 { '{' } else { ',' });
        }
        let _ = writeln!(out, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn text(self) -> String {
        self.families.into_values().map(|(head, lines)| head + &lines).collect()
    }
}

/// Counters for Prometheus: from the machine itself, or with `read-metrics`.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "monitoring",
    extensions(("x-permission" = json!("read-metrics"))),
    responses(
        (status = 200, description = "Text format 0.0.4 of Prometheus", body = String, content_type = "text/plain"),
        (status = 403, description = "From elsewhere, and this role may not", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn metrics(State(shared): State<Shared>, request: Request) -> Result<Response> {
    let (mut parts, _) = request.into_parts();
    let local = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .is_some_and(|peer| peer.0.ip().to_canonical().is_loopback());
    // What a proxy on this machine passes on comes from elsewhere.
    let passed_on =
        parts.headers.contains_key(header::FORWARDED) || parts.headers.contains_key("x-forwarded-for");
    if !local || passed_on {
        let caller = Caller::from_request_parts(&mut parts, &shared).await?;
        caller.require(Permission::ReadMetrics)?;
    }
    let text = blocking(move || {
        let mut out = Exposition::default();
        shared.monitor.write(&mut out);
        out.gauge(
            "vitrail_logins",
            "Sessions and tokens in use",
            &[],
            shared.people.sessions().count() as f64,
        );
        let refused = shared.people.refused() as f64;
        out.counter("vitrail_logins_refused_total", "Logins that were refused", &[], refused);
        Ok(out.text())
    })
    .await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// The route of this file, at its full path.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(metrics))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_one_name_stand_together_and_labels_are_escaped() {
        let mut out = Exposition::default();
        out.gauge("b", "B.", &[("screen", "a\"\\\n")], 1.0);
        out.gauge("a", "A.", &[], 0.5);
        out.gauge("b", "B.", &[("screen", "c")], 2.0);
        let lines = "# HELP a A.\n# TYPE a gauge\na 0.5\n# HELP b B.\n# TYPE b gauge\nb{screen=\"a\\\"\\\\\\n\"} 1\nb{screen=\"c\"} 2\n";
        assert_eq!(out.text(), lines);
    }

    #[test]
    fn latencies_are_cumulative() {
        let monitor = Monitor::new(vitrail_engine::base::SimClock::new());
        for ms in [1, 30, 3000] {
            monitor.answered(&Method::GET, "/x", StatusCode::OK, Duration::from_millis(ms));
        }
        let mut out = Exposition::default();
        monitor.write(&mut out);
        let text = out.text();
        for line in [
            "vitrail_http_seconds_bucket{route=\"/x\",le=\"0.001\"} 1",
            "vitrail_http_seconds_bucket{route=\"/x\",le=\"0.025\"} 1",
            "vitrail_http_seconds_bucket{route=\"/x\",le=\"0.05\"} 2",
            "vitrail_http_seconds_bucket{route=\"/x\",le=\"2.5\"} 2",
            "vitrail_http_seconds_bucket{route=\"/x\",le=\"+Inf\"} 3",
            "vitrail_http_seconds_sum{route=\"/x\"} 3.031",
            "vitrail_http_requests_total{method=\"GET\",route=\"/x\",status=\"200\"} 3",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
