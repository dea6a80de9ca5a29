//! What is wrong with a wall, all of it at once, as a compiler would say it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::base::{Error, ErrorKind};

/// Where something stands in a wall file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One thing that is wrong.
///
/// Guards that no credential is shown (invariant 7): texts from the file come in through `quoted`
/// only, which hides whatever could be an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where; `None` for a wall that came from the command line.
    pub place: Option<Place>,
    /// Which key, from the top: `tile[3].camera` (tables of the same name count from 0).
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it, where that is not plain.
    pub remedy: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.text())
    }
}

impl Problem {
    /// The problem without its place.
    fn text(&self) -> String {
        let mut text = match self.key.as_str() {
            "" => self.message.clone(),
            key => format!("{key}: {}", self.message),
        };
        if let Some(remedy) = &self.remedy {
            text.push_str("; ");
            text.push_str(remedy);
        }
        text
    }
}

/// Everything that is wrong with a wall: at least one problem, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    problems: Vec<Problem>,
}

impl ConfigErrors {
    /// One problem.
    pub fn one(problem: Problem) -> ConfigErrors {
        ConfigErrors { problems: vec![problem] }
    }

    /// These problems, where there are any.
    pub fn some(problems: Vec<Problem>) -> Option<ConfigErrors> {
        (!problems.is_empty()).then_some(ConfigErrors { problems })
    }

    /// The problems, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigErrors> for Error {
    /// The subject is the first place, so that the whole reads as [`ConfigErrors`] does.
    fn from(errors: ConfigErrors) -> Error {
        let first = errors.problems.first();
        let subject = first.and_then(|p| p.place.as_ref()).map(Place::to_string).unwrap_or_default();
        let mut lines: Vec<String> = errors.problems.iter().map(Problem::to_string).collect();
        if let (Some(line), Some(problem)) = (lines.first_mut(), first) {
            *line = problem.text();
        }
        Error::new(ErrorKind::Config, subject, lines.join("\n"))
    }
}

/// Collects problems while a wall is checked.
#[derive(Debug)]
pub(super) struct Report<'t> {
    source: Source<'t>,
    found: Vec<(usize, Problem)>,
}

#[derive(Debug)]
enum Source<'t> {
    File { name: Arc<str>, text: &'t str, lines: Vec<usize> },
    CommandLine,
}

impl<'t> Report<'t> {
    /// About a file with this text.
    pub(super) fn of_file(name: &str, text: &'t str) -> Report<'t> {
        let lines = line_starts(text);
        Report { source: Source::File { name: name.into(), text, lines }, found: Vec::new() }
    }

    /// About options and arguments: problems name those, and have no place.
    pub(super) fn of_command_line() -> Report<'static> {
        Report { source: Source::CommandLine, found: Vec::new() }
    }

    /// Notes a problem at a span of the text.
    pub(super) fn add(&mut self, span: &Range<usize>, key: impl Into<String>, message: impl Into<String>) {
        self.note(span, key.into(), message.into(), None);
    }

    /// Notes a problem and what to do about it.
    pub(super) fn add_with(
        &mut self,
        span: &Range<usize>,
        key: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.note(span, key.into(), message.into(), Some(remedy.into()));
    }

    /// A key as people know it: the option that stands for it, on the command line.
    pub(super) fn named(&self, key: String) -> String {
        match self.source {
            Source::File { .. } => key,
            Source::CommandLine => option_name(&key),
        }
    }

    fn note(&mut self, span: &Range<usize>, key: String, message: String, remedy: Option<String>) {
        let key = self.named(key);
        let problem = Problem { place: self.place(span), key, message, remedy };
        self.found.push((span.start, problem));
    }

    /// The place of a span.
    pub(super) fn place(&self, span: &Range<usize>) -> Option<Place> {
        let Source::File { name, text, lines } = &self.source else { return None };
        let (line, column) = line_and_column(text, lines, span.start);
        Some(Place { file: name.clone(), line, column })
    }

    /// Takes over what is wrong with another file; it comes after all of this one.
    pub(super) fn add_foreign(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.found.extend(problems.into_iter().map(|problem| (usize::MAX, problem)));
    }

    /// How much is wrong so far.
    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    /// The span of one byte of a text value, where the value stands in the file as it is; else the
    /// span of the whole value.
    pub(super) fn inside(&self, span: &Range<usize>, value: &str, byte: usize) -> Range<usize> {
        let Source::File { text, .. } = &self.source else { return span.clone() };
        let quoted = text.get(span.clone()).filter(|t| t.len() == value.len() + 2);
        match quoted.and_then(|t| t.get(1..t.len() - 1)) {
            Some(inner) if inner == value => span.start + 1 + byte..span.end,
            _ => span.clone(),
        }
    }

