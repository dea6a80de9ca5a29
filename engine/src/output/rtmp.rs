//! Publishes a screen as FLV over RTMP: to a platform, or to any media server. H.264 alone.

use std::time::Duration;

use gstreamer::prelude::*;
use url::Url;

use super::feed::{Backlog, Feed, KeyRequest};
use super::hub::StreamParams;
use super::kept::RunningOutput;
use super::piped::{self, Recipe};
use super::spec::{login, rtmp_without_secrets};
use crate::base::{Error, ErrorKind, Result};
use crate::media::Codec;

/// What platforms ask for: they cut what they are sent at key frames.
const KEY_EVERY: Duration = Duration::from_secs(2);

/// Where an `rtmp://` or `rtmps://` address leads. All but scheme, host, port and application is
/// secret: who has the stream key may broadcast in its owner's name.
pub(super) struct Address {
    tls: bool,
    host: String,
    port: i32,
    application: String,
    key: String,
    login: Option<super::Login>,
}

impl Address {
    /// Errors name what is wrong, never the key.
    pub fn of(uri: &str) -> Result<Address> {
        let wrong = |what: String| Error::new(ErrorKind::Config, "rtmp:// output", what);
        let url = Url::parse(uri).map_err(|e| wrong(format!("is no address: {e}")))?;
        let tls = url.scheme() == "rtmps";
        let host = url.host_str().filter(|h| !h.is_empty());
        let host = host.ok_or_else(|| wrong("lacks a host; write rtmp://HOST/APP/KEY".into()))?;
        let (application, key) = url.path().trim_start_matches('/').rsplit_once('/').unwrap_or_default();
        if application.is_empty() || key.is_empty() {
            return Err(wrong("lacks an application or a stream key; write rtmp://HOST/APP/KEY".into()));
        }
        // Platforms put more of the secret behind a question mark; it belongs to the stream's name.
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        Ok(Address {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port().map_or(if tls { 443 } else { 1935 }, i32::from),
            application: application.to_owned(),
            key: format!("{key}{query}"),
            login: login(&url, "rtmp:// output")?,
            tls,
        })
    }

    fn secrets(&self) -> Vec<String> {
        let bare = self.key.split('?').next().unwrap_or_default();
        let password = self.login.as_ref().map(|login| login.password.clone());
        [Some(self.key.clone()), Some(bare.to_owned()), password].into_iter().flatten().collect()
    }
}

/// Says why a screen of this codec cannot go there.
pub(super) fn carries(codec: Codec) -> Result<()> {
    if codec == Codec::H264 {
        return Ok(());
    }
    let message = format!(
        "RTMP carries H.264 alone, and this screen is {codec}: set codec = \"h264\", or use srt:// or udp://"
    );
    Err(Error::new(ErrorKind::Config, "rtmp:// output", message))
}

pub(crate) fn open(uri: &str, params: &StreamParams, key: KeyRequest) -> Result<RunningOutput> {
    carries(params.codec)?;
    let address = Address::of(uri)?;
    let description = "appsrc name=src is-live=true ! h264parse config-interval=0 \
         ! flvmux streamable=true latency=0 ! rtmp2sink name=sink sync=false async=false";
    let secrets = address.secrets();
    let recipe = Recipe::new(rtmp_without_secrets(uri), description.to_owned(), move |sink, _| {
        // One by one: what a person wrote is parsed once, by us.
        sink.set_property_from_str("scheme", if address.tls { "rtmps" } else { "rtmp" });
        sink.set_property("host", &address.host);
        sink.set_property("port", address.port);
        sink.set_property("application", &address.application);
        sink.set_property("stream", &address.key);
        if let Some(login) = &address.login {
            sink.set_property("username", &login.user);
            sink.set_property("password", &login.password);
        }
        Ok(())
    });
    let recipe = Recipe { key_every: Some(KEY_EVERY), secrets, ..recipe };
    piped::start(recipe, params, Feed::new(params.frame_rate, Backlog::Skip, key))
}
