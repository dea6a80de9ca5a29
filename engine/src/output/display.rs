//! Shows a screen in a window, or on the whole of a monitor, straight from the canvas.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use parking_lot::Mutex;

use super::hub::{Output, OutputState, OutputStatus, StreamParams};
use super::piped::parse;
use crate::base::backoff::{OUTPUT, Retry};
use crate::base::mailbox::Empty;
use crate::base::thread::Worker;
use crate::base::{Counter, Error, ErrorKind, Mailbox, Overflow, Result};
use crate::encode::picture;
use crate::media::{AccessUnit, Frame, ScreenId};

const STEP: Duration = Duration::from_millis(100);

/// A window. Keeps only the newest picture: what a monitor cannot show in time is not worth showing.
pub(crate) struct Display {
    mailbox: Mailbox<Frame>,
    shown: Arc<Counter>,
    missed: Arc<Counter>,
    state: Arc<Mutex<State>>,
    worker: Mutex<Option<Worker>>,
}

struct State {
    state: OutputState,
    error: Option<String>,
}

pub(crate) fn open(full: bool, screen: &ScreenId, params: &StreamParams) -> Result<Display> {
    let sink =
        sink_for(std::env::var_os("WAYLAND_DISPLAY").is_some(), std::env::var_os("DISPLAY").is_some())?;
    start(sink, full, format!("display of {screen}"), params)
}

/// Opens a window now, and again whenever it fails.
fn start(sink: &'static str, full: bool, subject: String, params: &StreamParams) -> Result<Display> {
    let mailbox = Mailbox::new(1, Overflow::DropOldest);
    let state = Arc::new(Mutex::new(State { state: OutputState::Waiting, error: None }));
    let (shown, missed) = (Arc::new(Counter::default()), Arc::new(Counter::default()));
    let show = Show {
        inbox: mailbox.clone(),
        shown: shown.clone(),
        missed: missed.clone(),
        state: state.clone(),
        params: params.clone(),
    };
    let first = subject.clone();
    let worker = Worker::spawn_with_init(
        "display",
        move || Window::open(sink, full, first),
        move |first| show.all(first, || Window::open(sink, full, subject.clone())),
    )?;
    Ok(Display { mailbox, shown, missed, state, worker: Mutex::new(Some(worker)) })
}

/// What the thread of a display owns.
struct Show {
    inbox: Mailbox<Frame>,
    shown: Arc<Counter>,
    /// Pictures that came while there was no window.
    missed: Arc<Counter>,
    state: Arc<Mutex<State>>,
    params: StreamParams,
}

impl Show {
    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
    }

    /// Shows until the mailbox is closed, in a new window after each failure.
    fn all(&self, first: Window, again: impl Fn() -> Result<Window>) {
        let mut next = Ok(first);
        let mut retry = Retry::new(OUTPUT);
        loop {
            let began = Instant::now();
            let Err(error) = next.and_then(|window| self.show(&window)) else {
                return self.set(|s| s.state = OutputState::Ended);
            };
            let wait = retry.after(began.elapsed(), rand::random());
            tracing::warn!(%error, retry_in_s = wait.as_secs_f32(), "a display failed");
            self.set(|s| *s = State { state: OutputState::Retrying, error: Some(error.to_string()) });
            if !self.pass(wait) {
                return self.set(|s| s.state = OutputState::Failed);
            }
            next = again();
        }
    }

    /// Lets this time pass, and its pictures with it; false where the mailbox is closed meanwhile.
    fn pass(&self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        while Instant::now() < until {
            match self.inbox.receive(STEP) {
                Ok(_) => self.missed.add_one(),
                Err(Empty::Timeout) => {}
                Err(Empty::Closed) => return false,
            }
        }
        true
    }

    fn show(&self, window: &Window) -> Result<()> {
        let failed = |message: String| Error::new(ErrorKind::Io, window.subject.clone(), message);
        let bus = window.pipeline.bus().ok_or_else(|| failed("no bus".into()))?;
        let mut chroma = None;
        loop {
            if let Some(message) = bus.pop_filtered(&[gst::MessageType::Error])
                && let gst::MessageView::Error(error) = message.view()
            {
                return Err(failed(error.error().message().to_owned()));
            }
            let frame = match self.inbox.receive(STEP) {
                Ok(frame) => frame,
                Err(Empty::Timeout) => continue,
                Err(Empty::Closed) => return Ok(()),
            };
            if window.source.current_level_buffers() >= 2 {
                continue;
            }
            if chroma != Some(frame.chroma()) {
                let (width, height) = (frame.width(), frame.height());
                let caps = picture::caps(frame.chroma(), width, height, self.params.frame_rate);
                window.source.set_caps(Some(&caps));
                chroma = Some(frame.chroma());
            }
            let Some(mut buffer) = picture::buffer(&frame) else { continue };
            buffer.make_mut().set_pts(window.source.current_running_time());
            window.source.push_buffer(buffer).map_err(|e| failed(format!("takes no more: {e}")))?;
            self.shown.add_one();
            self.set(|s| s.state = OutputState::Running);
        }
    }
}