    /// True as long as nothing is wrong.
    pub(super) fn is_clean(&self) -> bool {
        self.found.is_empty()
    }

    /// True where so much is wrong that nobody reads more hints.
    pub(super) fn is_long(&self) -> bool {
        self.found.len() >= 100
    }

    /// All that was found, in the order of the file.
    pub(super) fn into_errors(mut self) -> ConfigErrors {
        self.found.sort_by_key(|(offset, _)| *offset);
        // A default that is wrong is wrong in every task that takes it.
        let mut one_place = Vec::new();
        let mut last = None;
        self.found.retain(|(offset, problem)| {
            if last.replace(*offset) != Some(*offset) {
                one_place.clear();
            }
            let is_new = *offset == usize::MAX || !one_place.contains(problem);
            if is_new {
                one_place.push(problem.clone());
            }
            is_new
        });
        ConfigErrors { problems: self.found.into_iter().map(|(_, problem)| problem).collect() }
    }
}

/// Where each line begins: found once, because a file of thousands of cameras asks for thousands of
/// places.
fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect()
}

/// Line and column, from 1, of a byte of the text; what lies past the end counts as the end.
fn line_and_column(text: &str, lines: &[usize], offset: usize) -> (usize, usize) {
    // A problem "at the end" must point into the last line, not below it.
    let last = text.trim_end_matches(['\n', '\r']).len();
    let mut offset = if offset >= text.len() { last } else { offset };
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let line = lines.partition_point(|start| *start <= offset);
    let start = lines[line - 1];
    (line, text[start..offset].trim_end_matches('\r').chars().count() + 1)
}

/// The option or argument of `vitrail wall` or `vitrail transcode` that stands for a key.
fn option_name(key: &str) -> String {
    let number = |list: &str| {
        let rest = key.strip_prefix(list)?.strip_prefix('[')?;
        Some(rest.split(']').next()?.parse::<usize>().ok()? + 1)
    };
    if let Some(n) = number("screen[0].outputs") {
        return format!("--out (number {n})");
    }
    if let Some(option) = key.strip_prefix("task[0].").or_else(|| key.strip_prefix("evidence.")) {
        let option = option.split(['[', '.']).next().unwrap_or(option);
        return match option {
            "input" => "INPUT".into(),
            "output" => "-o".into(),
            other => format!("--{}", other.replace('_', "-")),
        };
    }
    if let Some(n) = number("camera") {
        return format!("camera {n}");
    }
    match key {
        "screen[0].size" => "--size".into(),
        "screen[0].grid" => "--grid".into(),
        "screen[0].outputs" => "--out".into(),
        "wall.frame_rate" => "--fps".into(),
        "job.workers" => "--jobs".into(),
        "job.fresh" => "--fresh".into(),
        other => other.into(),
    }
}

/// A text from the file, in quotes, for a message. Whatever could be an address, a password or
/// too long to read is hidden.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_. +,x#/".contains(c);
    if text.chars().count() <= 40 && text.chars().all(plain) {
        format!("\"{text}\"")
    } else {
        "\"…\"".into()
    }
}

/// `did you mean "x"?` for the nearest of the known words, where one is near.
pub(super) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let word = word.to_lowercase();
    if word.chars().count() > 64 {
        return None;
    }
    let limit = 1 + word.chars().count() / 4;
    let (distance, nearest) =
        known.into_iter().map(|k| (edit_distance(&word, &k.to_lowercase()), k)).min_by_key(|(d, _)| *d)?;
    // A word of which every letter is different is no near miss.
    (distance <= limit && distance < word.chars().count())
        .then(|| format!("did you mean {}?", quoted(nearest)))
}

/// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let substitute = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = substitute.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_nearest_word() {
        let known = ["frame_rate", "backend", "secrets"];
        assert_eq!(did_you_mean("framerate", known).as_deref(), Some("did you mean \"frame_rate\"?"));
        assert_eq!(did_you_mean("bakcend", known).as_deref(), Some("did you mean \"backend\"?"));
        assert_eq!(did_you_mean("zebra", known), None);
    }

    #[test]
    fn counts_lines_and_characters() {
        let text = "a\nbé c\n";
        let at = |text: &str, offset| line_and_column(text, &line_starts(text), offset);
        assert_eq!(at(text, 0), (1, 1));
        assert_eq!(at(text, text.find('c').expect("there")), (2, 4));
        assert_eq!(at(text, 999), (2, 5));
        assert_eq!(at("", 7), (1, 1));
    }

    #[test]
    fn hides_what_could_be_a_credential() {
        assert_eq!(quoted("cam-17"), "\"cam-17\"");
        assert_eq!(quoted("rtsp://user:hunter2@camera/1"), "\"…\"");
        assert_eq!(quoted("user=hunter2&channel=1"), "\"…\"");
    }
}
