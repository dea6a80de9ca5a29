//! `vitrail verify`: checks evidence, offline.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use vitrail_engine::evidence::{
    self, Check, FileFinding, FileState, Findings, Manifest, PublicKey, Role, SignatureState, Verdict,
};
use vitrail_engine::{Error, ErrorKind, Result};

use crate::print::print_json;
use crate::terminal::{Terminal, shown};

/// Check evidence: the signature of its manifest, and every file that it names
#[derive(clap::Args)]
#[command(after_help = "Examples:
  vitrail verify gate.mp4.evidence.json --key unit.key.pub --source /recordings
  vitrail verify gate.mp4.evidence.json --key unit.key.pub --skip-source

Exit codes:
  0  signed with the key given, and nothing changed
  1  something is not as it was signed
  2  wrong arguments or key file
  3  made by a later version
  4  a file cannot be read
  6  nothing changed, but no key was given: it is not known who signed")]
pub struct Args {
    /// The manifest (OUTPUT.evidence.json); its signature and the outputs lie beside it
    #[arg(value_name = "MANIFEST")]
    manifest: PathBuf,
    /// The public key of whom you expect to have signed; get it from them, not from beside the manifest
    #[arg(long, value_name = "PUBLIC")]
    key: Option<PathBuf>,
    /// A source, or a folder that holds sources, where they do not lie below the manifest's folder (repeat it)
    #[arg(long, value_name = "PATH", conflicts_with = "skip_source")]
    source: Vec<PathBuf>,
    /// Do not look at the sources, where they are not at hand
    #[arg(long)]
    skip_source: bool,
    /// Print all findings as one JSON object
    #[arg(long)]
    json: bool,
}

/// Checks and prints; the exit code is that of the verdict.
pub fn run(args: &Args, terminal: &Terminal) -> Result<ExitCode> {
    refuse_an_output(&args.manifest)?;
    if let Some(missing) = args.source.iter().find(|path| !path.exists()) {
        return Err(Error::new(ErrorKind::Config, missing.display().to_string(), "is not there"));
    }
    let check = Check {
        manifest: args.manifest.clone(),
        key: args.key.as_deref().map(PublicKey::read).transpose()?,
        sources: args.source.clone(),
        skip_sources: args.skip_source,
    };
    let bar = bar(terminal);
    let outcome = evidence::verify(&check, &mut |progress| {
        bar.set_length(progress.of);
        bar.set_position(progress.bytes);
    });
    bar.finish_and_clear();
    let findings = outcome?;
    if args.json {
        print_json("findings", &findings)?;
    } else {
        print!("{}", text(&findings));
    }
    Ok(ExitCode::from(findings.verdict.exit_code()))
}

/// A person may name the output, or the signature; neither is a manifest.
fn refuse_an_output(path: &Path) -> Result<()> {
    let meant = match path.extension() {
        Some(end) if end == "sig" => path.with_extension(""),
        _ => evidence::manifest_path(path)?,
    };
    if !meant.is_file() {
        return Ok(());
    }
    let message = format!("is not the manifest; name {}", meant.display());
    Err(Error::new(ErrorKind::Config, path.display().to_string(), message))
}

fn bar(terminal: &Terminal) -> ProgressBar {
    let bar = terminal.status_line();
    let form = "{bar:30} {percent:>3} %  {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left";
    if let Ok(style) = ProgressStyle::with_template(form) {
        bar.set_style(style);
    }
    bar
}

fn text(findings: &Findings) -> String {
    let mut lines = Vec::new();
    let mut line = |key: &str, value: &str| lines.push(format!("{key:<11} {}", shown(value)));
    line("evidence", &findings.manifest);
    if let Some(facts) = &findings.facts {
        for (key, value) in about(facts) {
            line(key, &value);
        }
    }
    let signature = &findings.signature;
    if let Some(id) = &signature.key_id {
        let whose = match (signature.state, signature.key_given) {
            (SignatureState::Good, true) => " (the key given)",
            (SignatureState::Good, false) => " (a key that came with the signature)",
            _ => " (as the signature says)",
        };
        line("signed with", &format!("{id}{whose}"));
    }
    if let Some(trouble) = &signature.trouble {
        line("signature", trouble);
    }
    for file in &findings.files {
        let role = match file.role {
            Role::Source => "source",
            Role::Output => "output",
        };
        let detail = detail(file).map(|detail| format!(": {detail}")).unwrap_or_default();
        line(state(file.state), &format!("{role} {}{detail}", file.name));
    }
    line(verdict(findings.verdict), &conclusion(findings));
    lines.join("\n") + "\n"
}

fn about(facts: &Manifest) -> Vec<(&'static str, String)> {
    let seconds = |ns: u64| format!("{}.{:09} s", ns / 1_000_000_000, ns % 1_000_000_000);
    let from = facts.range.from_ns.map_or("the beginning".into(), seconds);
    let to = facts.range.to_ns.map_or("the end".into(), seconds);
    let mut about = vec![
        ("made", format!("{} by {} {}", facts.created, facts.tool.name, facts.tool.version)),
        ("reason", facts.reason.clone()),
        ("reference", facts.reference.clone()),
        ("range", format!("from {from} to {to}")),
    ];
    about.extend(facts.operator.clone().map(|operator| ("operator", operator)));
    about
}

fn detail(file: &FileFinding) -> Option<String> {
    let told = match (file.state, file.role) {
        (FileState::Missing, Role::Source) => "say where it is with --source PATH, or add --skip-source",
        (FileState::Missing, Role::Output) => "it does not lie beside the manifest as it did",
        (FileState::Added, _) => "it was not there when the evidence was made",
        _ => return file.detail.clone(),
    };
    Some(told.into())
}

fn state(state: FileState) -> &'static str {
    match state {
        FileState::Ok => "ok",
        FileState::Changed => "changed",
        FileState::Missing => "missing",
        FileState::Added => "added",
        FileState::Unreadable => "unreadable",
        FileState::Skipped => "skipped",
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Verified => "VERIFIED",
        Verdict::Unattributed => "UNCHANGED",
        Verdict::Failed => "FAILED",
        Verdict::Unreadable => "UNREADABLE",
    }
}

fn conclusion(findings: &Findings) -> String {
    let count = |state| findings.files.iter().filter(|file| file.state == state).count();
    let (ok, unreadable, skipped) =
        (count(FileState::Ok), count(FileState::Unreadable), count(FileState::Skipped));
    let sources = match skipped {
        0 => String::new(),
        n => format!("; sources were not checked ({n})"),
    };
    match findings.verdict {
        Verdict::Verified => format!("signed with the key given; files as they were: {ok}{sources}"),
        Verdict::Unattributed => format!(
            "files as they were: {ok}{sources}; but not known who signed: anyone could have made this \
             key and this signature. Add --key with the public key of whom you expect"
        ),
        Verdict::Unreadable => format!("files that could not be read: {unreadable}{sources}"),
        Verdict::Failed if findings.signature.state != SignatureState::Good => {
            "nothing that the manifest says can be trusted; its files were not looked at".into()
        }
        Verdict::Failed => {
            let wrong = findings.files.len() - ok - unreadable - skipped;
            format!("files that are not as they were: {wrong}; as they were: {ok}{sources}")
        }
    }
}
