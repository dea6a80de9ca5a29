//! Cameras and screens as they are written on the command line of `vitrail capacity`.

use vitrail_engine::effort::StreamLoad;
use vitrail_engine::effort::plan::CameraGroup;
use vitrail_engine::media::Codec;

const SHAPE: &str = "write it like 8000x640x360@12.5/h264@400k or 640x360@12.5/h265: count, size, pictures \
                     a second, codec, bits a second";

/// `[COUNTx]WIDTHxHEIGHT@FPS[/CODEC][@RATE]`, key frames every `key_interval_s`. Without a rate, what
/// cameras send by default at that size.
pub fn group(text: &str) -> Result<CameraGroup, String> {
    let (format, rest) = text.split_once('/').unwrap_or((text, "h264"));
    let (size, fps) = format.split_once('@').ok_or(SHAPE)?;
    // Without a codec, the rate stands behind the frame rate.
    let (fps, early_rate) = fps.split_once('@').map_or((fps, None), |(fps, rate)| (fps, Some(rate)));
    let (codec, late_rate) = rest.split_once('@').map_or((rest, None), |(codec, rate)| (codec, Some(rate)));
    let sides: Vec<u32> = size.split('x').map(|n| n.parse().ok()).collect::<Option<_>>().ok_or(SHAPE)?;
    let (count, width, height) = match sides[..] {
        [width, height] => (1, width, height),
        [count, width, height] => (count, width, height),
        _ => return Err(SHAPE.into()),
    };
    let fps: f64 = fps.parse().map_err(|_| SHAPE.to_owned())?;
    let codec = match codec.to_ascii_lowercase().as_str() {
        "h264" | "avc" => Codec::H264,
        "h265" | "hevc" => Codec::H265,
        "mjpeg" => Codec::Mjpeg,
        "mpeg4" => Codec::Mpeg4,
        _ => return Err(format!("knows no codec {codec:?}; choose h264, h265, mjpeg or mpeg4")),
    };
    let sides_ok = [width, height].iter().all(|side| (2..=16384).contains(side));
    if count == 0 || !sides_ok || !(0.1..=240.0).contains(&fps) {
        return Err(SHAPE.into());
    }
    let bits_per_second = match early_rate.or(late_rate) {
        Some(rate) => rate_of(rate)?,
        None => usual_rate(width, height, fps),
    };
    let load = StreamLoad { codec, width, height, fps, bits_per_second, key_interval_s: 2.0 };
    Ok(CameraGroup { count, load })
}

/// 400 kb/s at 640x360 and 12.5 pictures a second, and with size and rate about as encoders need more:
/// 2.9 Mb/s at 1080p25.
fn usual_rate(width: u32, height: u32, fps: f64) -> f64 {
    let pixels = f64::from(width) * f64::from(height);
    400e3 * (pixels / (640.0 * 360.0)).powf(0.75) * (fps / 12.5).sqrt()
}

/// Bits per second, from `400k`, `2M` or a plain number.
pub fn rate_of(text: &str) -> Result<f64, String> {
    let wrong = || "write a rate like 400k, 2M or 400000".to_owned();
    let (number, factor) = match text.strip_suffix(['k', 'K']) {
        Some(number) => (number, 1e3),
        None => text.strip_suffix('M').map_or((text, 1.0), |number| (number, 1e6)),
    };
    let value: f64 = number.parse().map_err(|_| wrong())?;
    if (1.0..=1e12).contains(&(value * factor)) { Ok(value * factor) } else { Err(wrong()) }
}

/// A size and a rate: `3840x2160@10`.
pub fn screen(text: &str) -> Result<(u32, u32, f64), String> {
    let wrong = "write it like 3840x2160@10: size and pictures a second";
    let (size, fps) = text.split_once('@').ok_or(wrong)?;
    let (width, height) = crate::parse::pair(size)?;
    let fps: f64 = fps.parse().map_err(|_| wrong.to_owned())?;
    let fits = (2..=16384).contains(&width) && (2..=16384).contains(&height) && (1.0..=120.0).contains(&fps);
    if fits { Ok((width, height, fps)) } else { Err(wrong.into()) }
}

/// For people: `640x360@12.5 H.264 at 400 kb/s`.
pub fn name(load: &StreamLoad) -> String {
    format!(
        "{}x{}@{} {} at {}",
        load.width,
        load.height,
        load.fps,
        load.codec,
        super::bits(load.bits_per_second)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cameras_are_read_as_people_write_them() {
        let g = group("8000x640x360@12.5/h264@400k").expect("the documented form");
        assert_eq!((g.count, g.load.width, g.load.height), (8000, 640, 360));
        assert_eq!((g.load.fps, g.load.codec, g.load.bits_per_second), (12.5, Codec::H264, 400e3));
        let g = group("1920x1080@25/hevc@4M").expect("without a count");
        assert_eq!((g.count, g.load.codec, g.load.bits_per_second), (1, Codec::H265, 4e6));
        assert_eq!(group("640x360@12.5").map(|g| g.load.bits_per_second.round()), Ok(400e3));
        assert_eq!(group("640x360@12.5@300k").map(|g| g.load.bits_per_second), Ok(300e3));
        for wrong in
            ["", "640x360", "x360@5", "0x640x360@5", "640x360@0", "640x360@5/vp9", "640x360@5/h264@x"]
        {
            assert!(group(wrong).is_err(), "{wrong}");
        }
        assert_eq!(screen("3840x2160@10"), Ok((3840, 2160, 10.0)));
        assert!(screen("3840x2160").is_err() && screen("3840x2160@0").is_err());
    }
}
