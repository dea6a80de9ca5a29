//! From the keys of a wall file to a [`WallSpec`]: files, cameras and settings. Screens and tiles
//! are in `scene`.

use std::collections::{BTreeMap, HashMap};
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

use super::leaf::{ClockCorner, GridSize, Named, OrNever, PixelSize, text_ratio};
use super::read::{At, join};
use super::report::{ConfigErrors, Report, did_you_mean, quoted};
use super::scene::check_scene;
use super::wall::{CameraSpec, EncoderSpec, LimitSpec, OverlaySpec, UriText, WallSpec};
use super::wire::{CameraTable, EffortTable, EncoderTable, LimitsTable, OverlayTable, ScreenTable, WallFile, WallTable};
use crate::composite::Yuv;
use crate::effort::EffortSettings;
use crate::encode::Rate;
use crate::media::{CameraId, Codec, Ratio, WallId};
use crate::source::Patience;

/// The largest wall file that is read, in bytes: a camera takes about 100, so this is ample for
/// 8,000 of them and keeps a wrong file (a recording) out of memory.
const MAX_FILE: u64 = 16 << 20;
/// Addresses that a source understands.
const CAMERA_SCHEMES: [&str; 9] = ["rtsp", "rtsps", "http", "https", "srt", "udp", "file", "rtspt", "rtspu"];
const FRAME_RATES: RangeInclusive<f64> = 1.0..=120.0;

impl WallSpec {
    /// Reads and checks a wall file.
    ///
    /// # Errors
    /// Everything that is wrong with it; nothing was started.
    pub fn load(path: impl AsRef<Path>) -> Result<WallSpec, ConfigErrors> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let refuse = |message: String| {
            let mut report = Report::of_command_line();
            report.add(&(0..0), name.clone(), message);
            report.into_errors()
        };
        let length = std::fs::metadata(path).map_err(|e| refuse(format!("cannot be read: {e}")))?.len();
        if length > MAX_FILE {
            return Err(refuse(format!("is no wall file: {length} bytes, of at most {MAX_FILE}")));
        }
        let bytes = std::fs::read(path).map_err(|e| refuse(format!("cannot be read: {e}")))?;
        let text =
            String::from_utf8(bytes).map_err(|_| refuse("is no wall file: it is not UTF-8 text".into()))?;
        WallSpec::from_toml(&text, &name)
    }

    /// Checks the text of a wall file; `file_name` is for messages.
    ///
    /// # Errors
    /// Everything that is wrong with it. A text that is not TOML gives the errors of the syntax only.
    pub fn from_toml(text: &str, file_name: &str) -> Result<WallSpec, ConfigErrors> {
        let mut report = Report::of_file(file_name, text);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            // Only what the grammar says, never the line itself: that may hold a login.
            report.add(&error.span().unwrap_or(0..0), "", format!("not TOML: {}", error.message()));
        }
        if !errors.is_empty() {
            return Err(report.into_errors());
        }
        let file = WallFile::read(table.get_ref(), &mut report);
        let stem = Path::new(file_name).file_stem().map(|s| s.to_string_lossy().into_owned());
        check(&file, &stem.unwrap_or_else(|| "wall".into()), report)
    }

    /// A wall of one screen without a file: `uris` fill a grid of cells in order. Camera ids are
    /// `cam-1`, `cam-2`, …; names come from the addresses, without logins.
    ///
    /// # Errors
    /// Everything that is wrong, in terms of the options of `vitrail wall`.
    pub fn grid(
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        frame_rate: Ratio,
        uris: &[String],
        outs: &[String],
    ) -> Result<WallSpec, ConfigErrors> {
        let mut report = Report::of_command_line();
        if uris.is_empty() {
            report.add_with(
                &(0..0),
                "",
                "no camera to show",
                "name at least one address, as rtsp://HOST/PATH",
            );
        }
        let cells = u64::from(columns) * u64::from(rows);
        if cells > 0 && uris.len() as u64 > cells {
            report.add_with(
                &(0..0),
                "screen[0].grid",
                format!("{} cameras, but {columns}x{rows} has {cells} cells", uris.len()),
                format!("take --grid {}", grid_that_fits(uris.len())),
            );
        }
        let camera = |(i, uri): (usize, &String)| CameraTable {
            path: format!("camera[{i}]"),
            uri: At::given(file_uri(uri)),
            ..CameraTable::default()
        };
        let screen = ScreenTable {
            path: "screen[0]".into(),
            size: At::given(PixelSize(width, height)),
            grid: At::given(GridSize(columns, rows)),
            outputs: At::given(outs.iter().map(|o| At::new(o.clone(), 0..0)).collect()),
            ..ScreenTable::default()
        };
        let wall =
            WallTable { path: "wall".into(), frame_rate: At::given(frame_rate), ..WallTable::default() };
        let file = WallFile {
            wall,
            cameras: uris.iter().enumerate().map(camera).collect(),
            screens: vec![screen],
            ..WallFile::default()
        };
        check(&file, "wall", report)
    }

    /// A frame rate as `--fps` takes it: `25`, `12.5` or `30000/1001`.
    pub fn parse_frame_rate(text: &str) -> Option<Ratio> {
        text_ratio(text)
    }
}

