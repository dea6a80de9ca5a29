//! `rtsps://`, and cameras that retina does not understand, through GStreamer's rtspsrc. It takes
//! several threads a camera: the exception, not the rule.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gstreamer as gst;
use gstreamer::prelude::*;

use super::gst_pipe::{Pipeline, element, init, kind_of};
use super::gst_tail::Tail;
use super::{History, RtspClient, Run, SourceConfig, StreamDescription, Transport, UriKind, explain_status};
use crate::base::{Error, ErrorKind, Result};
use crate::media::{Codec, SoundCodec};

/// GStreamer's own error says no more than that nothing could be opened.
const DISTRUSTED: &str = "has a certificate of no authority that this machine trusts; install that authority's \
    certificate here, or give the camera another";

pub(super) async fn run(config: &SourceConfig, history: &History, run: &Run<'_>) -> Result<()> {
    init()?;
    let secure = config.uri.kind() == UriKind::Rtsps;
    let carried_by = match config.transport {
        Transport::Tcp if secure => "RTP over TLS",
        Transport::Tcp => "RTP over TCP",
        Transport::Udp => "RTP over UDP",
    };
    let description = StreamDescription {
        client: "gstreamer",
        client_because: because(config, history),
        carried_by: carried_by.into(),
        ..Default::default()
    };
    let tail = Tail::new(run, description);
    let distrusted = Arc::new(AtomicBool::new(false));
    let pipeline = build(config, &tail, &distrusted)?;
    let explain = |e: &gst::message::Error| match distrusted.load(Ordering::SeqCst) {
        true => Error::new(ErrorKind::Config, run.camera.to_string(), DISTRUSTED),
        false => explain(e, config, history, &tail, run),
    };
    let result = pipeline.play(explain).await;
    if tail.units() > 0 && config.login().is_some() {
        history.login_accepted();
    }
    result?;
    Err(Error::new(ErrorKind::Unreachable, run.camera.to_string(), "ended the stream"))
}

/// Why retina is not the one that speaks.
fn because(config: &SourceConfig, history: &History) -> Option<String> {
    let asked_for = config.client == RtspClient::Gstreamer;
    match (asked_for, config.uri.kind()) {
        (true, _) => Some("it was asked for".into()),
        (false, UriKind::Rtsps) => Some("retina speaks no TLS".into()),
        (false, _) => history.not_for_retina.get().cloned(),
    }
}

/// `rtspsrc ! depayloader`, and [`Tail::attach`] behind it.
fn build(config: &SourceConfig, tail: &Arc<Tail>, distrusted: &Arc<AtomicBool>) -> Result<Pipeline> {
    let pipeline = gst::Pipeline::new();
    let source = element("rtspsrc")?;
    let url = config.uri.url().map(ToString::to_string).unwrap_or_default();
    source.set_property("location", url);
    source.set_property("latency", 0_u32);
    source.set_property_from_str(
        "protocols",
        match config.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        },
    );
    source.set_property("user-agent", concat!("vitrail/", env!("CARGO_PKG_VERSION")));
    // A camera may send a picture every 20 s; whether it is silent for too long is ingest's to say.
    source.set_property("timeout", 0_u64);
    source
        .set_property("tcp-timeout", u64::try_from(config.patience.connect.as_micros()).unwrap_or(u64::MAX));
    if let Some(login) = config.login() {
        source.set_property("user-id", &login.user);
        source.set_property("user-pw", &login.password);
    }
    if config.any_certificate {
        source.set_property_from_str("tls-validation-flags", "0");
    }
    // Asked only about a certificate that failed the checks; no answer but no.
    let distrusted = distrusted.clone();
    source.connect("accept-certificate", false, move |_| {
        distrusted.store(true, Ordering::SeqCst);
        Some(false.to_value())
    });
    choose_streams(&source, tail, config.sound);
    let (weak, tail) = (pipeline.downgrade(), tail.clone());
    source.connect_pad_added(move |source, pad| {
        let Some(pipeline) = weak.upgrade() else { return };
        if let Err(error) = attach(&pipeline, pad, &tail) {
            gst::element_error!(source, gst::CoreError::Pad, ("{}", error));
        }
    });
    pipeline
        .add(&source)
        .map_err(|e| Error::new(ErrorKind::Internal, "GStreamer", "cannot build").caused_by(e))?;
    Ok(Pipeline(pipeline))
}

/// Only the first H.264 or H.265 stream is set up, and no sound unless it is wanted.
fn choose_streams(source: &gst::Element, tail: &Arc<Tail>, sound: bool) {
    let tail = tail.clone();
    let chosen = AtomicBool::new(false);
    let heard = AtomicBool::new(!sound);
    source.connect("select-stream", false, move |args| {
        let caps = args.get(2).and_then(|v| v.get::<gst::Caps>().ok());
        let encoding = caps.as_ref().and_then(|c| encoding_of(c.structure(0)?));
        let media = caps.as_ref().and_then(|c| c.structure(0)?.get::<String>("media").ok());
        let name = format!("{} {}", media.as_deref().unwrap_or("?"), encoding.as_deref().unwrap_or("?"));
        let (video, sound) = (encoding.as_deref().and_then(codec_of), encoding.as_deref().and_then(sound_of));
        let wanted = (video.is_some() && !chosen.swap(true, Ordering::SeqCst))
            || (sound.is_some() && !heard.swap(true, Ordering::SeqCst));
        tail.note_offer(name.to_ascii_lowercase());
        if wanted && video.is_some() {
            tail.answered();
        }
        Some(wanted.to_value())
    });
}

