//! `vitrail registry`: zones and cameras of a controller, while it does not run.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use vitrail_control::Problem;
use vitrail_control::base::Kind;
use vitrail_control::controller::open_registry;
use vitrail_control::registry::{
    Author, Camera, Format, ImportOptions, ImportReport, KeySource, MAX_IMPORT, Registry, Search,
};
use vitrail_engine::base::SystemClock;
use vitrail_engine::config::WallSpec;
use vitrail_engine::{Error, ErrorKind, Result};

use crate::print::{print_json, print_text};
use crate::terminal::shown_path;

/// Rows of a page.
const PAGE: usize = 1000;

/// List, import and export the cameras of a wall's controller, while it does not run
#[derive(clap::Args)]
#[command(after_help = "Examples:
  vitrail registry list wall.toml ecole north
  vitrail registry import wall.toml cameras.csv --dry-run
  vitrail registry export wall.toml cameras.geojson
  vitrail registry rekey wall.toml file:new.key

While the controller runs, its page and its API do the same.")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// List cameras, all of them or those in which every word stands
    List {
        /// The wall file with its table [control]
        wall: PathBuf,
        /// Words of id, name, zone, site or tags
        words: Vec<String>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Take an inventory: what it names is added or changed
    Import {
        /// The wall file with its table [control]
        wall: PathBuf,
        /// The inventory (.csv, .geojson or .json)
        file: PathBuf,
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
        /// Remove the cameras that it does not name; nothing is removed where rows are wrong
        #[arg(long)]
        remove: bool,
        /// Print the report as JSON
        #[arg(long)]
        json: bool,
    },
    /// Write the inventory, without credentials
    Export {
        /// The wall file with its table [control]
        wall: PathBuf,
        /// Where to: .csv, .geojson or .json; never replaces a file [default: CSV to standard output]
        file: Option<PathBuf>,
    },
    /// Seal all stored credentials under another key
    Rekey {
        /// The wall file with its table [control]
        wall: PathBuf,
        /// The new key: file:PATH, which is made where it is not there, or env:NAME
        key: String,
    },
}

/// Does it.
///
/// # Errors
/// A wall file without `[control]`, a controller that runs, a key that is not the one, a file that cannot
/// be read or written, rows that are wrong (after the others were taken).
pub fn run(args: &Args) -> Result<()> {
    match &args.action {
        Action::List { wall, words, json } => {
            let registry = open(wall)?;
            list(&registry, &words.join(" "), *json)
        }
        Action::Import { wall, file, dry_run, remove, json } => {
            let options = ImportOptions { format: format(file)?, dry_run: *dry_run, remove: *remove };
            let registry = open(wall)?;
            import(&registry, file, options, *json)
        }
        Action::Export { wall, file } => {
            let registry = open(wall)?;
            export(&registry, file.as_deref())
        }
        Action::Rekey { wall, key } => {
            let source: KeySource = key.parse().map_err(error)?;
            let registry = open(wall)?;
            let count = registry.rekey(&Author::system(), &source).map_err(error)?;
            println!("credentials of {count} cameras are sealed under key {} now", registry.key_id());
            println!("write credentials_key = \"{source}\" into the table [control] of {}", shown_path(wall));
            Ok(())
        }
    }
}

fn open(wall: &Path) -> Result<std::sync::Arc<Registry>> {
    let spec = WallSpec::load(wall)?;
    let control = spec.control.as_ref().ok_or_else(|| {
        Error::new(
            ErrorKind::Config,
            wall.display().to_string(),
            "has no table [control]: there is no registry",
        )
    })?;
    let (_, registry) = open_registry(control, SystemClock::shared()).map_err(error)?;
    let seeded = registry.seed_from(&spec).map_err(error)?;
    if seeded > 0 {
        eprintln!(
            "the registry was empty: {seeded} cameras of the wall file and its inventories are in it now"
        );
    }
    Ok(registry)
}

fn list(registry: &Registry, words: &str, as_json: bool) -> Result<()> {
    let search = Search { q: Some(words.to_owned()), ..Search::default() };
    let mut found: Vec<Camera> = Vec::new();
    loop {
        let after = found.last().map(|camera| camera.id.clone());
        let page = registry.search(&search, after.as_deref(), PAGE).map_err(error)?;
        let full = page.len() == PAGE;
        found.extend(page);
        if !full {
            break;
        }
    }
    if as_json {
        return print_json("cameras", &found);
    }
    let width = found.iter().map(|c| c.id.chars().count()).max().unwrap_or(2).clamp(2, 40);
    let mut lines = vec![format!("{:width$}  {:12}  {:40}  {}", "id", "zone", "name", "tags")];
    for camera in &found {
        let zone = camera.zone.as_deref().unwrap_or("-");
        lines.push(format!("{:width$}  {zone:12}  {:40}  {}", camera.id, camera.name, camera.tags.join(" ")));
    }
    print_text(&lines.join("\n"))?;
    eprintln!("{} of {} cameras", found.len(), registry.count().map_err(error)?);
    Ok(())
}

