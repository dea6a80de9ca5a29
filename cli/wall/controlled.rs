//! A wall with a controller: its operators decide in a browser what it shows.

use std::path::Path;
use std::time::{Duration, Instant};

use vitrail_control::{Controller, Problem};
use vitrail_engine::base::{Shutdown, SystemClock};
use vitrail_engine::config::WallSpec;
use vitrail_engine::{Error, ErrorKind, Result};

use super::{print_report, save_snapshot, status_text};
use crate::terminal::{self, Terminal};

/// Runs wall and controller until the time is over or a signal comes.
pub fn run(
    spec: WallSpec,
    limit: Option<Duration>,
    report: Option<&Path>,
    snapshot: Option<&Path>,
    terminal: &Terminal,
    shutdown: &Shutdown,
) -> Result<()> {
    let controller = Controller::start(spec, SystemClock::shared()).map_err(error)?;
    let conductor = controller.conductor().clone();
    tracing::info!("the page is at {}", controller.url());
    if let Some(fingerprint) = controller.fingerprint() {
        tracing::info!("its certificate: SHA-256 {fingerprint}");
    }
    if let Some(token) = controller.setup_token() {
        // The only place where it is ever shown.
        eprintln!("first start: make the first account on the page with this token: {}", &**token);
    }
    for line in conductor.with_wall(|wall| wall.where_to_look()).map_err(error)? {
        tracing::info!("{line}");
    }
    let status = terminal.status_line();
    let end = limit.map(|limit| Instant::now() + limit);
    let mut second = 0u64;
    loop {
        let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
        if left.is_zero() || terminal::wait(shutdown, left.min(Duration::from_secs(1))) {
            break;
        }
        second += 1;
        if let Ok(report) = conductor.report() {
            status.set_message(status_text(&report));
            status.tick();
        }
        let look = conductor.with_wall(|wall| {
            if second.is_multiple_of(60) {
                wall.follow_local_time();
            }
            if second.is_multiple_of(2) {
                save_snapshot(wall, snapshot);
            }
        });
        if look.is_err() {
            break;
        }
    }
    status.finish_and_clear();
    let last = conductor.with_wall(|wall| save_snapshot(wall, snapshot));
    drop((last, conductor));
    controller.stop().map_or(Ok(()), |last| print_report(&last, report))
}

/// A problem of the controller in the words of the command line.
fn error(problem: Problem) -> Error {
    use vitrail_control::base::Kind;
    let kind = match problem.kind {
        Kind::Invalid | Kind::Malformed | Kind::Conflict | Kind::NotFound => ErrorKind::Config,
        Kind::Internal => ErrorKind::Internal,
        _ => ErrorKind::Io,
    };
    Error::new(kind, problem.title, problem.detail)
}
