//! `vitrail inventory`: checks, lists and converts inventories of cameras.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};
use vitrail_engine::config::{CameraSpec, Inventory, Problem, Query};
use vitrail_engine::media::Codec;
use vitrail_engine::{Error, ErrorKind, Result};

use crate::print::{print_json, print_text};
use crate::terminal::shown_path;

/// Check, list and convert inventories of cameras
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Count cameras and zones, and say every row that is wrong
    Check {
        /// Inventories (.csv or .toml), read as one
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Print at most this many problems
        #[arg(long, value_name = "N", default_value_t = 200)]
        limit: usize,
    },
    /// List cameras
    #[command(after_help = "Examples:
  vitrail inventory list cameras.csv --where 'zone = north and tag = tunnel'
  vitrail inventory list cameras.csv --where 'name ~ *bridge* and not tag in (indoor, closed)' --json
  vitrail inventory list cameras.csv --where 'near 50.85,4.35 within 2km'")]
    List {
        /// Inventories (.csv or .toml), read as one
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Which cameras
        #[arg(long = "where", value_name = "QUERY", default_value = "all")]
        query: String,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Write an inventory as TOML; the file holds the logins of addresses, so only its owner may read it
    Convert {
        /// An inventory (.csv or .toml)
        #[arg(value_name = "FROM.csv")]
        from: PathBuf,
        /// The file to write
        #[arg(value_name = "TO.toml")]
        to: PathBuf,
    },
}

/// Runs one of the three.
///
/// # Errors
/// Files that are refused, rows that are wrong (after everything is printed), a query that is wrong.
pub fn run(args: Args) -> Result<()> {
    match args.command {
        Command::Check { files, limit } => check(&files, limit),
        Command::List { files, query, json } => list(&files, &query, json),
        Command::Convert { from, to } => convert(&from, &to),
    }
}

fn check(files: &[PathBuf], limit: usize) -> Result<()> {
    let begun = Instant::now();
    let inventory = Inventory::load(files)?;
    let milliseconds = begun.elapsed().as_secs_f64() * 1000.0;
    let zones = inventory.zones();
    let mut lines =
        vec![format!("{} cameras in {} zones, read in {milliseconds:.0} ms", inventory.len(), named(&zones))];
    lines.extend(zones.iter().map(|(zone, count)| format!("{count:>8}  {}", zone.unwrap_or("(no zone)"))));
    let mut profiles: BTreeMap<&str, usize> = BTreeMap::new();
    for name in inventory.cameras().iter().flat_map(|c| c.profiles.keys()) {
        *profiles.entry(name).or_default() += 1;
    }
    lines.extend(profiles.iter().map(|(name, count)| format!("{count:>8}  profile {name}")));
    print_text(&lines.join("\n"))?;
    refuse_bad_rows(files, &inventory, limit)
}

fn named<T>(zones: &BTreeMap<Option<&str>, T>) -> usize {
    zones.keys().filter(|zone| zone.is_some()).count()
}

/// The rows that are wrong, as the error of the command.
fn refuse_bad_rows(files: &[PathBuf], inventory: &Inventory, limit: usize) -> Result<()> {
    if inventory.problems().is_empty() {
        return Ok(());
    }
    let names: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
    let message = format!(
        "{} cameras are left out because their rows are wrong:\n{}",
        inventory.rejected(),
        some(inventory.problems(), limit)
    );
    Err(Error::new(ErrorKind::Config, names.join(", "), message))
}

/// Problems, one on a line, and how many more there are.
pub fn some(problems: &[Problem], limit: usize) -> String {
    let mut lines: Vec<String> = problems.iter().take(limit).map(Problem::to_string).collect();
    if problems.len() > limit {
        lines.push(format!("… and {} more", problems.len() - limit));
    }
    lines.join("\n")
}

fn list(files: &[PathBuf], query: &str, as_json: bool) -> Result<()> {
    let query = Query::parse(query).map_err(|e| Error::new(ErrorKind::Config, "--where", e.to_string()))?;
    let inventory = Inventory::load(files)?;
    let found = inventory.select(&query);
    if as_json {
        let all: Vec<Value> = found.iter().map(|camera| describe(camera)).collect();
        print_json("inventory", &all)?;
    } else {
        print_text(&table(&found))?;
        eprintln!("{} of {} cameras", found.len(), inventory.len());
    }
    if inventory.rejected() > 0 {
        eprintln!("{} cameras are left out: vitrail inventory check says why", inventory.rejected());
    }
    Ok(())
}

fn convert(from: &Path, to: &Path) -> Result<()> {
    let inventory = Inventory::load(&[from])?;
    refuse_bad_rows(&[from.to_owned()], &inventory, 20)?;
    let subject = to.display().to_string();
    let failed = |e| Error::new(ErrorKind::Io, subject.clone(), "cannot be written").caused_by(e);
    // Nobody but the owner reads it, from its first byte on; an existing file is left alone.
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(failed)?;
    file.write_all(inventory.to_toml().as_bytes()).map_err(failed)?;
    println!("{} cameras in {}", inventory.len(), shown_path(to));
    Ok(())
}

fn table(cameras: &[&CameraSpec]) -> String {
    let width = |of: fn(&CameraSpec) -> &str, least: usize| {
        cameras.iter().map(|c| of(c).chars().count()).max().unwrap_or(0).clamp(least, 40)
    };
    let (id, name) = (width(|c| c.id.as_str(), 2), width(|c| &c.name, 4));
    let zone = width(|c| c.zone.as_deref().unwrap_or("-"), 4);
    let mut lines =
        vec![format!("{:id$}  {:name$}  {:zone$}  {:20}  {}", "id", "name", "zone", "profiles", "tags")];
    for camera in cameras {
        let profiles: Vec<&str> = camera.profiles.keys().map(String::as_str).collect();
        lines.push(format!(
            "{:id$}  {:name$}  {:zone$}  {:20}  {}",
            camera.id.as_str(),
            camera.name,
            camera.zone.as_deref().unwrap_or("-"),
            profiles.join(" "),
            camera.tags.join(";"),
        ));
    }
    lines.join("\n")
}

/// A camera for programs. Addresses are without login, path and query.
fn describe(camera: &CameraSpec) -> Value {
    let profiles: serde_json::Map<String, Value> = camera
        .profiles
        .iter()
        .map(|(name, uri)| {
            let facts = camera.streams.get(name).copied().unwrap_or_default();
            let value = json!({
                "uri": uri.to_string(),
                "width": facts.size.map(|s| s.0),
                "height": facts.size.map(|s| s.1),
                "fps": facts.frame_rate.map(|f| f.as_f64()),
                "codec": facts.codec.map(codec),
                "kbps": facts.kbps,
            });
            (name.clone(), value)
        })
        .collect();
    json!({
        "id": camera.id.as_str(),
        "name": camera.name,
        "zone": camera.zone,
        "site": camera.site,
        "tags": camera.tags,
        "latitude": camera.position.map(|p| p.latitude),
        "longitude": camera.position.map(|p| p.longitude),
        "scene_width_m": camera.scene_width_m,
        "priority": camera.priority,
        "pinned": camera.pinned,
        "still": camera.still,
        "turn": camera.turn.degrees(),
        "flip": camera.flip.word(),
        "masks": camera.masks.len(),
        "profiles": profiles,
    })
}

fn codec(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "h264",
        Codec::H265 => "h265",
        Codec::Mjpeg => "mjpeg",
        Codec::Mpeg4 => "mpeg4",
    }
}
