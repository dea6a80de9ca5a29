//! Puts the pictures of a screen into MPEG-TS packets (ISO/IEC 13818-1): one program, one video
//! stream, and tables before every key frame, so that a receiver can begin at each.

use std::time::Duration;

use bytes::Bytes;

use crate::media::{AccessUnit, Codec};

/// Bytes of a packet.
pub(crate) const PACKET: usize = 188;
/// Bytes of a datagram or SRT message: seven packets, which fit an Ethernet frame also inside a
/// tunnel. What receivers of MPEG-TS over UDP expect.
pub(crate) const DATAGRAM: usize = 7 * PACKET;

/// The clock and the tables come at least this often: the standard asks for the first (section 2.7.2), and DVB for
/// the PAT (ETSI TR 101 290: 0.5 s).
const EVERY: Duration = Duration::from_millis(100);
/// How often a stream is to be looked after where no picture comes: then nothing comes too late.
pub(crate) const PULSE: Duration = Duration::from_millis(45);
/// How far the stream's clock runs behind its pictures: what a picture may take to be sent.
const LEAD: u64 = 9_000;

const PAT_PID: u16 = 0;
const PMT_PID: u16 = 0x1000;
const VIDEO_PID: u16 = 0x100;
const NULL_PID: u16 = 0x1fff;
const PROGRAM: u16 = 1;
/// Presentation times have 33 bits.
const TIME_MASK: u64 = (1 << 33) - 1;

/// Makes the packets of one stream, with its counters. Time is told to it: since whenever, for whoever sends them.
#[derive(Debug)]
pub(crate) struct Muxer {
    codec: Codec,
    /// Time of the first picture, nanoseconds.
    origin: Option<i64>,
    /// Time of the newest one, and when it was sent.
    newest: i64,
    sent: Duration,
    /// What the stream's clock showed last, and when.
    clock: i64,
    clock_at: Duration,
    tables_at: Option<Duration>,
    tables: [[u8; PACKET]; 2],
    table_count: u8,
    video_count: u8,
}

impl Muxer {
    pub fn new(codec: Codec) -> Muxer {
        Muxer {
            codec,
            origin: None,
            newest: 0,
            sent: Duration::ZERO,
            clock: 0,
            clock_at: Duration::ZERO,
            tables_at: None,
            tables: [table(PAT_PID, &pat()), table(PMT_PID, &pmt(codec))],
            table_count: 0,
            video_count: 0,
        }
    }

    /// A picture as whole packets, sent at `now`. A key frame's begin with PAT and PMT.
    pub fn picture(&mut self, unit: &AccessUnit, now: Duration) -> Bytes {
        let at = unit.pts.0;
        self.origin.get_or_insert(at);
        // A picture that is late comes when the clock is past it; times that jump back take the clock with them.
        let clock = if at < self.newest { at } else { at.max(self.clock) };
        (self.newest, self.sent) = (at, now);
        (self.clock, self.clock_at) = (clock, now);
        let head = self.pes_head(unit, self.ticks(at).wrapping_add(LEAD));
        let mut out = Vec::with_capacity((head.len() + unit.data.len()) / 184 * PACKET + 4 * PACKET);
        if unit.random_access || self.tables_at.is_none_or(|last| is_due(last, now)) {
            self.put_tables(&mut out, now);
        }
        let pcr = self.ticks(clock);
        self.put_picture(&mut out, (&head, &unit.data), unit.random_access, pcr);
        Bytes::from(out)
    }

    /// The stream's clock and tables, where no picture is to be sent at `now`; `None` where they have time until the
    /// next [`PULSE`], or nothing began yet.
    pub fn between(&mut self, now: Duration) -> Option<Bytes> {
        self.origin?;
        if !is_due(self.clock_at, now) && !self.tables_at.is_some_and(|last| is_due(last, now)) {
            return None;
        }
        let since = i64::try_from(now.saturating_sub(self.sent).as_nanos()).unwrap_or(i64::MAX);
        self.clock = self.newest.saturating_add(since).max(self.clock);
        self.clock_at = now;
        let mut out = Vec::with_capacity(3 * PACKET);
        self.put_tables(&mut out, now);
        self.put_clock(&mut out);
        Some(Bytes::from(out))
    }

