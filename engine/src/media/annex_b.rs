//! Byte streams with start codes (Rec. H.264 and H.265, annex B), cut into NAL units.

/// The NAL units of an Annex B byte stream, without start codes; empty ones are left out.
pub fn nal_units(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = next_start_code(data, 0).map(|(_, after)| after);
    std::iter::from_fn(move || {
        loop {
            let from = start?;
            let next = next_start_code(data, from);
            start = next.map(|(_, after)| after);
            let end = next.map_or(data.len(), |(at, _)| at);
            let mut nal = &data[from..end];
            while let [rest @ .., 0] = nal {
                nal = rest;
            }
            if !nal.is_empty() {
                return Some(nal);
            }
        }
    })
}

/// Where the next `00 00 01` begins and ends.
pub(crate) fn next_start_code(data: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut i = from + 2;
    while i < data.len() {
        // The third byte decides how far to go on: Boyer and Moore's idea on three bytes.
        match data[i] {
            1 if data[i - 1] == 0 && data[i - 2] == 0 => return Some((i - 2, i + 1)),
            0 => i += 1,
            _ => i += 3,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_both_kinds_of_start_code() {
        let data = [0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0, 0, 1, 0x68, 3, 0, 0, 1, 0x65, 9];
        let units: Vec<&[u8]> = nal_units(&data).collect();
        assert_eq!(units, [&[9, 0xf0][..], &[0x67, 1, 2], &[0x68, 3], &[0x65, 9]]);
    }
}
