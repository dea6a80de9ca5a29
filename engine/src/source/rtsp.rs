//! `rtsp://` through retina: one task a camera, no thread of its own.

use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use retina::client::{
    Credentials, Demuxed, Described, InitialTimestampPolicy, PlayOptions, Session, SessionGroup,
    SessionIdPolicy, SessionOptions, SetupOptions, TcpTransportOptions, UdpTransportOptions,
    UnknownRtcpSsrcPolicy,
};
use retina::codec::{
    AudioFrame, CodecItem, FrameFormat, ParametersRef, VideoFrame, VideoParametersCodec, aac,
};
use retina::rtcp::ReceivedCompoundPacket;

use super::classify::Classifier;
use super::{Ended, History, Run, SourceConfig, StreamDescription, Transport, explain_status};
use crate::base::{Error, ErrorKind, Result};
use crate::media::{
    AccessUnit, Codec, Pts, Ratio, SoundCodec, SoundPacket, SoundParameters, VideoParameters,
};

/// How long the end of a run waits for the camera's answer to TEARDOWN.
const TEARDOWN_WAIT: Duration = Duration::from_millis(500);

/// Damaged packets in a row, without a picture between them, that end a session.
const DAMAGE_LIMIT: u32 = 200;

pub(super) async fn run(
    config: &SourceConfig,
    history: &History,
    run: &Run<'_>,
    told_to_stop: impl Future<Output = Result<()>>,
) -> Result<(), Ended> {
    let group = Arc::new(SessionGroup::default());
    let session = AssertUnwindSafe(run_session(config, history, run, &group)).catch_unwind();
    let result = tokio::select! {
        biased;
        stopped = told_to_stop => stopped.map_err(Ended::Over),
        ended = session => ended.unwrap_or_else(|_| Err(panicked(run))),
    };
    // The session is dropped by now, and retina says goodbye in the background.
    let _ = tokio::time::timeout(TEARDOWN_WAIT, group.await_teardown()).await;
    result
}

/// The library failed on what the camera sent. It may have had pictures: another client begins anew.
fn panicked(run: &Run<'_>) -> Ended {
    let message = "sent what makes retina fail";
    let error = Error::new(ErrorKind::Internal, run.camera.to_string(), message);
    Ended::Misread { error, played: run.has_pictures() }
}

async fn run_session(
    config: &SourceConfig,
    history: &History,
    run: &Run<'_>,
    group: &Arc<SessionGroup>,
) -> Result<(), Ended> {
    let fail = |e: retina::Error| explain(&e, config, history, run);
    let session = describe(config, group).await.map_err(fail)?;
    if config.login().is_some() {
        history.login_accepted();
    }
    let mut stream = Chosen::among(&session, config, run).map_err(Ended::Over)?;
    let session = setup_and_play(session, &mut stream, config).await.map_err(fail)?;
    receive(session, stream, fail, run).await
}

async fn describe(
    config: &SourceConfig,
    group: &Arc<SessionGroup>,
) -> Result<Session<Described>, retina::Error> {
    let creds =
        config.login().map(|l| Credentials { username: l.user.clone(), password: l.password.clone() });
    let options = SessionOptions::default()
        .creds(creds)
        .user_agent(concat!("vitrail/", env!("CARGO_PKG_VERSION")).to_owned())
        .session_group(group.clone())
        .session_id(SessionIdPolicy::UseFirst);
    let url = config.uri.url().cloned().expect("an rtsp address is a URL");
    Session::describe(url, options).await
}

/// The stream that is played: the first one with H.264 or H.265; and its sound, where that is wanted.
struct Chosen {
    index: usize,
    sound: Option<(usize, SoundCodec)>,
    codec: Codec,
    /// From the SDP's `a=framerate`.
    frame_rate: Option<Ratio>,
}

