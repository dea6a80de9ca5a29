//! One stream of one camera: its place on the schedule, its loop, its RTP state and its clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use rand::RngExt;
use tokio::sync::mpsc;
use vitrail_engine::base::{Counter, Moment};
use vitrail_engine::media::Ratio;

use crate::Profile;
use crate::clip::Clip;
use crate::code::Code;
use crate::faults::{Fault, Faults};
use crate::rtsp::packet;

/// Frames that wait for one client: about 2.5 s at 12.5 a second. When they are full, frames are
/// dropped for this client until the next key frame.
const CLIENT_QUEUE: usize = 32;
/// Swapped with the next: one packet in so many.
const REORDER_EVERY: usize = 5;

/// What all streams count.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub frames: Counter,
    pub packets: Counter,
    pub bytes: Counter,
    /// Frames that a client did not get because its queue was full.
    pub dropped: Counter,
    pub lost: Counter,
    pub corrupted: Counter,
    pub connections: Counter,
    pub refused: Counter,
}

/// One frame on its way to clients: shared by all of them.
#[derive(Debug)]
pub(crate) struct Burst {
    /// RTP packets, each behind an interleaved header for channel 0.
    pub data: Bytes,
    /// Where each packet with its header ends.
    pub ends: Vec<usize>,
    /// A sender report for this instant.
    pub report: Vec<u8>,
    pub key: bool,
    /// What its pixels say; `None` where they do not say it (freeze).
    pub code: Option<Code>,
    pub count: u64,
}

struct Client {
    sender: mpsc::Sender<Arc<Burst>>,
    until_key: bool,
}

/// A loop that stands in for the regular one while a fault is on.
struct StandIn {
    fault: Fault,
    clip: Arc<Clip>,
}

struct State {
    clip: Option<Arc<Clip>>,
    stand_in: Option<StandIn>,
    /// Whether the running GOP is the stand-in's.
    substituted: bool,
    clients: Vec<Client>,
    seq: u16,
    packets: u32,
    octets: u32,
    held: Option<Vec<u8>>,
    since_swap: usize,
    /// Whether the pacer has this stream on its list.
    running: bool,
}

/// One stream of one camera.
pub(crate) struct Stream {
    pub camera: u16,
    pub profile: Profile,
    pub faults: Arc<Faults>,
    ssrc: u32,
    first_timestamp: u32,
    rate: Ratio,
    gop: usize,
    phase: Duration,
    /// By so many frames its loop is ahead of the schedule.
    ahead: u64,
    state: Mutex<State>,
    viewers: AtomicU64,
}

/// Where a stream stands, for the answer to PLAY.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    pub seq: u16,
    pub timestamp: u32,
    pub ssrc: u32,
}

