//! The path of hardware decoders, walked with software elements.

use super::*;
use crate::media::VideoParameters;

const STAND_INS: [(Codec, &str); 2] = [(Codec::H264, "avdec_h264"), (Codec::H265, "avdec_h265")];

fn clip(codec: Codec) -> Option<Vec<AccessUnit>> {
    let (name, encoder) = match codec {
        Codec::H264 => ("a.h264", "libx264 -g 10 -bf 0"),
        _ => ("a.h265", "libx265 -preset ultrafast -x265-params bframes=0:keyint=10:log-level=0"),
    };
    encoded(name, &format!("testsrc2=size=320x240 -frames:v 30 -pix_fmt yuv420p -c:v {encoder}"))
}

fn all(decoder: &mut dyn Decoder, units: &[AccessUnit]) -> Vec<(i64, Vec<u8>)> {
    let mut got = Vec::new();
    let mut out = |p: Picture| {
        let frame = p.into_frame(0, &VideoParameters::unknown(Codec::H264)).unwrap();
        got.push((frame.meta().pts.0, frame.to_packed_i420()));
    };
    units.iter().for_each(|unit| decoder.decode(unit, &mut out).unwrap());
    decoder.drain(&mut out).unwrap();
    got
}

#[test]
fn an_element_that_works_is_used_and_gives_the_same_pictures() {
    let factory = HardwareFactory::probe_among(&STAND_INS);
    for (codec, element) in STAND_INS {
        if factory.element(codec).is_none() {
            println!("skipped: {element} is not there");
            continue;
        }
        let Some(units) = clip(codec) else { continue };
        let mut hardware = factory.open(&DecoderRequest::live(codec)).unwrap();
        assert_eq!(hardware.backend(), element);
        let mut software = LibavDecoder::open(&DecoderRequest::live(codec)).unwrap();
        let expected = all(&mut software, &units);
        for round in 0..2 {
            let got = all(hardware.as_mut(), &units);
            let times = |all: &[(i64, Vec<u8>)]| all.iter().map(|(pts, _)| *pts).collect::<Vec<_>>();
            assert_eq!(times(&got), times(&expected), "{element}, round {round}");
            assert!(got == expected, "{element}, round {round}");
        }
    }
}

#[test]
fn what_does_not_decode_is_not_used() {
    // The first does not exist, the second decodes something else.
    let factory = HardwareFactory::probe_among(&[(Codec::H264, "nosuchdec"), (Codec::H264, "avdec_h265")]);
    assert_eq!(factory.element(Codec::H264), None);
    let decoder = factory.open(&DecoderRequest::live(Codec::H264)).unwrap();
    assert_eq!(decoder.backend(), "libavcodec");
}

#[test]
fn software_takes_over_from_an_element_that_fails() {
    let factory = HardwareFactory::probe_among(&STAND_INS[..1]);
    if factory.element(Codec::H264).is_none() {
        println!("skipped: avdec_h264 is not there");
        return;
    }
    // 4:4:4: the element can give neither NV12 nor I420.
    let options = "testsrc2=size=320x240 -frames:v 20 -pix_fmt yuv444p -c:v libx264 -g 5 -bf 0";
    let (Some(odd), Some(good)) = (encoded("b.h264", options), clip(Codec::H264)) else { return };
    let mut decoder = factory.open(&DecoderRequest::live(Codec::H264)).unwrap();
    let mut pictures = 0;
    let errors: Vec<_> = odd.iter().filter_map(|u| decoder.decode(u, &mut |_| pictures += 1).err()).collect();
    assert_eq!(decoder.backend(), "libavcodec");
    // Software shows it, from the next key frame on at the latest.
    assert!(pictures >= 10, "{pictures} pictures, {errors:?}");
    decoder.reset();
    assert_eq!(all(decoder.as_mut(), &good).len(), 30);
}