/// The grid nearest to a square that has at least `count` cells.
fn grid_that_fits(count: usize) -> String {
    let columns = (1..).find(|c| c * c >= count).unwrap_or(1);
    format!("{columns}x{}", count.div_ceil(columns).max(1))
}

/// A path of an existing file becomes its address; everything else stays.
fn file_uri(text: &str) -> String {
    if text.contains("://") {
        return text.to_owned();
    }
    std::path::absolute(text)
        .ok()
        .filter(|path| path.is_file())
        .and_then(|path| url::Url::from_file_path(path).ok())
        .map_or_else(|| text.to_owned(), String::from)
}

fn check(file: &WallFile, default_id: &str, mut report: Report<'_>) -> Result<WallSpec, ConfigErrors> {
    let report_ref = &mut report;
    let mut places = BTreeMap::new();
    let cameras = check_cameras(&file.cameras, &mut places, report_ref);
    let (scene, outputs) = check_scene(file, &cameras, &mut places, report_ref);
    let spec = WallSpec {
        id: WallId::new(wall_id(&file.wall, default_id, report_ref)),
        frame_rate: frame_rate(&file.wall, report_ref),
        backend: value_or(&file.wall.backend, Default::default()),
        cameras,
        scene,
        encoder: check_encoder(&file.encoder, report_ref),
        outputs,
        overlay: check_overlay(&file.overlay, report_ref),
        effort: check_effort(&file.effort, report_ref),
        limits: check_limits(&file.limits, report_ref),
        secrets: path_of(&file.wall.secrets, "wall.secrets", report_ref),
        snapshot: path_of(&file.wall.snapshot, "wall.snapshot", report_ref),
        places,
    };
    if report.is_clean() { Ok(spec) } else { Err(report.into_errors()) }
}

fn wall_id(wall: &WallTable, default: &str, report: &mut Report<'_>) -> String {
    match &wall.id {
        Some(id) => {
            check_id(id, "wall.id", report);
            id.value.clone()
        }
        None => default.to_owned(),
    }
}

fn frame_rate(wall: &WallTable, report: &mut Report<'_>) -> Ratio {
    let twenty_five = Ratio { num: 25, den: 1 };
    let Some(rate) = &wall.frame_rate else { return twenty_five };
    if !FRAME_RATES.contains(&rate.value.as_f64()) {
        report.add(&rate.span, "wall.frame_rate", "is out of range: 1 to 120 pictures per second");
    }
    rate.value
}

fn path_of(text: &Option<At<String>>, key: &str, report: &mut Report<'_>) -> Option<PathBuf> {
    let text = text.as_ref()?;
    if text.value.is_empty() {
        report.add(&text.span, key, "is empty; name a file or leave the key out");
    }
    Some(PathBuf::from(&text.value))
}