impl Chosen {
    fn among(session: &Session<Described>, config: &SourceConfig, run: &Run<'_>) -> Result<Chosen> {
        let streams = session.streams();
        let name = |s: &retina::client::Stream| format!("{} {}", s.media(), s.encoding_name());
        let chosen = streams.iter().enumerate().find_map(|(index, s)| {
            let codec = match (s.media(), s.encoding_name()) {
                ("video", "h264") => Codec::H264,
                ("video", "h265") => Codec::H265,
                _ => return None,
            };
            Some(Chosen { index, sound: None, codec, frame_rate: s.framerate().and_then(ratio_of) })
        });
        let Some(mut chosen) = chosen else {
            let offered: Vec<String> = streams.iter().map(name).collect();
            let message = format!("offers no H.264 or H.265 video, only: {}", offered.join(", "));
            return Err(Error::new(ErrorKind::Unsupported, run.camera.to_string(), message));
        };
        if config.sound {
            let heard = |(index, s): (usize, &retina::client::Stream)| Some((index, sound_codec(s)?));
            chosen.sound = streams.iter().enumerate().find_map(heard);
        }
        let first = &streams[chosen.index];
        let others = streams.iter().enumerate().filter(|(i, _)| *i != chosen.index).map(|(_, s)| name(s));
        let profile = match first.parameters() {
            Some(ParametersRef::Video(p)) => Some(p.rfc6381_codec().to_owned()),
            _ => None,
        };
        run.sink.described(&StreamDescription {
            client: "retina",
            client_because: None,
            carried_by: match config.transport {
                Transport::Tcp => "RTP over TCP".into(),
                Transport::Udp => "RTP over UDP".into(),
            },
            server: session.tool().map(|t| t.to_string()),
            streams: std::iter::once(name(first)).chain(others).collect(),
            parameter_sets_outside: profile.is_some(),
            profile,
        });
        Ok(chosen)
    }
}

/// G.711 and AAC: what cameras send.
fn sound_codec(stream: &retina::client::Stream) -> Option<SoundCodec> {
    match (stream.media(), stream.encoding_name()) {
        ("audio", "mpeg4-generic") => Some(SoundCodec::Aac),
        ("audio", "pcma") => Some(SoundCodec::Alaw),
        ("audio", "pcmu") => Some(SoundCodec::Mulaw),
        _ => None,
    }
}

async fn setup_and_play(
    mut session: Session<Described>,
    stream: &mut Chosen,
    config: &SourceConfig,
) -> Result<Demuxed, retina::Error> {
    let transport = || match config.transport {
        Transport::Tcp => retina::client::Transport::Tcp(TcpTransportOptions::default()),
        Transport::Udp => retina::client::Transport::Udp(UdpTransportOptions::default()),
    };
    let format = FrameFormat { aac_framing: aac::Framing::Raw, ..FrameFormat::SIMPLE };
    let options = || SetupOptions::default().transport(transport()).frame_format(format);
    session.setup(stream.index, options()).await?;
    if let Some((index, _)) = stream.sound
        && let Err(error) = session.setup(index, options()).await
    {
        // Pictures without sound are more than none.
        tracing::warn!("the camera does not send its sound ({:?})", error.status_code());
        stream.sound = None;
    }
    // No common zero: sound says where it belongs by sender reports or its arrival; cameras exist that send a wrong `rtptime`, and sender
    // reports under another SSRC than their packets. No limit on jumps: the timeline may jump.
    let play = PlayOptions::default()
        .initial_timestamp(InitialTimestampPolicy::Ignore)
        .unknown_rtcp_ssrc(UnknownRtcpSsrcPolicy::ProcessPackets);
    session.play(play).await?.demuxed()
}

async fn receive(
    mut session: Demuxed,
    stream: Chosen,
    fail: impl Fn(retina::Error) -> Ended,
    run: &Run<'_>,
) -> Result<(), Ended> {
    let mut reader = Reader::new(&stream);
    reader.announce(&session, run);
    let mut listener = stream.sound.and_then(|sound| Listener::new(sound, &session, run));
    let mut damage = None;
    let mut damaged_packets = 0;
    while let Some(item) = session.next().await {
        match item {
            Ok(CodecItem::VideoFrame(frame)) if frame.stream_id() == stream.index => {
                if frame.has_new_parameters() {
                    reader.announce(&session, run);
                }
                damaged_packets = 0;
                reader.hand_on(frame, run);
            }
            Ok(CodecItem::AudioFrame(frame)) => {
                if let Some(listener) = listener.as_ref().filter(|l| l.index == frame.stream_id()) {
                    listener.hand_on(&frame, run);
                }
            }
            Ok(CodecItem::Rtcp(packet)) => match &mut listener {
                Some(listener) if listener.index == packet.stream_id() => listener.clock.learn(&packet),
                _ => reader.clock.learn(&packet),
            },
            Ok(_) => {}
            Err(error) if is_damaged_packet(&error) && damaged_packets < DAMAGE_LIMIT => {
                damaged_packets += 1;
                reader.loss = true;
                damage = Some(error);
            }
            Err(error) => return Err(fail(error)),
        }
    }
    Err(match damage.filter(|_| damaged_packets > 0) {
        Some(error) => fail(error),
        None => Ended::Over(Error::new(ErrorKind::Unreachable, run.camera.to_string(), "ended the stream")),
    })
}

/// Turns retina's frames of sound into packets.
struct Listener {
    index: usize,
    clock: CaptureClock,
}

