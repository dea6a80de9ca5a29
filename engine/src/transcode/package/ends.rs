//! Both ends of a track, decoded: of pictures the beginnings of the first and the last group, of sound the first
//! and the last packets.

use ffmpeg_next as ff;

/// Pictures of a group that are decoded: enough to see that parameter sets and pictures are where a
/// player looks for them. That each picture decodes was seen when its segment was made, and that each
/// packet is the same is told by its sum.
pub(in crate::transcode) const PICTURES: usize = 16;
/// Packets of sound at either end that are decoded.
const SOUND_PACKETS: usize = 16;

/// The packets at both ends of a track, as they pass by.
pub(in crate::transcode) struct Ends {
    parameters: ff::codec::Parameters,
    is_sound: bool,
    /// False where only the places are of interest.
    keeps: bool,
    /// Where the ends are, where that is known beforehand: containers may mark other pictures as key frames.
    known: Option<Places>,
    places: Places,
    packets: u64,
    head: Vec<ff::Packet>,
    tail: Vec<ff::Packet>,
}

/// The numbers of the packets that begin the second group and the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Places {
    second: Option<u64>,
    last: Option<u64>,
}

/// What came of both ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::transcode) struct Tested {
    /// Frames that came out.
    pub frames: u64,
    /// Packets or frames that could not be decoded whole.
    pub failed: u64,
    /// Pictures that came out at another time than any packet has, or not in the order of time.
    pub astray: u64,
}

impl Ends {
    /// Of a track with these parameters, to be decoded.
    pub fn new(parameters: ff::codec::Parameters) -> Ends {
        Ends {
            is_sound: parameters.medium() == ff::media::Type::Audio,
            parameters,
            keeps: true,
            known: None,
            places: Places::default(),
            packets: 0,
            head: Vec::new(),
            tail: Vec::new(),
        }
    }

    /// The same, to know where they are and no more.
    pub fn places_only(parameters: ff::codec::Parameters) -> Ends {
        Ends { keeps: false, ..Ends::new(parameters) }
    }

    /// Of what they are.
    pub fn parameters(&self) -> &ff::codec::Parameters {
        &self.parameters
    }

    /// Whether they can be decoded.
    pub fn keeps(&self) -> bool {
        self.keeps
    }

    /// The same packets as of another track.
    pub fn at_places_of(mut self, other: &Ends) -> Ends {
        self.known = Some(other.places);
        self
    }

    /// Takes note of the next packet.
    pub fn take(&mut self, packet: &ff::Packet) {
        let number = self.packets;
        self.packets += 1;
        let begins = match self.known {
            _ if self.is_sound => number == SOUND_PACKETS as u64,
            Some(known) => [known.second, known.last].contains(&Some(number)),
            None => number > 0 && packet.is_key(),
        };
        if begins {
            self.places.second.get_or_insert(number);
            self.places.last = Some(number);
            self.tail.clear();
        }
        if !self.keeps {
            return;
        }
        let end = if self.places.second.is_none() { &mut self.head } else { &mut self.tail };
        if self.is_sound && end.len() == SOUND_PACKETS {
            end.remove(0);
        }
        if self.is_sound || end.len() < PICTURES {
            end.push(packet.clone());
        }
    }

    /// Decodes both.
    pub fn test(&self) -> Tested {
        let mut tested = Tested::default();
        for end in [&self.head, &self.tail].into_iter().filter(|end| !end.is_empty()) {
            let mut decoding = Decoding::open(&self.parameters, self.is_sound);
            end.iter().for_each(|packet| decoding.push(packet));
            let of_end = decoding.finish();
            tested.frames += of_end.frames;
            tested.failed += of_end.failed;
            tested.astray += of_end.astray;
        }
        tested
    }
}

/// A decoder of either kind that counts.
struct Decoding {
    decoder: Option<ff::decoder::Opened>,
    tested: Tested,
    /// Pictures after the first key frame that are shown before it: they may refer to what is not here.
    leading: u64,
    /// Pictures that came out, but not as they were.
    corrupt: u64,
    key_pts: Option<i64>,
    /// When the packets are shown, and when the newest picture was.
    times: Vec<i64>,
    newest: Option<i64>,
    packets: u64,
    is_video: bool,
}

impl Decoding {
    fn open(parameters: &ff::codec::Parameters, is_sound: bool) -> Decoding {
        let decoder = ff::decoder::find(parameters.id()).and_then(|codec| {
            let mut context = ff::codec::Context::from_parameters(parameters.clone()).ok()?;
            // Where a picture is held back because it refers to what is not here, as the leading ones of
            // an open group do, libavcodec takes the end of the stream for reached and drops what follows.
            context.set_flags(ff::codec::Flags::OUTPUT_CORRUPT);
            // Makes H.264 wait for as many pictures as the level allows where the stream is silent.
            context.compliance(ff::codec::Compliance::Strict);
            context.decoder().open_as(codec).ok()
        });
        Decoding {
            decoder,
            tested: Tested::default(),
            leading: 0,
            corrupt: 0,
            key_pts: None,
            times: Vec::new(),
            newest: None,
            packets: 0,
            is_video: !is_sound,
        }
    }

    fn push(&mut self, packet: &ff::Packet) {
        let Some(decoder) = &mut self.decoder else { return };
        let key = *self.key_pts.get_or_insert(packet.pts().unwrap_or(i64::MIN));
        self.leading += u64::from(packet.pts().is_some_and(|pts| pts < key));
        self.times.extend(packet.pts());
        self.packets += 1;
        self.tested.failed += u64::from(decoder.send_packet(packet).is_err());
        self.receive();
    }

    fn receive(&mut self) {
        let Some(decoder) = &mut self.decoder else { return };
        // A frame of either kind: the wrapper's types differ by their readers only.
        let mut frame = ff::frame::Video::empty();
        loop {
            match decoder.receive_frame(&mut frame) {
                Ok(()) => {
                    self.tested.frames += 1;
                    if self.is_video {
                        let pts = frame.pts();
                        let due = pts.is_some_and(|pts| self.times.contains(&pts)) && pts > self.newest;
                        self.tested.astray += u64::from(!due);
                        self.newest = self.newest.max(pts);
                        self.corrupt += u64::from(frame.is_corrupt() || frame.has_decode_errors());
                    }
                }
                Err(ff::Error::Eof) => return,
                Err(ff::Error::Other { errno }) if errno == libc::EAGAIN => return,
                Err(_) => {
                    self.tested.failed += 1;
                    return;
                }
            }
        }
    }

    fn finish(mut self) -> Tested {
        if let Some(decoder) = &mut self.decoder {
            let _ = decoder.send_eof();
        }
        self.receive();
        if self.is_video {
            let complete = self.packets - self.leading.min(self.packets);
            let good = self.tested.frames.saturating_sub(self.corrupt);
            let failed = (self.tested.failed + self.corrupt).saturating_sub(self.leading);
            self.tested.failed = failed.max(complete.saturating_sub(good));
        }
        self.tested
    }
}