fn encoding_of(s: &gst::StructureRef) -> Option<String> {
    s.get::<String>("encoding-name").ok()
}

fn codec_of(encoding: &str) -> Option<Codec> {
    match encoding {
        "H264" => Some(Codec::H264),
        "H265" => Some(Codec::H265),
        _ => None,
    }
}

/// The depayloader of sound that cameras send, and what comes of it.
fn sound_of(encoding: &str) -> Option<(&'static str, SoundCodec)> {
    match encoding {
        "MPEG4-GENERIC" => Some(("rtpmp4gdepay", SoundCodec::Aac)),
        "PCMA" => Some(("rtppcmadepay", SoundCodec::Alaw)),
        "PCMU" => Some(("rtppcmudepay", SoundCodec::Mulaw)),
        _ => None,
    }
}

fn attach(pipeline: &gst::Pipeline, pad: &gst::Pad, tail: &Arc<Tail>) -> Result<()> {
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    let encoding = caps.structure(0).and_then(encoding_of);
    if let Some((depay, codec)) = encoding.as_deref().and_then(sound_of) {
        return attach_sound(pipeline, pad, tail, depay, codec);
    }
    let Some(codec) = encoding.as_deref().and_then(codec_of) else { return Ok(()) };
    // Length-prefixed and whole, as the RTP marker says: in a byte stream the parser would cut a
    // picture of several slices in two where a camera repeats its parameter sets between them.
    let (depay, name, whole) = match codec {
        Codec::H265 => ("rtph265depay", "video/x-h265", "video/x-h265,stream-format=hvc1,alignment=au"),
        _ => ("rtph264depay", "video/x-h264", "video/x-h264,stream-format=avc,alignment=au"),
    };
    if tail.take(name, None).is_none() {
        return Ok(());
    }
    let internal = |e: String| Error::new(ErrorKind::Internal, "GStreamer", "cannot build").caused_by(e);
    let (depay, filter) = (element(depay)?, element("capsfilter")?);
    filter.set_property("caps", whole.parse::<gst::Caps>().map_err(|e| internal(e.to_string()))?);
    pipeline.add_many([&depay, &filter]).map_err(|e| internal(e.to_string()))?;
    depay.link(&filter).map_err(|e| internal(e.to_string()))?;
    let (entry, exit) = (depay.static_pad("sink"), filter.static_pad("src"));
    let (entry, exit) =
        (entry.expect("a depayloader has a sink pad"), exit.expect("a filter has a source pad"));
    tail.attach(pipeline, &exit, codec)?;
    for element in [&filter, &depay] {
        element.sync_state_with_parent().map_err(|e| internal(e.to_string()))?;
    }
    pad.link(&entry).map(|_| ()).map_err(|e| internal(e.to_string()))
}

fn attach_sound(
    pipeline: &gst::Pipeline,
    pad: &gst::Pad,
    tail: &Arc<Tail>,
    depay: &'static str,
    codec: SoundCodec,
) -> Result<()> {
    let internal = |e: String| Error::new(ErrorKind::Internal, "GStreamer", "cannot build").caused_by(e);
    let depay = element(depay)?;
    pipeline.add(&depay).map_err(|e| internal(e.to_string()))?;
    let (entry, exit) = (depay.static_pad("sink"), depay.static_pad("src"));
    let (entry, exit) =
        (entry.expect("a depayloader has a sink pad"), exit.expect("a depayloader has a source pad"));
    tail.attach_sound(pipeline, &exit, codec)?;
    depay.sync_state_with_parent().map_err(|e| internal(e.to_string()))?;
    pad.link(&entry).map(|_| ()).map_err(|e| internal(e.to_string()))
}

fn explain(
    error: &gst::message::Error,
    config: &SourceConfig,
    history: &History,
    tail: &Tail,
    run: &Run<'_>,
) -> Error {
    let cause = error.error();
    let detail = config.uri.scrub(&cause.to_string(), config.login());
    let status = error.details().and_then(|d| d.get::<u32>("rtsp-status-code").ok());
    let offered = tail.offered();
    let (kind, message) = match status.and_then(|s| u16::try_from(s).ok()) {
        Some(status) => {
            let (kind, message) = explain_status(status, config.login().is_some(), history);
            (kind, message.to_owned())
        }
        None if !offered.is_empty() && !tail.has_stream() => {
            let message =
                format!("offers no H.264 or H.265 video that can be had, only: {}", offered.join(", "));
            (ErrorKind::Unsupported, message)
        }
        None => match kind_of(&cause) {
            ErrorKind::Credentials => {
                let (kind, message) = history.login_refused(config.login().is_some());
                (kind, message.to_owned())
            }
            ErrorKind::Unreachable => {
                (ErrorKind::Unreachable, "cannot be reached, or the connection was lost".into())
            }
            kind => (kind, "cannot be received".into()),
        },
    };
    Error::new(kind, run.camera.to_string(), message).caused_by(detail)
}