impl Listener {
    /// `None` where the description does not tell what a decoder must know.
    fn new((index, codec): (usize, SoundCodec), session: &Demuxed, run: &Run<'_>) -> Option<Listener> {
        let Some(ParametersRef::Audio(told)) = session.streams().get(index)?.parameters() else {
            return None;
        };
        let extradata = match codec {
            SoundCodec::Aac => Bytes::copy_from_slice(told.extra_data()),
            _ => Bytes::new(),
        };
        run.sink.sound_parameters(&SoundParameters {
            codec,
            rate: told.clock_rate(),
            channels: u32::from(told.channels().get()),
            extradata,
            on_picture_time: false,
        });
        Some(Listener { index, clock: CaptureClock::default() })
    }

    fn hand_on(&self, frame: &AudioFrame, run: &Run<'_>) {
        let timestamp = frame.timestamp();
        let length = nanos(i64::from(frame.frame_length().get()), timestamp.clock_rate());
        run.sink.sound(SoundPacket {
            pts: Pts(nanos(timestamp.elapsed(), timestamp.clock_rate())),
            duration: Duration::from_nanos(u64::try_from(length).unwrap_or(0)),
            arrival: run.clock.now(),
            captured: self.clock.captured(timestamp),
            data: Bytes::copy_from_slice(frame.data()),
        });
    }
}

/// Turns retina's frames into access units.
struct Reader {
    index: usize,
    classifier: Classifier,
    nominal_rate: Option<Ratio>,
    known: Option<VideoParameters>,
    /// Annex B, put before a random-access unit that lacks them.
    parameter_sets: Bytes,
    clock: CaptureClock,
    loss: bool,
}

impl Reader {
    fn new(stream: &Chosen) -> Reader {
        Reader {
            index: stream.index,
            classifier: Classifier::new(stream.codec),
            nominal_rate: stream.frame_rate,
            known: None,
            parameter_sets: Bytes::new(),
            clock: CaptureClock::default(),
            loss: false,
        }
    }

    fn announce(&mut self, session: &Demuxed, run: &Run<'_>) {
        let codec = self.classifier.codec();
        let parameters = match session.streams()[self.index].parameters() {
            Some(ParametersRef::Video(p)) => {
                self.parameter_sets = Bytes::copy_from_slice(p.extra_data());
                // A sub-layer count in an SPS outside the stream counts as well.
                self.classifier.classify(&self.parameter_sets);
                parameters_of(codec, p, self.nominal_rate, self.parameter_sets.clone())
            }
            _ => VideoParameters { frame_rate: self.nominal_rate, ..VideoParameters::unknown(codec) },
        };
        if self.known.as_ref() != Some(&parameters) {
            run.sink.parameters(&parameters);
            self.known = Some(parameters);
        }
    }

    fn hand_on(&mut self, frame: VideoFrame, run: &Run<'_>) {
        let (timestamp, loss) = (frame.timestamp(), frame.loss() > 0);
        self.loss |= loss;
        let mut data = frame.into_data();
        let class = self.classifier.classify(&data);
        if !class.picture {
            return;
        }
        if class.random_access && !class.parameter_sets {
            data.splice(0..0, self.parameter_sets.iter().copied());
        }
        run.hand_on(AccessUnit {
            pts: Pts(nanos(timestamp.elapsed(), timestamp.clock_rate())),
            arrival: run.clock.now(),
            captured: self.clock.captured(timestamp),
            random_access: class.random_access,
            disposable: class.disposable,
            loss: std::mem::take(&mut self.loss),
            data: data.into(),
        });
    }
}

fn parameters_of(
    codec: Codec,
    p: &retina::codec::VideoParameters,
    nominal_rate: Option<Ratio>,
    extradata: Bytes,
) -> VideoParameters {
    debug_assert!(!matches!(p.codec_params(), VideoParametersCodec::Jpeg));
    let (width, height) = p.pixel_dimensions();
    VideoParameters {
        codec,
        width,
        height,
        pixel_aspect: p.pixel_aspect_ratio().and_then(|(n, d)| Ratio::new(n, d)).unwrap_or(Ratio::ONE),
        // retina gives the duration of a frame, in seconds.
        frame_rate: p.frame_rate().and_then(|(num, den)| Ratio::new(den, num)).or(nominal_rate),
        orientation: Default::default(),
        extradata,
    }
}

fn ratio_of(fps: f32) -> Option<Ratio> {
    Ratio::new((fps.clamp(0.0, 1000.0) * 1000.0).round() as u32, 1000)
}

fn nanos(ticks: i64, clock_rate: NonZeroU32) -> i64 {
    i64::try_from(i128::from(ticks) * 1_000_000_000 / i128::from(clock_rate.get())).unwrap_or(i64::MAX)
}

