//! SRT, HTTP and MPEG-TS over UDP through GStreamer: the first video stream, as it is encoded.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use gstreamer as gst;
use gstreamer::prelude::*;

use super::gst_pipe::{Pipeline, element, init, kind_of};
use super::gst_tail::Tail;
use super::pacing::Pacing;
use super::{Run, SourceConfig, StreamDescription, UriKind};
use crate::base::{Error, ErrorKind, Result};

pub(super) async fn run(config: &SourceConfig, run: &Run<'_>) -> Result<()> {
    init()?;
    let tail = Tail::new(run, describe(config.uri.kind()));
    let pipeline = build(config, &tail)?;
    tokio::select! {
        ended = pipeline.play(|e| explain(e, config, &tail, run)) => ended?,
        () = tail.release() => {}
    }
    tail.release_rest().await;
    let subject = run.camera.to_string();
    if tail.units() == 0 {
        let message = format!("{} holds no picture", config.uri);
        return Err(Error::new(ErrorKind::Corrupt, subject, message));
    }
    Err(Error::new(ErrorKind::Unreachable, subject, "ended the stream"))
}

fn describe(kind: UriKind) -> StreamDescription {
    let carried_by = match kind {
        UriKind::Srt => "SRT",
        UriKind::Http => "HTTP",
        UriKind::Udp => "MPEG-TS over UDP",
        _ => "",
    };
    StreamDescription { client: "gstreamer", carried_by: carried_by.into(), ..Default::default() }
}

/// `urisourcebin ! parsebin`, and [`Tail::attach`] behind the first video.
fn build(config: &SourceConfig, tail: &Arc<Tail>) -> Result<Pipeline> {
    let pipeline = gst::Pipeline::new();
    let (source, parse) = (element("urisourcebin")?, element("parsebin")?);
    // It may hold secrets (an SRT pass phrase): never print it.
    source.set_property("uri", config.uri.url().map(ToString::to_string).unwrap_or_default());
    let internal =
        |e: gst::glib::BoolError| Error::new(ErrorKind::Internal, "GStreamer", "cannot build").caused_by(e);
    pipeline.add_many([&source, &parse]).map_err(internal)?;

    let login = config.login().cloned();
    let any_certificate = config.any_certificate;
    let watcher = Arc::downgrade(tail);
    source.connect("source-setup", false, move |args| {
        let element = args.get(1).and_then(|v| v.get::<gst::Element>().ok())?;
        if let Some(tail) = watcher.upgrade() {
            tail.watch(&element);
        }
        if let Some(login) = login.as_ref().filter(|_| element.has_property("user-id")) {
            element.set_property("user-id", &login.user);
            element.set_property("user-pw", &login.password);
        }
        if any_certificate && element.has_property("ssl-strict") {
            element.set_property("ssl-strict", false);
        }
        None
    });
    let into = parse.downgrade();
    source.connect_pad_added(move |_, pad| {
        let entry = into.upgrade().and_then(|parse| parse.static_pad("sink"));
        if let Some(entry) = entry.filter(|e| !e.is_linked()) {
            let _ = pad.link(&entry);
        }
    });
    let playlist = watch_elements(&pipeline, tail);
    let (weak, offered_to, kind) = (pipeline.downgrade(), tail.clone(), config.uri.kind());
    let sound = config.sound;
    parse.connect_pad_added(move |parse, pad| {
        let what = parse
            .static_pad("sink")
            .and_then(|pad| Some(pad.current_caps()?.structure(0)?.name().to_string()));
        let what = what.unwrap_or_default();
        offered_to.entry().is_of(&what);
        offered_to.set_pacing(pacing(kind, playlist.load(Ordering::SeqCst), &what, parse, &offered_to));
        offer(&weak.upgrade(), parse, pad, &offered_to, sound);
    });
    let tail = Arc::downgrade(tail);
    parse.connect_no_more_pads(move |parse| complain_without_video(parse, &tail));
    Ok(Pipeline(pipeline))
}

/// Watches what the pipeline puts together by itself. The answer is true once a playlist was opened, of HLS, DASH or
/// Smooth Streaming: its segments come in bursts.
fn watch_elements(pipeline: &gst::Pipeline, tail: &Arc<Tail>) -> Arc<AtomicBool> {
    const PLAYLISTS: [&str; 6] =
        ["hlsdemux2", "hlsdemux", "dashdemux2", "dashdemux", "mssdemux2", "mssdemux"];
    const DEMUXERS: [&str; 2] = ["tsdemux", "multipartdemux"];
    const PARSERS: [&str; 3] = ["h264parse", "h265parse", "mpeg4videoparse"];
    let playlist = Arc::new(AtomicBool::new(false));
    let (found, entry) = (playlist.clone(), tail.entry().clone());
    pipeline.connect_deep_element_added(move |_, _, element| {
        let Some(factory) = element.factory() else { return };
        if PLAYLISTS.contains(&factory.name().as_str()) {
            found.store(true, Ordering::SeqCst);
        }
        if DEMUXERS.contains(&factory.name().as_str()) {
            entry.watch_demuxer(element);
        }
        if PARSERS.contains(&factory.name().as_str()) {
            entry.watch_parser(element);
        }
    });
    playlist
}

