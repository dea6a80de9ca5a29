//! Sends a screen as MPEG-TS over SRT: calls a receiver, or listens for callers.

use gstreamer as gst;
use gstreamer::prelude::*;
use url::Url;

use super::feed::{Backlog, Feed, KeyRequest};
use super::hub::StreamParams;
use super::piped::{Piped, Recipe, parse, short, sink};
use super::spec::without_secrets;
use crate::base::{Error, ErrorKind, Result};

/// Milliseconds that SRT keeps for retransmission where the address names none: its own default.
const LATENCY_MS: i32 = 120;

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
        "appsrc name=src is-live=true ! {codec}parse config-interval=-1 ! mpegtsmux \
         ! srtsink name=sink sync=false async=false wait-for-connection=false"
    );
    let listener = mode == "listener";
    let recipe = Recipe {
        subject,
        build: Box::new(move || {
            let pipeline = parse(&description)?;
            let sink = sink(&pipeline)?;
            // The address first: setting it resets the rest.
            sink.set_property("uri", &plain);
            sink.set_property_from_str("mode", &mode);
            sink.set_property("latency", latency);
            if listener {
                sink.set_property("localaddress", &host);
                sink.set_property("localport", port);
            }
            for (name, value) in &texts {
                if let Some(value) = value {
                    sink.set_property(name, value);
                }
            }
            if let Some(length) = &key_length {
                sink.set_property_from_str("pbkeylen", length);
            }
            Ok(pipeline)
        }),
        retry: true,
        key_every: listener.then_some(std::time::Duration::from_secs(1)),
        viewers: listener.then_some(callers as fn(&gst::Element) -> u32),
    };
    let feed = Feed::new(params.frame_rate, Backlog::Skip, key);
    Piped::start(recipe, params, feed)
}

/// How many callers a listening sink serves.
fn callers(sink: &gst::Element) -> u32 {
    let stats = sink.property::<gst::Structure>("stats");
    let count = stats.get::<gst::glib::ValueArray>("callers").map(|callers| callers.len());
    count.map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX))
}
