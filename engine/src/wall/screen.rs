//! One screen of a live wall as others see it: how it is started, told and stopped, and what it reports. Its thread is
//! in `run`.

mod run;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::camera::Camera;
use super::dial::Dial;
use super::latency::{Latency, LatencyMeter, Metered};
use super::recent::Recent;
use super::report::{OutputReport, ScreenReport, Spread};
use crate::base::thread::Worker;
use crate::base::{Counter, Histogram, Moment, Result, SharedClock, Shutdown};
use crate::composite::{Backend, OverlayStyle, TextRenderer};
use crate::config::OverlaySpec;
use crate::effort::ScreenStep;
use crate::encode::{EncodeStatus, EncoderConfig, ScreenEncoder};
use crate::media::{CameraId, Frame};
use crate::output::{OutputHub, OutputSpec, StreamParams};
use crate::scene::ScreenLayout;
use crate::store::FrameStore;
use run::{Inputs, Run};

/// The cameras of a wall, shared by its screens and replaced as a whole when one is added.
pub(super) type Cameras = Arc<Mutex<Arc<HashMap<CameraId, Arc<Camera>>>>>;

/// What a screen thread is told.
pub(super) enum Command {
    /// Show this from the next tick on.
    Layout(ScreenLayout),
    /// Overlays look like this.
    Overlay(OverlaySpec),
    /// Daylight saving began or ended: local time less UTC, in seconds.
    UtcOffset(i32),
    /// Flash these cameras' tiles; all others stop.
    Alarms(Vec<CameraId>),
}

/// What waits for a screen's next tick: the latest of each kind, so that no number of alarms can
/// push out a layout. Nobody waits: the lock is held for a move only (invariant 1).
#[derive(Default)]
struct Orders(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    layout: Option<ScreenLayout>,
    overlay: Option<OverlaySpec>,
    utc_offset: Option<i32>,
    alarms: Option<Vec<CameraId>>,
}

impl Orders {
    fn put(&self, command: Command) {
        let mut waiting = self.0.lock();
        match command {
            Command::Layout(layout) => waiting.layout = Some(layout),
            Command::Overlay(overlay) => waiting.overlay = Some(overlay),
            Command::UtcOffset(seconds) => waiting.utc_offset = Some(seconds),
            Command::Alarms(cameras) => waiting.alarms = Some(cameras),
        }
    }

    /// Takes all that waits.
    fn take(&self) -> impl Iterator<Item = Command> + use<> {
        let waiting = std::mem::take(&mut *self.0.lock());
        let layout = waiting.layout.map(Command::Layout);
        let overlay = waiting.overlay.map(Command::Overlay);
        let utc_offset = waiting.utc_offset.map(Command::UtcOffset);
        let alarms = waiting.alarms.map(Command::Alarms);
        [layout, overlay, utc_offset, alarms].into_iter().flatten()
    }
}

/// A screen that runs.
pub(super) struct Screen {
    pub layout: ScreenLayout,
    pub hub: Arc<OutputHub>,
    pub dial: Arc<Dial>,
    orders: Arc<Orders>,
    meter: Arc<LatencyMeter>,
    shared: Arc<Shared>,
    encoder: Option<Arc<ScreenEncoder>>,
    last_encode: Option<EncodeStatus>,
    stop: Shutdown,
    thread: Option<Worker>,
}

/// What the screen's thread leaves for others to read.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// A new viewer waits for a key frame: the next picture is one.
    key_wanted: AtomicBool,
}

#[derive(Default)]
struct State {
    compositor: String,
    newest: Option<Frame>,
    frames: u64,
    missed: u64,
    left_out: u64,
    first: Option<Moment>,
    last: Moment,
    cadence_error: Histogram,
    compose: Histogram,
    refresh: Recent,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// What a screen needs to start.
pub(super) struct ScreenParts {
    pub layout: ScreenLayout,
    pub backend: Backend,
    pub style: OverlayStyle,
    pub text: Arc<TextRenderer>,
    pub encoder: EncoderConfig,
    pub outputs: Vec<OutputSpec>,
    pub store: Arc<FrameStore>,
    pub cameras: Cameras,
    /// Its place among the screens of the wall.
    pub place: usize,
    /// Where missed pictures of all screens are counted.
    pub missed: Arc<Counter>,
    /// Whether its ticks may move to where its cameras' pictures wait least. Those of a wall of several
    /// screens stay together, for pictures that span them.
    pub moves: bool,
    pub clock: SharedClock,
}

impl Screen {
    /// Starts the outputs, the encoder and the thread of a screen.
    pub fn start(parts: ScreenParts) -> Result<Screen> {
        let (layout, clock) = (parts.layout.clone(), parts.clock.clone());
        let shared = Arc::new(Shared::default());
        let asker = shared.clone();
        let params = StreamParams {
            codec: parts.encoder.codec,
            width: layout.width,
            height: layout.height,
            frame_rate: parts.encoder.frame_rate,
        };
        let ask = move || asker.key_wanted.store(true, Ordering::Relaxed);
        let hub = OutputHub::new(layout.id.clone(), params, Arc::new(ask));
        for output in &parts.outputs {
            hub.add(output.clone())?;
        }
        let meter = LatencyMeter::new(clock.clone());
        let sink = Arc::new(Metered { meter: meter.clone(), sink: hub.clone() });
        let encoder = Arc::new(ScreenEncoder::start(&layout.id, parts.encoder.clone(), sink, clock)?);
        let orders = Arc::new(Orders::default());
        let dial = Arc::new(Dial::new(&layout.id, parts.encoder.clone(), parts.place));
        dial.set_encoder(&encoder);
        dial.set_tiles(&layout);
        let stop = Shutdown::new();
        let thread = {
            let (shared, stop) = (shared.clone(), stop.clone());
            let told = Inputs { orders: orders.clone(), dial: dial.clone() };
            let (encoder, hub, meter) = (encoder.clone(), hub.clone(), meter.clone());
            Worker::spawn_with_init(
                &format!("screen {}", layout.id),
                move || Run::new(parts, shared, encoder, hub, meter, told),
                move |mut run| run.until(&stop),
            )?
        };
        Ok(Screen {
            layout,
            hub,
            dial,
            orders,
            meter,
            shared,
            encoder: Some(encoder),
            last_encode: None,
            stop,
            thread: Some(thread),
        })
    }