fn import(registry: &Registry, file: &Path, options: ImportOptions, as_json: bool) -> Result<()> {
    let subject = file.display().to_string();
    let unreadable = |e| Error::new(ErrorKind::Io, subject.clone(), "cannot be read").caused_by(e);
    let mut text = String::new();
    let limit = MAX_IMPORT as u64 + 1;
    std::fs::File::open(file)
        .map_err(unreadable)?
        .take(limit)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    let report = registry.import(&Author::system(), &text, options).map_err(error)?;
    if as_json {
        print_json("report", &report)?;
    } else {
        print_text(&in_words(&report))?;
    }
    if report.left_out_count == 0 {
        return Ok(());
    }
    let row = |problem: &vitrail_control::registry::RowProblem| {
        let row = problem.row.map(|row| format!("{row}: ")).unwrap_or_default();
        format!("{row}{}: {}", problem.key, problem.message)
    };
    let mut lines: Vec<String> = report.left_out.iter().take(200).map(row).collect();
    if report.left_out.len() > lines.len() {
        lines.push("…".into());
    }
    let message = format!("{} rows were left out:\n{}", report.left_out_count, lines.join("\n"));
    Err(Error::new(ErrorKind::Config, subject, message))
}

fn in_words(report: &ImportReport) -> String {
    let head = if report.dry_run { "would be: " } else { "" };
    let mut lines = vec![format!(
        "{head}{} added, {} changed, {} removed; {} as they were, {} not named and kept",
        report.added_count,
        report.changed_count,
        report.removed_count,
        report.unchanged_count,
        report.not_named_count
    )];
    for change in report.changed.iter().take(50) {
        let credentials = if change.credentials == "kept" { "" } else { change.credentials.as_str() };
        let credentials =
            if credentials.is_empty() { String::new() } else { format!("; credentials {credentials}") };
        lines.push(format!("  {}: {}{credentials}", change.id, change.fields.join(", ")));
    }
    if report.changed_count > 50 {
        lines.push("  …".into());
    }
    for (what, ids) in [("new zones", &report.zones_added), ("new sites", &report.sites_added)] {
        if !ids.is_empty() {
            lines.push(format!("{what}: {}", ids.iter().take(20).cloned().collect::<Vec<_>>().join(", ")));
        }
    }
    lines.join("\n")
}

fn export(registry: &Registry, file: Option<&Path>) -> Result<()> {
    let Some(file) = file else {
        return print_text(registry.export(Format::Csv).map_err(error)?.trim_end());
    };
    let text = registry.export(format(file)?).map_err(error)?;
    let failed = |e| Error::new(ErrorKind::Io, file.display().to_string(), "cannot be written").caused_by(e);
    let mut out = std::fs::OpenOptions::new().write(true).create_new(true).open(file).map_err(failed)?;
    out.write_all(text.as_bytes()).map_err(failed)?;
    println!("{} cameras in {}", registry.count().map_err(error)?, shown_path(file));
    Ok(())
}

fn format(file: &Path) -> Result<Format> {
    match file.extension().map(|e| e.to_ascii_lowercase()) {
        Some(e) if e == "csv" => Ok(Format::Csv),
        Some(e) if e == "geojson" || e == "json" => Ok(Format::Geojson),
        _ => {
            let what = "is no inventory that a registry takes; its name ends in .csv, .geojson or .json";
            Err(Error::new(ErrorKind::Config, file.display().to_string(), what))
        }
    }
}

/// A problem in the words of the command line.
fn error(problem: Problem) -> Error {
    let kind = match problem.kind {
        Kind::Internal => ErrorKind::Internal,
        Kind::Unavailable => ErrorKind::Io,
        _ => ErrorKind::Config,
    };
    let mut detail = problem.detail;
    // A file that is refused as a whole says all of why.
    let rows = problem.more.as_ref().and_then(|more| more.get("rows")).and_then(|rows| rows.as_array());
    for row in rows.into_iter().flatten().skip(1).take(50) {
        detail.push_str(&format!("\n{}", row.get("message").and_then(|m| m.as_str()).unwrap_or_default()));
    }
    Error::new(kind, problem.title, detail)
}
