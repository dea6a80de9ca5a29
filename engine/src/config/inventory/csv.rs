//! Inventories as CSV: a header, then a camera on each line.
//!
//! A record is one line: a quote that is not closed costs the camera of that line and no more.

use std::borrow::Cow;
use std::ops::Range;

use csv_core::{ReadFieldResult, Reader, ReaderBuilder};

use super::{Builder, too_much};
use crate::config::leaf::{Profiles, is_profile_name};
use crate::config::read::At;
use crate::config::report::{Report, did_you_mean, quoted};
use crate::config::wire::{CameraTable, Key, PROFILE_TABLES, ProfileTable, TABLES};

/// What a column holds.
enum Column {
    /// A key of the camera.
    Camera(String),
    /// A key of a profile: its name, and the key.
    Profile(String, String),
    /// A column without a name, as spreadsheets leave them behind; its cells must be empty.
    Nameless,
}

/// One line's fields and where they stand.
struct Record<'t> {
    fields: Vec<(Cow<'t, str>, Range<usize>)>,
    fault: Option<Fault>,
}

/// Why a line could not be parted, and what to do.
type Fault = (&'static str, &'static str);

const NOT_CLOSED: Fault = ("a quote is not closed", "a camera is one line; a quote in a text is doubled");
const CARRIAGE_RETURN: Fault = ("has a carriage return in it", "save the file with usual line ends");

/// The keys that are columns: those of a camera, without the table of profiles.
fn camera_columns() -> impl Iterator<Item = &'static str> {
    let camera = TABLES.iter().find(|t| t.heading == "[[camera]]");
    camera.into_iter().flat_map(|t| t.keys).map(|k| k.name).filter(|name| *name != "profiles")
}

/// The columns of a CSV inventory: those of a camera, then those of each profile, `NAME.KEY`.
pub fn csv_columns() -> Vec<Key> {
    let camera = TABLES.iter().filter(|t| t.heading == "[[camera]]").flat_map(|t| t.keys);
    let profile = PROFILE_TABLES.iter().flat_map(|t| t.keys);
    camera.filter(|key| key.name != "profiles").chain(profile).copied().collect()
}

/// Reads all rows; false where the file as a whole is refused.
pub(super) fn read(text: &str, builder: &mut Builder, report: &mut Report<'_>) -> bool {
    let mut lines = lines(text);
    let Some((header, delimiter)) = lines.by_ref().find_map(|span| {
        let line = &text[span.clone()];
        let blank = is_blank(line);
        (!blank).then(|| (span, delimiter_of(line)))
    }) else {
        report.add_with(&(0..0), "", "has no header", header_hint());
        return false;
    };
    let mut reader = ReaderBuilder::new().delimiter(delimiter).build();
    let mut buffer = Vec::new();
    let header = fields(&mut reader, text, header, &mut buffer);
    let Some(columns) = check_header(&header, report) else { return false };
    for span in lines {
        let line = &text[span.clone()];
        // A line of delimiters alone is an empty row of a spreadsheet.
        if is_blank(line) || line.bytes().all(|b| b == delimiter || b == b' ') {
            continue;
        }
        if too_much(span.start, report) {
            break;
        }
        let before = report.len();
        let record = fields(&mut reader, text, span, &mut buffer);
        let table = read_row(&columns, &record, report);
        builder.add(&table, report.len() > before, report);
    }
    true
}

fn header_hint() -> &'static str {
    "the first line names the columns, as id,name,zone,uri,sub.uri"
}

fn is_blank(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

/// The spans of all lines, without their ends.
fn lines(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    text.split_inclusive('\n').map(move |line| {
        let begin = start;
        start += line.len();
        begin..begin + line.trim_end_matches(['\n', '\r']).len()
    })
}

/// The delimiter: spreadsheets of countries with a decimal comma write `;`.
fn delimiter_of(header: &str) -> u8 {
    match header {
        h if h.contains(',') => b',',
        h if h.contains(';') => b';',
        h if h.contains('\t') => b'\t',
        _ => b',',
    }
}

/// Parts one line. `buffer` is for what has quotes.
fn fields<'t>(reader: &mut Reader, text: &'t str, line: Range<usize>, buffer: &mut Vec<u8>) -> Record<'t> {
    reader.reset();
    // Unquoting makes a field shorter, never longer.
    buffer.resize(line.len() + 1, 0);
    let mut fields = Vec::new();
    if text[line.clone()].contains('\r') {
        // It would end the record, and what follows would be lost without a word.
        return Record { fields: vec![(Cow::Borrowed(""), line)], fault: Some(CARRIAGE_RETURN) };
    }
    let mut at = line.start;
    loop {
        let start = at;
        let (result, read, mut written) = reader.read_field(&text.as_bytes()[at..line.end], buffer);
        at += read;
        let mut end = at;
        let ended = match result {
            ReadFieldResult::Field { record_end } => {
                // Without the delimiter.
                end -= usize::from(!record_end);
                record_end
            }
            // The line is over: its end closes the field, unless that is inside quotes.
            _ => {
                let (result, _, more) = reader.read_field(b"\n", &mut buffer[written..]);
                written += more;
                if !matches!(result, ReadFieldResult::Field { .. }) {
                    return Record { fields, fault: Some(NOT_CLOSED) };
                }
                true
            }
        };
        let raw = &text[start..end];
        let value = if raw.contains('"') {
            // The bytes are those of a text, parted at ASCII characters.
            Cow::Owned(String::from_utf8_lossy(&buffer[..written]).trim().to_owned())
        } else {
            Cow::Borrowed(raw.trim())
        };
        let leading = raw.len() - raw.trim_start().len();
        fields.push((value, start + leading..end));
        if ended {
            return Record { fields, fault: None };
        }
    }
}

