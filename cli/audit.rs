//! `vitrail audit`: reads, verifies and exports the audit log of a controller, over its file.

use std::fs::OpenOptions;
use std::io::{BufWriter, ErrorKind as Io, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use vitrail_control::audit::query::{self, Order};
use vitrail_control::audit::verify::{self, Check, Finding, Findings, Verdict};
use vitrail_control::audit::{Export, Query, Record};
use vitrail_control::base::Kind;
use vitrail_control::{Problem, Utc};
use vitrail_engine::evidence::PublicKey;
use vitrail_engine::{Error, ErrorKind, Result};

use crate::print::print_json;
use crate::terminal::{Terminal, shown, shown_path};

/// Records that are read at a time.
const PAGE: usize = 500;

/// Read, verify and export the audit log of a controller
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Print records, the oldest first; the controller may run meanwhile
    #[command(after_help = "Examples:
  vitrail audit show --limit 20
  vitrail audit show vitrail.db --from 2026-11-24T08:00:00+01:00 --kind 'showing.*' --camera cam-7
  vitrail audit show vitrail.db --account u-2 --json | jq .event.reason

Exit codes:
  0  done, also where no record is meant
  2  wrong arguments, or no database of a controller
  3  made by a later version
  4  a file cannot be read")]
    Show {
        /// The controller's database
        #[arg(value_name = "DATABASE", default_value = "vitrail.db")]
        database: PathBuf,
        #[command(flatten)]
        filter: Filter,
        /// Only the newest so many
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Check that no record was changed, removed, inserted or reordered, and that the end is there
    #[command(after_help = "Examples:
  vitrail audit verify vitrail.db --key controller.pub --checkpoints /mnt/worm/heads.jsonl
  vitrail audit verify november.jsonl --key controller.pub

Exit codes:
  0  signed with a key given, and every record is as it was written
  1  something is not as it was written
  2  wrong arguments or key file, or the file is neither a database nor an export
  3  made by a later version
  4  a file cannot be read
  6  every record fits, but no key was given: it is not known who signed")]
    Verify {
        /// The controller's database, a copy of it, or an export
        #[arg(value_name = "FILE", default_value = "vitrail.db")]
        file: PathBuf,
        /// The controller's public key; get it from whom you trust, not from beside the database (repeat it
        /// where the log says that the key was replaced)
        #[arg(long, value_name = "PUBLIC")]
        key: Vec<PathBuf>,
        /// The file of checkpoints: finds a database that was set back as a whole
        #[arg(long, value_name = "FILE")]
        checkpoints: Option<PathBuf>,
        /// Print all findings as one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Write records into a file that can be verified without the controller
    #[command(after_help = "Examples:
  vitrail audit export vitrail.db -o log.jsonl
  vitrail audit export vitrail.db -o south.jsonl --zone south --from 2026-11-01T00:00:00Z

Of the time that is asked for, records that are not meant are there as digests, so that the chain can
be followed. Exit codes as those of show; a file that is there is kept (2).")]
    Export {
        /// The controller's database
        #[arg(value_name = "DATABASE", default_value = "vitrail.db")]
        database: PathBuf,
        /// The file to write; only its owner can read it
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        #[command(flatten)]
        filter: Filter,
    },
}

/// Which records are meant.
#[derive(clap::Args)]
struct Filter {
    /// Written then or later, like 2026-11-24T17:00:00Z or with +01:00
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Utc>,
    /// Written before
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Utc>,
    /// This kind; 'showing.*' is all kinds of a room
    #[arg(long)]
    kind: Option<String>,
    /// Concerning this camera
    #[arg(long)]
    camera: Option<String>,
    /// Concerning this zone
    #[arg(long)]
    zone: Option<String>,
    /// By this account, or `system`
    #[arg(long)]
    account: Option<String>,
    /// Under this incident
    #[arg(long)]
    incident: Option<String>,
}

impl Filter {
    fn query(self) -> Query {
        let Filter { from, to, kind, camera, zone, account, incident } = self;
        Query { from, to, kind, camera, zone, account, incident, zones: None }
    }
}

fn time(text: &str) -> Result<Utc, String> {
    Utc::parse(text).ok_or_else(|| "write a time like 2026-11-24T17:00:00Z".into())
}

/// Reads and prints; writes nothing but an export.
pub fn run(args: Args, terminal: &Terminal) -> Result<ExitCode> {
    match args.action {
        Action::Show { database, filter, limit, json } => {
            show(&database, &filter.query(), limit, json).map(|()| ExitCode::SUCCESS)
        }
        Action::Verify { file, key, checkpoints, json } => {
            let keys = key.iter().map(|path| PublicKey::read(path)).collect::<Result<_>>()?;
            check(&Check { file, keys, checkpoints }, json, terminal)
        }
        Action::Export { database, output, filter } => {
            export(&database, &output, filter.query()).map(|()| ExitCode::SUCCESS)
        }
    }
}

fn show(database: &Path, query: &Query, limit: Option<usize>, json: bool) -> Result<()> {
    let connection = verify::open(database).map_err(error)?;
    let list = |order, after, limit| query::list(&connection, query, order, after, limit).map_err(error);
    // The newest so many, but the oldest of them first.
    if let Some(limit) = limit {
        let (records, _) = list(Order::NewestFirst, None, limit)?;
        return print(records.iter().rev(), json).map(drop);
    }
    let mut after = None;
    loop {
        let (records, more) = list(Order::OldestFirst, after, PAGE)?;
        after = records.last().map(|record| record.seq);
        if !print(records.iter(), json)? || !more {
            return Ok(());
        }
    }
}

/// False where the reader has enough (`head`), which is no fault.
fn print<'a>(records: impl Iterator<Item = &'a Record>, json: bool) -> Result<bool> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let failed = |e: std::io::Error| match e.kind() {
        Io::BrokenPipe => Ok(false),
        _ => Err(Error::new(ErrorKind::Io, "standard output", "cannot be written").caused_by(e)),
    };
    for record in records {
        let line = if json {
            serde_json::to_string(record)
                .map_err(|e| Error::new(ErrorKind::Internal, "record", "is no JSON").caused_by(e))?
        } else {
            shown(&line(record))
        };
        if let Err(e) = writeln!(out, "{line}") {
            return failed(e);
        }
    }
    out.flush().map_or_else(failed, |()| Ok(true))
}

