//! Bytes as hexadecimal text: hashes, ids and sums, wherever people or programs read them.

use std::fmt::Write;

/// In lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads what [`hex`] writes, of exactly `N` bytes.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let value = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let pairs: Option<Vec<u8>> =
        text.as_bytes().chunks(2).map(|p| Some(value(p[0])? << 4 | value(*p.get(1)?)?)).collect();
    pairs?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_strict() {
        assert_eq!(unhex::<2>("00ff"), Some([0, 255]));
        assert!(["00f", "00fff", "00FF", "zz00", "", "é0"].iter().all(|t| unhex::<2>(t).is_none()));
    }
}