/// Maps RTP timestamps to the camera's own wall clock, by its last RTCP sender report.
#[derive(Default)]
struct CaptureClock {
    /// Timestamp of the report, and the same instant since the Unix epoch in nanoseconds.
    report: Option<(i64, i64)>,
}

/// Sender reports before 2000-01-01 come from cameras whose clock is not set.
const CLOCK_IS_SET_FROM: i64 = 946_684_800_000_000_000;

impl CaptureClock {
    fn learn(&mut self, packet: &ReceivedCompoundPacket) {
        let report = packet.pkts().find_map(|p| p.as_sender_report().ok().flatten());
        if let (Some(report), Some(timestamp)) = (report, packet.rtp_timestamp()) {
            let ntp = report.ntp_timestamp().0;
            self.report = unix_nanos(ntp).map(|wall| (timestamp.timestamp(), wall));
        }
    }

    fn captured(&self, timestamp: retina::Timestamp) -> Option<Duration> {
        let (reported, wall) = self.report?;
        let since = nanos(timestamp.timestamp().checked_sub(reported)?, timestamp.clock_rate());
        u64::try_from(wall.checked_add(since)?).ok().map(Duration::from_nanos)
    }
}

/// An NTP timestamp as time since the Unix epoch; `None` where the clock was never set.
fn unix_nanos(ntp: u64) -> Option<i64> {
    let since_epoch = ntp.checked_sub(retina::UNIX_EPOCH.0)?;
    let nanos = i64::try_from((u128::from(since_epoch) * 1_000_000_000) >> 32).ok()?;
    (nanos >= CLOCK_IS_SET_FROM).then_some(nanos)
}

/// True where only one RTP packet is bad and the session goes on.
fn is_damaged_packet(error: &retina::Error) -> bool {
    let text = error.to_string();
    error.status_code().is_none() && text.contains("\nssrc: ") && text.contains("\nseq: ")
}

/// retina's error in our words. Its own text, which may repeat a URL, is scrubbed and shortened to
/// its first line; the rest holds addresses and byte positions for a packet capture.
fn explain(error: &retina::Error, config: &SourceConfig, history: &History, run: &Run<'_>) -> Ended {
    let text = error.to_string();
    let first_line = text.lines().next().unwrap_or_default();
    let detail = config.uri.scrub(first_line, config.login());
    let (misread, (kind, message)) = match error.status_code() {
        // The answer was fine, its content was not.
        Some(200..=299) => {
            (true, (ErrorKind::Corrupt, "describes its stream in a way that retina does not understand"))
        }
        Some(status) => (false, explain_status(status, config.login().is_some(), history)),
        None if text.starts_with("Unable to connect") => {
            (false, (ErrorKind::Unreachable, "cannot be reached"))
        }
        None if text.starts_with("Error ") => (false, (ErrorKind::Unreachable, "the connection was lost")),
        None if text.starts_with("Timeout") => (false, (ErrorKind::Unreachable, "does not answer")),
        None if text.starts_with("Unsupported") => {
            (true, (ErrorKind::Unsupported, "wants what retina does not support"))
        }
        None if text.starts_with("Invalid argument") => {
            (false, (ErrorKind::Config, "the address cannot be used"))
        }
        None => (true, (ErrorKind::Corrupt, "sent what retina does not understand")),
    };
    let error = Error::new(kind, run.camera.to_string(), message).caused_by(detail);
    if misread { Ended::Misread { error, played: run.has_pictures() } } else { Ended::Over(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_becomes_unix_time_and_unset_clocks_nothing() {
        // 2024-01-01T00:00:00.5Z is 1704067200.5 s after the Unix epoch, 2208988800 s after NTP's.
        let ntp = ((1_704_067_200_u64 + 2_208_988_800) << 32) | 0x8000_0000;
        assert_eq!(unix_nanos(ntp), Some(1_704_067_200_500_000_000));
        assert_eq!(unix_nanos(0), None);
        assert_eq!(unix_nanos((2_208_988_800 + 86_400) << 32), None, "a day after the epoch: not set");
    }

    #[test]
    fn capture_time_follows_the_report() {
        let rate = NonZeroU32::new(90_000).expect("not zero");
        let wall = 1_704_067_200_000_000_000;
        let clock = CaptureClock { report: Some((900_000, wall)) };
        let at = |ticks| retina::Timestamp::new(ticks, rate, 0).and_then(|t| clock.captured(t));
        assert_eq!(at(990_000), Some(Duration::from_nanos(wall as u64 + 1_000_000_000)));
        assert_eq!(at(810_000), Some(Duration::from_nanos(wall as u64 - 1_000_000_000)));
    }
}
