//! Every key of a wall file: its table, name, type, default and meaning. This is the only list of
//! them: reading, the check for unknown keys and the check of `docs/ref/wall.md` all follow it.

use std::ops::Range;

use toml::de::DeTable;

use super::leaf::{CameraChoice, ClockCorner, OneOrMore, Profiles, Speed};
use super::measures::{CellAt, CellSpan, GridSize, OrNever, PixelSize, Point};
use super::read::{self, At, Leaf, WireTable, leaf, section, sections, unknown_key};
use super::report::Report;
use crate::composite::Language;
use crate::composite::{Backend, TextPlace, Yuv};
use crate::encode::EncoderChoice;
use crate::media::{Codec, FitMode, Flip, PixelRect, QuarterTurn, Ratio, Region};
use crate::scene::Preset;
use crate::source::{RtspClient, Transport};
use std::time::Duration;

/// A table of a wall file, for the reference page.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// As it is written: `[wall]`, `[[camera]]`.
    pub heading: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

/// A key of a table, for the reference page.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What to write: `a whole number`, `a colour, as "#rrggbb"`.
    pub kind: fn() -> String,
    /// What holds where it is not given.
    pub default: &'static str,
    /// What it means.
    pub about: &'static str,
}

macro_rules! wire {
    ($(#[doc = $list:literal])+ $tables:ident; $(
        $(#[doc = $about:literal])+
        $name:ident $heading:literal {$(
            $(#[doc = $doc:literal])+
            $key:ident: $type:ty = $default:literal;
        )+}
    )+) => {
        $(#[doc = $list])+
        pub const $tables: &[Table] = &[$(Table {
            heading: $heading,
            about: concat!($($about),+),
            keys: &[$(Key {
                name: stringify!($key),
                kind: <$type as Leaf>::kind,
                default: $default,
                about: concat!($($doc),+),
            }),+],
        }),+];

        $(
            $(#[doc = $about])+
            // No `Debug`: addresses hold logins.
            #[derive(Clone, Default, PartialEq)]
            pub(super) struct $name {
                /// Where the table begins.
                #[allow(dead_code, reason = "not every table has an error about all of it")]
                pub here: Range<usize>,
                /// Its path from the top, as `tile[3]`.
                pub path: String,
                /// The keys that stand in it, readable or not.
                pub given: Vec<&'static str>,
                $($(#[doc = $doc])+ pub $key: Option<At<$type>>,)+
            }

            impl WireTable for $name {
                fn read(
                    table: &DeTable<'_>,
                    span: Range<usize>,
                    path: String,
                    report: &mut Report<'_>,
                ) -> Self {
                    let mut wire = $name { here: span, path, ..$name::default() };
                    for (key, value) in table.iter() {
                        match &**key.get_ref() {
                            $(stringify!($key) => {
                                wire.given.push(stringify!($key));
                                wire.$key = leaf(value, &wire.path, stringify!($key), report);
                            })+
                            other => {
                                unknown_key(&key.span(), &wire.path, other, &[$(stringify!($key)),+], report);
                            }
                        }
                    }
                    wire
                }
            }

            impl $name {
                /// Takes a key from a cell of a table of text (CSV); false where there is no such key.
                #[allow(dead_code, reason = "only cameras and their profiles come as CSV")]
                pub(super) fn set_text(
                    &mut self,
                    key: &str,
                    text: &str,
                    span: Range<usize>,
                    report: &mut Report<'_>,
                ) -> bool {
                    match key {
                        $(stringify!($key) => {
                            self.given.push(stringify!($key));
                            let at = read::Key { path: &self.path, name: key };
                            self.$key = <$type as Leaf>::of_text(text, &span, at, report)
                                .map(|value| At::new(value, span));
                        })+
                        _ => return false,
                    }
                    true
                }

                /// Takes from another table what this one does not have.
                #[allow(dead_code, reason = "only the tasks of a job file have defaults")]
                pub(super) fn fill_from(&mut self, other: &$name) {
                    $(if self.$key.is_none() {
                        self.$key.clone_from(&other.$key);
                    })+
                }
            }
        )+
    };
}
pub(super) use wire;

wire! {
    /// The keys of a profile of a camera: its address, and what is known of its stream before it is
    /// opened.
    PROFILE_TABLES;

    /// A profile of a camera, where more than its address is known.
    ProfileTable "profiles.NAME" {
        /// Its address.
        uri: String = "needed";
        /// Size of its pictures in pixels, each side 16 to 16384.
        size: PixelSize = "unknown";
        /// Pictures per second, 0.1 to 240.
        fps: Ratio = "unknown";
        /// Its codec.
        codec: Codec = "unknown";
        /// Kilobits per second, 1 to 200000.
        kbps: u32 = "unknown";
    }
}

wire! {
    /// The tables of a wall file and their keys.
    TABLES;

    /// The wall as a whole. May be left out.
    WallTable "[wall]" {
        /// Its name in logs and reports.
        id: String = "name of the file";
        /// Pictures per second of every screen, 1 to 120.
        frame_rate: Ratio = "25";
        /// What draws: `auto` takes the GPU where a probe finds a real one, else the CPU.
        backend: Backend = "\"auto\"";
        /// A file with the logins of cameras, so that none stands in the wall file.
        secrets: String = "none";
        /// Files with more cameras, CSV or TOML ([their columns](inventory.md)), relative to the wall file.
        inventory: OneOrMore = "none";
        /// [A query](inventory.md#queries): these cameras are kept connected although no tile shows them; `all` for every one.
        standby: String = "none";
        /// A PNG picture of the first screen, written when the wall ends.
        snapshot: String = "none";
    }

    /// A camera. At least one, unless there is an inventory.
    CameraTable "[[camera]]" {
        /// Its id, by which tiles name it: letters, digits, `-`, `_` and `.`.
        id: String = "\"cam-N\", N counts cameras from 1";
        /// What its label shows.
        name: String = "the id, where one is given, else host and path of the address";
        /// Its address: `rtsp`, `rtsps`, `http`, `https`, `srt`, `udp` or `file`, or the path of a file that begins with `/` or `./`.
        uri: String = "needed, unless `profiles` has `main`";
        /// Its streams by profile: `main` is the largest, `sub` a smaller one. Each is an address, or a table `{ uri, size, fps, codec, kbps }`.
        profiles: Profiles = "{ main = uri }";
        /// How RTP is carried.
        transport: Transport = "\"tcp\"";
        /// Which client speaks RTSP: `gstreamer` for a camera that the own one does not understand.
        client: RtspClient = "\"auto\"";
        /// `rtsps` and `https`: take a certificate that no authority signed, as most cameras have. Whoever can change the network's packets can then pose as the camera.
        any_certificate: bool = "false";
        /// Cameras of one site (a street cabinet, a building) are not all called at once after a break.
        site: String = "none";
        /// The police zone whose camera it is.
        zone: String = "none";
        /// Words by which queries find it, at most 64.
        tags: OneOrMore = "[]";
        /// Degrees north of the equator (WGS 84); with `longitude`.
        latitude: f64 = "unknown";
        /// Degrees east of Greenwich; with `latitude`.
        longitude: f64 = "unknown";
        /// How many metres of the scene the width of the picture covers at the distance that matters.
        scene_width_m: f64 = "unknown";
        /// What is spared when the machine has too much to do: cameras of a lower priority degrade first, 0 to 255.
        priority: u32 = "100";
        /// Degrades last under overload, in whichever tile it is.
        pinned: bool = "false";
        /// Its picture rightly stays the same for long: it is never called frozen.
        still: bool = "false";
        /// Turns its picture clockwise, after what the stream asks for itself: for a camera that hangs on its side or upside down.
        turn: QuarterTurn = "0";
        /// Then changes left and right (`horizontal`) or above and below (`vertical`) of what is seen.
        flip: Flip = "\"none\"";
        /// Parts of the picture that are blacked out before it leaves the wall. They lie on the picture as the camera sends it: `turn` and `flip` move no mask off what it hides.
        masks: Vec<At<Region>> = "[]";
    }

    /// A screen: one picture, one encoder. At least one.
    ScreenTable "[[screen]]" {
        /// Its id, by which tiles and regions name it.
        id: String = "\"screen-N\", N counts screens from 1";
        /// Its size; even, at most 16384 each way.
        size: PixelSize = "\"1920x1080\"";
        /// Where it hangs on the wall plane, in pixels. What lies between two screens is hidden behind
        /// their bezels.
        at: Point = "right of the screen before, or [0, 0]";
        /// Divides it into equal cells.
        grid: GridSize = "none";
        /// Divides it by a named arrangement.
        preset: Preset = "none";
        /// Pixels between cells.
        gap: u32 = "0";
        /// Pixels around all cells.
        margin: u32 = "0";
        /// The cameras that fill its cells in order, where no tile is on it: a list of ids, or [a query](inventory.md#queries).
        cameras: CameraChoice = "the cameras that no screen before shows";
        /// What to do with a picture of another shape than its tile: bars, cut edges, or distortion.
        fit: FitMode = "\"contain\"";
        /// Where it goes: `rtsp://HOST:PORT/PATH` serves it, `rtp://HOST:PORT`, `udp://HOST:PORT`, `srt://…`
        /// and `rtmp://HOST/APP/KEY` send it ([all forms](outputs.md)), `.mkv`, `.mp4` and `.m3u8` name a file, `display:` and `display:full` show it here.
        outputs: Vec<At<String>> = "[]";
    }

    /// A layout over several screens, or a second one over a screen. Later ones lie over earlier ones.
    RegionTable "[[region]]" {
        /// Its id, by which tiles name it; screens have none of the same name.
        id: String = "\"region-N\", N counts regions from 1";
        /// The screens that it covers: the rectangle around all of them.
        over: OneOrMore = "needed";
        /// Divides it into equal cells.
        grid: GridSize = "none: tiles bring their rectangles";
        /// Divides it by a named arrangement.
        preset: Preset = "none";
        /// Pixels between cells.
        gap: u32 = "0";
        /// Pixels around all cells.
        margin: u32 = "0";
    }

    /// A tile: a camera in its place.
    TileTable "[[tile]]" {
        /// Its id in reports.
        id: String = "\"tile-N\", N counts tiles from 1";
        /// The screen or region that it is on.
        on: String = "the only screen, where there is one";
        /// The camera that it shows.
        camera: String = "none: an empty tile";
        /// In place of `camera`: it shows the first camera of [this query](inventory.md#queries) that no tile before it shows.
        query: String = "none";
        /// The cell of a grid where it begins.
        cell: CellAt = "the next free one";
        /// How many cells it covers, from `cell` on.
        span: CellSpan = "[1, 1]";
        /// Its place in pixels, on a screen or region without grid and preset; even.
        rect: PixelRect = "none";
        /// What to do with a picture of another shape.
        fit: FitMode = "that of its screen, or \"contain\"";
        /// The part of the picture that it shows.
        crop: Region = "[0, 0, 1, 1]";
        /// Text in place of the camera's name.
        label: String = "the name of the camera";
        /// Degrades last under overload.
        pinned: bool = "that of its camera";
    }

    /// How every screen is compressed.
    EncoderTable "[encoder]" {
        /// The codec.
        codec: Codec = "\"h264\"";
        /// Which encoder; `auto` takes the first that works: NVENC, VA, QSV, software.
        choice: EncoderChoice = "\"software\"";
        /// Speed against quality, in x264's words.
        preset: Speed = "\"veryfast\"";
        /// Kilobits per second and screen, 50 to 200000. Excludes `crf`.
        kbps: u32 = "none";
        /// Constant quality, 0 (largest) to 51. Excludes `kbps`.
        crf: u32 = "23";
        /// From one regular key frame to the next, 100ms to 60s.
        gop: Duration = "\"2s\"";
    }

    /// What is drawn over and around the cameras.
    OverlayTable "[overlay]" {
        /// Shows the names of cameras.
        labels: bool = "true";
        /// Where they are: in a corner of the picture, or `below` it, where they cover nothing of what a
        /// camera writes into its own picture; the picture then gets that much less height.
        label_place: TextPlace = "\"bottom-left\"";
        /// Where the clock is.
        clock: ClockCorner = "\"none\"";
        /// Width of the border of a tile in pixels, at most 64; 0 for none.
        border: u32 = "2";
        /// Colour of the border.
        border_color: Yuv = "\"#202020\"";
        /// Colour between tiles and of empty ones.
        background: Yuv = "\"#000000\"";
        /// From this age on, a tile says how old its picture is.
        age_after: OrNever = "\"1s\"";
        /// Where it says so. At the edge that has the names, it stands beyond them.
        age_place: TextPlace = "\"bottom-right\"";
        /// Language of placards.
        language: Language = "\"en\"";
    }

    /// How much of each camera is decoded, and what the wall may take of the machine.
    EffortTable "[effort]" {
        /// Tiles of fewer lines than this are thumbnails: they show key frames only. 0: none are.
        thumbnail_lines: u32 = "90";
        /// The longest time between two pictures of a tile that shows key frames, where the camera's
        /// own key frames allow it, 1s to 60s.
        refresh_limit: Duration = "\"5s\"";
        /// Per cent of all cores that the wall may fill, 10 to 100: beyond, tiles degrade.
        budget: u32 = "85";
    }

    /// When to lose patience.
    LimitsTable "[limits]" {
        /// A picture older than this gives way to a placard, 100ms to 60s; of a camera that sends more seldom,
        /// one older than two and a half of its own intervals.
        placard_after: Duration = "\"2s\"";
        /// A picture that did not change for so long is called frozen, from 1s on.
        frozen_after: OrNever = "\"10s\"";
        /// A camera whose queue holds more than this jumps to the next key frame, 40ms to 10s.
        queue: Duration = "\"400ms\"";
        /// How long a camera may take from the call to its first picture, 1s to 120s.
        connect: Duration = "\"10s\"";
        /// How long a connected camera may be silent before it is called again, 500ms to 120s; one that sends
        /// more seldom, four of its own intervals.
        silence: Duration = "\"5s\"";
    }

    /// The wall controller: registry, agreements, incidents, audit, API and page. Without this table the
    /// wall is its owner's alone. Paths are seen from the wall file's folder.
    ControlTable "[control]" {
        /// Address and port of API and page. Elsewhere than on loopback only with TLS.
        listen: String = "\"127.0.0.1:8700\"";
        /// The database, made at the first start; the key of the audit log lies beside it.
        database: String = "\"vitrail.db\"";
        /// The unit for which the screens show: agreements name it.
        unit: String = "\"control-room\"";
        /// The key under which logins of cameras are kept: `file:PATH` (made at the first start), or
        /// `env:NAME`.
        credentials_key: String = "`file:` and the database's name with `.credentials`";
        /// Serves over TLS with a certificate that is made at the first start.
        tls: bool = "false";
        /// Serves over TLS with this certificate and chain (PEM); with `key`.
        certificate: String = "";
        /// The private key of `certificate` (PEM).
        key: String = "";
        /// Further names of this machine, for the certificate that is made.
        names: OneOrMore = "";
        /// The origin by which browsers come, where a proxy is before it, such as `https://wall.example`.
        origin: String = "";
        /// Signed heads of the audit log are written here too: a file on another medium.
        checkpoints: String = "";
        /// Edition of EN 62676-4 by which pictures are rated: `2015`, or `2025`.
        en62676: String = "\"2015\"";
        /// Sign-on by an identity provider: a file, see docs/ref/api.md.
        oidc: String = "";
    }
}

/// All of a wall file.
#[derive(Clone, Default)]
pub(super) struct WallFile {
    pub wall: WallTable,
    pub cameras: Vec<CameraTable>,
    pub screens: Vec<ScreenTable>,
    pub regions: Vec<RegionTable>,
    pub tiles: Vec<TileTable>,
    pub encoder: EncoderTable,
    pub overlay: OverlayTable,
    pub effort: EffortTable,
    pub limits: LimitsTable,
    pub control: Option<ControlTable>,
}

impl WallFile {
    /// Reads the tables.
    pub(super) fn read(table: &DeTable<'_>, report: &mut Report<'_>) -> WallFile {
        let mut file = WallFile::default();
        for (key, value) in table.iter() {
            match &**key.get_ref() {
                "wall" => file.wall = section(value, "wall", report).unwrap_or_default(),
                "camera" => file.cameras = sections(value, "camera", report),
                "screen" => file.screens = sections(value, "screen", report),
                "region" => file.regions = sections(value, "region", report),
                "tile" => file.tiles = sections(value, "tile", report),
                "encoder" => file.encoder = section(value, "encoder", report).unwrap_or_default(),
                "overlay" => file.overlay = section(value, "overlay", report).unwrap_or_default(),
                "effort" => file.effort = section(value, "effort", report).unwrap_or_default(),
                "limits" => file.limits = section(value, "limits", report).unwrap_or_default(),
                "control" => file.control = section(value, "control", report),
                other => {
                    let known = [
                        "wall", "camera", "screen", "region", "tile", "encoder", "overlay", "effort",
                        "limits", "control",
                    ];
                    unknown_key(&key.span(), "", other, &known, report);
                }
            }
        }
        file
    }
}
