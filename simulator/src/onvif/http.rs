//! As much of HTTP/1.1 as SOAP needs: a POST, its answer, the end of the connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::State;
use super::answers::{envelope, fault};
use super::request::Request;

/// Bytes of a request's head at most.
const MAX_HEAD: usize = 16 * 1024;
/// Bytes of a body at most.
const MAX_BODY: usize = 64 * 1024;
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Accepts clients until the shutdown.
pub(super) async fn serve(state: Arc<State>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            () = state.shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, _)) => drop(tokio::spawn(talk(state.clone(), socket))),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn talk(state: Arc<State>, mut socket: TcpStream) {
    let answer = tokio::select! {
        () = state.shutdown.cancelled() => return,
        read = tokio::time::timeout(PATIENCE, read(&mut socket)) => match read {
            Ok(Some((path, body))) => answer(&state, &path, &body),
            _ => (400, String::new()),
        },
    };
    let (status, body) = answer;
    let reason = if status == 200 { "OK" } else { "Bad Request" };
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: application/soap+xml; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = socket.write_all(format!("{head}{body}").as_bytes()).await;
    let _ = socket.shutdown().await;
}

/// The path and the body of a POST; `None` where it is none.
async fn read(socket: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if bytes.len() > MAX_HEAD || socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = std::str::from_utf8(&bytes[..head_end]).ok()?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?, first.next()?.to_owned());
    if method != "POST" {
        return None;
    }
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let length = length.filter(|length| *length <= MAX_BODY)?;
    let start = head_end + 4;
    while bytes.len() < start + length {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8(bytes.get(start..start + length)?.to_vec()).ok()?;
    Some((path, body))
}

fn answer(state: &State, path: &str, body: &str) -> (u16, String) {
    let mut parts = path.split('/').skip(1);
    let camera = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("onvif"), Some(number), Some(_), None) => number.parse::<u16>().ok(),
        // The address that every device has: the first camera's.
        (Some("onvif"), Some("device_service"), None, None) => Some(1),
        _ => None,
    };
    let camera = camera.filter(|camera| (1..=state.config.cameras).contains(camera));
    let Some((camera, request)) = camera.zip(Request::read(body)) else {
        return (400, fault("InvalidArgVal"));
    };
    match state.answer(camera, &request) {
        Ok(body) => (200, envelope("", &body)),
        Err(code) => (400, fault(code)),
    }
}