    /// A time of the stream since its first picture, as its packets tell it.
    fn ticks(&self, at: i64) -> u64 {
        ninety(u64::try_from(at.saturating_sub(self.origin.unwrap_or(at))).unwrap_or(0))
    }

    /// A packet with the clock alone: it has the counter of the packet before it (section 2.4.3.3).
    fn put_clock(&self, out: &mut Vec<u8>) {
        out.push(0x47);
        out.extend_from_slice(&VIDEO_PID.to_be_bytes());
        out.push(0x20 | self.video_count.wrapping_sub(1) & 15);
        put_adaptation(out, PACKET - 4, Some((false, self.ticks(self.clock))));
    }

    fn put_tables(&mut self, out: &mut Vec<u8>, now: Duration) {
        self.tables_at = Some(now);
        for table in &mut self.tables {
            table[3] = 0x10 | self.table_count;
            out.extend_from_slice(table);
        }
        self.table_count = (self.table_count + 1) & 15;
    }

    /// Header of the elementary stream's packet, and what a picture in MPEG-TS must begin with.
    fn pes_head(&self, unit: &AccessUnit, pts: u64) -> Vec<u8> {
        let delimiter = self.missing_delimiter(&unit.data);
        // With its length a receiver knows at once that a picture is whole; 0 (too long to say) makes
        // it wait for the next.
        let length = u16::try_from(8 + delimiter.len() + unit.data.len()).unwrap_or(0);
        let pts = pts & TIME_MASK;
        let mut head = vec![0, 0, 1, 0xe0];
        head.extend_from_slice(&length.to_be_bytes());
        head.extend_from_slice(&[
            0x84, // data begins with a picture
            0x80, // a presentation time, which is the decoding time too
            5,
            0x21 | (pts >> 29) as u8 & 0x0e,
            (pts >> 22) as u8,
            0x01 | (pts >> 14) as u8 & 0xfe,
            (pts >> 7) as u8,
            0x01 | (pts << 1) as u8 & 0xfe,
        ]);
        head.extend_from_slice(delimiter);
        head
    }

    /// An access unit delimiter, which MPEG-TS requires (section 2.14), where the encoder gave none.
    fn missing_delimiter(&self, data: &[u8]) -> &'static [u8] {
        let start = data.iter().take(5).position(|b| *b == 1).map_or(0, |one| one + 1);
        let first = data.get(start).copied().unwrap_or(0);
        match self.codec {
            Codec::H265 if first >> 1 & 0x3f != 35 => &[0, 0, 0, 1, 0x46, 0x01, 0x50],
            Codec::H265 => &[],
            _ if first & 0x1f != 9 => &[0, 0, 0, 1, 0x09, 0xf0],
            _ => &[],
        }
    }

    fn put_picture(&mut self, out: &mut Vec<u8>, (head, data): (&[u8], &[u8]), key: bool, pcr: u64) {
        let total = head.len() + data.len();
        let mut sent = 0;
        while sent < total {
            let first = sent == 0;
            // The first carries the clock.
            let least = if first { 8 } else { 0 };
            let room = PACKET - 4 - least;
            let payload = room.min(total - sent);
            let adaptation = least + room - payload;
            let start = u16::from(first) << 14;
            out.push(0x47);
            out.extend_from_slice(&(start | VIDEO_PID).to_be_bytes());
            out.push(if adaptation > 0 { 0x30 } else { 0x10 } | self.video_count);
            self.video_count = (self.video_count + 1) & 15;
            put_adaptation(out, adaptation, first.then_some((key, pcr)));
            let from_head = head.len().saturating_sub(sent).min(payload);
            out.extend_from_slice(&head[head.len().min(sent)..][..from_head]);
            let begin = (sent + from_head).saturating_sub(head.len());
            out.extend_from_slice(&data[begin..begin + payload - from_head]);
            sent += payload;
        }
    }
}

