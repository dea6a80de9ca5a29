//! Published conformance streams, against the sums of the pictures that they must give.

use std::path::Path;

use md5::{Digest, Md5};

use super::*;
use crate::media::VideoParameters;

/// Hands out all pictures of a file; how many there are.
fn decode(path: &Path, order: Order, mut each: impl FnMut(Picture)) -> Result<usize, Error> {
    let request = DecoderRequest { order, ..DecoderRequest::live(codec_of(path)) };
    let mut decoder = LibavDecoder::open(&request)?;
    let mut count = 0;
    let mut out = |picture: Picture| {
        each(picture);
        count += 1;
    };
    for unit in units_of(path) {
        decoder.decode(&unit, &mut out)?;
    }
    decoder.drain(&mut out)?;
    Ok(count)
}

/// All pictures of a file, packed, summed; and how many.
fn sum_of(path: &Path) -> Result<(String, usize), Error> {
    let mut md5 = Md5::new();
    let count = decode(path, Order::Exact, |picture| {
        let frame = picture.into_frame(0, &VideoParameters::unknown(Codec::H264)).expect("whole planes");
        md5.update(frame.to_packed_i420());
    })?;
    Ok((md5.finalize().iter().map(|b| format!("{b:02x}")).collect(), count))
}

#[test]
fn every_picture_is_exact_or_converted() {
    let Some(manifest) = shared("MANIFEST.tsv") else { return };
    let text = std::fs::read_to_string(manifest).unwrap();
    let (mut exact, mut converted, mut wrong) = (0, 0, Vec::new());
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let (name, pixels, md5) = (fields[0], fields[5], fields[14]);
        if !name.starts_with("conformance/h26") || md5.is_empty() {
            continue;
        }
        let Some(path) = shared(name) else { return };
        match sum_of(&path) {
            Ok((sum, _)) if sum == md5 => exact += 1,
            // How near is what `chroma` tests.
            Ok((_, count)) if count > 0 && !pixels.ends_with("420p") => converted += 1,
            Ok((sum, count)) => wrong.push(format!("{name}: {sum} of {count} pictures, {pixels}")),
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    println!("{exact} exact, {converted} converted");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(exact >= 60 && converted >= 5, "{exact} exact, {converted} converted");
}

#[test]
fn live_order_loses_little_where_the_headers_are_silent() {
    let Some(folder) = shared("conformance/h264") else { return };
    let (mut all, mut lost) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let count = |order| decode(&path, order, drop);
        let (Ok(exact), Ok(live)) = (count(Order::Exact), count(Order::Live)) else { continue };
        all += exact;
        lost += exact - live.min(exact);
        if live != exact {
            println!("{}: {live} of {exact}", path.display());
        }
        assert!(live + 12 >= exact && live <= exact, "{}: {live} of {exact}", path.display());
    }
    println!("{lost} of {all} pictures lost");
    assert!(all > 5000 && lost * 50 < all, "{lost} of {all}");
}

/// A decoder that many cameras share must remember nothing of the stream before: a key frame is the same
/// as from a decoder of its own, whatever was decoded ahead of it.
#[test]
fn a_shared_decoder_remembers_nothing_of_the_stream_before() {
    let mut keys: Vec<(String, AccessUnit)> = Vec::new();
    for folder in ["footage", "conformance/h264"] {
        let Some(folder) = shared(folder) else { return };
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let raw = path.extension().is_some_and(|e| e == "264" || e == "h264" || e == "avc");
            let first = raw.then(|| units_of(&path).into_iter().find(|u| u.random_access)).flatten();
            if let Some(unit) =
                first.filter(|u| crate::decode::units::carries_parameter_sets(Codec::H264, &u.data))
            {
                keys.push((path.file_name().unwrap().to_string_lossy().into_owned(), unit));
            }
        }
    }
    let made = [
        "testsrc2=size=1920x1080 -frames:v 1 -c:v libx264 -preset medium",
        "testsrc2=size=640x360 -frames:v 1 -c:v libx264 -preset ultrafast",
        "testsrc2=size=320x240 -frames:v 1 -c:v libx264 -preset slower -tune grain",
    ];
    for (n, options) in made.iter().enumerate() {
        let unit = encoded("made.h264", options).and_then(|units| units.into_iter().next());
        keys.extend(unit.map(|unit| (format!("made {n}"), unit)));
    }
    keys.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(keys.len() > 20, "{} key frames", keys.len());
    let request = DecoderRequest { isolated: true, ..DecoderRequest::live(Codec::H264) };
    let picture = |decoder: &mut LibavDecoder, unit: &AccessUnit| {
        let mut planes: Vec<Vec<u8>> = Vec::new();
        let mut out = |p: Picture| {
            planes.extend(
                p.into_frame(0, &VideoParameters::unknown(Codec::H264)).map(|frame| frame.to_packed_i420()),
            );
        };
        let _ = decoder.decode(unit, &mut out);
        let _ = decoder.drain(&mut out);
        planes
    };
    let alone: Vec<_> =
        keys.iter().map(|(_, unit)| picture(&mut LibavDecoder::open(&request).unwrap(), unit)).collect();
    let mut different = Vec::new();
    for (before, first) in &keys {
        let mut decoder = LibavDecoder::open(&request).unwrap();
        for ((name, unit), alone) in keys.iter().zip(&alone) {
            picture(&mut decoder, first);
            if picture(&mut decoder, unit) != *alone {
                different.push(format!("{name} after {before}"));
            }
        }
    }
    assert!(different.is_empty(), "{} pairs: {:?}", different.len(), &different[..different.len().min(40)]);
}