/// An id: short, and free of what a shell, a path or an address could read otherwise.
pub(super) fn check_id(id: &At<String>, key: &str, report: &mut Report<'_>) {
    let plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    if id.value.is_empty() {
        report.add(&id.span, key, "is empty");
    } else if id.value.chars().count() > 64 || !id.value.chars().all(plain) {
        report.add_with(
            &id.span,
            key,
            format!("{} is no id", quoted(&id.value)),
            "at most 64 letters, digits, -, _ and .",
        );
    }
}

/// Ids that are taken, and where they were given.
#[derive(Default)]
pub(super) struct Taken {
    by_id: HashMap<String, Range<usize>>,
}

impl Taken {
    /// Takes an id (or, without one, `prefix-number`); notes where it is taken already.
    pub(super) fn take(
        &mut self,
        id: &Option<At<String>>,
        path: &str,
        span: &Range<usize>,
        otherwise: String,
        report: &mut Report<'_>,
    ) -> String {
        let (text, span) = match id {
            Some(id) => {
                check_id(id, &join(path, "id"), report);
                (id.value.clone(), id.span.clone())
            }
            None => (otherwise, span.clone()),
        };
        match self.by_id.get(&text) {
            Some(first) => {
                let line = report.place(first).map(|p| format!(" on line {}", p.line)).unwrap_or_default();
                report.add_with(
                    &span,
                    join(path, "id"),
                    format!("{} is already taken{line}", quoted(&text)),
                    "give each its own id",
                );
            }
            None => drop(self.by_id.insert(text.clone(), span)),
        }
        text
    }
}

pub(super) type Places = BTreeMap<String, (String, super::report::Place)>;

pub(super) fn remember(
    places: &mut Places,
    subject: String,
    key: &str,
    span: &Range<usize>,
    report: &Report<'_>,
) {
    if let Some(place) = report.place(span) {
        places.insert(subject, (key.to_owned(), place));
    }
}

fn check_cameras(tables: &[CameraTable], places: &mut Places, report: &mut Report<'_>) -> Vec<CameraSpec> {
    if tables.is_empty() && report.is_clean() {
        report.add_with(&(0..0), "camera", "no camera", "add a table [[camera]] with its uri");
    }
    let mut taken = Taken::default();
    let mut cameras = Vec::with_capacity(tables.len());
    for (i, table) in tables.iter().enumerate() {
        let id = taken.take(&table.id, &table.path, &table.here, format!("cam-{}", i + 1), report);
        remember(places, format!("camera {id}"), &table.path, &table.here, report);
        let profiles = check_profiles(table, report);
        let name = match (&table.name, &table.id) {
            (Some(name), _) => name.value.clone(),
            (None, Some(id)) => id.value.clone(),
            (None, None) => profiles.get("main").and_then(name_from).unwrap_or_else(|| id.clone()),
        };
        cameras.push(CameraSpec {
            id: CameraId::new(id),
            name,
            profiles,
            transport: value_or(&table.transport, Default::default()),
            client: value_or(&table.client, Default::default()),
            site: table.site.as_ref().map(|s| s.value.clone()),
            zone: table.zone.as_ref().map(|z| z.value.clone()),
            masks: table.masks.iter().flat_map(|m| &m.value).map(|m| m.value).collect(),
            pinned: value_or(&table.pinned, false),
        });
    }
    cameras
}

fn check_profiles(table: &CameraTable, report: &mut Report<'_>) -> BTreeMap<String, UriText> {
    let mut profiles = BTreeMap::new();
    let named = table.profiles.as_ref().map(|p| &p.value);
    if let Some(Named(named)) = named {
        for (name, uri) in named {
            check_camera_uri(uri, &format!("{}.profiles.{name}", table.path), report);
            profiles.insert(name.clone(), UriText::new(&*uri.value));
        }
    }
    match (&table.uri, profiles.contains_key("main")) {
        (Some(uri), has_main) => {
            check_camera_uri(uri, &join(&table.path, "uri"), report);
            if has_main {
                report.add_with(
                    &uri.span,
                    join(&table.path, "uri"),
                    "and profiles.main are both given",
                    "they mean the same: keep one",
                );
            }
            profiles.insert("main".into(), UriText::new(&*uri.value));
        }
        (None, true) => {}
        (None, false)
            if table.given.contains(&"uri") || (table.given.contains(&"profiles") && named.is_none()) => {}
        (None, false) => report.add_with(
            &table.here,
            join(&table.path, "uri"),
            "is missing",
            "say where the camera is, as uri = \"rtsp://HOST/PATH\"",
        ),
    }
    profiles
}

