//! The text of playlists: RFC 8216, and the attributes that Apple's authoring rules ask for.

use std::fmt::Write;

use ffmpeg_next as ff;

use super::package_ffi::facts;

/// The master playlist's name, without its ending.
pub(super) const MASTER: &str = "master";
/// The sound's name in a ladder.
pub(super) const SOUND: &str = "audio";

/// One segment of a track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Segment {
    pub(super) seconds: f64,
    pub(super) bytes: u64,
}

/// One rendition.
pub(super) struct VideoEntry {
    pub(super) name: String,
    pub(super) codec: String,
    pub(super) size: (u32, u32),
    pub(super) aspect: Option<(i32, i32)>,
    pub(super) rate: Option<f64>,
    pub(super) pictures: u64,
    pub(super) segments: Vec<Segment>,
}

/// The sound of all renditions.
pub(super) struct SoundEntry {
    pub(super) codec: Option<String>,
    pub(super) channels: u32,
    pub(super) segments: Vec<Segment>,
}

pub(super) fn init_name(track: &str) -> String {
    format!("{track}-init.mp4")
}

pub(super) fn segment_name(track: &str, number: usize) -> String {
    format!("{track}-{:05}.m4s", number + 1)
}

/// The playlist of one track.
pub(super) fn media(track: &str, segments: &[Segment]) -> String {
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:7\n");
    let longest = segments.iter().map(|segment| segment.seconds.round() as u64).max();
    let _ = writeln!(text, "#EXT-X-TARGETDURATION:{}", longest.unwrap_or(1).max(1));
    text.push_str("#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    let _ = writeln!(text, "#EXT-X-MAP:URI=\"{}\"", init_name(track));
    for (number, segment) in segments.iter().enumerate() {
        let _ = writeln!(text, "#EXTINF:{:.6},\n{}", segment.seconds, segment_name(track, number));
    }
    text.push_str("#EXT-X-ENDLIST\n");
    text
}

/// The playlist that names all others.
pub(super) fn master(video: &[VideoEntry], sound: Option<&SoundEntry>) -> String {
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    if let Some(sound) = sound {
        let _ = writeln!(
            text,
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{SOUND}\",NAME=\"Sound\",DEFAULT=YES,AUTOSELECT=YES,\
             CHANNELS=\"{}\",URI=\"{SOUND}.m3u8\"",
            sound.channels.max(1)
        );
    }
    let (sound_peak, sound_mean) = sound.map_or((0, 0), |sound| rates(&sound.segments));
    for entry in video {
        let (peak, mean) = rates(&entry.segments);
        let _ = write!(
            text,
            "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={}",
            peak + sound_peak,
            mean + sound_mean
        );
        let codec = sound.and_then(|sound| sound.codec.as_ref());
        let codecs = codec.map_or(entry.codec.clone(), |sound| format!("{},{sound}", entry.codec));
        let (width, height) = shown(entry.size, entry.aspect);
        let _ = write!(text, ",CODECS=\"{codecs}\",RESOLUTION={width}x{height}");
        let seconds: f64 = entry.segments.iter().map(|segment| segment.seconds).sum();
        let counted = (seconds > 0.0).then_some(entry.pictures as f64 / seconds);
        if let Some(rate) = entry.rate.or(counted) {
            let _ = write!(text, ",FRAME-RATE={rate:.3}");
        }
        if sound.is_some() {
            let _ = write!(text, ",AUDIO=\"{SOUND}\"");
        }
        let _ = writeln!(text, "\n{}.m3u8", entry.name);
    }
    text
}

/// The highest bit rate of any segment and the mean of all, in bits a second. A last segment of less
/// than half the usual length says nothing of what a connection must carry.
fn rates(segments: &[Segment]) -> (u64, u64) {
    let rate = |bytes: u64, seconds: f64| {
        if seconds > 0.0 { (bytes as f64 * 8.0 / seconds).ceil() as u64 } else { 0 }
    };
    let longest = segments.iter().map(|segment| segment.seconds).fold(0.0, f64::max);
    let usual = segments.iter().filter(|segment| segment.seconds * 2.0 >= longest);
    let peak = usual.map(|segment| rate(segment.bytes, segment.seconds)).max().unwrap_or(0);
    let bytes = segments.iter().map(|segment| segment.bytes).sum();
    let mean = rate(bytes, segments.iter().map(|segment| segment.seconds).sum());
    (peak.max(mean), mean)
}

/// The size with square pixels.
fn shown((width, height): (u32, u32), aspect: Option<(i32, i32)>) -> (u32, u32) {
    match aspect {
        Some((num, den)) if num != den && den > 0 => {
            ((f64::from(width) * f64::from(num) / f64::from(den)).round() as u32, height)
        }
        _ => (width, height),
    }
}

/// The `CODECS` word of a video track, from the codec record in its initialisation segment: RFC 6381
/// and ISO/IEC 14496-15 annex E. `None` for a codec that browsers do not play from a ladder.
pub(super) fn video_codec(init: &[u8]) -> Option<String> {
    let record = |name: &[u8; 4]| {
        let at = init.windows(4).position(|window| window == name)?;
        init.get(at + 4..)
    };
    if let Some([_, profile, constraints, level, ..]) = record(b"avcC") {
        return Some(format!("avc1.{profile:02X}{constraints:02X}{level:02X}"));
    }
    if let Some(record) = record(b"hvcC").filter(|record| record.len() >= 13) {
        let space = ["", "A", "B", "C"][usize::from(record[1] >> 6)];
        let tier = if record[1] & 0x20 == 0 { 'L' } else { 'H' };
        let compatible = u32::from_be_bytes([record[2], record[3], record[4], record[5]]).reverse_bits();
        let mut word = format!("hvc1.{space}{}.{compatible:X}.{tier}{}", record[1] & 0x1f, record[12]);
        let last = record[6..12].iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        for byte in &record[6..6 + last] {
            let _ = write!(word, ".{byte:X}");
        }
        return Some(word);
    }
    if let Some([_, first, second, ..]) = record(b"av1C") {
        let tier = if second & 0x80 == 0 { 'M' } else { 'H' };
        let depth = match (second & 0x40 != 0, second & 0x20 != 0) {
            (false, _) => 8,
            (true, false) => 10,
            (true, true) => 12,
        };
        return Some(format!("av01.{}.{:02}{tier}.{depth:02}", first >> 5, first & 0x1f));
    }
    None
}

/// The `CODECS` word of sound.
pub(super) fn audio_codec(parameters: &ff::codec::Parameters) -> Option<String> {
    Some(match parameters.id() {
        // The first five bits of an AudioSpecificConfig are the object type; ADTS carries none of the
        // types that need more, and is low complexity as good as always.
        ff::codec::Id::AAC => {
            let kind = facts(parameters).extradata.first().map_or(2, |byte| byte >> 3);
            format!("mp4a.40.{}", if (1..31).contains(&kind) { kind } else { 2 })
        }
        ff::codec::Id::MP3 => "mp4a.40.34".to_owned(),
        ff::codec::Id::AC3 => "ac-3".to_owned(),
        ff::codec::Id::EAC3 => "ec-3".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_are_named_as_players_expect() {
        let avc = [b"....avcC".as_slice(), &[1, 0x64, 0, 0x1f, 0xff]].concat();
        assert_eq!(video_codec(&avc).as_deref(), Some("avc1.64001F"));
        let hevc = [b"hvcC".as_slice(), &[1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93, 0]].concat();
        assert_eq!(video_codec(&hevc).as_deref(), Some("hvc1.1.6.L93.90"));
        let av1 = [b"av1C".as_slice(), &[0x81, 0x08, 0x0c, 0]].concat();
        assert_eq!(video_codec(&av1).as_deref(), Some("av01.0.08M.08"));
        assert_eq!(video_codec(b"mp4v"), None);
    }

    #[test]
    fn peaks_leave_out_a_short_rest() {
        let segments = [
            Segment { seconds: 4.0, bytes: 1000 },
            Segment { seconds: 4.0, bytes: 500 },
            Segment { seconds: 0.5, bytes: 400 },
        ];
        assert_eq!(rates(&segments), (2000, 1789));
    }
}