fn line(record: &Record) -> String {
    let Record { seq, at, by, event } = record;
    let mut line = format!("{seq:>7}  {at}  {:22}  {}", event.kind, by.name);
    let facts = [
        ("account", Some(&by.account).filter(|account| *account != "system")),
        ("zone", event.zone.as_ref()),
        ("camera", event.camera.as_ref()),
        ("screen", event.screen.as_ref()),
        ("incident", event.incident.as_ref()),
        ("agreement", event.agreement.as_ref()),
        ("subject", event.subject.as_ref()),
        ("basis", event.basis.as_ref()),
        ("reason", event.reason.as_ref()),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            line.push_str(&format!("  {name}={value}"));
        }
    }
    if !event.details.is_null() {
        line.push_str(&format!("  {}", event.details));
    }
    line
}

fn check(check: &Check, json: bool, terminal: &Terminal) -> Result<ExitCode> {
    let bar = terminal.status_line();
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3} %  {eta} left") {
        bar.set_style(style);
    }
    let outcome = verify::verify(check, &mut |done, of| advance(&bar, done, of));
    bar.finish_and_clear();
    let findings = outcome.map_err(error)?;
    if json {
        print_json("findings", &findings)?;
    } else {
        print!("{}", text(&findings));
    }
    Ok(ExitCode::from(findings.verdict.exit_code()))
}

fn advance(bar: &ProgressBar, done: u64, of: u64) {
    bar.set_length(of);
    bar.set_position(done);
}