/// Refuses what no source can open. Says nothing of the address but its scheme: the rest may hold
/// a login.
fn check_camera_uri(uri: &At<String>, key: &str, report: &mut Report<'_>) {
    if ["/", "./", "../"].iter().any(|start| uri.value.starts_with(start)) {
        return; // a file on this machine
    }
    let schemes = || format!("one of {}", CAMERA_SCHEMES[..7].join(", "));
    let Some((scheme, _)) = uri.value.split_once("://") else {
        report.add_with(
            &uri.span,
            key,
            "is no address",
            format!("it begins with a scheme and ://, {}; or with / or ./ for a file", schemes()),
        );
        return;
    };
    if !CAMERA_SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) {
        let remedy = did_you_mean(scheme, CAMERA_SCHEMES).unwrap_or_else(|| format!("it is {}", schemes()));
        report.add_with(
            &uri.span,
            key,
            format!("scheme {} is not one that a camera can have", quoted(scheme)),
            remedy,
        );
        return;
    }
    match url::Url::parse(&uri.value) {
        Ok(url) if url.scheme() == "file" && url.path().len() < 2 => {
            report.add_with(&uri.span, key, "names no file", "write file:///FOLDER/FILE");
        }
        Ok(url) if url.scheme() != "file" && url.host_str().is_none_or(str::is_empty) => {
            // SRT listeners and datagram receivers have an address without a host: `srt://:7001`.
            if !matches!(url.scheme(), "srt" | "udp") {
                report.add_with(&uri.span, key, "names no host", "write scheme://HOST:PORT/PATH");
            }
        }
        Ok(_) => {}
        Err(url::ParseError::EmptyHost) if matches!(scheme, "srt" | "udp") => {}
        Err(error) => report.add_with(
            &uri.span,
            key,
            format!("is no address: {error}"),
            "characters such as @ : / in a password are written as %40 %3A %2F",
        ),
    }
}

/// A name from an address: host and plain path, or the name of a file. Never a login or a query.
fn name_from(uri: &UriText) -> Option<String> {
    if !uri.expose().contains("://") {
        return Path::new(uri.expose()).file_name().map(|name| name.to_string_lossy().into_owned());
    }
    let url = url::Url::parse(uri.expose()).ok()?;
    let plain = |part: &str| part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let parts: Vec<&str> = url.path_segments()?.filter(|p| !p.is_empty()).collect();
    if url.scheme() == "file" {
        return parts.last().filter(|p| plain(p)).map(|p| (*p).to_owned());
    }
    let host = url.host_str().filter(|h| !h.is_empty())?;
    // Some cameras take their login in the path (`user=…&password=…`): then the host alone is shown.
    let path = parts.iter().all(|p| plain(p) && !p.to_ascii_lowercase().contains("pass"));
    Some(match (path && !parts.is_empty(), parts.join("/")) {
        (true, path) => format!("{host}/{path}"),
        (false, _) => host.to_owned(),
    })
}

