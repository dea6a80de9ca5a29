//! One client: answers its requests and sends it the frames of the stream that it plays.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;
use vitrail_engine::base::Moment;

use super::UdpPair;
use super::auth::Challenge;
use super::request::{MAX_HEAD, Parsed, Request, parse};
use super::sdp::describe;
use crate::Profile;
use crate::cameras::Cameras;
use crate::faults::{Fault, Refusal};
use crate::sent::Sent;
use crate::stream::{Burst, Stream};

/// From one sender report to the next.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// A client that takes nothing for so long is cut off.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// Seconds that we tell clients to stay within; a silent UDP client is cut off after twice that.
const SESSION_TIMEOUT: u64 = 60;
const METHODS: &str = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, GET_PARAMETER, SET_PARAMETER, TEARDOWN";

/// How the client wants its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carriage {
    Interleaved { rtp: u8, rtcp: u8 },
    Udp { rtp: SocketAddr, rtcp: SocketAddr },
}

struct Connection {
    cameras: Arc<Cameras>,
    writer: OwnedWriteHalf,
    peer: SocketAddr,
    udp: Arc<UdpPair>,
    challenge: Challenge,
    session: String,
    setup: Option<(Arc<Stream>, Carriage)>,
    frames: Option<mpsc::Receiver<Arc<Burst>>>,
    reported: Option<Moment>,
    last_request: Moment,
}

/// Whether the connection goes on.
#[derive(PartialEq)]
enum Next {
    GoOn,
    Close,
}

struct Answer {
    status: &'static str,
    headers: String,
    body: String,
}

impl Answer {
    fn new(status: &'static str) -> Answer {
        Answer { status, headers: String::new(), body: String::new() }
    }
    fn with(mut self, name: &str, value: &str) -> Answer {
        self.headers += &format!("{name}: {value}\r\n");
        self
    }
}

/// Serves one client to its end.
pub(crate) async fn run(cameras: Arc<Cameras>, socket: TcpStream, peer: SocketAddr, udp: Arc<UdpPair>) {
    let shutdown = cameras.shutdown.clone();
    let (mut reader, writer) = socket.into_split();
    let mut connection = Connection {
        last_request: cameras.config.clock.now(),
        cameras,
        writer,
        peer,
        udp,
        challenge: Challenge::new(),
        session: format!("{:016x}", rand::random::<u64>()),
        setup: None,
        frames: None,
        reported: None,
    };
    let mut buffer = BytesMut::with_capacity(4096);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            read = reader.read_buf(&mut buffer) => {
                if !matches!(read, Ok(n) if n > 0) || connection.requests(&mut buffer).await == Next::Close {
                    return;
                }
            }
            burst = next_frame(&mut connection.frames) => match burst {
                Some(burst) => if connection.send(&burst).await == Next::Close {
                    return;
                },
                None => return,
            },
        }
    }
}

async fn next_frame(frames: &mut Option<mpsc::Receiver<Arc<Burst>>>) -> Option<Arc<Burst>> {
    match frames {
        Some(frames) => frames.recv().await,
        None => std::future::pending().await,
    }
}

impl Connection {
    async fn requests(&mut self, buffer: &mut BytesMut) -> Next {
        loop {
            match parse(buffer) {
                Parsed::Incomplete => {
                    return if buffer.len() > 8 * MAX_HEAD { Next::Close } else { Next::GoOn };
                }
                Parsed::Interleaved(used) => drop(buffer.split_to(used)),
                Parsed::Malformed => {
                    let _ = self.answer(None, Answer::new("400 Bad Request")).await;
                    return Next::Close;
                }
                Parsed::Request(request, used) => {
                    drop(buffer.split_to(used));
                    self.last_request = self.cameras.config.clock.now();
                    if self.request(&request).await == Next::Close {
                        return Next::Close;
                    }
                }
            }
        }
    }

