//! When pictures come out, and in which order.

use super::*;
use crate::media::VideoParameters;

/// For each unit, the pts of the pictures that came out right after it; and what a drain gave.
fn outputs(units: &[AccessUnit], codec: Codec, order: Order) -> (Vec<Vec<i64>>, Vec<i64>) {
    let request = DecoderRequest { order, ..DecoderRequest::live(codec) };
    let mut decoder = LibavDecoder::open(&request).unwrap();
    let mut each = Vec::new();
    for unit in units {
        let mut out = Vec::new();
        decoder.decode(unit, &mut |p| out.push(p.origin.pts.0 / 40_000_000)).unwrap();
        each.push(out);
    }
    let mut rest = Vec::new();
    decoder.drain(&mut |p| rest.push(p.origin.pts.0 / 40_000_000)).unwrap();
    (each, rest)
}

#[test]
fn without_b_pictures_each_comes_out_right_after_its_unit() {
    for (name, codec, encoder) in [
        ("a.h264", Codec::H264, "-c:v libx264 -preset veryfast -bf 0 -g 10"),
        ("a.h264", Codec::H264, "-c:v libx264 -tune zerolatency -bf 0 -refs 4 -g 10"),
        ("a.h264", Codec::H264, "-c:v libx264 -profile:v baseline -g 10 -bsf:v filter_units=remove_types=6"),
        (
            "a.h265",
            Codec::H265,
            "-c:v libx265 -preset ultrafast -x265-params bframes=0:keyint=10:log-level=0",
        ),
        ("a.mjpeg", Codec::Mjpeg, "-c:v mjpeg -pix_fmt yuvj420p"),
        ("a.m4v", Codec::Mpeg4, "-c:v mpeg4 -bf 0 -g 10 -f m4v"),
    ] {
        let options = format!("testsrc2=size=320x240:rate=25 -frames:v 40 -pix_fmt yuv420p {encoder}");
        let Some(units) = encoded(name, &options) else { continue };
        assert!(units.len() >= 40, "{encoder}: {} units", units.len());
        let (each, rest) = outputs(&units[..40], codec, Order::Live);
        for (n, out) in each.iter().enumerate() {
            assert_eq!(out, &[n as i64], "{encoder}: after unit {n}");
        }
        assert!(rest.is_empty(), "{encoder}: {rest:?} were held");
    }
}

#[test]
fn with_b_pictures_they_come_out_in_presentation_order() {
    for (name, codec, encoder) in [
        ("b.h264", Codec::H264, "-c:v libx264 -preset veryfast -bf 3 -g 30"),
        (
            "b.h265",
            Codec::H265,
            "-c:v libx265 -preset ultrafast -x265-params bframes=3:keyint=30:log-level=0",
        ),
    ] {
        let options = format!("testsrc2=size=320x240:rate=25 -frames:v 60 -pix_fmt yuv420p {encoder}");
        let Some(units) = encoded(name, &options) else { continue };
        let sums = |order| {
            let mut decoder =
                LibavDecoder::open(&DecoderRequest { order, ..DecoderRequest::live(codec) }).unwrap();
            let mut all = Vec::new();
            let mut out = |p: Picture| {
                all.push(p.into_frame(0, &VideoParameters::unknown(Codec::H264)).unwrap().to_packed_i420())
            };
            units.iter().for_each(|unit| decoder.decode(unit, &mut out).unwrap());
            decoder.drain(&mut out).unwrap();
            all
        };
        let (live, exact) = (sums(Order::Live), sums(Order::Exact));
        assert_eq!(exact.len(), 60, "{encoder}");
        assert!(live == exact, "{encoder}: {} live pictures", live.len());
        let (each, _) = outputs(&units, codec, Order::Live);
        let held = each
            .iter()
            .scan(0i64, |held, out| {
                *held += 1 - out.len() as i64;
                Some(*held)
            })
            .max();
        println!("{encoder}: at most {held:?} pictures held");
        assert!(held <= Some(4), "{encoder}");
    }
}

#[test]
fn a_drained_decoder_starts_anew_with_the_next_key_frame() {
    let options = "testsrc2=size=320x240:rate=25 -frames:v 40 -pix_fmt yuv420p -c:v libx264 -g 10 -bf 2";
    let Some(units) = encoded("c.h264", options) else { return };
    let mut decoder = LibavDecoder::open(&DecoderRequest::live(Codec::H264)).unwrap();
    let mut count = 0;
    for unit in units.iter().filter(|u| u.random_access) {
        let mut out = Vec::new();
        decoder.decode(unit, &mut |p| out.push(p.origin.pts)).unwrap();
        decoder.drain(&mut |p| out.push(p.origin.pts)).unwrap();
        assert_eq!(out, [unit.pts]);
        count += 1;
    }
    assert_eq!(count, 4);
}

/// Also the one to run under valgrind: `valgrind target/debug/deps/vitrail_engine-… outlive`.
#[test]
fn pictures_outlive_their_decoder_on_other_threads() {
    let options = "testsrc2=size=322x242:rate=25 -frames:v 12 -pix_fmt yuv420p -c:v libx264 -g 6 -bf 2";
    let Some(units) = encoded("v.h264", options) else { return };
    let mut decoder = LibavDecoder::open(&DecoderRequest::live(Codec::H264)).unwrap();
    let mut pictures = Vec::new();
    units.iter().for_each(|unit| decoder.decode(unit, &mut |p| pictures.push(p)).unwrap());
    decoder.drain(&mut |p| pictures.push(p)).unwrap();
    let frames: Vec<_> = pictures
        .into_iter()
        .map(|p| p.into_frame(0, &VideoParameters::unknown(Codec::H264)).unwrap())
        .collect();
    let before: Vec<_> = frames.iter().map(Frame::to_packed_i420).collect();
    drop(decoder);
    let after = std::thread::spawn(move || frames.iter().map(Frame::to_packed_i420).collect::<Vec<_>>());
    assert!(after.join().unwrap() == before);
    assert_eq!(before.len(), 12);
}
