//! One viewer: its WebRTC state machine, what waits to be sent to it, and when it ends.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::media::{MediaTime, Mid, Pt};
use str0m::net::{DatagramRecv, Protocol, Receive, Transmit};
use str0m::{Event, IceConnectionState, Input, Output, Rtc};
use tokio::net::UdpSocket;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use vitrail_engine::media::AccessUnit;
use vitrail_engine::output::Tap;

use super::Watcher;
use super::feed::{Feeding, Inlet};
use super::sdp::Negotiated;

/// A browser that was given its answer begins its checks at once.
const CONNECT: Duration = Duration::from_secs(15);
/// A browser that is there sends receiver reports every second or so, and checks within 5 s (RFC
/// 7675); one that is silent for so long is gone.
const SILENCE: Duration = Duration::from_secs(10);
/// A wall gives a picture at every tick; one that gives none for so long has ended or is broken, and the
/// browser is told so by the end of its session.
const STALL: Duration = Duration::from_secs(10);
/// How long an end may take: goodbyes are sent, and nobody answers for certain.
const GOODBYE: Duration = Duration::from_millis(500);
/// At most one key frame a second is asked for on behalf of one viewer: each costs all others bits.
const KEY_INTERVAL: Duration = Duration::from_secs(1);
/// Packets that leave at once; most pictures are smaller.
const BURST: f64 = 32.0;
/// Packets a millisecond after that: 115 Mb/s. A key frame of 300 packets is spread over 25 ms, so
/// that it does not overflow buffers of 100 packets on its way.
const RATE: f64 = 12.0;
/// Packets that wait, beyond which no further picture is taken in: the feed then drops to the next
/// key frame. A second at 12 Mb/s.
const FULL: usize = 1250;
/// State machines that want to be driven on at once are, but not for ever.
const TURNS: usize = 10_000;

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Until then it must be connected.
    Connecting(Instant),
    Connected,
    /// Until then goodbyes are sent.
    Ending(Instant),
    Over,
}

/// One viewer.
pub(super) struct Session {
    id: String,
    screen: String,
    account: String,
    rtc: Rtc,
    mid: Mid,
    payload_type: Pt,
    /// This machine's address as the browser knows it.
    address: SocketAddr,
    inlet: Arc<Inlet>,
    /// Gone as soon as the session ends: then the encoder's thread gives it nothing more.
    tap: Option<Tap>,
    login: CancellationToken,
    /// Cancelled to end this session alone.
    end: CancellationToken,
    stage: Stage,
    heard: Instant,
    /// When the wall last gave a picture.
    fed: Instant,
    key_asked: Option<Instant>,
    outbox: Outbox,
    /// When it must be driven at the latest.
    due: Instant,
    _seat: OwnedSemaphorePermit,
    _look: Option<Arc<super::OpenLook>>,
}

/// What the rest of the room sees of a session.
#[derive(Clone)]
pub(super) struct SessionHandle {
    pub id: String,
    pub screen: String,
    pub account: String,
    pub end: CancellationToken,
}