    async fn request(&mut self, request: &Request) -> Next {
        let target = target(&request.uri);
        let stream = target.and_then(|(camera, profile)| self.cameras.stream(camera, profile)).cloned();
        if stream.as_ref().is_some_and(|s| s.faults.has(Fault::Drop)) {
            return Next::Close;
        }
        if request.method == "OPTIONS" {
            return self.answer(Some(request), Answer::new("200 OK").with("Public", METHODS)).await;
        }
        let Some(stream) = stream.or_else(|| self.setup.as_ref().map(|(s, _)| s.clone())) else {
            self.cameras.totals.refused.add_one();
            return self.answer(Some(request), Answer::new("404 Not Found")).await;
        };
        let known = match &self.cameras.config.login {
            Some(login) => self.challenge.accepts(request, login),
            None => true,
        };
        if !known || stream.faults.has(Fault::Auth) {
            self.cameras.totals.refused.add_one();
            return self.unauthorized(request).await;
        }
        match request.method.as_str() {
            "DESCRIBE" => self.describe(request, &stream).await,
            "SETUP" => self.set_up(request, stream).await,
            "PLAY" => self.play(request).await,
            "PAUSE" => {
                self.frames = None;
                self.answer(Some(request), self.with_session("200 OK")).await
            }
            "GET_PARAMETER" | "SET_PARAMETER" => {
                self.answer(Some(request), self.with_session("200 OK")).await
            }
            "TEARDOWN" => {
                self.frames = None;
                let _ = self.answer(Some(request), self.with_session("200 OK")).await;
                Next::Close
            }
            _ => {
                let answer = Answer::new("405 Method Not Allowed").with("Allow", METHODS);
                self.answer(Some(request), answer).await
            }
        }
    }

    async fn unauthorized(&mut self, request: &Request) -> Next {
        let answer = Answer::new("401 Unauthorized").with("WWW-Authenticate", &self.challenge.header());
        self.answer(Some(request), answer).await
    }

    fn with_session(&self, status: &'static str) -> Answer {
        Answer::new(status).with("Session", &format!("{};timeout={SESSION_TIMEOUT}", self.session))
    }

    async fn describe(&mut self, request: &Request, stream: &Arc<Stream>) -> Next {
        let clip = match self.cameras.clip(stream.camera, stream.profile).await {
            Ok(clip) => clip,
            Err(error) => {
                tracing::warn!(camera = stream.camera, %error, "no loop");
                return self.answer(Some(request), Answer::new("503 Service Unavailable")).await;
            }
        };
        let mut answer = Answer::new("200 OK")
            .with("Content-Base", &format!("{}/", request.uri.trim_end_matches('/')))
            .with("Content-Type", "application/sdp");
        answer.body = describe(&clip, !stream.faults.has(Fault::NoSprop));
        self.answer(Some(request), answer).await
    }

    async fn set_up(&mut self, request: &Request, stream: Arc<Stream>) -> Next {
        let refusal = stream.faults.list().into_iter().find_map(|f| match f {
            Fault::Sessions(refusal) => Some(refusal),
            _ => None,
        });
        if let Some(refusal) = refusal {
            self.cameras.totals.refused.add_one();
            return match refusal {
                Refusal::Unauthorized => self.unauthorized(request).await,
                Refusal::Bandwidth => {
                    self.answer(Some(request), Answer::new("453 Not Enough Bandwidth")).await
                }
                Refusal::Unavailable => {
                    self.answer(Some(request), Answer::new("503 Service Unavailable")).await
                }
            };
        }
        let offer = request.header("Transport").unwrap_or_default();
        let Some(carriage) = carriage(offer, self.peer) else {
            return self.answer(Some(request), Answer::new("461 Unsupported Transport")).await;
        };
        if self.cameras.clip(stream.camera, stream.profile).await.is_err() {
            return self.answer(Some(request), Answer::new("503 Service Unavailable")).await;
        }
        let ssrc = stream.position(self.cameras.config.clock.now()).ssrc;
        let chosen = match carriage {
            Carriage::Interleaved { rtp, rtcp } => format!("RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp}"),
            Carriage::Udp { rtp, rtcp } => {
                let port = |socket: &tokio::net::UdpSocket| socket.local_addr().map_or(0, |a| a.port());
                format!(
                    "RTP/AVP;unicast;client_port={}-{};server_port={}-{}",
                    rtp.port(),
                    rtcp.port(),
                    port(&self.udp.rtp),
                    port(&self.udp.rtcp)
                )
            }
        };
        self.setup = Some((stream, carriage));
        let answer = self.with_session("200 OK").with("Transport", &format!("{chosen};ssrc={ssrc:08X}"));
        self.answer(Some(request), answer).await
    }

