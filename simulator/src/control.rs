//! The control port: one command a line over TCP, one JSON object a line in answer.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::Profile;
use crate::cameras::Cameras;
use crate::code::Code;
use crate::faults::Fault;

/// A longer line ends the connection.
const MAX_LINE: u64 = 1024;

/// Answers until the shutdown.
pub(crate) async fn serve(cameras: Arc<Cameras>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            () = cameras.shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, _)) => drop(tokio::spawn(talk(cameras.clone(), socket))),
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
}

async fn talk(cameras: Arc<Cameras>, socket: TcpStream) {
    let (reader, mut writer) = socket.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = String::new();
        let mut limited = (&mut reader).take(MAX_LINE);
        let read = tokio::select! {
            () = cameras.shutdown.cancelled() => return,
            read = limited.read_line(&mut line) => read,
        };
        if !matches!(read, Ok(n) if n > 0) || !line.ends_with('\n') {
            return;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        if words == ["quit"] {
            return;
        }
        if words.is_empty() {
            continue;
        }
        let mut answer =
            answer(&cameras, &words).await.unwrap_or_else(|why| json!({"error": why})).to_string();
        answer.push('\n');
        if writer.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn answer(cameras: &Arc<Cameras>, words: &[&str]) -> Result<Value, String> {
    match words {
        ["help"] => Ok(help()),
        ["stats"] => serde_json::to_value(cameras.stats()).map_err(|e| e.to_string()),
        ["list"] => Ok(Value::Array((1..=cameras.config.cameras).map(|n| describe(cameras, n)).collect())),
        ["list", camera] => Ok(describe(cameras, number(cameras, camera)?)),
        ["fault", camera, "off"] => {
            let camera = number(cameras, camera)?;
            cameras.clear(camera).map_err(|e| e.to_string())?;
            Ok(describe(cameras, camera))
        }
        ["fault", camera, fault @ .., state @ ("on" | "off")] => {
            let camera = number(cameras, camera)?;
            let fault: Fault = fault.join(" ").parse()?;
            if *state == "on" {
                cameras.fault(camera, fault).await.map_err(|e| e.to_string())?;
            } else if let Some(faults) = cameras.faults(camera) {
                faults.off(fault);
            }
            Ok(describe(cameras, camera))
        }
        ["sent", camera, frame] => sent(cameras, camera, frame, "sub"),
        ["sent", camera, frame, profile] => sent(cameras, camera, frame, profile),
        ["now"] => Ok(json!({
            "moment_ns": cameras.config.clock.now().0, "wall_ns": cameras.config.clock.wall().as_nanos() as u64,
        })),
        _ => Err(format!("unknown command {:?}; try help", words.join(" "))),
    }
}

fn number(cameras: &Cameras, text: &str) -> Result<u16, String> {
    let count = cameras.config.cameras;
    text.parse()
        .ok()
        .filter(|n| (1..=count).contains(n))
        .ok_or_else(|| format!("there is no camera {text:?}; they run from 1 to {count}"))
}

fn describe(cameras: &Cameras, camera: u16) -> Value {
    let faults = cameras.faults(camera).map(|f| f.list()).unwrap_or_default();
    let names: Vec<String> = faults.iter().map(Fault::to_string).collect();
    let viewers = |profile| cameras.stream(camera, profile).map_or(0, |s| s.viewers());
    json!({
        "camera": camera, "faults": names,
        "viewers": {"main": viewers(Profile::Main), "sub": viewers(Profile::Sub)},
    })
}

fn sent(cameras: &Cameras, camera: &str, frame: &str, profile: &str) -> Result<Value, String> {
    let camera = number(cameras, camera)?;
    let frame: u32 = frame.parse().map_err(|_| format!("{frame:?} is no frame number"))?;
    let profile = match profile {
        "main" => Profile::Main,
        "sub" => Profile::Sub,
        other => return Err(format!("{other:?} is neither main nor sub")),
    };
    let code = Code { camera, profile, frame };
    let sent = cameras.log.get(&code).ok_or_else(|| format!("frame {frame} was not sent"))?;
    let age = cameras.config.clock.now().since(sent.moment);
    Ok(json!({
        "camera": camera, "profile": profile.to_string(), "frame": frame, "count": sent.count,
        "moment_ns": sent.moment.0, "wall_ns": sent.wall.as_nanos() as u64, "age_ms": age.as_secs_f64() * 1e3,
    }))
}

fn help() -> Value {
    let faults: serde_json::Map<String, Value> =
        Fault::NAMES.iter().map(|(name, what)| ((*name).to_owned(), json!(what))).collect();
    json!({
        "commands": {
            "fault N NAME [VALUE] on|off": "switches a fault of camera N",
            "fault N off": "ends all faults of camera N",
            "list [N]": "faults and viewers of every camera, or of camera N",
            "sent N FRAME [main|sub]": "when the frame with this number was last sent",
            "now": "the simulator's clocks",
            "stats": "counters since the start",
            "quit": "closes this connection",
        },
        "faults": faults,
    })
}