impl Session {
    /// A session that was agreed on, and is not connected yet.
    pub fn new(
        negotiated: Negotiated,
        inlet: Arc<Inlet>,
        tap: Tap,
        watcher: &Watcher,
        screen: &str,
        seat: OwnedSemaphorePermit,
    ) -> Session {
        let now = Instant::now();
        let Negotiated { rtc, mid, payload_type, address, answer: _ } = negotiated;
        Session {
            id: format!("{:032x}", rand::random::<u128>()),
            screen: screen.to_owned(),
            account: watcher.account.clone(),
            rtc,
            mid,
            payload_type,
            address,
            inlet,
            tap: Some(tap),
            login: watcher.ended.clone(),
            end: CancellationToken::new(),
            stage: Stage::Connecting(now + CONNECT),
            heard: now,
            fed: now,
            key_asked: None,
            outbox: Outbox::new(now),
            due: now,
            _seat: seat,
            _look: watcher.look.clone(),
        }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn known(&self) -> SessionHandle {
        SessionHandle {
            id: self.id.clone(),
            screen: self.screen.clone(),
            account: self.account.clone(),
            end: self.end.clone(),
        }
    }

    /// Ends with the login or with the session.
    pub fn ends(&self) -> (CancellationToken, CancellationToken) {
        (self.login.clone(), self.end.clone())
    }

    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    pub fn is_connected(&self) -> bool {
        self.stage == Stage::Connected
    }

    pub fn counted(&self) -> Feeding {
        self.inlet.counted()
    }

    pub fn sent(&self) -> Sent {
        self.outbox.sent
    }

    /// Packets that wait to be sent.
    pub fn waiting(&self) -> usize {
        self.outbox.packets.len()
    }

    /// When it must be driven, unless something comes before.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// True where it must be driven now.
    pub fn wants(&self, now: Instant) -> bool {
        now >= self.due || self.inlet.take_fresh() || self.must_end()
    }

    fn must_end(&self) -> bool {
        matches!(self.stage, Stage::Connecting(_) | Stage::Connected)
            && (self.login.is_cancelled() || self.end.is_cancelled())
    }

    /// Drives it: what came is taken in, what is due is sent.
    pub fn drive(&mut self, now: Instant, socket: &UdpSocket) {
        self.check(now);
        let mut due = self.drain(now);
        while self.is_connected() && self.outbox.packets.len() < FULL {
            let Some(unit) = self.inlet.next() else { break };
            self.fed = now;
            self.write(&unit, now);
            due = self.drain(now);
        }
        let key_due = self.ask_for_key(now);
        let sent = self.outbox.flush(now, socket);
        self.conclude(now);
        self.due = [key_due, sent, self.deadline()].into_iter().flatten().fold(due, Instant::min);
    }

    /// Takes a datagram in, where it is for this session.
    pub fn receive(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) -> bool {
        let Ok(contents) = DatagramRecv::try_from(datagram) else { return false };
        let receive = Receive { proto: Protocol::Udp, source, destination: self.address, contents };
        let input = Input::Receive(now, receive);
        if !self.rtc.accepts(&input) {
            return false;
        }
        self.heard = now;
        self.due = now;
        if let Err(error) = self.rtc.handle_input(input) {
            tracing::debug!(session = %self.id, %error, "a viewer's packet cannot be taken");
            self.begin_end(now);
        }
        self.drain(now);
        true
    }

    fn check(&mut self, now: Instant) {
        let late = match self.stage {
            Stage::Connecting(until) => now >= until,
            Stage::Connected => now >= self.heard + SILENCE || now >= self.fed + STALL,
            Stage::Ending(_) | Stage::Over => false,
        };
        if late || self.must_end() || !self.rtc.is_alive() {
            self.begin_end(now);
        }
    }

    /// Nothing of the picture leaves from here on; goodbyes do.
    fn begin_end(&mut self, now: Instant) {
        if matches!(self.stage, Stage::Ending(_) | Stage::Over) {
            return;
        }
        self.tap = None;
        self.inlet.close();
        self.outbox.packets.clear();
        self.stage = Stage::Ending(now + GOODBYE);
        if self.rtc.close().is_err() {
            self.rtc.disconnect();
        }
    }

    fn conclude(&mut self, now: Instant) {
        let Stage::Ending(until) = self.stage else { return };
        if now >= until || !self.rtc.is_alive() && self.outbox.packets.is_empty() {
            self.rtc.disconnect();
            self.stage = Stage::Over;
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Connecting(until) | Stage::Ending(until) => Some(until),
            Stage::Connected => Some((self.heard + SILENCE).min(self.fed + STALL)),
            Stage::Over => None,
        }
    }

    /// Drives the state machine until it has nothing to do before the time returned.
    fn drain(&mut self, now: Instant) -> Instant {
        for _ in 0..TURNS {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(packet)) => {
                    self.outbox.put(packet, matches!(self.stage, Stage::Ending(_)))
                }
                Ok(Output::Event(event)) => self.on(event, now),
                Ok(Output::Timeout(at)) if at > now || !self.rtc.is_alive() => return at,
                Ok(Output::Timeout(_)) => {
                    if self.rtc.handle_input(Input::Timeout(now)).is_err() {
                        self.rtc.disconnect();
                    }
                }
                Err(error) => {
                    tracing::debug!(session = %self.id, %error, "a viewer's session failed");
                    self.begin_end(now);
                    self.rtc.disconnect();
                }
            }
        }
        now + Duration::from_millis(1)
    }

    fn on(&mut self, event: Event, now: Instant) {
        match event {
            Event::Connected if matches!(self.stage, Stage::Connecting(_)) => {
                tracing::info!(session = %self.id, screen = %self.screen, "a viewer is connected");
                self.stage = Stage::Connected;
                self.fed = now;
                self.inlet.restart();
            }
            Event::KeyframeRequest(_) => self.inlet.want_key(),
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) | Event::Closed => {
                self.begin_end(now);
            }
            _ => {}
        }
    }

    fn write(&mut self, unit: &AccessUnit, now: Instant) {
        let Some(writer) = self.rtc.writer(self.mid) else { return };
        let time = MediaTime::from_90khz(u64::try_from(unit.pts.as_90khz()).unwrap_or_default());
        // As soon as it is decoded: a wall is watched for what happens now.
        let writer = writer.playout_delay(MediaTime::ZERO, MediaTime::ZERO);
        if let Err(error) = writer.write(self.payload_type, now, time, unit.data.as_ref()) {
            tracing::debug!(session = %self.id, %error, "a picture cannot be sent");
        }
    }

    /// Passes the wish for a key frame on, and says when to come again where it is too soon for that.
    fn ask_for_key(&mut self, now: Instant) -> Option<Instant> {
        if !self.is_connected() || !self.inlet.wants_key() {
            return None;
        }
        match self.key_asked.map(|last| last + KEY_INTERVAL) {
            Some(again) if now < again => Some(again),
            _ => {
                self.key_asked = Some(now);
                self.inlet.key_asked();
                self.tap.as_ref()?.request_key();
                None
            }
        }
    }
}

