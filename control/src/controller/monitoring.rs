//! What monitoring is told of the wall and of those who watch it: readiness and gauges.

use std::collections::BTreeMap;
use std::sync::Arc;

use vitrail_engine::wall::WallReport;

use crate::api::Shared;
use crate::api::metrics::Exposition;
use crate::live::{Live, LiveReport};
use crate::wall::Conductor;

/// Has monitoring ask the wall.
pub(super) fn watch(shared: &Shared, conductor: &Arc<Conductor>, live: &Arc<Live>) {
    let wall = conductor.clone();
    shared.monitor.on_ready("audit log", Box::new(move || wall.log_trouble().map_or(Ok(()), Err)));
    let wall = conductor.clone();
    shared.monitor.on_ready("wall", Box::new(move || wall.with_wall(|_| ()).map_err(|p| p.to_string())));
    let wall = conductor.clone();
    let live = Arc::downgrade(live);
    shared.monitor.on_scrape(Box::new(move |out| {
        if let Some(live) = live.upgrade() {
            tell_viewers(out, &live.report());
        }
        if let Ok(report) = wall.report() {
            tell_screens(out, &report);
            tell_cameras(out, &report);
            tell_machine(out, &report);
        }
    }));
}

fn tell_viewers(out: &mut Exposition, report: &LiveReport) {
    let mut viewers = BTreeMap::<&str, u64>::new();
    for viewer in &report.viewers {
        *viewers.entry(&viewer.screen).or_default() += 1;
    }
    for (screen, count) in viewers {
        let labels = [("screen", screen)];
        out.gauge("vitrail_live_viewers", "Browsers that watch over WebRTC.", &labels, count as f64);
    }
    let sessions = report.sessions as f64;
    out.counter("vitrail_live_sessions_total", "WebRTC sessions that began.", &[], sessions);
    let strays = report.strays as f64;
    out.counter("vitrail_live_strays_total", "Datagrams that were for nobody.", &[], strays);
    out.counter("vitrail_live_cpu_seconds_total", "What sending them took.", &[], report.cpu_s);
}

fn tell_screens(out: &mut Exposition, report: &WallReport) {
    for screen in &report.screens {
        let labels = [("screen", screen.id.as_str())];
        out.gauge("vitrail_screen_fps", "Pictures a second.", &labels, screen.fps);
        out.counter("vitrail_screen_frames_total", "Pictures composed.", &labels, screen.frames as f64);
        out.counter("vitrail_screen_missed_total", "Pictures missed.", &labels, screen.missed as f64);
        out.gauge("vitrail_screen_rate", "Pictures a second that are made now.", &labels, screen.rate);
        out.counter(
            "vitrail_screen_left_out_total",
            "Pictures left out because the machine has no more.",
            &labels,
            screen.left_out as f64,
        );
        out.counter(
            "vitrail_screen_dropped_total",
            "Pictures that the encoder dropped.",
            &labels,
            screen.dropped as f64,
        );
    }
}

fn tell_cameras(out: &mut Exposition, report: &WallReport) {
    let mut states = BTreeMap::<&str, u64>::new();
    for camera in &report.cameras {
        *states.entry(&camera.state).or_default() += 1;
    }
    for (state, count) in states {
        let labels = [("state", state)];
        out.gauge("vitrail_cameras", "Cameras that are open, by state.", &labels, count as f64);
    }
}

fn tell_machine(out: &mut Exposition, report: &WallReport) {
    let machine = &report.governor;
    for (part, value) in [
        ("own", machine.own),
        ("others", machine.others),
        ("decoding", machine.decoding),
        ("encoding", machine.encoding),
    ] {
        out.gauge("vitrail_cores_used", "CPU seconds a second.", &[("by", part)], value);
    }
    out.gauge("vitrail_resident_bytes", "Memory.", &[], report.process.resident_bytes as f64);
    out.gauge(
        "vitrail_latency_p95_seconds",
        "From a picture's arrival to the encoded wall.",
        &[],
        report.latency.from_arrival.p95_ms / 1000.0,
    );
}
