//! The simulated cameras of `vitrail capacity max`: a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use vitrail_engine::Result;
use vitrail_engine::base::Shutdown;
use vitrail_engine::effort::StreamLoad;

use super::trial::{broken, this_program};

/// Encoding a camera's loop for the first time takes about a second; later it comes from the cache.
const PREPARE: Duration = Duration::from_millis(1500);

/// A child that is ended when dropped.
pub(super) struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Simulated cameras, kept from one trial to the next while there are enough of them.
pub struct Simulated {
    load: StreamLoad,
    codecs: &'static str,
    running: Option<(u32, String, Running)>,
}

impl Simulated {
    /// None yet.
    pub fn new(load: StreamLoad, codecs: &'static str) -> Simulated {
        Simulated { load, codecs, running: None }
    }

    /// From one key frame of a camera to the next, in seconds.
    pub(super) fn key_interval_s(&self) -> f64 {
        self.load.key_interval_s
    }

    /// Width and height of a camera's pictures, in pixels.
    pub(super) fn picture(&self) -> (u32, u32) {
        (self.load.width, self.load.height)
    }

    /// At least so many cameras; their address and their process.
    pub(super) fn at_least(&mut self, count: u32, stop: &Shutdown) -> Result<(String, u32)> {
        if self.running.as_ref().is_none_or(|(running, ..)| *running < count) {
            self.running = None;
            self.running = Some(self.start(count, stop)?);
        }
        let (_, address, running) =
            self.running.as_ref().ok_or_else(|| broken("cameras", "did not start"))?;
        Ok((address.clone(), running.0.id()))
    }

    fn start(&self, count: u32, stop: &Shutdown) -> Result<(u32, String, Running)> {
        let load = &self.load;
        let mut child = Command::new(this_program()?)
            .args(["--log", "error", "cameras", "--count", &count.to_string()])
            .args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--codecs", self.codecs])
            .args(["--sub", &format!("{}x{}@{}", load.width, load.height, load.fps)])
            .args(["--sub-bitrate", &format!("{:.0}", load.bits_per_second)])
            .args(["--gop-seconds", &load.key_interval_s.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| broken("cameras", "cannot be started").caused_by(e))?;
        let out = child.stdout.take();
        let mut running = Running(child);
        let (told, ready) = mpsc::channel();
        std::thread::spawn(move || {
            for line in out.into_iter().flat_map(|out| BufReader::new(out).lines()).map_while(|l| l.ok()) {
                let address = line.split("rtsp://").nth(1).and_then(|rest| rest.split('/').next());
                if let Some(address) = address {
                    let _ = told.send(address.to_owned());
                }
            }
        });
        let deadline = Instant::now() + Duration::from_secs(60) + PREPARE * count;
        loop {
            match ready.recv_timeout(Duration::from_millis(200)) {
                Ok(address) => return Ok((count, address, running)),
                Err(_) if stop.is_cancelled() => return Err(broken("cameras", "were not wanted any more")),
                Err(_) if Instant::now() > deadline => {
                    return Err(broken("cameras", "were not ready in time; are x264 and x265 installed?"));
                }
                Err(_) => {}
            }
            if let Ok(Some(status)) = running.0.try_wait() {
                let what = "ended at once; run `vitrail cameras` with this profile to see why";
                return Err(broken("cameras", what).caused_by(std::io::Error::other(status.to_string())));
            }
        }
    }
}
