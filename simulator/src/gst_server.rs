//! The same loops behind gst-rtsp-server: a second, well-kept server, so that clients are not tested
//! against our own alone.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_rtsp_server as rtsp_server;
use gstreamer_rtsp_server::prelude::*;
use parking_lot::Mutex;
use vitrail_engine::media::Codec;
use vitrail_engine::{Error, ErrorKind, Result};

use crate::Profile;
use crate::clip::Clip;

/// A gst-rtsp-server of a few loops; dropping it ends its thread.
pub struct GstServer {
    address: SocketAddr,
    main_loop: glib::MainLoop,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl GstServer {
    /// Serves the loops under `/cam/N/PROFILE` on a port of the system's choice, one shared
    /// pipeline for each.
    pub fn start(clips: impl IntoIterator<Item = (u16, Profile, Arc<Clip>)>) -> Result<GstServer> {
        crate::start_gstreamer()?;
        let wrong = |what: &'static str| Error::new(ErrorKind::Missing, "gst-rtsp-server", what);
        let context = glib::MainContext::new();
        let main_loop = glib::MainLoop::new(Some(&context), false);
        let server = rtsp_server::RTSPServer::new();
        server.set_address("127.0.0.1");
        server.set_service("0");
        let mounts = server.mount_points().ok_or_else(|| wrong("has no mount points"))?;
        for (camera, profile, clip) in clips {
            mounts.add_factory(&format!("/cam/{camera}/{profile}"), factory(clip));
        }
        server.attach(Some(&context)).map_err(|e| wrong("cannot be attached").caused_by(e))?;
        let port = u16::try_from(server.bound_port()).map_err(|_| wrong("has no port"))?;
        let running = main_loop.clone();
        let thread = std::thread::Builder::new()
            .name("gst-rtsp".to_owned())
            .spawn(move || {
                running.run();
                drop(server);
            })
            .map_err(|e| wrong("cannot start a thread").caused_by(e))?;
        Ok(GstServer { address: ([127, 0, 0, 1], port).into(), main_loop, thread: Some(thread) })
    }

    /// The URI of a stream.
    pub fn uri(&self, camera: u16, profile: Profile) -> String {
        format!("rtsp://{}/cam/{camera}/{profile}", self.address)
    }
}

impl Drop for GstServer {
    fn drop(&mut self) {
        self.main_loop.quit();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn factory(clip: Arc<Clip>) -> rtsp_server::RTSPMediaFactory {
    let factory = rtsp_server::RTSPMediaFactory::new();
    let name = if clip.codec == Codec::H264 { "h264" } else { "h265" };
    factory.set_launch(&format!(
        "( appsrc name=in is-live=true format=time do-timestamp=false \
         caps=video/x-{name},stream-format=byte-stream,alignment=au ! {name}parse ! \
         rtp{name}pay name=pay0 pt=96 config-interval=-1 )"
    ));
    factory.set_shared(true);
    let feeds: Arc<Mutex<HashMap<usize, Feed>>> = Arc::default();
    factory.connect_media_configure(move |_, media| {
        let source = media
            .element()
            .downcast::<gst::Bin>()
            .ok()
            .and_then(|bin| bin.by_name("in"))
            .and_then(|e| e.downcast::<gst_app::AppSrc>().ok());
        let Some(source) = source else { return };
        let key = source.as_ptr() as usize;
        let feed = Feed::start(source, clip.clone());
        feeds.lock().insert(key, feed);
        let feeds = feeds.clone();
        media.connect_unprepared(move |_| {
            feeds.lock().remove(&key);
        });
    });
    factory
}

/// A thread that pushes a loop into a source at the loop's rate.
struct Feed {
    source: gst_app::AppSrc,
    ending: Arc<AtomicBool>,
}

impl Feed {
    fn start(source: gst_app::AppSrc, clip: Arc<Clip>) -> Feed {
        let ending = Arc::new(AtomicBool::new(false));
        let (pushed, ended) = (source.clone(), ending.clone());
        let body = move || {
            let begun = Instant::now();
            let mut first = None;
            for count in 0u64.. {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let at = |n: u64| {
                    let scaled = u128::from(n) * 1_000_000_000 * u128::from(clip.rate.den);
                    gst::ClockTime::from_nseconds((scaled / u128::from(clip.rate.num)) as u64)
                };
                std::thread::sleep(Duration::from(at(count)).saturating_sub(begun.elapsed()));
                // A source has its clock a moment before the time at which that began: what it then takes for the
                // time since the start is the clock's own, and a picture of that time would never be sent.
                if pushed.current_state() != gst::State::Playing {
                    continue;
                }
                let running = pushed.current_running_time().unwrap_or_default();
                let pts = *first.get_or_insert(running.saturating_sub(at(count))) + at(count);
                let index = (count % clip.frames.len() as u64) as usize;
                let mut buffer = gst::Buffer::from_mut_slice(clip.annex_b(index));
                if let Some(buffer) = buffer.get_mut() {
                    buffer.set_pts(pts);
                    buffer.set_duration(at(count + 1) - at(count));
                }
                // Refused while the media is being prepared or ends: `ended` tells which.
                let _ = pushed.push_buffer(buffer);
            }
        };
        let _ = std::thread::Builder::new().name("gst-rtsp-feed".to_owned()).spawn(body);
        Feed { source, ending }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        let _ = self.source.end_of_stream();
    }
}