impl Stream {
    pub fn new(camera: u16, profile: Profile, faults: Arc<Faults>, rate: Ratio, gop: usize) -> Stream {
        let mut dice = rand::rng();
        // The golden ratio spreads any number of cameras evenly over a frame's duration. The root of two
        // spreads their key frames over a GOP, because real cameras were not switched on together: one
        // ratio for both would lay the key frames that share a slot side by side again.
        let share = (f64::from(camera) * 0.618_033_988_749 + f64::from(profile as u8) * 0.5).fract();
        let of_gop = (f64::from(camera) * std::f64::consts::SQRT_2).fract();
        Stream {
            camera,
            profile,
            faults,
            ssrc: dice.random(),
            first_timestamp: dice.random(),
            rate,
            gop,
            phase: Duration::from_secs_f64(share / rate.as_f64()),
            ahead: (of_gop * gop as f64) as u64,
            state: Mutex::new(State {
                clip: None,
                stand_in: None,
                substituted: false,
                clients: Vec::new(),
                seq: dice.random(),
                packets: 0,
                octets: 0,
                held: None,
                since_swap: 0,
                running: false,
            }),
            viewers: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub fn set_clip(&self, clip: Arc<Clip>) {
        self.lock().clip = Some(clip);
    }

    pub fn clip(&self) -> Option<Arc<Clip>> {
        self.lock().clip.clone()
    }

    /// Shows `clip` from the next key frame on, while `fault` is on.
    pub fn set_stand_in(&self, fault: Fault, clip: Arc<Clip>) {
        self.lock().stand_in = Some(StandIn { fault, clip });
    }

    /// Clients that play.
    pub fn viewers(&self) -> u64 {
        self.viewers.load(Ordering::Relaxed)
    }

    /// When frame `count` of the schedule is due.
    pub fn due(&self, count: u64) -> Moment {
        let nanos = u128::from(count) * 1_000_000_000 * u128::from(self.rate.den) / u128::from(self.rate.num);
        Moment(nanos as u64) + self.phase
    }

    /// The first frame that is due after `now`.
    pub fn next_after(&self, now: Moment) -> u64 {
        let since = now.since(Moment(0) + self.phase).as_nanos();
        (since * u128::from(self.rate.num) / (1_000_000_000 * u128::from(self.rate.den))) as u64 + 1
    }

    /// Which frame of a loop of so many whole GOPs goes out as frame `count` of the schedule.
    fn index(&self, count: u64, frames: usize) -> usize {
        ((count + self.ahead) % frames as u64) as usize
    }

    fn timestamp(&self, count: u64) -> u32 {
        let ticks = u128::from(count) * 90_000 * u128::from(self.rate.den) / u128::from(self.rate.num);
        let ahead = if self.faults.has(Fault::Jump) { 3600 * 90_000 } else { 0 };
        self.first_timestamp.wrapping_add(ticks as u32).wrapping_add(ahead)
    }

    /// Adds a client; true where the pacer must be told of the stream.
    pub fn join(&self) -> (mpsc::Receiver<Arc<Burst>>, bool) {
        let (sender, receiver) = mpsc::channel(CLIENT_QUEUE);
        let mut state = self.lock();
        state.clients.push(Client { sender, until_key: false });
        self.viewers.store(state.clients.len() as u64, Ordering::Relaxed);
        let start = !state.running;
        state.running = true;
        (receiver, start)
    }

    /// Where the stream will stand at its next frame.
    pub fn position(&self, now: Moment) -> Position {
        let seq = self.lock().seq;
        Position { seq, timestamp: self.timestamp(self.next_after(now)), ssrc: self.ssrc }
    }

    /// Sends frame `count` to all clients; false where there are none left.
    pub fn emit(&self, count: u64, captured: Duration, totals: &Totals) -> bool {
        let mut state = self.lock();
        state.clients.retain(|client| !client.sender.is_closed());
        if self.faults.has(Fault::Drop) {
            state.clients.clear();
        }
        self.viewers.store(state.clients.len() as u64, Ordering::Relaxed);
        if state.clients.is_empty() {
            state.running = false;
            return false;
        }
        if self.faults.has(Fault::Silent) {
            return true;
        }
        let Some(burst) = self.burst(&mut state, count, captured, totals) else { return true };
        let burst = Arc::new(burst);
        for client in &mut state.clients {
            if client.until_key && !burst.key {
                totals.dropped.add_one();
                continue;
            }
            client.until_key = client.sender.try_send(burst.clone()).is_err();
            if client.until_key {
                totals.dropped.add_one();
            }
        }
        true
    }

    fn burst(&self, state: &mut State, count: u64, captured: Duration, totals: &Totals) -> Option<Burst> {
        let regular = state.clip.clone()?;
        if self.index(count, self.gop) == 0 {
            let wanted = |stand_in: &StandIn| self.faults.has(stand_in.fault);
            state.substituted = state.stand_in.as_ref().is_some_and(wanted);
        }
        let stand_in = state.stand_in.as_ref().filter(|_| state.substituted);
        let clip = stand_in.map_or(regular, |s| s.clip.clone());
        let frozen = stand_in.is_some_and(|s| s.fault == Fault::Freeze);
        let index = self.index(count, clip.frames.len());
        let frame = &clip.frames[index];
        let timestamp = self.timestamp(count);

        let mut payloads = Vec::new();
        if frame.key {
            payloads = packet::payloads(clip.codec, &clip.sets);
        }
        let sets = payloads.len();
        payloads.extend(packet::payloads(clip.codec, &frame.nals));
        if self.faults.has(Fault::Corrupt) && rand::rng().random_bool(0.5) {
            corrupt(&mut payloads[sets..]);
            totals.corrupted.add_one();
        }
        let loss = self.faults.list().iter().find_map(|f| match f {
            Fault::Loss(percent) => Some(f64::from(*percent) / 100.0),
            _ => None,
        });
        let reorder = self.faults.has(Fault::Reorder);

        let size = payloads.iter().map(|p| p.len() + 16).sum::<usize>();
        let (mut data, mut ends) = (Vec::with_capacity(size), Vec::with_capacity(payloads.len()));
        let last = payloads.len() - 1;
        let mut octets = 0;
        for (i, payload) in payloads.iter().enumerate() {
            let seq = state.seq;
            state.seq = seq.wrapping_add(1);
            octets += payload.len() as u32;
            if loss.is_some_and(|p| rand::rng().random_bool(p)) {
                totals.lost.add_one();
                continue;
            }
            state.since_swap += 1;
            if reorder && state.since_swap >= REORDER_EVERY && state.held.is_none() {
                state.since_swap = 0;
                let mut held = Vec::new();
                packet::write_packet(&mut held, payload, i == last, seq, timestamp, self.ssrc);
                state.held = Some(held);
                continue;
            }
            packet::write_packet(&mut data, payload, i == last, seq, timestamp, self.ssrc);
            ends.push(data.len());
            if let Some(held) = state.held.take() {
                data.extend_from_slice(&held);
                ends.push(data.len());
            }
        }
        state.packets = state.packets.wrapping_add(ends.len() as u32);
        state.octets = state.octets.wrapping_add(octets);
        totals.frames.add_one();
        let code = Code { camera: self.camera, profile: self.profile, frame: index as u32 };
        Some(Burst {
            data: data.into(),
            ends,
            report: packet::sender_report(self.ssrc, captured, timestamp, state.packets, state.octets),
            key: frame.key,
            code: (!frozen).then_some(code),
            count,
        })
    }
}

/// Overwrites a run of bytes in the last third of one slice's packet, past its header.
fn corrupt(payloads: &mut [Vec<u8>]) {
    let mut dice = rand::rng();
    if payloads.is_empty() {
        return;
    }
    let which = dice.random_range(0..payloads.len());
    let payload = &mut payloads[which];
    let from = payload.len().min(24).max(payload.len() / 3);
    let to = payload.len().min(from + 48);
    for byte in &mut payload[from..to] {
        // Never zero, so that no start code appears.
        *byte = dice.random_range(1..=255);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::Coded;
    use vitrail_engine::media::Codec;

    fn stream(camera: u16) -> Stream {
        let rate = Ratio { num: 25, den: 2 };
        Stream::new(camera, Profile::Sub, Arc::default(), rate, 25)
    }

    #[test]
    fn frames_are_due_in_order_without_drift() {
        let stream = stream(5);
        let mut now = Moment(0);
        for n in 0..1000 {
            let count = stream.next_after(now);
            assert!(stream.due(count) > now, "frame {count} after {now:?}");
            assert!(stream.due(count - 1) <= now || count <= 1);
            now = stream.due(count);
            assert_eq!(count, n + 1);
        }
        assert_eq!(stream.due(125).since(stream.due(0)), Duration::from_secs(10));
    }

    #[test]
    fn cameras_do_not_send_at_the_same_instant() {
        let mut phases: Vec<u128> = (1..=100).map(|c| stream(c).phase.as_micros()).collect();
        phases.sort();
        let gap = phases.windows(2).map(|w| w[1] - w[0]).max().expect("there are gaps");
        assert!(gap < 80_000 / 100 * 3, "a gap of {gap} us");
        assert!(phases.iter().all(|&p| p < 80_000));
    }

    #[test]
    fn key_frames_of_many_cameras_are_spread_over_the_gop() {
        let mut slots = [0u32; 25];
        for camera in 1..=1000 {
            let stream = stream(camera);
            let is_key = |count: &usize| stream.index(*count as u64, 125).is_multiple_of(25);
            let keys: Vec<usize> = (0..25).filter(is_key).collect();
            assert_eq!(keys.len(), 1, "camera {camera}");
            slots[keys[0]] += 1;
        }
        assert!(slots.iter().all(|n| (35..=45).contains(n)), "{slots:?}");
    }

    #[test]
    fn the_code_names_the_frame_that_is_sent() {
        let rate = Ratio { num: 25, den: 2 };
        let nal = |bytes: &'static [u8]| Bytes::from_static(bytes);
        let picture = |key| Coded { nals: vec![nal(if key { &[0x65, 9] } else { &[0x41, 7] })], key };
        let clip = Clip {
            codec: Codec::H264,
            width: 64,
            height: 36,
            rate,
            sets: vec![nal(&[0x67, 1, 2]), nal(&[0x68, 3])],
            frames: [true, false, false, true, false, false].map(picture).to_vec(),
        };
        for camera in 1..=8 {
            let stream = Stream::new(camera, Profile::Sub, Arc::default(), rate, 3);
            stream.set_clip(Arc::new(clip.clone()));
            let (mut frames, _) = stream.join();
            let mut before = None;
            for count in 100..110 {
                assert!(stream.emit(count, Duration::ZERO, &Totals::default()));
                let burst = frames.try_recv().expect("a frame");
                let frame = burst.code.expect("a code").frame;
                assert_eq!(burst.key, clip.frames[frame as usize].key);
                assert!(before.is_none_or(|before: u32| (before + 1) % 6 == frame), "frame {frame}");
                before = Some(frame);
            }
        }
    }

    #[test]
    fn damage_spares_the_header_and_the_length() {
        let mut payloads = vec![(0..=255u8).collect::<Vec<_>>()];
        corrupt(&mut payloads);
        assert_eq!(payloads[0].len(), 256);
        assert_eq!(payloads[0][..80], (0..80u8).collect::<Vec<_>>());
        assert_ne!(payloads[0], (0..=255u8).collect::<Vec<_>>());
        corrupt(&mut [vec![1, 2]]);
        corrupt(&mut []);
    }
}