/// The sink that fits the session, or why there is none.
fn sink_for(wayland: bool, x11: bool) -> Result<&'static str> {
    let console = std::fs::read_dir("/dev/dri")
        .is_ok_and(|mut d| d.any(|f| f.is_ok_and(|f| f.file_name().to_string_lossy().starts_with("card"))));
    match (wayland, x11, console) {
        (true, _, _) => Ok("waylandsink"),
        (_, true, _) => Ok("ximagesink"),
        (_, _, true) => Ok("kmssink"),
        _ => Err(Error::new(
            ErrorKind::Missing,
            "display",
            "this machine shows nothing here: run inside a desktop session (WAYLAND_DISPLAY or DISPLAY is set) \
             or on a console with a monitor (/dev/dri/card*)",
        )),
    }
}

struct Window {
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    subject: String,
}

impl Window {
    fn open(sink: &str, full: bool, subject: String) -> Result<Window> {
        let scaled = if sink == "ximagesink" { "videoscale ! " } else { "" };
        let pipeline = parse(&format!(
            "appsrc name=src is-live=true format=time max-bytes=0 ! videoconvert ! {scaled}{sink} name=sink sync=false"
        ))?;
        let source = pipeline
            .by_name("src")
            .and_then(|e| e.downcast().ok())
            .ok_or_else(|| Error::new(ErrorKind::Internal, subject.clone(), "no source"))?;
        if let Some(element) = pipeline.by_name("sink").filter(|_| full) {
            if element.has_property("fullscreen") {
                element.set_property("fullscreen", true);
            } else if sink == "ximagesink" {
                tracing::warn!(
                    "this X11 sink has no full screen of its own: the window manager must give it one"
                );
            }
        }
        let window = Window { pipeline, source, subject };
        window.pipeline.set_state(gst::State::Playing).map_err(|e| {
            Error::new(ErrorKind::Missing, window.subject.clone(), format!("{sink} cannot open the display"))
                .caused_by(e)
        })?;
        Ok(window)
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

impl Output for Display {
    fn unit(&self, _unit: &AccessUnit) {}

    fn frame(&self, frame: &Frame) {
        self.mailbox.send(frame.clone());
    }

    fn status(&self, status: &mut OutputStatus) {
        let state = self.state.lock();
        status.state = state.state;
        status.error = state.error.clone();
        drop(state);
        status.units = self.shown.get();
        status.dropped = self.mailbox.dropped() + self.missed.get();
    }

    fn end(&self) {
        self.mailbox.close();
    }

    fn join(&self, _deadline: Instant) -> bool {
        // Looks at its mailbox ten times a second, except while GStreamer opens a window.
        self.worker.lock().take().is_none_or(Worker::join)
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.mailbox.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_picks_the_sink() {
        assert_eq!(sink_for(true, true).ok(), Some("waylandsink"));
        assert_eq!(sink_for(false, true).ok(), Some("ximagesink"));
        match sink_for(false, false) {
            Ok(sink) => assert_eq!(sink, "kmssink"),
            Err(error) => assert!(error.to_string().contains("DISPLAY"), "{error}"),
        }
    }

    #[test]
    fn a_window_that_fails_is_opened_again() {
        let params = StreamParams {
            codec: crate::media::Codec::H264,
            width: 64,
            height: 32,
            frame_rate: crate::media::Ratio { num: 25, den: 1 },
        };
        // Stands for a display that goes after five pictures, each time.
        let goes = "identity error-after=5 ! fakesink";
        let display = start(goes, false, "display of test".into(), &params).expect("opens");
        let status = || {
            let state = display.state.lock();
            (state.state, state.error.clone().unwrap_or_default())
        };
        let frame = Frame::filled(64, 32, [80, 128, 128], Default::default()).expect("a valid size");
        let end = Instant::now() + Duration::from_secs(20);
        let mut states = Vec::new();
        while !states.ends_with(&[OutputState::Running, OutputState::Retrying, OutputState::Running]) {
            assert!(Instant::now() < end, "{states:?}");
            display.frame(&frame);
            let (now, error) = status();
            assert!(now != OutputState::Retrying || error.starts_with("display of test: "), "{error}");
            if states.last() != Some(&now) {
                states.push(now);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        display.end();
        assert!(display.join(Instant::now()));
        assert_ne!(status().0, OutputState::Running);
    }
}
