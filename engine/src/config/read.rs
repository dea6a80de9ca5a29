//! Takes tables and values from parsed TOML, keeps their places, and notes what does not fit.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::report::{Report, did_you_mean, quoted};

/// A value and where it stands in the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct At<T> {
    pub value: T,
    pub span: Range<usize>,
}

impl<T> At<T> {
    pub(super) fn new(value: T, span: Range<usize>) -> At<T> {
        At { value, span }
    }

    /// A value that came from the command line.
    pub(super) fn given(value: T) -> Option<At<T>> {
        Some(At { value, span: 0..0 })
    }
}

/// A key of a table, by the path of the table and its own name.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    pub path: &'a str,
    pub name: &'a str,
}

impl From<Key<'_>> for String {
    fn from(key: Key<'_>) -> String {
        join(key.path, key.name)
    }
}

/// A value of a key: text, a number, a size, a list, …
pub(super) trait Leaf: Sized {
    /// What to write, for people: `whole number`, `"#rrggbb"`.
    fn kind() -> String;

    /// Reads the value; notes in the report what is wrong with it, and then gives `None`.
    fn read(value: &Spanned<DeValue<'_>>, key: &str, report: &mut Report<'_>) -> Option<Self>;

    /// Reads it from a cell of a table of text, where everything is text. There are many cells and few
    /// problems, so the key is made only where it is needed.
    fn of_text(text: &str, span: &Range<usize>, key: Key<'_>, report: &mut Report<'_>) -> Option<Self> {
        Self::read(&Spanned::new(span.clone(), DeValue::String(text.into())), &String::from(key), report)
    }
}

/// A table with known keys.
pub(super) trait WireTable: Sized {
    /// Reads the table; `key` is its path from the top.
    fn read(table: &DeTable<'_>, span: Range<usize>, key: String, report: &mut Report<'_>) -> Self;
}

/// Reads one key of a table.
pub(super) fn leaf<T: Leaf>(
    value: &Spanned<DeValue<'_>>,
    path: &str,
    name: &str,
    report: &mut Report<'_>,
) -> Option<At<T>> {
    Some(At::new(T::read(value, &join(path, name), report)?, value.span()))
}

/// Reads the one table of this name, `[name]`.
pub(super) fn section<T: WireTable>(
    value: &Spanned<DeValue<'_>>,
    name: &str,
    report: &mut Report<'_>,
) -> Option<T> {
    match value.get_ref() {
        DeValue::Table(table) => Some(T::read(table, value.span(), name.to_owned(), report)),
        DeValue::Array(items) if matches!(items.first().map(|i| i.get_ref()), Some(DeValue::Table(_))) => {
            report.add_with(
                &value.span(),
                name,
                "is a list of tables",
                format!("there is one: write [{name}], not [[{name}]]"),
            );
            None
        }
        other => {
            report.add_with(
                &value.span(),
                name,
                format!("is {}", what_it_is(other)),
                format!("write a table [{name}]"),
            );
            None
        }
    }
}

/// Reads all tables of this name, `[[name]]`.
pub(super) fn sections<T: WireTable>(
    value: &Spanned<DeValue<'_>>,
    name: &str,
    report: &mut Report<'_>,
) -> Vec<T> {
    let DeValue::Array(items) = value.get_ref() else {
        let is = what_it_is(value.get_ref());
        report.add_with(
            &value.span(),
            name,
            format!("is {is}"),
            format!("there may be several: write [[{name}]]"),
        );
        return Vec::new();
    };
    let mut tables = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        let key = format!("{name}[{i}]");
        match item.get_ref() {
            DeValue::Table(table) => tables.push(T::read(table, item.span(), key, report)),
            other => report.add_with(
                &item.span(),
                key,
                format!("is {}", what_it_is(other)),
                format!("write a table [[{name}]]"),
            ),
        }
    }
    tables
}

/// Notes a key that no table of this kind has.
pub(super) fn unknown_key(
    span: &Range<usize>,
    path: &str,
    name: &str,
    known: &[&'static str],
    report: &mut Report<'_>,
) {
    let remedy = did_you_mean(name, known.iter().copied())
        .unwrap_or_else(|| format!("known here: {}", known.join(", ")));
    report.add_with(span, path, format!("unknown key {}", quoted(name)), remedy);
}

/// Notes a value of the wrong type.
pub(super) fn wrong_type(value: &Spanned<DeValue<'_>>, key: &str, kind: &str, report: &mut Report<'_>) {
    report.add(&value.span(), key, format!("is {}, but must be {kind}", what_it_is(value.get_ref())));
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn what_it_is(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