fn check_header(header: &Record<'_>, report: &mut Report<'_>) -> Option<Vec<Column>> {
    let before = report.len();
    if let Some((message, remedy)) = header.fault {
        let end = header.fields.last().map_or(0..0, |(_, span)| span.clone());
        report.add_with(&end, "", format!("the header: {message}"), remedy);
        return None;
    }
    let mut columns = Vec::with_capacity(header.fields.len());
    let mut seen: Vec<String> = Vec::new();
    for (name, span) in &header.fields {
        let lower = name.to_lowercase();
        if !lower.is_empty() && seen.contains(&lower) {
            report.add(span, "", format!("column {} is there twice", quoted(name)));
        }
        seen.push(lower.clone());
        match column(&lower) {
            Some(column) => columns.push(column),
            None => {
                let known: Vec<&str> = camera_columns().collect();
                let hint = did_you_mean(&lower, known.iter().copied().chain(["sub.uri", "main.uri"]));
                let hint = hint.unwrap_or_else(|| {
                    let facts: Vec<&str> = profile_keys().collect();
                    format!("known: {}; and of each profile NAME.{}", known.join(", "), facts.join(", NAME."))
                });
                report.add_with(span, "", format!("unknown column {}", quoted(name)), hint);
            }
        }
    }
    for needed in ["id", "uri"] {
        let main = needed == "uri" && seen.iter().any(|s| s == "main.uri");
        if !seen.iter().any(|s| s == needed) && !main && report.len() == before {
            let at = header.fields.first().map_or(0..0, |(_, span)| span.clone());
            report.add_with(&at, "", format!("has no column \"{needed}\""), header_hint());
        }
    }
    for column in &columns {
        // A profile of which no address can come is a slip of the pen: `mian.size`.
        if let Column::Profile(profile, _) = column
            && profile != "main"
            && !seen.contains(&format!("{profile}.uri"))
        {
            let of = |s: &String| s.starts_with(&format!("{profile}."));
            let at = seen.iter().position(of).map_or(0..0, |i| header.fields[i].1.clone());
            let message = format!("profile {} has no column \"{profile}.uri\"", quoted(profile));
            report.add_with(&at, "", message, "a profile needs its address");
            break;
        }
    }
    (report.len() == before).then_some(columns)
}

fn profile_keys() -> impl Iterator<Item = &'static str> {
    PROFILE_TABLES.iter().flat_map(|t| t.keys).map(|k| k.name)
}

/// The column of a name in lower case.
fn column(name: &str) -> Option<Column> {
    if name.is_empty() {
        return Some(Column::Nameless);
    }
    if camera_columns().any(|known| known == name) {
        return Some(Column::Camera(name.to_owned()));
    }
    let (profile, key) = name.rsplit_once('.')?;
    let known = is_profile_name(profile) && profile_keys().any(|k| k == key);
    known.then(|| Column::Profile(profile.to_owned(), key.to_owned()))
}

fn read_row(columns: &[Column], record: &Record<'_>, report: &mut Report<'_>) -> CameraTable {
    let start = record.fields.first().map_or(0..0, |(_, span)| span.start..span.start);
    let id = columns.iter().position(|c| matches!(c, Column::Camera(name) if name == "id"));
    let id = id.and_then(|i| record.fields.get(i)).map(|(text, _)| &**text).filter(|t| is_plain(t));
    let path = id.map(|id| format!("camera {id}")).unwrap_or_default();
    let mut table = CameraTable { here: start.clone(), path: path.clone(), ..CameraTable::default() };
    if let Some((message, remedy)) = record.fault {
        report.add_with(&start, path, message, remedy);
        return table;
    }
    // Trailing delimiters are common; anything else is shifted, and every column then is wrong.
    let surplus = record.fields.get(columns.len()..).unwrap_or_default().iter().find(|(f, _)| !f.is_empty());
    if let Some((_, span)) = surplus {
        let message = format!("has {} fields, but the header has {}", record.fields.len(), columns.len());
        report.add_with(span, path, message, "a text with a delimiter in it stands in quotes");
        return table;
    }
    let mut profiles = Profiles::default();
    for (column, (text, span)) in columns.iter().zip(&record.fields) {
        if text.is_empty() {
            continue;
        }
        match column {
            Column::Camera(key) => drop(table.set_text(key, text, span.clone(), report)),
            Column::Profile(name, key) => {
                let profile = profiles.0.entry(name.clone()).or_insert_with(|| ProfileTable {
                    here: span.clone(),
                    path: if path.is_empty() { name.clone() } else { format!("{path}.{name}") },
                    ..ProfileTable::default()
                });
                profile.set_text(key, text, span.clone(), report);
            }
            Column::Nameless => {
                report.add(span, path.as_str(), "has a text in a column without a name");
            }
        }
    }
    if !profiles.0.is_empty() {
        table.given.push("profiles");
        table.profiles = Some(At::new(profiles, start));
    }
    table
}

/// An id that can be shown.
fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.chars().count() <= 64 && id.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c))
}
