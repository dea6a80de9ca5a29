//! H.264 profiles and levels as SDP writes them (RFC 6184, sections 8.1 and 8.2.2): what a stream
//! is, what a browser offers to take, and which offer fits.

use vitrail_engine::encode::nal;
use vitrail_engine::media::Codec;
use vitrail_engine::media::annex_b::nal_units;

/// The largest level that WebRTC knows: 5.2.
const MAX_LEVEL: u8 = 0x34;

/// `profile-level-id`: three bytes, as they stand in the sequence parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileLevel {
    /// profile_idc.
    pub idc: u8,
    /// Constraint flags, the first in the highest bit.
    pub flags: u8,
    /// level_idc: ten times the level.
    pub level: u8,
}

/// The profiles that browsers offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Profile {
    ConstrainedBaseline,
    Baseline,
    Main,
    ConstrainedHigh,
    High,
    /// High 4:4:4 Predictive: its decoders take all of the others but Baseline's own tools.
    High444,
}

impl ProfileLevel {
    /// From the sequence parameter set of a key frame in Annex B.
    pub fn of_unit(data: &[u8]) -> Option<ProfileLevel> {
        let sps = nal_units(data).find(|unit| nal::kind(Codec::H264, unit) == 7)?;
        let [_, idc, flags, level, ..] = *sps else { return None };
        Some(ProfileLevel { idc, flags, level })
    }

    /// From six hexadecimal digits.
    fn parse(text: &str) -> Option<ProfileLevel> {
        let [_, idc, flags, level] =
            u32::from_str_radix(text, 16).ok().filter(|_| text.len() == 6)?.to_be_bytes();
        Some(ProfileLevel { idc, flags, level })
    }

    /// As one number.
    pub fn id(self) -> u32 {
        u32::from_be_bytes([0, self.idc, self.flags, self.level])
    }

    /// RFC 6184, table 5.
    fn profile(self) -> Option<Profile> {
        match (self.idc, self.flags) {
            (0x42, f) if f & 0x4f == 0x40 => Some(Profile::ConstrainedBaseline),
            (0x4d, f) if f & 0x8f == 0x80 => Some(Profile::ConstrainedBaseline),
            (0x42, f) if f & 0x4f == 0 => Some(Profile::Baseline),
            (0x4d, f) if f & 0xaf == 0 => Some(Profile::Main),
            (0x64, 0x0c) => Some(Profile::ConstrainedHigh),
            (0x64, 0) => Some(Profile::High),
            (0xf4, 0) => Some(Profile::High444),
            _ => None,
        }
    }
}

impl Profile {
    /// What may be answered to get this stream decoded: itself, profiles that contain it (Rec. H.264,
    /// A.2), then those below it, which say less than the stream needs: browsers' decoders take all of
    /// these whichever of them they offer.
    fn acceptable(self) -> [Profile; 6] {
        use Profile::*;
        match self {
            ConstrainedBaseline => [ConstrainedBaseline, Baseline, Main, ConstrainedHigh, High, High444],
            Baseline => [Baseline, High, Main, ConstrainedBaseline, ConstrainedHigh, High444],
            Main => [Main, High, High444, ConstrainedHigh, ConstrainedBaseline, Baseline],
            ConstrainedHigh => [ConstrainedHigh, High, High444, Main, ConstrainedBaseline, Baseline],
            High | High444 => [self, High444, High, ConstrainedHigh, Main, ConstrainedBaseline],
        }
    }
}

/// The `profile-level-id` to answer: the profile of one of the offered ones, with the stream's level.
/// `None` where none of them will do.
pub fn choose(offer: &str, stream: ProfileLevel) -> Option<ProfileLevel> {
    let offered = offered(offer);
    let wanted = stream.profile().unwrap_or(Profile::High).acceptable();
    let fits = |profile: &Profile| offered.iter().find(|o| o.profile() == Some(*profile));
    let chosen = wanted.iter().find_map(fits)?;
    Some(ProfileLevel { level: stream.level.min(MAX_LEVEL), ..*chosen })
}

