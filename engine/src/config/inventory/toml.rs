//! Inventories as TOML: `[[camera]]` tables with the keys that they have in a wall file.

use ::toml::de::{DeTable, DeValue};

use super::{Builder, too_much};
use crate::config::read::{WireTable, unknown_key};
use crate::config::report::Report;
use crate::config::wire::CameraTable;

/// Reads all tables; false where the file as a whole is refused.
pub(super) fn read(text: &str, builder: &mut Builder, report: &mut Report<'_>) -> bool {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        // Only what the grammar says, never the line itself: that may hold a login.
        report.add(&error.span().unwrap_or(0..0), "", format!("not TOML: {}", error.message()));
    }
    if !errors.is_empty() {
        return false;
    }
    let mut cameras = None;
    for (key, value) in table.get_ref().iter() {
        match (&**key.get_ref(), value.get_ref()) {
            ("camera", DeValue::Array(items)) => cameras = Some(items),
            ("camera", _) => {
                report.add_with(&value.span(), "camera", "is no list of tables", "write [[camera]]");
            }
            (other, _) => unknown_key(&key.span(), "", other, &["camera"], report),
        }
    }
    if !report.is_clean() {
        return false;
    }
    let Some(cameras) = cameras else {
        report.add_with(&(0..0), "camera", "no camera", "add a table [[camera]] with its id and uri");
        return false;
    };
    for (i, item) in cameras.iter().enumerate() {
        if too_much(item.span().start, report) {
            break;
        }
        let DeValue::Table(table) = item.get_ref() else {
            report.add_with(&item.span(), format!("camera[{i}]"), "is no table", "write [[camera]]");
            continue;
        };
        let before = report.len();
        let row = CameraTable::read(table, item.span(), format!("camera[{i}]"), report);
        builder.add(&row, report.len() > before, report);
    }
    true
}
