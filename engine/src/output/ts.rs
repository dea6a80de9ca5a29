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

/// The tables are repeated at least this often, as DVB asks for the PAT (ETSI TR 101 290: 0.5 s).
const TABLES_EVERY: Duration = Duration::from_millis(100);
/// How far the stream's clock runs behind its pictures: what a picture may take to be sent.
const LEAD: u64 = 9_000;

const PAT_PID: u16 = 0;
const PMT_PID: u16 = 0x1000;
const VIDEO_PID: u16 = 0x100;
const NULL_PID: u16 = 0x1fff;
const PROGRAM: u16 = 1;
/// Presentation times have 33 bits.
const TIME_MASK: u64 = (1 << 33) - 1;

/// Makes the packets of one stream, with its counters.
#[derive(Debug)]
pub(crate) struct Muxer {
    codec: Codec,
    /// Time of the first picture, nanoseconds.
    origin: Option<i64>,
    tables_at: Option<i64>,
    tables: [[u8; PACKET]; 2],
    table_count: u8,
    video_count: u8,
}

impl Muxer {
    pub fn new(codec: Codec) -> Muxer {
        Muxer {
            codec,
            origin: None,
            tables_at: None,
            tables: [table(PAT_PID, &pat()), table(PMT_PID, &pmt(codec))],
            table_count: 0,
            video_count: 0,
        }
    }

    /// A picture as whole packets. A key frame's begin with PAT and PMT.
    pub fn picture(&mut self, unit: &AccessUnit) -> Bytes {
        let at = unit.pts.0;
        let since = at.saturating_sub(*self.origin.get_or_insert(at));
        let pcr = ninety(u64::try_from(since).unwrap_or(0));
        let head = self.pes_head(unit, pcr.wrapping_add(LEAD));
        let mut out = Vec::with_capacity((head.len() + unit.data.len()) / 184 * PACKET + 4 * PACKET);
        let every = i64::try_from(TABLES_EVERY.as_nanos()).unwrap_or(i64::MAX);
        if unit.random_access
            || self.tables_at.is_none_or(|last| at.saturating_sub(last) >= every || at < last)
        {
            self.tables_at = Some(at);
            self.put_tables(&mut out);
        }
        self.put_picture(&mut out, (&head, &unit.data), unit.random_access, pcr);
        Bytes::from(out)
    }

    fn put_tables(&mut self, out: &mut Vec<u8>) {
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
            let packets = muxer.picture(&unit);
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
            .map(|n| pids(&muxer.picture(&unit(n * step, n == 0 || n == 4, 9)))[0] == PAT_PID)
            .collect();
        assert_eq!(begins, [true, false, false, true, true, false, false, true]);
    }

    #[test]
    fn counters_run_on_and_the_clock_is_before_the_picture() {
        let mut muxer = Muxer::new(Codec::H264);
        let packets: Vec<u8> =
            (0..40).flat_map(|n| muxer.picture(&unit(n * 40_000_000 + 7, n == 0, 700)).to_vec()).collect();
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
            assert!(!muxer.picture(&unit(at, false, 9)).is_empty());
        }
        assert!(!muxer.picture(&AccessUnit { data: Bytes::new(), ..unit(3, true, 9) }).is_empty());
    }

    #[test]
    fn datagrams_are_filled_with_packets_that_say_nothing() {
        let mut packets = Muxer::new(Codec::H264).picture(&unit(0, true, 200)).to_vec();
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