/// An adaptation field of so many bytes, its length byte among them.
fn put_adaptation(out: &mut Vec<u8>, bytes: usize, clock: Option<(bool, u64)>) {
    let end = out.len() + bytes;
    if bytes > 0 {
        out.push((bytes - 1) as u8);
    }
    if bytes > 1 {
        out.push(clock.map_or(0, |(key, _)| 0x10 | u8::from(key) << 6));
    }
    if let Some((_, pcr)) = clock {
        let base = pcr & TIME_MASK;
        out.extend_from_slice(&((base >> 1) as u32).to_be_bytes());
        out.extend_from_slice(&[(base << 7) as u8 | 0x7e, 0]);
    }
    out.resize(end, 0xff);
}

/// Whether what was sent at `last` would come too late at the chance after this one.
fn is_due(last: Duration, now: Duration) -> bool {
    now.saturating_sub(last) + PULSE > EVERY
}

/// Nanoseconds to the 90 kHz of presentation times.
fn ninety(nanoseconds: u64) -> u64 {
    (u128::from(nanoseconds) * 9 / 100_000) as u64
}

/// Fills up to whole datagrams with packets that say nothing.
pub(crate) fn fill_datagram(packets: &mut Vec<u8>) {
    while !packets.len().is_multiple_of(DATAGRAM) {
        packets.push(0x47);
        packets.extend_from_slice(&NULL_PID.to_be_bytes());
        packets.push(0x10);
        packets.resize(packets.len() + PACKET - 4, 0xff);
    }
}

/// A table as one packet; its counter is set when it is sent.
fn table(pid: u16, section: &[u8]) -> [u8; PACKET] {
    let mut packet = [0xff; PACKET];
    let [high, low] = (0x4000 | pid).to_be_bytes();
    // The last zero: the section begins at once.
    packet[..5].copy_from_slice(&[0x47, high, low, 0x10, 0]);
    packet[5..5 + section.len()].copy_from_slice(section);
    packet
}

/// A section of a table: its identity, then `body`, then the checksum.
fn section(table: u8, id: u16, body: &[u8]) -> Vec<u8> {
    // What follows the length: id, version, two numbers, and the checksum.
    let length = (body.len() + 9) as u16;
    let mut out = vec![table];
    out.extend_from_slice(&(0xb000 | length).to_be_bytes());
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&[0xc1, 0, 0]);
    out.extend_from_slice(body);
    let sum = crc32(&out);
    out.extend_from_slice(&sum.to_be_bytes());
    out
}

fn pat() -> Vec<u8> {
    let [program, pmt] = [PROGRAM, 0xe000 | PMT_PID].map(u16::to_be_bytes);
    section(0, 1, &[program, pmt].concat())
}

fn pmt(codec: Codec) -> Vec<u8> {
    let [pid, no_info] = [0xe000 | VIDEO_PID, 0xf000].map(u16::to_be_bytes);
    let mut body = [pid, no_info].concat();
    let (kind, descriptor): (u8, &[u8]) = match codec {
        Codec::H265 => (0x24, b"\x05\x04HEVC"),
        _ => (0x1b, b""),
    };
    body.push(kind);
    body.extend_from_slice(&pid);
    body.extend_from_slice(&(0xf000 | descriptor.len() as u16).to_be_bytes());
    body.extend_from_slice(descriptor);
    section(2, PROGRAM, &body)
}