/// What was handed to the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sent {
    pub packets: u64,
    pub bytes: u64,
}

/// Packets on their way to one viewer, at a steady rate.
struct Outbox {
    packets: VecDeque<Transmit>,
    credit: f64,
    filled: Instant,
    sent: Sent,
}

impl Outbox {
    fn new(now: Instant) -> Outbox {
        Outbox { packets: VecDeque::new(), credit: BURST, filled: now, sent: Sent::default() }
    }

    /// Puts a packet last; at an end, pictures that still come out of the state machine are left out.
    fn put(&mut self, packet: Transmit, ending: bool) {
        match Kind::of(&packet.contents) {
            Kind::Picture if ending => {}
            Kind::Picture => self.packets.push_back(packet),
            // Checks, handshakes and reports do not wait behind a key frame.
            Kind::Other => self.packets.push_front(packet),
        }
    }

    /// Sends what may be sent; says when to come again where something is left.
    fn flush(&mut self, now: Instant, socket: &UdpSocket) -> Option<Instant> {
        let passed = now.saturating_duration_since(self.filled);
        self.filled = now;
        self.credit = (self.credit + passed.as_secs_f64() * 1000.0 * RATE).min(BURST);
        while self.credit >= 1.0 {
            let packet = self.packets.front()?;
            match socket.try_send_to(&packet.contents, packet.destination) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                // Whatever else is wrong with it: the viewer asks for what it lacks, or is gone.
                Err(error) => tracing::trace!(%error, "a packet cannot be sent"),
                Ok(bytes) => {
                    self.sent.packets += 1;
                    self.sent.bytes += bytes as u64;
                }
            }
            self.credit -= 1.0;
            self.packets.pop_front();
        }
        (!self.packets.is_empty()).then(|| now + Duration::from_millis(1))
    }
}

/// What a datagram carries (RFC 7983, RFC 5761).
#[derive(PartialEq, Eq)]
enum Kind {
    /// RTP: parts of pictures.
    Picture,
    /// STUN, DTLS, RTCP.
    Other,
}

impl Kind {
    fn of(datagram: &[u8]) -> Kind {
        match datagram {
            [128..=191, second, ..] if !(64..=95).contains(&(second & 0x7f)) => Kind::Picture,
            _ => Kind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_told_from_pictures() {
        assert!(
            Kind::of(&[0x80, 0x60, 0, 1]) == Kind::Picture && Kind::of(&[0x80, 0xe0, 0, 1]) == Kind::Picture
        );
        assert!(Kind::of(&[0x80, 200, 0, 6]) == Kind::Other && Kind::of(&[0x81, 205, 0, 6]) == Kind::Other);
        assert!(Kind::of(&[0, 1, 0, 0]) == Kind::Other && Kind::of(&[22, 254]) == Kind::Other);
        assert!(Kind::of(&[]) == Kind::Other);
    }
}
