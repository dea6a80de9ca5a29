//! `vitrail capacity`: measures this machine, predicts what a wall needs, and tries how much it carries.

mod cameras;
mod max;
mod measure;
mod plan;
mod simulated;
mod trial;

use vitrail_engine::Result;

use crate::terminal::Terminal;

/// Measure this machine, predict what walls need, and find how many cameras it carries.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Measure what decoding, fitting, composing and encoding cost on this machine, and keep it
    Measure(measure::Args),
    /// Predict cores, memory and network of a wall, with error bounds
    Plan(plan::Args),
    /// Find by trial how many live cameras this machine shows at a stated level of service
    Max(max::Args),
}

/// Does what is asked.
pub fn run(args: Args, terminal: &Terminal) -> Result<()> {
    if cfg!(debug_assertions) && !matches!(args.command, Command::Plan(_)) {
        tracing::warn!("this is a development build: figures hold for `cargo build --release` only");
    }
    match args.command {
        Command::Measure(args) => measure::run(&args, terminal),
        Command::Plan(args) => plan::run(&args),
        Command::Max(args) => max::run(&args, terminal),
    }
}

/// 7936 as people read it: `7,936`.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bits per second as people read them.
fn bits(value: f64) -> String {
    match value {
        v if v >= 1e9 => format!("{:.2} Gb/s", v / 1e9),
        v if v >= 1e6 => format!("{:.1} Mb/s", v / 1e6),
        v => format!("{:.0} kb/s", v / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_with_ease() {
        assert_eq!([0, 999, 1000, 7936, 1_234_567].map(thousands).join(" "), "0 999 1,000 7,936 1,234,567");
        assert_eq!(bits(400e3), "400 kb/s");
        assert_eq!(bits(3.2e9), "3.20 Gb/s");
    }
}
