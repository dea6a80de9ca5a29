//! The program `vitrail`: one file per subcommand; arguments, wiring and printing, nothing else.

mod cameras;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Decodes thousands of cameras and composes them into low-latency mosaic walls.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Cameras(cameras::CamerasArgs),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Cameras(args) => cameras::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.kind().exit_code())
        }
    }
}
