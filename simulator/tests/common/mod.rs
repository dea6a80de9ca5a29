//! A small RTSP client that speaks plainly, and cameras small enough for tests.
#![allow(dead_code, clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use vitrail_engine::media::Ratio;
use vitrail_simulator::{Config, Profile, Simulator, StreamSpec};

/// Small and quick: loops of 4 s, GOPs of 1 s, encoded loops kept in the build's folder.
pub fn small(cameras: u16) -> Config {
    let base = Config::default();
    let rate = Ratio { num: 25, den: 2 };
    Config {
        cameras,
        cache: Some(concat!(env!("CARGO_TARGET_TMPDIR"), "/clips").into()),
        sub: StreamSpec { width: 320, height: 180, rate, kbps: 300 },
        main: StreamSpec { width: 640, height: 360, rate, kbps: 600 },
        gop: Duration::from_secs(1),
        loop_length: Duration::from_secs(4),
        ..base
    }
}

pub struct Client {
    socket: TcpStream,
    buffer: Vec<u8>,
    cseq: u32,
    uri: String,
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// An interleaved packet.
pub struct Packet {
    pub channel: u8,
    pub data: Vec<u8>,
}

impl Packet {
    pub fn seq(&self) -> u16 {
        u16::from_be_bytes([self.data[2], self.data[3]])
    }
    pub fn timestamp(&self) -> u32 {
        u32::from_be_bytes([self.data[4], self.data[5], self.data[6], self.data[7]])
    }
}

impl Client {
    pub fn new(simulator: &Simulator, camera: u16, profile: Profile) -> Client {
        let socket = TcpStream::connect(simulator.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Client { socket, buffer: Vec::new(), cseq: 0, uri: simulator.open_uri(camera, profile) }
    }

    /// A client that has sent PLAY.
    pub fn playing(simulator: &Simulator, camera: u16) -> Client {
        let mut client = Client::new(simulator, camera, Profile::Sub);
        assert_eq!(
            client.ask("SETUP", "Transport: RTP/AVP/TCP;unicast;interleaved=2-3").unwrap().status,
            200
        );
        assert_eq!(client.ask("PLAY", "").unwrap().status, 200);
        client
    }

    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// `None` where the server closed the connection.
    pub fn ask(&mut self, method: &str, header: &str) -> Option<Answer> {
        self.cseq += 1;
        let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
        let text = format!("{method} {} RTSP/1.0\r\nCSeq: {}\r\n{header}\r\n", self.uri, self.cseq);
        self.socket.write_all(text.as_bytes()).ok()?;
        loop {
            while self.buffer.first() == Some(&b'$') {
                self.packet()?;
            }
            let text = String::from_utf8_lossy(&self.buffer).into_owned();
            if let Some((head, rest)) = text.split_once("\r\n\r\n") {
                let length = head
                    .lines()
                    .find_map(|l| l.strip_prefix("Content-Length: ")?.parse::<usize>().ok())
                    .unwrap_or(0);
                if rest.len() >= length {
                    self.buffer.drain(..head.len() + 4 + length);
                    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                    return Some(Answer { status, head: head.to_owned(), body: rest[..length].to_owned() });
                }
            }
            self.more()?;
        }
    }

    pub fn packet(&mut self) -> Option<Packet> {
        loop {
            if let [b'$', channel, high, low, rest @ ..] = self.buffer.as_slice() {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                if rest.len() >= length {
                    let packet = Packet { channel: *channel, data: rest[..length].to_vec() };
                    self.buffer.drain(..4 + length);
                    return Some(packet);
                }
            }
            self.more()?;
        }
    }

    /// So many RTP packets.
    pub fn rtp(&mut self, count: usize) -> Vec<Packet> {
        let mut packets = Vec::new();
        while packets.len() < count {
            let packet = self.packet().expect("the stream goes on");
            if packet.channel == 2 {
                packets.push(packet);
            }
        }
        packets
    }

    /// Whether anything arrives within `time`.
    pub fn hears(&mut self, time: Duration) -> bool {
        self.socket.set_read_timeout(Some(time)).unwrap();
        let heard = self.more().is_some();
        self.socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        heard
    }

    /// Reads away what is on its way, until nothing has come for `quiet`.
    pub fn drain(&mut self, quiet: Duration) {
        let until = Instant::now() + Duration::from_secs(10);
        while self.hears(quiet) && Instant::now() < until {}
        self.buffer.clear();
    }

    fn more(&mut self) -> Option<()> {
        let mut part = [0; 65536];
        let n = self.socket.read(&mut part).ok().filter(|&n| n > 0)?;
        self.buffer.extend_from_slice(&part[..n]);
        Some(())
    }
}