    /// Tells the screen something, from its next tick on.
    pub fn send(&self, command: Command) {
        self.orders.put(command);
    }

    /// How long pictures took to this screen.
    pub fn latency(&self) -> Latency {
        self.meter.latency()
    }

    /// The newest canvas.
    pub fn newest(&self) -> Option<Frame> {
        self.shared.lock().newest.clone()
    }

    /// What is counted of it.
    pub fn report(&self) -> ScreenReport {
        let encode = self.encoder.as_ref().map(|e| e.status()).or(self.last_encode.clone());
        let count = |of: fn(&EncodeStatus) -> u64| encode.as_ref().map(of).unwrap_or_default();
        // Before the lock that the screen's thread needs: outputs ask GStreamer.
        let outputs = self.hub.status().into_iter().map(OutputReport::from).collect();
        let state = self.shared.lock();
        let elapsed = state.first.map(|first| state.last.since(first).as_secs_f64()).unwrap_or_default();
        let fps = if elapsed > 0.0 { (state.frames - 1) as f64 / elapsed } else { 0.0 };
        let (step, (asked_fps, rate)) = (self.dial.step(), self.dial.rates());
        ScreenReport {
            id: self.layout.id.to_string(),
            width: self.layout.width,
            height: self.layout.height,
            compositor: state.compositor.clone(),
            encoder: encode.as_ref().map(|e| e.encoder.clone()).unwrap_or_default(),
            encoder_fallback: encode.as_ref().is_some_and(|e| e.fallback),
            encoder_error: encode.as_ref().and_then(|e| e.error.clone()),
            step: step.word(),
            degraded: step != ScreenStep::AsAsked,
            preset: encode.as_ref().map(|e| e.preset.clone()).unwrap_or_default(),
            asked_fps,
            rate,
            frames: state.frames,
            missed: state.missed,
            left_out: state.left_out,
            fps,
            encoded: count(|e| e.encoded),
            dropped: count(|e| e.dropped),
            late: count(|e| e.late),
            bytes: count(|e| e.bytes),
            key_frames: count(|e| e.key_frames),
            cadence_error: Spread::from(&state.cadence_error),
            compose: Spread::from(&state.compose),
            encode: encode.as_ref().map(|e| Spread::from(&e.encode_time)).unwrap_or_default(),
            refresh: state.refresh.report(),
            outputs,
        }
    }

    /// Ends the thread, then the encoder, then the outputs, so that files are whole.
    pub fn stop(&mut self) {
        self.stop.cancel();
        self.thread.take();
        if let Some(encoder) = self.encoder.take() {
            self.last_encode = Some(encoder.status());
            if let Some(encoder) = Arc::into_inner(encoder) {
                encoder.finish();
            }
            self.hub.finish();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::ScreenId;

    #[test]
    fn a_burst_of_alarms_drops_no_layout() {
        let orders = Orders::default();
        let layout = |width| ScreenLayout { id: ScreenId::from("a"), width, height: 1080, tiles: Vec::new() };
        orders.put(Command::Layout(layout(1280)));
        orders.put(Command::Layout(layout(1920)));
        orders.put(Command::UtcOffset(3600));
        for n in 0..1000 {
            orders.put(Command::Alarms(vec![CameraId::from(format!("cam-{n}").as_str())]));
        }
        let taken: Vec<Command> = orders.take().collect();
        assert_eq!(taken.len(), 3);
        assert!(matches!(&taken[0], Command::Layout(layout) if layout.width == 1920), "the latest");
        assert!(matches!(taken[1], Command::UtcOffset(3600)));
        assert!(matches!(&taken[2], Command::Alarms(of) if of[0].as_str() == "cam-999" && of.len() == 1));
        assert_eq!(orders.take().count(), 0, "each is taken once");
    }
}
