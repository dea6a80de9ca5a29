//! The program `vitrail`: one file per subcommand; arguments, wiring and printing, nothing else.

// Much of the documentation here is help for a terminal, where brackets are brackets.
#![allow(rustdoc::broken_intra_doc_links)]

mod audit;
mod cameras;
mod capacity;
mod doctor;
mod inventory;
mod key;
mod mosaic;
mod parse;
mod print;
mod probe;
mod quiet;
mod registry;
mod terminal;
mod transcode;
mod verify;
mod wall;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Multi-camera video walls: decode many cameras, compose them, encode the wall.
///
/// Exit codes: 0 done, 1 fault, 2 wrong configuration or arguments, 3 a part of this machine is
/// missing, 4 file or network trouble, 5 not permitted, 6 in part (some files failed and others are
/// done; or verified, but not known who signed), 130 a job was interrupted.
#[derive(Parser)]
#[command(name = "vitrail", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// What to log on stderr: error, warn, info, debug, trace, or a filter such as
    /// `warn,vitrail_engine::ingest=debug`
    #[arg(long, global = true, env = "VITRAIL_LOG", default_value = "info", value_name = "LEVEL")]
    log: String,
}

#[derive(Subcommand)]
enum Command {
    /// Show cameras on a wall of one or more screens
    Wall(wall::Args),
    /// Put video files side by side into one file, as fast as the machine allows
    Mosaic(mosaic::Args),
    /// Bring video files into another form: one, a folder of them, or all that a job file names
    Transcode(Box<transcode::Args>),
    /// Simulate RTSP cameras, with faults on command
    Cameras(cameras::CamerasArgs),
    /// Check, list and convert inventories of cameras
    Inventory(inventory::Args),
    /// List, import and export the cameras of a wall's controller, while it does not run
    Registry(registry::Args),
    /// Measure this machine, predict what walls need, find how many cameras it carries
    Capacity(capacity::Args),
    /// Check evidence: the signature of its manifest, and every file that it names
    Verify(verify::Args),
    /// Read, verify and export the audit log of a controller
    Audit(audit::Args),
    /// Make and show the keys that sign evidence
    Key(key::Args),
    /// Say what cameras, files and streams send
    Probe(probe::Args),
    /// Say what this machine has, what is missing and how to install it
    Doctor(doctor::DoctorArgs),
}

fn main() -> ExitCode {
    quiet::mesa();
    quiet::svt();
    let cli = Cli::parse();
    let terminal = terminal::Terminal::new();
    if let Err(error) = terminal.log_to_stderr(&cli.log) {
        eprintln!("vitrail: {error}");
        return ExitCode::from(2);
    }
    let outcome = match cli.command {
        Command::Wall(args) => wall::run(args, &terminal).map(|()| ExitCode::SUCCESS),
        Command::Mosaic(args) => mosaic::run(&args, &terminal),
        Command::Transcode(args) => transcode::run(*args, &terminal),
        Command::Cameras(args) => cameras::run(args).map(|()| ExitCode::SUCCESS),
        Command::Capacity(args) => capacity::run(args, &terminal).map(|()| ExitCode::SUCCESS),
        Command::Inventory(args) => inventory::run(args).map(|()| ExitCode::SUCCESS),
        Command::Registry(args) => registry::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Verify(args) => verify::run(&args, &terminal),
        Command::Audit(args) => audit::run(args, &terminal),
        Command::Key(args) => key::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Probe(args) => probe::run(args).map(|()| ExitCode::SUCCESS),
        Command::Doctor(args) => return ExitCode::from(doctor::run(&args, gpus())),
    };
    terminal.finish();
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("vitrail: {}", terminal::shown_lines(&error.to_string()));
            ExitCode::from(error.kind().exit_code())
        }
    }
}

/// The GPUs that a compositor could use, as the doctor shows them.
fn gpus() -> Vec<doctor::Gpu> {
    let found = vitrail_engine::composite::probe::adapters();
    found.into_iter().map(|info| doctor::Gpu { name: info.to_string(), software: info.software }).collect()
}