/// The checksum of sections (annex A): polynomial 0x04c11db7, all ones first, nothing mirrored.
fn crc32(data: &[u8]) -> u32 {
    data.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte) << 24, |sum, _| {
            if sum >> 31 == 1 { sum << 1 ^ 0x04c1_1db7 } else { sum << 1 }
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::base::Moment;
    use crate::media::Pts;

    fn unit(at: i64, key: bool, bytes: usize) -> AccessUnit {
        let mut data = vec![0, 0, 0, 1, if key { 0x65 } else { 0x41 }];
        data.resize(bytes.max(5), 0xaa);
        AccessUnit {
            pts: Pts(at),
            arrival: Moment::default(),
            captured: None,
            random_access: key,
            disposable: false,
            loss: false,
            data: data.into(),
        }
    }

    fn pids(packets: &[u8]) -> Vec<u16> {
        packets.chunks_exact(PACKET).map(|p| u16::from_be_bytes([p[1], p[2]]) & 0x1fff).collect()
    }

    /// The payload of the video's packets, one after the other.
    fn payload(packets: &[u8]) -> Vec<u8> {
        let video = packets.chunks_exact(PACKET).filter(|p| pids(p) == [VIDEO_PID]);
        let skip = |p: &[u8]| 4 + if p[3] & 0x20 > 0 { 1 + usize::from(p[4]) } else { 0 };
        video.flat_map(|p| p[skip(p)..].to_vec()).collect()
    }

    #[test]
    fn every_size_comes_out_as_it_went_in() {
        for bytes in (5..900).chain([65_000, 65_521, 65_522, 65_600]) {
            let mut muxer = Muxer::new(Codec::H264);
            let unit = unit(0, bytes % 2 == 0, bytes);
            let packets = muxer.picture(&unit, Duration::ZERO);
            assert!(packets.len().is_multiple_of(PACKET), "{bytes}");
            assert!(packets.chunks_exact(PACKET).all(|p| p[0] == 0x47), "{bytes}");
            let pes = payload(&packets);
            let length = usize::from(u16::from_be_bytes([pes[4], pes[5]]));
            assert!(length == pes.len() - 6 || length == 0 && pes.len() > 65_541, "{bytes}: {length}");
            assert_eq!(&pes[14..20], [0, 0, 0, 1, 9, 0xf0], "{bytes}: the delimiter");
            assert!(pes[20..] == unit.data[..], "{bytes}");
        }
    }

    #[test]
    fn tables_come_before_every_key_frame_and_ten_times_a_second() {
        let mut muxer = Muxer::new(Codec::H265);
        let step = 40_000_000;
        let begins: Vec<bool> = (0..8)
            .map(|n| {
                pids(&muxer.picture(
                    &unit(n * step, n == 0 || n == 4, 9),
                    Duration::from_nanos(n as u64 * step as u64),
                ))[0]
                    == PAT_PID
            })
            .collect();
        // 80 ms apart: at the picture after that they would come too late.
        assert_eq!(begins, [true, false, true, false, true, false, true, false]);
    }

    /// What the clock of these packets shows, in milliseconds.
    fn clocks(packets: &[u8]) -> Vec<u64> {
        let told = packets.chunks_exact(PACKET).filter(|p| p[3] & 0x20 > 0 && p[4] > 0 && p[5] & 0x10 > 0);
        told.map(|p| u64::from(u32::from_be_bytes([p[6], p[7], p[8], p[9]])) << 1 | u64::from(p[10] >> 7))
            .map(|ticks| ticks / 90)
            .collect()
    }

    #[test]
    fn clock_and_tables_come_in_time_at_a_quarter_of_the_rate() {
        let ms = |ms: i64| ms * 1_000_000;
        // Pictures every 160 or 200 ms, each out of the encoder some time after its tick.
        for (apart, late) in [(160, [0, 30, 10]), (200, [0, 20, 60]), (1000, [0, 50, 20]), (40, [0, 10, 5])] {
            let mut muxer = Muxer::new(Codec::H264);
            assert_eq!(muxer.between(Duration::from_secs(1)), None, "nothing began");
            let mut packets = Vec::new();
            let (mut shown, mut looked, mut told) = (0, 0, Vec::new());
            for now in 0..20_000 {
                let at = Duration::from_millis(now as u64);
                let more = if now == shown * apart + late[shown as usize % 3] {
                    shown += 1;
                    looked = now;
                    muxer.picture(&unit(ms(7 + (shown - 1) * apart), shown == 1, 300), at)
                } else if now - looked == 45 {
                    looked = now;
                    muxer.between(at).unwrap_or_default()
                } else {
                    continue;
                };
                told.extend(clocks(&more).into_iter().map(|clock| (now as u64, clock)));
                packets.extend(more);
            }
            let steps: Vec<(u64, u64)> =
                told.windows(2).map(|w| (w[1].0 - w[0].0, w[1].1 - w[0].1)).collect();
            assert!(steps.iter().all(|(waited, _)| *waited <= 100), "{apart}: {steps:?}");
            assert!(told.iter().all(|(now, clock)| now - clock <= 60), "{apart}: {told:?}");
            let tables = pids(&packets).iter().filter(|pid| **pid == PAT_PID).count();
            assert!((200..300).contains(&tables), "{apart}: {tables} tables in 20 s");
            // What has no payload counts for none.
            let counts: Vec<u8> = packets
                .chunks_exact(PACKET)
                .filter(|p| pids(p) == [VIDEO_PID] && p[3] & 0x10 > 0)
                .map(|p| p[3] & 15)
                .collect();
            assert!(counts.windows(2).all(|w| w[1] == (w[0] + 1) % 16), "{apart}: {counts:?}");
        }
    }

    #[test]
    fn the_clock_goes_on_to_a_picture_that_is_late_and_back_with_times_that_jump() {
        let mut muxer = Muxer::new(Codec::H264);
        let at = Duration::from_millis;
        let all = [
            muxer.picture(&unit(0, true, 9), at(1000)),
            muxer.between(at(1090)).unwrap(),
            muxer.between(at(1180)).unwrap(),
            // Its tick was at 160.
            muxer.picture(&unit(160_000_000, false, 9), at(1190)),
            muxer.picture(&unit(200_000_000, false, 9), at(1200)),
            muxer.picture(&unit(40_000_000, false, 9), at(1240)),
        ];
        assert_eq!(clocks(&all.concat()), [0, 90, 180, 180, 200, 40]);
        let packet = muxer.between(at(1330)).unwrap();
        assert_eq!(clocks(&packet), [130]);
        let alone = &packet[2 * PACKET..];
        assert_eq!(
            (alone.len(), pids(alone), alone[3] & 0xf0, alone[4]),
            (PACKET, vec![VIDEO_PID], 0x20, 183)
        );
    }

    #[test]
    fn counters_run_on_and_the_clock_is_before_the_picture() {
        let mut muxer = Muxer::new(Codec::H264);
        let packets: Vec<u8> = (0..40)
            .flat_map(|n| {
                muxer
                    .picture(&unit(n * 40_000_000 + 7, n == 0, 700), Duration::from_millis(40 * n as u64))
                    .to_vec()
            })
            .collect();
        for pid in [PAT_PID, PMT_PID, VIDEO_PID] {
            let counts: Vec<u8> =
                packets.chunks_exact(PACKET).filter(|p| pids(p) == [pid]).map(|p| p[3] & 15).collect();
            assert!(counts.windows(2).all(|w| w[1] == (w[0] + 1) % 16), "{pid}: {counts:?}");
        }
        let starts = packets.chunks_exact(PACKET).filter(|p| pids(p) == [VIDEO_PID] && p[1] & 0x40 > 0);
        let clocks: Vec<u64> = starts
            .map(|p| u64::from(u32::from_be_bytes([p[6], p[7], p[8], p[9]])) << 1 | u64::from(p[10] >> 7))
            .collect();
        assert_eq!(clocks[..3], [0, 3600, 7200]);
    }

    #[test]
    fn times_wrap_and_go_back_without_harm() {
        let mut muxer = Muxer::new(Codec::H264);
        for at in [0, i64::MAX, -5, i64::MIN, 1 << 50] {
            assert!(!muxer.picture(&unit(at, false, 9), Duration::ZERO).is_empty());
        }
        assert!(
            !muxer.picture(&AccessUnit { data: Bytes::new(), ..unit(3, true, 9) }, Duration::ZERO).is_empty()
        );
    }

    #[test]
    fn datagrams_are_filled_with_packets_that_say_nothing() {
        let mut packets = Muxer::new(Codec::H264).picture(&unit(0, true, 200), Duration::ZERO).to_vec();
        fill_datagram(&mut packets);
        assert_eq!(packets.len(), DATAGRAM);
        assert_eq!(pids(&packets)[4..], [NULL_PID; 3]);
        fill_datagram(&mut packets);
        assert_eq!(packets.len(), DATAGRAM);
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // A section with its checksum has the remainder zero.
        assert_eq!(crc32(&pat()), 0);
        assert_eq!(crc32(&pmt(Codec::H265)), 0);
        assert_eq!(crc32(b"123456789"), 0x0376_e6e7);
    }
}