/// The H.264 formats of the offer's video with `packetization-mode=1`.
fn offered(offer: &str) -> Vec<ProfileLevel> {
    let mut video = false;
    let mut types: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for line in offer.lines().map(str::trim_end) {
        if let Some(media) = line.strip_prefix("m=") {
            video = media.starts_with("video ");
            types.clear();
        } else if let Some((number, name)) = attribute(line, "a=rtpmap:").filter(|_| video) {
            if name.to_ascii_lowercase().starts_with("h264/90000") {
                types.push(number);
            }
        } else if let Some((number, parameters)) = attribute(line, "a=fmtp:").filter(|_| video) {
            let value = |key: &str| {
                let pair = |p: &'_ str| p.trim().split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()));
                parameters
                    .split(';')
                    .filter_map(pair)
                    .find(|(k, _)| k.eq_ignore_ascii_case(key))
                    .map(|(_, v)| v)
            };
            if types.contains(&number) && value("packetization-mode").as_deref() == Some("1") {
                found.extend(value("profile-level-id").as_deref().and_then(ProfileLevel::parse));
            }
        }
    }
    found
}

fn attribute<'a>(line: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    line.strip_prefix(name)?.split_once(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(formats: &[(&str, &str)]) -> String {
        let mut text = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n\
                        m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n"
            .to_owned();
        for (n, (mode, id)) in formats.iter().enumerate() {
            let number = 100 + n;
            text += &format!(
                "a=rtpmap:{number} H264/90000\r\n\
                 a=fmtp:{number} level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={id}\r\n"
            );
        }
        text
    }

    fn stream(id: &str) -> ProfileLevel {
        ProfileLevel::parse(id).expect("six digits")
    }

    #[test]
    fn the_stream_s_own_profile_comes_first_with_its_level() {
        let all =
            offer(&[("1", "42001f"), ("0", "42e01f"), ("1", "42e01f"), ("1", "4d001f"), ("1", "64001f")]);
        for (of, answer) in [
            ("640028", 0x640028),
            ("4d4028", 0x4d0028),
            ("42c028", 0x42e028),
            ("420028", 0x420028),
            ("64003c", 0x640034),
        ] {
            assert_eq!(choose(&all, stream(of)).map(ProfileLevel::id), Some(answer), "{of}");
        }
    }

    #[test]
    fn the_nearest_profile_does_where_the_own_is_not_offered() {
        let some = offer(&[("1", "42e01f"), ("1", "4d001f")]);
        assert_eq!(choose(&some, stream("640028")).map(ProfileLevel::id), Some(0x4d0028));
        let chromium = offer(&[("1", "42001f"), ("1", "42e01f"), ("1", "4d001f"), ("1", "f4001f")]);
        assert_eq!(choose(&chromium, stream("640028")).map(ProfileLevel::id), Some(0xf40028));
        let safari = offer(&[("1", "640c1f"), ("1", "42e01f")]);
        assert_eq!(choose(&safari, stream("640028")).map(ProfileLevel::id), Some(0x640c28));
        assert_eq!(choose(&safari, stream("4d4028")).map(ProfileLevel::id), Some(0x640c28));
    }

    #[test]
    fn what_was_not_offered_is_not_answered() {
        assert_eq!(choose(&offer(&[]), stream("640028")), None);
        assert_eq!(choose(&offer(&[("0", "42e01f")]), stream("42c028")), None, "one NAL unit a packet");
        assert_eq!(choose("m=video 9 X 100\r\na=fmtp:100 packetization-mode=1", stream("42c028")), None);
        assert_eq!(choose("", stream("42c028")), None);
    }

    #[test]
    fn a_key_frame_tells_its_profile() {
        let unit = [0, 0, 0, 1, 9, 0x10, 0, 0, 0, 1, 0x67, 0x64, 0, 0x28, 0xac, 0, 0, 1, 0x68, 0xee];
        assert_eq!(ProfileLevel::of_unit(&unit).map(ProfileLevel::id), Some(0x640028));
        assert_eq!(ProfileLevel::of_unit(&[0, 0, 1, 0x67, 0x64]), None);
    }
}