/// Who sets the speed of a stream of this kind, of which `what` comes in. Whatever tells how long it is in all has an
/// end, and so no now: it is played at its own speed. All else is live, whatever its clock says.
fn pacing(kind: UriKind, playlist: bool, what: &str, parse: &gst::Element, tail: &Tail) -> Pacing {
    match kind {
        UriKind::Http if playlist => match upstream_duration(parse) {
            Some(_) => Pacing::Recorded,
            None => Pacing::Bursts,
        },
        // A camera may write any length in front of its endless pictures.
        UriKind::Http if what.starts_with("multipart/") => Pacing::Live,
        UriKind::Http if tail.entry().source().is_some_and(|s| has_length(&s)) => Pacing::Recorded,
        _ => Pacing::Live,
    }
}

/// How long a playlist is in all; a live one does not know.
fn upstream_duration(parse: &gst::Element) -> Option<gst::ClockTime> {
    parse.static_pad("sink")?.peer_query_duration::<gst::ClockTime>()
}

/// The server told how many bytes there are.
fn has_length(source: &gst::Element) -> bool {
    source.query_duration::<gst::format::Bytes>().is_some_and(|length| *length > 0)
}

fn offer(
    pipeline: &Option<gst::Pipeline>,
    parse: &gst::Element,
    pad: &gst::Pad,
    tail: &Arc<Tail>,
    sound: bool,
) {
    let Some(pipeline) = pipeline else { return };
    let Some(caps) = pad.current_caps().or_else(|| Some(pad.query_caps(None))).filter(|c| !c.is_empty())
    else {
        return;
    };
    let Some(structure) = caps.structure(0) else { return };
    let name = structure.name().to_string();
    let taken = tail.take(&name, structure.get::<i32>("mpegversion").ok());
    tail.note_offer(name);
    let heard = if sound { tail.take_sound(structure) } else { None };
    let linked = match (taken, heard) {
        (Some(codec), _) => tail.attach(pipeline, pad, codec),
        (None, Some(codec)) => tail.attach_sound(pipeline, pad, codec),
        (None, None) => {
            swallow(pad);
            Ok(())
        }
    };
    if let Err(error) = linked {
        gst::element_error!(parse, gst::CoreError::Pad, ("{}", error));
    }
}

/// What is not shown is read and thrown away: an unlinked stream can stop a demuxer. Not by a sink: that
/// would hold the demuxer's one thread until the pipeline plays, which waits for the first picture.
fn swallow(pad: &gst::Pad) {
    pad.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST, |_, _| {
        gst::PadProbeReturn::Drop
    });
}

fn complain_without_video(parse: &gst::Element, tail: &Weak<Tail>) {
    if tail.upgrade().is_some_and(|tail| !tail.has_stream()) {
        gst::element_error!(parse, gst::StreamError::WrongType, ("no video that is understood"));
    }
}

fn explain(error: &gst::message::Error, config: &SourceConfig, tail: &Tail, run: &Run<'_>) -> Error {
    let cause = error.error();
    let detail = config.uri.scrub(&cause.to_string(), config.login());
    let offered = tail.offered();
    let (kind, message) = match kind_of(&cause) {
        ErrorKind::Unsupported if offered.is_empty() => {
            (ErrorKind::Unsupported, "is in no format that is understood here".to_owned())
        }
        ErrorKind::Unsupported => {
            let message =
                format!("holds no H.264, H.265, MPEG-4 or MJPEG video, only: {}", offered.join(", "));
            (ErrorKind::Unsupported, message)
        }
        ErrorKind::Credentials => {
            (ErrorKind::Credentials, "refuses the user name, password or pass phrase".to_owned())
        }
        ErrorKind::Unreachable => {
            (ErrorKind::Unreachable, "cannot be reached, or ended the stream".to_owned())
        }
        ErrorKind::Missing => {
            (ErrorKind::Missing, "needs a GStreamer element that is missing; run `vitrail doctor`".to_owned())
        }
        kind => (kind, "cannot be read on".to_owned()),
    };
    Error::new(kind, run.camera.to_string(), message).caused_by(detail)
}
