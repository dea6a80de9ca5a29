//! Values on the command line: durations, sizes, grids.

use std::time::Duration;

use vitrail_engine::config;

/// `90`, `90s`, `400ms`, `5m`, `2h`: as in files, and seconds where no unit is given.
pub fn duration(text: &str) -> Result<Duration, String> {
    let parsed = config::duration(text).or_else(|| config::duration(&format!("{text}s")));
    parsed.ok_or_else(|| "write it like 30s, 400ms, 5m or 2h".into())
}

/// `1920x1080`, `4x4`: two positive numbers.
pub fn pair(text: &str) -> Result<(u32, u32), String> {
    let parts = text.split_once(['x', 'X', '×']);
    let parsed = parts.and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
    match parsed {
        Some((a, b)) if a > 0 && b > 0 => Ok((a, b)),
        _ => Err("write two numbers with an x between, such as 1920x1080 or 4x4".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_people_write_them() {
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("400ms"), Ok(Duration::from_millis(400)));
        assert_eq!(
            (duration("90"), duration("2h")),
            (Ok(Duration::from_secs(90)), Ok(Duration::from_secs(7200)))
        );
        assert!(
            duration("soon").is_err()
                && duration("3 days").is_err()
                && duration("").is_err()
                && duration("-3s").is_err()
        );
        assert_eq!(pair("1920x1080"), Ok((1920, 1080)));
        assert!(pair("1920").is_err() && pair("0x4").is_err());
    }
}
