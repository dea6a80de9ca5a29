//! Time of day as it stands in the database and on the wire.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vitrail_engine::base::SharedClock;

/// Milliseconds since the Unix epoch. In the database an INTEGER, in JSON an RFC 3339 text in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Utc(pub i64);

impl Utc {
    /// Later than any other: no end.
    pub const NEVER: Utc = Utc(i64::MAX);

    /// The time of day by this clock.
    pub fn now(clock: &SharedClock) -> Utc {
        Utc(i64::try_from(clock.wall().as_millis()).unwrap_or(i64::MAX))
    }

    /// Later by `by`.
    pub fn plus(self, by: Duration) -> Utc {
        Utc(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Reads RFC 3339 (`2026-11-24T17:00:00Z`, with any offset).
    pub fn parse(text: &str) -> Option<Utc> {
        text.parse::<jiff::Timestamp>().ok().map(|t| Utc(t.as_millisecond()))
    }
}

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => f.write_str("never"),
        }
    }
}

impl Serialize for Utc {
    fn serialize<S: Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Utc {
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Utc::parse(&text).ok_or_else(|| serde::de::Error::custom("write a time like 2026-11-24T17:00:00Z"))
    }
}

impl rusqlite::ToSql for Utc {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl rusqlite::types::FromSql for Utc {
    fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
        i64::column_result(value).map(Utc)
    }
}

impl utoipa::PartialSchema for Utc {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::DateTime)))
            .into()
    }
}

impl utoipa::ToSchema for Utc {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_it_reads() {
        let time = Utc::parse("2026-11-24T18:01:02.345+01:00").expect("a time");
        assert_eq!(time.to_string(), "2026-11-24T17:01:02.345Z");
        assert_eq!(Utc::parse(&time.to_string()), Some(time));
        assert_eq!(time.plus(Duration::from_millis(655)).to_string(), "2026-11-24T17:01:03.000Z");
        assert!(Utc::parse("yesterday").is_none() && Utc::NEVER.plus(Duration::MAX) == Utc::NEVER);
    }
}
