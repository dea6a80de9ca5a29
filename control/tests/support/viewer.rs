//! A viewer like a browser, in Rust: it offers, connects, takes packets in and decodes.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, KeyframeRequestKind, MediaData, MediaKind};
use str0m::net::{DatagramRecv, Protocol, Receive};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig};
use vitrail_engine::base::Moment;
use vitrail_engine::decode::{Decoder, DecoderRequest, LibavDecoder};
use vitrail_engine::media::{AccessUnit, Codec, Pts};
use vitrail_simulator::code::{self, Code};

/// A viewer that has made its offer.
pub struct Client {
    rtc: Rtc,
    pending: SdpPendingOffer,
    socket: UdpSocket,
    pub offer: String,
}

/// What a viewer's thread leaves for the test.
#[derive(Default)]
pub struct Facts {
    /// Connected since then.
    pub connected: OnceLock<Instant>,
    /// The other side said goodbye.
    pub closed: OnceLock<Instant>,
    /// When the last packet of a picture came.
    pub last_packet: Mutex<Option<Instant>>,
    pub packets: AtomicU64,
    pub lost: AtomicU64,
    pub keys_asked: AtomicU64,
    /// Cancels the thread.
    stop: AtomicBool,
    /// From now on it reads nothing and says nothing.
    pub deaf: AtomicBool,
}

/// A picture as it came.
pub struct Unit {
    pub at: Instant,
    pub key: bool,
    /// Nothing is missing since the one before.
    pub contiguous: bool,
    /// 90 kHz.
    pub time: u64,
    pub data: Arc<[u8]>,
}

/// A viewer that watches.
pub struct Viewing {
    pub units: Receiver<Unit>,
    pub facts: Arc<Facts>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    pub fn new() -> Client {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let now = Instant::now();
        // A key frame may be hundreds of packets.
        let mut rtc = RtcConfig::new().set_reordering_size_video(1000).build(now);
        rtc.add_local_candidate(Candidate::host(socket.local_addr().unwrap(), "udp").unwrap());
        let mut changes = rtc.sdp_api();
        changes.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        let (offer, pending) = changes.apply().unwrap();
        Client { offer: offer.to_sdp_string(), rtc, pending, socket }
    }

    /// Watches under this answer; `loss` of the packets of pictures do not arrive.
    pub fn watch(mut self, answer: &str, loss: f64) -> Viewing {
        let answer = SdpAnswer::from_sdp_string(answer).unwrap();
        self.rtc.sdp_api().accept_answer(self.pending, answer).unwrap();
        let facts = Arc::new(Facts::default());
        let (out, units) = mpsc::channel();
        let run =
            Run { rtc: self.rtc, socket: self.socket, facts: facts.clone(), out, loss, key_asked: None };
        Viewing { units, facts, thread: Some(std::thread::spawn(|| run.run())) }
    }
}

impl Drop for Viewing {
    fn drop(&mut self) {
        self.facts.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let failed = thread.join().is_err();
            assert!(!failed || std::thread::panicking(), "the viewer's thread panicked");
        }
    }
}

struct Run {
    rtc: Rtc,
    socket: UdpSocket,
    facts: Arc<Facts>,
    out: Sender<Unit>,
    loss: f64,
    key_asked: Option<Instant>,
}

impl Run {
    fn run(mut self) {
        let local = self.socket.local_addr().unwrap();
        let mut buffer = vec![0; 2048];
        while !self.facts.stop.load(Ordering::Relaxed) && self.rtc.is_alive() {
            if self.facts.deaf.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
                continue;
            }
            let due = self.drain();
            let wait = due.saturating_duration_since(Instant::now());
            let wait = wait.clamp(Duration::from_millis(1), Duration::from_millis(50));
            self.socket.set_read_timeout(Some(wait)).unwrap();
            match self.socket.recv_from(&mut buffer) {
                Ok((length, source)) => self.take(source, local, &buffer[..length]),
                Err(_) => self.rtc.handle_input(Input::Timeout(Instant::now())).unwrap(),
            }
        }
    }

    fn take(&mut self, source: SocketAddr, destination: SocketAddr, datagram: &[u8]) {
        let now = Instant::now();
        let picture = matches!(datagram, [128..=191, second, ..] if !(64..=95).contains(&(second & 0x7f)));
        if picture {
            self.facts.packets.fetch_add(1, Ordering::Relaxed);
            *self.facts.last_packet.lock() = Some(now);
            if rand::random::<f64>() < self.loss {
                self.facts.lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
        let Ok(contents) = DatagramRecv::try_from(datagram) else { return };
        let receive = Receive { proto: Protocol::Udp, source, destination, contents };
        self.rtc.handle_input(Input::Receive(now, receive)).unwrap();
    }

    fn drain(&mut self) -> Instant {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Transmit(t) => {
                    self.socket.send_to(&t.contents, t.destination).unwrap();
                }
                Output::Timeout(at) => return at,
                Output::Event(Event::Connected) => {
                    let _ = self.facts.connected.set(Instant::now());
                }
                Output::Event(Event::Closed) => {
                    let _ = self.facts.closed.set(Instant::now());
                }
                Output::Event(Event::IceConnectionStateChange(IceConnectionState::Disconnected)) => {
                    self.rtc.disconnect();
                }
                Output::Event(Event::MediaData(media)) => self.picture(media),
                Output::Event(_) => {}
            }
        }
    }

    fn picture(&mut self, media: MediaData) {
        let now = Instant::now();
        if !media.contiguous && self.key_asked.is_none_or(|at| now - at > Duration::from_millis(200)) {
            self.key_asked = Some(now);
            self.facts.keys_asked.fetch_add(1, Ordering::Relaxed);
            let mut writer = self.rtc.writer(media.mid).unwrap();
            writer.request_keyframe(None, KeyframeRequestKind::Pli).unwrap();
        }
        let (key, contiguous, time) = (media.is_keyframe(), media.contiguous, media.time.numer());
        let _ = self.out.send(Unit { at: now, key, contiguous, time, data: media.data });
    }
}

/// Decodes what a viewer gets, and reads the simulator's codes.
pub struct Eyes {
    decoder: LibavDecoder,
    /// A key frame came, and nothing was missing since.
    whole: bool,
}

/// What was seen in one picture.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub size: (u32, u32),
    pub code: Option<Code>,
    /// Nothing was missing for the decoder.
    pub whole: bool,
}

impl Eyes {
    pub fn new() -> Eyes {
        Eyes { decoder: LibavDecoder::open(&DecoderRequest::live(Codec::H264)).unwrap(), whole: false }
    }

    /// The picture in a unit that fills the screen with one camera; `None` where the decoder gives none.
    pub fn look(&mut self, unit: &Unit) -> Option<Look> {
        self.whole = unit.key || self.whole && unit.contiguous;
        let access_unit = AccessUnit {
            pts: Pts::from_90khz(unit.time as i64),
            arrival: Moment::default(),
            captured: None,
            random_access: unit.key,
            disposable: false,
            loss: !unit.contiguous,
            data: unit.data.to_vec().into(),
        };
        let (mut seen, whole) = (None, self.whole);
        let _ = self.decoder.decode(&access_unit, &mut |picture| {
            let (w, h) = (picture.width as usize, picture.height as usize);
            let plane = &picture.planes[0];
            let code = code::read(&plane.data, plane.stride, (w, h), None);
            seen =
                Some(Look { size: (picture.width, picture.height), code, whole: whole && !picture.damaged });
        });
        seen
    }
}
