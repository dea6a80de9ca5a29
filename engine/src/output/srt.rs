//! Sends a screen as MPEG-TS over SRT: calls a receiver, or listens for callers.

use std::sync::Arc;

use gstreamer as gst;
use gstreamer::prelude::*;
use url::Url;

use super::feed::{Backlog, Feed, KeyRequest};
use super::hub::StreamParams;
use super::piped::{Piped, Recipe, short};
use super::spec::without_secrets;
use crate::base::{Counter, Error, ErrorKind, Result};

/// Milliseconds that SRT keeps for retransmission where the address names none: its own default.
const LATENCY_MS: i32 = 120;

/// Bytes of an SRT message in live mode: seven MPEG-TS packets.
const MESSAGE: usize = 7 * 188;

pub(crate) fn open(uri: &str, params: &StreamParams, key: KeyRequest) -> Result<Piped> {
    let subject = without_secrets(uri);
    let url = Url::parse(uri)
        .map_err(|e| Error::new(ErrorKind::Config, subject.clone(), format!("is no address: {e}")))?;
    let option = |name: &str| url.query_pairs().find(|(k, _)| k == name).map(|(_, v)| v.into_owned());
    let mode = option("mode").unwrap_or_else(|| "caller".into());
    let latency = option("latency").and_then(|ms| ms.parse().ok()).unwrap_or(LATENCY_MS);
    let texts = ["passphrase", "streamid"].map(|name| (name, option(name)));
    let key_length = option("pbkeylen");
    let host = url.host_str().filter(|h| !h.is_empty()).unwrap_or("0.0.0.0").to_owned();
    let port = u32::from(url.port().unwrap_or_default());
    let plain = format!("srt://{host}:{port}");
    let codec = short(params.codec);
    let description = format!(
        "appsrc name=src is-live=true ! {codec}parse config-interval=-1 ! mpegtsmux alignment=0 \
         ! srtsink name=sink sync=false async=false wait-for-connection=false"
    );
    let listener = mode == "listener";
    let joined = Arc::new(Counter::default());
    let callers_seen = joined.clone();
    let set_up = move |sink: &gst::Element, _| {
        send_in_messages(sink);
        // The address first: setting it resets the rest.
        sink.set_property("uri", &plain);
        sink.set_property_from_str("mode", &mode);
        sink.set_property("latency", latency);
        if listener {
            sink.set_property("localaddress", &host);
            sink.set_property("localport", port);
            // MPEG-TS is one stream for all callers: a new one joins it at the next key frame.
            let joined = callers_seen.clone();
            sink.connect("caller-added", false, move |_| {
                joined.add_one();
                None
            });
        }
        for (name, value) in &texts {
            if let Some(value) = value {
                sink.set_property(name, value);
            }
        }
        if let Some(length) = &key_length {
            sink.set_property_from_str("pbkeylen", length);
        }
        Ok(())
    };
    let recipe = Recipe {
        joined,
        viewers: listener.then_some(callers as fn(&gst::Element) -> u32),
        ..Recipe::new(subject, description, set_up)
    };
    let feed = Feed::new(params.frame_rate, Backlog::Skip, key);
    Piped::start(recipe, params, feed)
}

/// Cuts what the muxer gives for a picture into SRT messages. srtsink sends a buffer as one message
/// and drops what is too long; the muxer's own alignment would hold back the end of each picture
/// until the next comes.
fn send_in_messages(sink: &gst::Element) {
    let Some(pad) = sink.static_pad("sink") else { return };
    // Without flags: srtsink skips what is marked as a header, and the muxer marks key frames so,
    // because their buffer begins with the tables.
    let parts = gst::BufferCopyFlags::MEMORY | gst::BufferCopyFlags::TIMESTAMPS;
    let Some(before) = pad.peer() else { return };
    let send = move |whole: &gst::BufferRef| {
        for from in (0..whole.size()).step_by(MESSAGE) {
            if let Ok(part) = whole.copy_region(parts, from..whole.size().min(from + MESSAGE)) {
                // A failed sink says so on the bus.
                let _ = pad.chain(part);
            }
        }
    };
    let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
    before.add_probe(kinds, move |_, info| {
        match &info.data {
            Some(gst::PadProbeData::Buffer(whole)) => send(whole),
            Some(gst::PadProbeData::BufferList(list)) => list.iter().for_each(&send),
            _ => return gst::PadProbeReturn::Ok,
        }
        gst::PadProbeReturn::Drop
    });
}

/// How many callers a listening sink serves.
fn callers(sink: &gst::Element) -> u32 {
    let stats = sink.property::<gst::Structure>("stats");
    let count = stats.get::<gst::glib::ValueArray>("callers").map(|callers| callers.len());
    count.map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX))
}