    async fn play(&mut self, request: &Request) -> Next {
        let Some((stream, _)) = &self.setup else {
            return self.answer(Some(request), Answer::new("455 Method Not Valid in This State")).await;
        };
        let stream = stream.clone();
        let at = stream.position(self.cameras.config.clock.now());
        let base = request.uri.trim_end_matches('/').trim_end_matches("/trackID=0");
        let info = format!("url={base}/trackID=0;seq={};rtptime={}", at.seq, at.timestamp);
        let answer = self.with_session("200 OK").with("Range", "npt=now-").with("RTP-Info", &info);
        if self.answer(Some(request), answer).await == Next::Close {
            return Next::Close;
        }
        if self.frames.is_none() {
            let (frames, start) = stream.join();
            self.frames = Some(frames);
            self.reported = None;
            if start {
                self.cameras.schedule(&stream);
            }
        }
        Next::GoOn
    }

    async fn answer(&mut self, request: Option<&Request>, answer: Answer) -> Next {
        let Answer { status, headers, body } = answer;
        let mut text = format!("RTSP/1.0 {status}\r\n");
        if let Some(cseq) = request.and_then(|r| r.header("CSeq")) {
            text += &format!("CSeq: {cseq}\r\n");
        }
        text += "Server: vitrail-cameras\r\n";
        text += &headers;
        if !body.is_empty() {
            text += &format!("Content-Length: {}\r\n", body.len());
        }
        text += "\r\n";
        text += &body;
        self.write(text.as_bytes()).await
    }

    async fn write(&mut self, data: &[u8]) -> Next {
        match tokio::time::timeout(WRITE_LIMIT, self.writer.write_all(data)).await {
            Ok(Ok(())) => Next::GoOn,
            _ => Next::Close,
        }
    }

    async fn send(&mut self, burst: &Burst) -> Next {
        let Some((_, carriage)) = &self.setup else { return Next::GoOn };
        let (carriage, clock) = (*carriage, self.cameras.config.clock.clone());
        let now = clock.now();
        let report = self.reported.is_none_or(|last| now.since(last) >= REPORT_EVERY);
        if report {
            self.reported = Some(now);
        }
        let done = match carriage {
            Carriage::Interleaved { rtp, rtcp } => self.send_interleaved(burst, (rtp, rtcp), report).await,
            Carriage::Udp { rtp, rtcp } => {
                if now.since(self.last_request) > Duration::from_secs(2 * SESSION_TIMEOUT) {
                    return Next::Close;
                }
                self.send_datagrams(burst, (rtp, rtcp), report).await;
                Next::GoOn
            }
        };
        self.cameras.totals.packets.add(burst.ends.len() as u64);
        self.cameras.totals.bytes.add(burst.data.len() as u64);
        if let (Next::GoOn, Some(code)) = (&done, &burst.code) {
            let sent = Sent { moment: clock.now(), wall: clock.wall(), count: burst.count };
            self.cameras.log.record(code, sent);
        }
        done
    }

    async fn send_interleaved(&mut self, burst: &Burst, (rtp, rtcp): (u8, u8), report: bool) -> Next {
        if report {
            let mut framed = vec![b'$', rtcp];
            framed.extend_from_slice(&(burst.report.len() as u16).to_be_bytes());
            framed.extend_from_slice(&burst.report);
            if self.write(&framed).await == Next::Close {
                return Next::Close;
            }
        }
        if rtp == 0 {
            return self.write(&burst.data).await;
        }
        let mut data = burst.data.to_vec();
        let mut start = 0;
        for &end in &burst.ends {
            data[start + 1] = rtp;
            start = end;
        }
        self.write(&data).await
    }