fn check_encoder(table: &EncoderTable, report: &mut Report<'_>) -> EncoderSpec {
    let key = |name: &str| format!("encoder.{name}");
    let rate = match (&table.kbps, &table.crf) {
        (Some(kbps), Some(crf)) => {
            let later = if kbps.span.start > crf.span.start { ("kbps", kbps) } else { ("crf", crf) };
            report.add_with(
                &later.1.span,
                key(later.0),
                "kbps and crf are both given",
                "bits or quality: keep one",
            );
            Rate::Kbps(kbps.value)
        }
        (Some(kbps), None) => {
            if !(50..=200_000).contains(&kbps.value) {
                report.add(&kbps.span, key("kbps"), "is out of range: 50 to 200000 kilobits per second");
            }
            Rate::Kbps(kbps.value)
        }
        (None, Some(crf)) => {
            if crf.value > 51 {
                report.add(&crf.span, key("crf"), "is out of range: 0 to 51");
            }
            Rate::Crf(crf.value.min(51) as u8)
        }
        (None, None) => Rate::Crf(23),
    };
    EncoderSpec {
        codec: value_or(&table.codec, Codec::H264),
        choice: value_or(&table.choice, Default::default()),
        preset: table.preset.as_ref().map_or("veryfast", |p| p.value.0).to_owned(),
        rate,
        gop: within(&table.gop, "encoder.gop", 2_000, 100..=60_000, report),
    }
}

fn check_overlay(table: &OverlayTable, report: &mut Report<'_>) -> OverlaySpec {
    if let Some(border) = table.border.as_ref().filter(|b| b.value > 64) {
        report.add(&border.span, "overlay.border", "is out of range: 0 to 64 pixels");
    }
    OverlaySpec {
        labels: value_or(&table.labels, true),
        clock: value_or(&table.clock, ClockCorner(None)).0,
        border: value_or(&table.border, 2),
        border_color: value_or(&table.border_color, Yuv::from_rgb(0x20, 0x20, 0x20)),
        background: value_or(&table.background, Yuv::BLACK),
        age_after: value_or(&table.age_after, OrNever(Some(Duration::from_secs(1)))).0,
        language: value_or(&table.language, Default::default()),
    }
}

fn check_effort(table: &EffortTable, report: &mut Report<'_>) -> EffortSettings {
    let per_cent = value_or(&table.budget, 85);
    if let Some(given) = &table.budget
        && !(10..=100).contains(&per_cent)
    {
        report.add(&given.span, "effort.budget", "is out of range: 10 to 100 per cent");
    }
    let usual = EffortSettings::default();
    EffortSettings {
        thumbnail_lines: value_or(&table.thumbnail_lines, usual.thumbnail_lines),
        refresh_limit: within(&table.refresh_limit, "effort.refresh_limit", 5_000, 1_000..=60_000, report),
        budget: f64::from(per_cent) / 100.0,
        ..usual
    }
}

fn check_limits(table: &LimitsTable, report: &mut Report<'_>) -> LimitSpec {
    let frozen_after = value_or(&table.frozen_after, OrNever(Some(Duration::from_secs(10)))).0;
    if let Some(given) = &table.frozen_after
        && frozen_after.is_some_and(|after| after < Duration::from_secs(1))
    {
        report.add(&given.span, "limits.frozen_after", "is out of range: 1s or more, or \"never\"");
    }
    LimitSpec {
        placard_after: within(&table.placard_after, "limits.placard_after", 2_000, 100..=60_000, report),
        frozen_after,
        queue: within(&table.queue, "limits.queue", 400, 40..=10_000, report),
        patience: Patience {
            connect: within(&table.connect, "limits.connect", 10_000, 1_000..=120_000, report),
            silence: within(&table.silence, "limits.silence", 5_000, 500..=120_000, report),
        },
    }
}

/// A duration with its default and bounds, in milliseconds.
fn within(
    given: &Option<At<Duration>>,
    key: &str,
    default_ms: u64,
    bounds_ms: RangeInclusive<u64>,
    report: &mut Report<'_>,
) -> Duration {
    let Some(given) = given else { return Duration::from_millis(default_ms) };
    let (low, high) = (Duration::from_millis(*bounds_ms.start()), Duration::from_millis(*bounds_ms.end()));
    if !(low..=high).contains(&given.value) {
        report.add(&given.span, key, format!("is out of range: {low:?} to {high:?}"));
    }
    given.value
}

pub(super) fn value_or<T: Copy>(given: &Option<At<T>>, default: T) -> T {
    given.as_ref().map_or(default, |at| at.value)
}
