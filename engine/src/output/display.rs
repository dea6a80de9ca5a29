//! Shows a screen in a window, or on the whole of a monitor, straight from the canvas.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use super::hub::{Output, OutputState, OutputStatus, StreamParams};
use super::piped::parse;
use crate::base::mailbox::Empty;
use crate::base::thread::Worker;
use crate::base::{Counter, Error, ErrorKind, Mailbox, Overflow, Result};
use crate::encode::picture;
use crate::media::{AccessUnit, Frame, ScreenId};

/// A window. Keeps only the newest picture: what a monitor cannot show in time is not worth showing.
pub(crate) struct Display {
    mailbox: Mailbox<Frame>,
    shown: Arc<Counter>,
    error: Arc<Mutex<Option<String>>>,
    worker: Mutex<Option<Worker>>,
}

pub(crate) fn open(full: bool, screen: &ScreenId, params: &StreamParams) -> Result<Display> {
    let sink =
        sink_for(std::env::var_os("WAYLAND_DISPLAY").is_some(), std::env::var_os("DISPLAY").is_some())?;
    let mailbox = Mailbox::new(1, Overflow::DropOldest);
    let (shown, error) = (Arc::new(Counter::default()), Arc::new(Mutex::new(None)));
    let (inbox, count, trouble, params) = (mailbox.clone(), shown.clone(), error.clone(), params.clone());
    let subject = format!("display of {screen}");
    let worker = Worker::spawn_with_init(
        "display",
        move || start(sink, full, subject),
        move |window| {
            if let Err(failed) = window.show(&inbox, &count, &params) {
                tracing::warn!(error = %failed, "a display failed");
                *trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(failed.to_string());
                inbox.close();
            }
        },
    )?;
    Ok(Display { mailbox, shown, error, worker: Mutex::new(Some(worker)) })
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

fn start(sink: &str, full: bool, subject: String) -> Result<Window> {
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

impl Window {
    fn show(&self, inbox: &Mailbox<Frame>, shown: &Counter, params: &StreamParams) -> Result<()> {
        let failed = |message: String| Error::new(ErrorKind::Io, self.subject.clone(), message);
        let bus = self.pipeline.bus().ok_or_else(|| failed("no bus".into()))?;
        let mut chroma = None;
        loop {
            if let Some(message) = bus.pop_filtered(&[gst::MessageType::Error])
                && let gst::MessageView::Error(error) = message.view()
            {
                return Err(failed(error.error().message().to_owned()));
            }
            let frame = match inbox.receive(Duration::from_millis(100)) {
                Ok(frame) => frame,
                Err(Empty::Timeout) => continue,
                Err(Empty::Closed) => return Ok(()),
            };
            if self.source.current_level_buffers() >= 2 {
                continue;
            }
            if chroma != Some(frame.chroma()) {
                let caps = picture::caps(frame.chroma(), frame.width(), frame.height(), params.frame_rate);
                self.source.set_caps(Some(&caps));
                chroma = Some(frame.chroma());
            }
            let Some(mut buffer) = picture::buffer(&frame) else { continue };
            buffer.make_mut().set_pts(self.source.current_running_time());
            self.source.push_buffer(buffer).map_err(|e| failed(format!("takes no more: {e}")))?;
            shown.add_one();
        }
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
        status.error = self.error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        status.units = self.shown.get();
        status.dropped = self.mailbox.dropped();
        status.state = match (&status.error, status.units) {
            (Some(_), _) => OutputState::Failed,
            (None, 0) => OutputState::Waiting,
            _ => OutputState::Running,
        };
    }

    fn end(&self) {
        self.mailbox.close();
    }

    fn join(&self, _deadline: Instant) -> bool {
        // Looks at its mailbox ten times a second.
        self.worker.lock().unwrap_or_else(PoisonError::into_inner).take().is_none_or(Worker::join)
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
}
