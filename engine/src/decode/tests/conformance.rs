//! Published conformance streams, against the sums of the pictures that they must give.

use std::path::Path;

use md5::{Digest, Md5};

use super::*;

/// All pictures of a file, packed, summed; and how many.
fn sum_of(path: &Path, order: Order) -> Result<(String, usize), Error> {
    let request = DecoderRequest { order, ..DecoderRequest::live(codec_of(path)) };
    let mut decoder = LibavDecoder::open(&request)?;
    let (mut md5, mut count) = (Md5::new(), 0);
    let mut out = |picture: Picture| {
        let frame = picture.into_frame(0, crate::media::Ratio::ONE).expect("whole planes");
        md5.update(frame.to_packed_i420());
        count += 1;
    };
    for unit in units_of(path) {
        decoder.decode(&unit, &mut out)?;
    }
    decoder.drain(&mut out)?;
    Ok((md5.finalize().iter().map(|b| format!("{b:02x}")).collect(), count))
}

#[test]
fn every_picture_is_exact_or_refused() {
    let Some(manifest) = shared("MANIFEST.tsv") else { return };
    let text = std::fs::read_to_string(manifest).unwrap();
    let (mut exact, mut refused, mut wrong) = (0, 0, Vec::new());
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let (name, pixels, md5) = (fields[0], fields[5], fields[14]);
        if !name.starts_with("conformance/h26") || md5.is_empty() {
            continue;
        }
        let Some(path) = shared(name) else { return };
        match sum_of(&path, Order::Exact) {
            Ok((sum, _)) if sum == md5 => exact += 1,
            Ok((sum, count)) => wrong.push(format!("{name}: {sum} of {count} pictures, {pixels}")),
            Err(error) if error.kind() == ErrorKind::Unsupported && !pixels.ends_with("420p") => {
                assert!(error.to_string().contains(pixels), "{error} does not name {pixels}");
                refused += 1;
            }
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    println!("{exact} exact, {refused} refused");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(exact >= 60 && refused >= 5, "{exact} exact, {refused} refused");
}

#[test]
fn live_order_loses_little_where_the_headers_are_silent() {
    let Some(folder) = shared("conformance/h264") else { return };
    let (mut all, mut lost) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let (Ok((exact_sum, exact)), Ok((live_sum, live))) =
            (sum_of(&path, Order::Exact), sum_of(&path, Order::Live))
        else {
            continue;
        };
        all += exact;
        lost += exact - live.min(exact);
        if live_sum != exact_sum {
            println!("{}: {live} of {exact}", path.display());
        }
        assert!(live + 12 >= exact && live <= exact, "{}: {live} of {exact}", path.display());
    }
    println!("{lost} of {all} pictures lost");
    assert!(all > 5000 && lost * 50 < all, "{lost} of {all}");
}