    /// A datagram that the kernel does not take is lost, as on any network.
    async fn send_datagrams(&self, burst: &Burst, (rtp, rtcp): (SocketAddr, SocketAddr), report: bool) {
        if report {
            let _ = self.udp.rtcp.send_to(&burst.report, rtcp).await;
        }
        let mut start = 0;
        for &end in &burst.ends {
            let _ = self.udp.rtp.send_to(&burst.data[start + 4..end], rtp).await;
            start = end;
        }
    }
}

/// Camera and profile of `rtsp://host:port/cam/7/sub` with anything behind.
fn target(uri: &str) -> Option<(u16, Profile)> {
    let path = match uri.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1,
        None => uri.strip_prefix('/')?,
    };
    let mut parts = path.split(['/', '?']);
    if parts.next()? != "cam" {
        return None;
    }
    let camera = parts.next()?.parse().ok()?;
    let profile = match parts.next()? {
        "main" => Profile::Main,
        "sub" => Profile::Sub,
        _ => return None,
    };
    Some((camera, profile))
}

/// The first transport of the client's offer that we can serve.
fn carriage(offer: &str, peer: SocketAddr) -> Option<Carriage> {
    offer.split(',').find_map(|choice| {
        let mut fields = choice.trim().split(';');
        let kind = fields.next()?;
        let fields: Vec<&str> = fields.map(str::trim).collect();
        if fields.contains(&"multicast") {
            return None;
        }
        let pair = |name: &str| -> Option<(u16, u16)> {
            let value = fields.iter().find_map(|f| f.strip_prefix(name)?.strip_prefix('='))?;
            let (first, second) = value.split_once('-').unwrap_or((value, ""));
            let first: u16 = first.parse().ok()?;
            Some((first, second.parse().unwrap_or(first.checked_add(1)?)))
        };
        match kind {
            "RTP/AVP/TCP" => {
                let (rtp, rtcp) = pair("interleaved").unwrap_or((0, 1));
                Some(Carriage::Interleaved { rtp: rtp.try_into().ok()?, rtcp: rtcp.try_into().ok()? })
            }
            "RTP/AVP" | "RTP/AVP/UDP" => {
                let (rtp, rtcp) = pair("client_port")?;
                let to = |port| SocketAddr::new(peer.ip(), port);
                Some(Carriage::Udp { rtp: to(rtp), rtcp: to(rtcp) })
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn uris_name_streams() {
        let sub = Some((7, Profile::Sub));
        assert_eq!(target("rtsp://127.0.0.1:8554/cam/7/sub"), sub);
        assert_eq!(target("rtsp://h/cam/0007/sub/trackID=0"), sub);
        assert_eq!(target("rtsp://h/cam/7/sub?x=1"), sub);
        assert_eq!(target("/cam/1/main/"), Some((1, Profile::Main)));
        for wrong in ["*", "rtsp://h", "rtsp://h/cam/x/sub", "rtsp://h/cam/70000/sub", "rtsp://h/cam/1/low"] {
            assert_eq!(target(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn transports_are_chosen_in_the_clients_order() {
        let peer: SocketAddr = "10.0.0.9:5000".parse().unwrap();
        let udp = |port| SocketAddr::new(peer.ip(), port);
        assert_eq!(
            carriage("RTP/AVP/TCP;unicast;interleaved=2-3", peer),
            Some(Carriage::Interleaved { rtp: 2, rtcp: 3 })
        );
        assert_eq!(
            carriage("RTP/AVP;multicast,RTP/AVP;unicast;client_port=6000-6001", peer),
            Some(Carriage::Udp { rtp: udp(6000), rtcp: udp(6001) })
        );
        assert_eq!(carriage("RTP/SAVP;unicast;client_port=1-2", peer), None);
        assert_eq!(carriage("RTP/AVP/TCP;interleaved=300-301", peer), None);
        assert_eq!(carriage("", peer), None);
    }
}
