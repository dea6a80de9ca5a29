//! What the benches of whole walls share: the cameras in a process of their own, wall files of many
//! cameras, and the codes in the tiles of any layout.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use vitrail_engine::media::{CameraId, Frame};
use vitrail_engine::scene::{Scene, solve};
use vitrail_simulator::code::{Code, Region, read};

use super::{Program, eventually, free_port};

/// `vitrail cameras` as a child, so that what it takes of the machine is told apart.
pub struct CameraProcess {
    pub program: Program,
    pub listen: String,
    control: String,
    talk: BufReader<TcpStream>,
}

impl CameraProcess {
    /// Starts `count` cameras and waits until their loops are ready, at most `limit`.
    pub fn start(count: u16, options: &[&str], limit: Duration) -> CameraProcess {
        let listen = format!("127.0.0.1:{}", free_port());
        let control = format!("127.0.0.1:{}", free_port());
        let count = count.to_string();
        let mut args = vec!["cameras", "--count", &count, "--listen", &listen, "--control", &control];
        args.extend(["--cache", super::LOOPS]);
        args.extend_from_slice(options);
        let mut program = Program::start(&args);
        // The control port takes connections at once and answers when all is ready.
        let mut talk = None;
        eventually(limit, || {
            talk = TcpStream::connect(&control).ok();
            talk.is_some() || program.has_ended()
        });
        let Some(talk) = talk else { panic!("the cameras do not start: {}", program.stderr()) };
        talk.set_read_timeout(Some(limit)).unwrap();
        let mut cameras = CameraProcess { program, listen, control, talk: BufReader::new(talk) };
        if cameras.try_ask("stats").is_none() {
            program = cameras.program;
            panic!("the cameras are not ready within {limit:?}: {}", program.stderr());
        }
        cameras
    }

    pub fn uri(&self, camera: u16) -> String {
        sub_uri(&self.listen, camera)
    }

    /// One command on the control port, and its answer.
    pub fn ask(&mut self, command: &str) -> Value {
        let answer = self.try_ask(command);
        answer.unwrap_or_else(|| panic!("{command:?} at {} has no answer", self.control))
    }

    fn try_ask(&mut self, command: &str) -> Option<Value> {
        writeln!(self.talk.get_mut(), "{command}").ok()?;
        let mut line = String::new();
        self.talk.read_line(&mut line).ok()?;
        serde_json::from_str(&line).ok()
    }
}

/// Where a camera's sub stream is.
pub fn sub_uri(listen: &str, camera: u16) -> String {
    format!("rtsp://{listen}/cam/{camera}/sub")
}

/// The id that walls of these benches give a camera.
pub fn id(camera: u16) -> String {
    format!("cam-{camera}")
}

/// `[[camera]]` tables; 16 cameras share a site.
pub fn camera_tables(numbers: impl Iterator<Item = u16>, uri: impl Fn(u16) -> String) -> String {
    let mut out = String::new();
    for camera in numbers {
        let site = (camera - 1) / 16;
        let _ = write!(
            out,
            "[[camera]]\nid = \"{}\"\nuri = \"{}\"\nsite = \"site-{site}\"\n",
            id(camera),
            uri(camera)
        );
    }
    out
}

/// The cameras `1..=count` as a list of TOML.
pub fn id_list(count: u16) -> String {
    let ids: Vec<String> = (1..=count).map(|n| format!("\"{}\"", id(n))).collect();
    format!("[{}]", ids.join(", "))
}

/// Where the cameras are on the first screen of a scene.
#[derive(Clone, Debug)]
pub struct Tiles(pub Vec<(u16, Region)>);

impl Tiles {
    pub fn of(scene: &Scene) -> Tiles {
        let layout = solve(scene).unwrap();
        let tiles = layout.screens[0].tiles.iter().filter_map(|tile| {
            let camera = number(tile.camera.as_ref()?)?;
            let rect = tile.rect;
            let region = Region::new(rect.x.into(), rect.y.into(), rect.width.into(), rect.height.into());
            Some((camera, region))
        });
        Tiles(tiles.collect())
    }

    /// Where this camera is.
    pub fn region(&self, camera: u16) -> Region {
        self.0.iter().find(|(n, _)| *n == camera).unwrap().1
    }
}

fn number(id: &CameraId) -> Option<u16> {
    id.to_string().rsplit('-').next()?.parse().ok()
}

/// The code in a part of a canvas.
pub fn code_in(canvas: &Frame, region: Region) -> Option<Code> {
    let size = (canvas.width() as usize, canvas.height() as usize);
    let luma = &canvas.planes()[0];
    read(&luma.data, luma.stride, size, Some(region))
}

/// A number with three decimals: figures are read by people too.
pub fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The value at a share of a sorted list; `null` where it is empty.
pub fn quantile(values: &mut [f64], share: f64) -> Value {
    values.sort_by(f64::total_cmp);
    let at = ((values.len() as f64 * share).ceil() as usize).clamp(1, values.len().max(1)) - 1;
    values.get(at).map_or(Value::Null, |v| rounded(*v).into())
}

/// The same numbers from the same seed (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A whole number from 0, below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
