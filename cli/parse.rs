//! Values on the command line: durations, sizes, grids.

use std::time::Duration;

/// `90`, `90s`, `400ms`, `5m`, `2h`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err("write it like 30s, 400ms, 5m or 2h".into()),
    };
    let number: f64 = number.parse().map_err(|_| "write it like 30s, 400ms, 5m or 2h".to_owned())?;
    Duration::try_from_secs_f64(number * factor).map_err(|_| "is too long".into())
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
        assert!(duration("soon").is_err() && duration("3 days").is_err() && duration("").is_err());
        assert_eq!(pair("1920x1080"), Ok((1920, 1080)));
        assert!(pair("1920").is_err() && pair("0x4").is_err());
    }
}
