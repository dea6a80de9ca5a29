//! Values on the command line: durations, sizes, grids, frame rates.

use std::time::Duration;

use vitrail_engine::media::Ratio;

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

/// `25`, `12.5`, `30000/1001`.
pub fn frame_rate(text: &str) -> Result<Ratio, String> {
    let wrong = || "write it like 25, 12.5 or 30000/1001".to_owned();
    let ratio = if let Some((num, den)) = text.split_once('/') {
        Ratio::new(num.trim().parse().map_err(|_| wrong())?, den.trim().parse().map_err(|_| wrong())?)
    } else {
        let rate: f64 = text.parse().map_err(|_| wrong())?;
        let thousandths = (rate * 1000.0).round();
        if !(1.0..=1e6).contains(&thousandths) {
            return Err(wrong());
        }
        let divisor = gcd(thousandths as u32, 1000);
        Ratio::new(thousandths as u32 / divisor, 1000 / divisor)
    };
    ratio.ok_or_else(wrong)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
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
        assert_eq!(frame_rate("12.5"), Ok(Ratio { num: 25, den: 2 }));
        assert_eq!(frame_rate("30000/1001"), Ok(Ratio { num: 30_000, den: 1001 }));
        assert!(frame_rate("0").is_err() && frame_rate("fast").is_err() && frame_rate("25/0").is_err());
    }
}
