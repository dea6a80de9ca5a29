//! The terminal: a status line that log lines do not tear, and Ctrl-C.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use vitrail_engine::base::{Mailbox, Overflow, Shutdown};
use vitrail_engine::{Error, ErrorKind};

/// Log lines that may wait for a terminal that does not take them; the newest go first.
const LINES: usize = 1024;
/// How long the end waits for the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// stderr, shared between log lines and a status line. A thread of its own writes, so that a
/// stopped terminal or a full pipe stops no other thread.
#[derive(Clone)]
pub struct Terminal {
    bars: MultiProgress,
    lines: Mailbox<Vec<u8>>,
}

impl Terminal {
    /// The process's stderr.
    pub fn new() -> Terminal {
        let terminal =
            Terminal { bars: MultiProgress::new(), lines: Mailbox::new(LINES, Overflow::DropNewest) };
        let writer = terminal.clone();
        let body = move || {
            while let Some(line) = writer.lines.receive_or_closed() {
                let _ = writer.bars.suspend(|| std::io::stderr().write_all(&line));
            }
        };
        // Without a thread the program still works, only mutely.
        let _ = std::thread::Builder::new().name("log".into()).spawn(body);
        terminal
    }

    /// Columns of a line.
    pub fn columns(&self) -> usize {
        usize::from(console::Term::stderr().size().1)
    }

    /// Lets the last log lines out.
    pub fn finish(&self) {
        self.lines.close();
        let end = std::time::Instant::now() + LAST_LINES;
        while !self.lines.is_empty() && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// A status line below the log; hidden where stderr is not a terminal.
    pub fn status_line(&self) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let bar = if std::io::stderr().is_terminal() { self.bars.add(bar) } else { bar };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        bar
    }

    /// Another line above a status line; hidden where stderr is not a terminal.
    pub fn line_above(&self, below: &ProgressBar) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if std::io::stderr().is_terminal() { self.bars.insert_before(below, bar) } else { bar }
    }

    /// Sends what rooms log to stderr.
    pub fn log_to_stderr(&self, filter: &str) -> Result<(), Error> {
        let filter = filter_of(filter)?;
        // Names of files and words of cameras may hold what a terminal obeys.
        let fields = debug_fn(|writer, field, value| match field.name() {
            "message" => write!(writer, "{}", shown_lines(&format!("{value:?}"))),
            name => write!(writer, "{name}={}", shown(&format!("{value:?}"))),
        });
        let lines = tracing_subscriber::fmt::layer()
            .fmt_fields(fields.delimited(" "))
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .with_writer(self.clone());
        tracing_subscriber::registry().with(lines).with(filter).init();
        Ok(())
    }
}

/// The crate that speaks RTSP logs addresses as they are, passwords in their queries included: whatever is asked for,
/// nothing of it is said.
const SILENT: &str = "retina";

/// What is said, of what was asked for.
fn filter_of(asked: &str) -> Result<Targets, Error> {
    // Nothing is no filter: what went wrong is always said.
    let asked = if asked.trim().is_empty() { "error" } else { asked };
    let asked: Targets = asked.parse().map_err(|e: tracing_subscriber::filter::ParseError| {
        Error::new(ErrorKind::Config, "--log", "is not a log filter; try info or debug").caused_by(e)
    })?;
    // Of two that mean a target, the longer one decides: none may be longer than that of silence.
    let kept: Targets = asked
        .iter()
        .filter(|(target, _)| !target.starts_with(SILENT))
        .map(|(t, l)| (t.to_owned(), l))
        .collect();
    let usual = asked.default_level().unwrap_or(LevelFilter::OFF);
    Ok(kept.with_default(usual).with_target(SILENT, LevelFilter::OFF))
}

impl<'a> MakeWriter<'a> for Terminal {
    type Writer = Terminal;
    fn make_writer(&'a self) -> Terminal {
        self.clone()
    }
}

impl Write for Terminal {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.lines.send(line.to_vec());
        Ok(line.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A shutdown that Ctrl-C or SIGTERM triggers; a second one ends the process at once.
pub fn shutdown_on_signal() -> Result<Shutdown, Error> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let shutdown = Shutdown::new();
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])
        .map_err(|e| Error::new(ErrorKind::Internal, "signals", "cannot be caught").caused_by(e))?;
    let token = shutdown.clone();
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                if token.is_cancelled() {
                    std::process::exit(128 + signal);
                }
                tracing::info!("ending; once more to end at once");
                token.cancel();
            }
        })
        .map_err(|e| Error::new(ErrorKind::Io, "signals", "cannot start a thread").caused_by(e))?;
    Ok(shutdown)
}

/// Set by SIGHUP, which asks to read the configuration again.
pub fn flag_on_hangup() -> Result<Arc<AtomicBool>, Error> {
    let flag = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGHUP, flag.clone())
        .map_err(|e| Error::new(ErrorKind::Internal, "signals", "cannot be caught").caused_by(e))?;
    Ok(flag)
}

/// Waits until `shutdown` is triggered, at most `limit`; true if it was.
pub fn wait(shutdown: &Shutdown, limit: Duration) -> bool {
    let deadline = std::time::Instant::now() + limit;
    while !shutdown.is_cancelled() {
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return false;
        }
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
    true
}

/// What others wrote, without what could move a terminal's cursor or turn the reading order.
pub fn shown(text: &str) -> String {
    let dangerous = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if dangerous(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

/// The same of a path.
pub fn shown_path(path: &std::path::Path) -> String {
    shown(&path.display().to_string())
}

/// The same of a text of several lines.
pub fn shown_lines(text: &str) -> String {
    text.split('\n').map(shown).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nobody_makes_the_client_of_rtsp_speak() {
        use tracing::Level;
        for asked in [
            "trace",
            "retina=trace",
            "retina::client=debug",
            "info,retina::client::channel_mapping=trace",
            "retin=trace",
            "retina",
            "",
        ] {
            let filter = filter_of(asked).unwrap();
            for target in ["retina", "retina::client", "retina::client::channel_mapping"] {
                assert!(!filter.would_enable(target, &Level::ERROR), "{asked}: {target}");
            }
        }
        let filter = filter_of("warn,vitrail_engine::wall=debug,retina=trace").unwrap();
        assert!(filter.would_enable("vitrail_engine::wall::screen", &Level::DEBUG));
        assert!(
            filter.would_enable("anything", &Level::WARN) && !filter.would_enable("anything", &Level::INFO)
        );
        assert!(filter_of("").unwrap().would_enable("anything", &Level::ERROR));
    }

    #[test]
    fn what_others_wrote_moves_no_cursor() {
        assert_eq!(shown("a\u{1b}[2J\nok\u{202e}4pm"), "a\\u{1b}[2J\\u{a}ok\\u{202e}4pm");
        assert_eq!(shown("Zaak 12/é"), "Zaak 12/é");
        assert_eq!(shown_lines("a\n\tb\u{1b}c\n"), "a\n\\u{9}b\\u{1b}c\n");
    }
}
