//! The program `vitrail`: one file per subcommand; arguments, wiring and printing, nothing else.

mod probe;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Multi-camera video walls.
#[derive(Parser)]
#[command(name = "vitrail", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say what cameras, files and streams send
    Probe(probe::Args),
}

fn main() -> ExitCode {
    let Command::Probe(args) = Cli::parse().command;
    match probe::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vitrail: {error}");
            ExitCode::from(error.kind().exit_code())
        }
    }
}