fn text(findings: &Findings) -> String {
    let mut lines = Vec::new();
    let mut line = |key: &str, value: &str| lines.push(format!("{key:<11} {}", shown(value)));
    line("log", &findings.log);
    if let (Some(first), Some(last)) = (findings.first, findings.last) {
        let span = |from: Utc, to: Utc| format!(", written {from} to {to}");
        let times = findings.from.zip(findings.to).map(|(from, to)| span(from, to)).unwrap_or_default();
        let withheld = match findings.withheld {
            0 => String::new(),
            n => format!("; of {n} only the digest"),
        };
        line("records", &format!("{} ({first} to {last}){times}{withheld}", findings.records));
    }
    if let Some(id) = &findings.key_id {
        let whose = if findings.key_given { "" } else { " (a key that came with the log)" };
        line("signed with", &format!("{id}{whose}"));
    }
    line(
        "signatures",
        &format!("{} in the log, {} elsewhere", findings.signatures, findings.file_signatures),
    );
    for note in &findings.notes {
        line("note", note);
    }
    for finding in &findings.faults {
        line(finding.what.as_str(), &named(finding));
    }
    let more = findings.faults_total.saturating_sub(findings.faults.len() as u64);
    if more > 0 {
        line("…", &format!("and {more} more"));
    }
    for span in &findings.trusted {
        line("proven", &format!("records {} to {}, signed {}", span.from, span.to, span.signed_at));
    }
    line(verdict(findings.verdict), &conclusion(findings));
    lines.join("\n") + "\n"
}

fn named(finding: &Finding) -> String {
    match (finding.seq, finding.to) {
        (Some(seq), Some(to)) => format!("records {seq} to {to}: {}", finding.detail),
        (Some(seq), None) => format!("record {seq}: {}", finding.detail),
        _ => finding.detail.clone(),
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Verified => "VERIFIED",
        Verdict::Unattributed => "UNCHANGED",
        Verdict::Failed => "FAILED",
    }
}

fn conclusion(findings: &Findings) -> String {
    match findings.verdict {
        Verdict::Verified => "signed with a key given; every record is as it was written".into(),
        Verdict::Unattributed => {
            "every record fits; but not known who signed: anyone could have made this log \
             with a key of their own. Add --key with the public key of the controller"
                .into()
        }
        Verdict::Failed => match findings.trusted.is_empty() {
            true => format!("faults: {}; no record is proven", findings.faults_total),
            false => format!("faults: {}; only the records named as proven are", findings.faults_total),
        },
    }
}

fn export(database: &Path, output: &Path, query: Query) -> Result<()> {
    let connection = verify::open(database).map_err(error)?;
    let mut export = Export::begin(&connection, query).map_err(error)?;
    let failed = |e: std::io::Error| {
        let subject = output.display().to_string();
        match e.kind() {
            Io::AlreadyExists => {
                Error::new(ErrorKind::Config, subject, "is there already and is kept; choose another name")
            }
            _ => Error::new(ErrorKind::Io, subject, "cannot be written").caused_by(e),
        }
    };
    let options = OpenOptions::new().write(true).create_new(true).mode(0o600).open(output);
    let mut file = BufWriter::new(options.map_err(failed)?);
    let mut write = || -> Result<()> {
        while let Some(page) = export.page(&connection).map_err(error)? {
            file.write_all(page.as_bytes()).map_err(failed)?;
        }
        file.flush().and_then(|()| file.get_ref().sync_all()).map_err(failed)
    };
    // Half an export would look like a log that was cut off.
    write().inspect_err(|_| drop(std::fs::remove_file(output)))?;
    let (first, last) = export.range();
    println!("records {first} to {last} in {}", shown_path(output));
    Ok(())
}

fn error(problem: Problem) -> Error {
    let kind = match problem.kind {
        Kind::Unavailable => ErrorKind::Io,
        Kind::Conflict => ErrorKind::Unsupported,
        Kind::Invalid | Kind::NotFound | Kind::Malformed => ErrorKind::Config,
        _ => ErrorKind::Internal,
    };
    Error::new(kind, problem.title, problem.detail)
}
