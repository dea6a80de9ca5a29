//! A viewer that asks for a stream over TCP and then never reads again.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

/// Keeps the connection open until dropped.
pub struct Stalled(#[allow(dead_code)] TcpStream);

pub fn play_and_stop_reading(address: &str) -> Stalled {
    let host = address.trim_start_matches("rtsp://").split('/').next().unwrap();
    let stream = TcpStream::connect(host).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut number = 0;
    let mut ask = |method: &str, uri: &str, headers: &str| {
        number += 1;
        write!(&stream, "{method} {uri} RTSP/1.0\r\nCSeq: {number}\r\n{headers}\r\n").unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "the server closed: {head}");
        }
        assert!(head.starts_with("RTSP/1.0 200"), "{method}: {head}");
        let value = |name: &str| {
            let line = head.lines().find(|l| l.to_ascii_lowercase().starts_with(name));
            line.and_then(|l| l.split_once(':')).map(|(_, v)| v.trim().to_owned())
        };
        let length = value("content-length:").and_then(|v| v.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        std::io::Read::read_exact(&mut reader, &mut body).unwrap();
        (value("session:"), String::from_utf8(body).unwrap())
    };
    let (_, sdp) = ask("DESCRIBE", address, "Accept: application/sdp\r\n");
    let control = sdp.lines().rev().find_map(|l| l.strip_prefix("a=control:")).unwrap();
    let track =
        if control.starts_with("rtsp:") { control.to_owned() } else { format!("{address}/{control}") };
    let (session, _) = ask("SETUP", &track, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n");
    let session = session.unwrap().split(';').next().unwrap().to_owned();
    ask("PLAY", address, &format!("Session: {session}\r\n"));
    Stalled(stream)
}
