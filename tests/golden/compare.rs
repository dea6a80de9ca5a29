//! Compares two pictures, and proves that it would see a fault.

use std::fmt;

use vitrail_engine::media::Frame;

/// Packed planes of a 4:2:0 picture of even size.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    pub width: u32,
    pub height: u32,
    /// Y, U, V.
    pub planes: [Vec<u8>; 3],
}

impl Picture {
    pub fn of(frame: &Frame) -> Picture {
        Picture::from_packed(frame.width(), frame.height(), &frame.to_packed_i420())
    }

    pub fn from_packed(width: u32, height: u32, bytes: &[u8]) -> Picture {
        let luma = (width * height) as usize;
        let chroma = (width.div_ceil(2) * height.div_ceil(2)) as usize;
        assert_eq!(bytes.len(), luma + 2 * chroma, "a whole picture of {width}x{height}");
        let planes =
            [&bytes[..luma], &bytes[luma..luma + chroma], &bytes[luma + chroma..]].map(<[u8]>::to_vec);
        Picture { width, height, planes }
    }

    pub fn filled(width: u32, height: u32, yuv: [u8; 3]) -> Picture {
        let luma = (width * height) as usize;
        let planes = [vec![yuv[0]; luma], vec![yuv[1]; luma / 4], vec![yuv[2]; luma / 4]];
        Picture { width, height, planes }
    }

    fn stride(&self, plane: usize) -> usize {
        self.width.div_ceil(if plane == 0 { 1 } else { 2 }) as usize
    }
}

/// How far a picture may be from its reference; each bound holds in each plane.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Of any one sample.
    pub max_diff: u8,
    /// In decibels; infinite where equal.
    pub min_psnr: f64,
    /// Of the mean, either way: catches a small shift of everything that no sample gives away.
    pub max_bias: f64,
}

/// What was measured, the worst plane's of each.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    pub max_diff: u8,
    pub psnr: f64,
    pub bias: f64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "max difference {}, PSNR {:.1} dB, bias {:+.3}", self.max_diff, self.psnr, self.bias)
    }
}

/// The figures, or in words what is too far.
pub fn compare(got: &Picture, want: &Picture, tolerance: Tolerance) -> Result<Figures, String> {
    if (got.width, got.height) != (want.width, want.height) {
        return Err(format!("{}x{} is not {}x{}", got.width, got.height, want.width, want.height));
    }
    let mut worst = Figures { max_diff: 0, psnr: f64::INFINITY, bias: 0.0 };
    for (plane, name) in ["Y", "U", "V"].into_iter().enumerate() {
        let pairs = || got.planes[plane].iter().zip(&want.planes[plane]);
        let count = got.planes[plane].len() as f64;
        let (at, max_diff) = pairs()
            .map(|(a, b)| a.abs_diff(*b))
            .enumerate()
            .fold((0, 0), |most, next| if next.1 > most.1 { next } else { most });
        let squares: f64 = pairs().map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum();
        let bias = pairs().map(|(a, b)| f64::from(*a) - f64::from(*b)).sum::<f64>() / count;
        let psnr = 10.0 * (255.0f64.powi(2) * count / squares).log10();
        let (x, y) = (at % got.stride(plane), at / got.stride(plane));
        let figures = format!(
            "plane {name}: {} at {x},{y} where {} is right; PSNR {psnr:.1} dB, bias {bias:+.3}, {} samples beyond {}",
            got.planes[plane][at],
            want.planes[plane][at],
            pairs().filter(|(a, b)| a.abs_diff(**b) > tolerance.max_diff).count(),
            tolerance.max_diff,
        );
        if max_diff > tolerance.max_diff || psnr < tolerance.min_psnr || bias.abs() > tolerance.max_bias {
            return Err(figures);
        }
        worst.max_diff = worst.max_diff.max(max_diff);
        worst.psnr = worst.psnr.min(psnr);
        worst.bias = if bias.abs() > worst.bias.abs() { bias } else { worst.bias };
    }
    Ok(worst)
}

/// Writes what came, what is right, and their difference eight times over; says where.
pub fn save(name: &str, got: &Picture, want: &Picture) -> String {
    // One place a process and name: what shrinks a random plan writes over its larger forms.
    let dir = std::env::temp_dir().join(format!("vitrail-golden-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let mut saved = format!("pictures in {}:", dir.display());
    let mut write = |kind: &str, picture: &Picture| {
        let file = dir.join(format!("{name}-{kind}.png"));
        write_png(&file, picture);
        saved += &format!(" {}", file.file_name().unwrap().to_string_lossy());
    };
    write("got", got);
    write("want", want);
    if (got.width, got.height) == (want.width, want.height) {
        let mut difference = Picture::filled(got.width, got.height, [16, 128, 128]);
        for (plane, base) in [16, 128, 128].into_iter().enumerate() {
            for (out, (a, b)) in
                difference.planes[plane].iter_mut().zip(got.planes[plane].iter().zip(&want.planes[plane]))
            {
                let amount = 8 * (i32::from(*a) - i32::from(*b));
                *out = (base + if plane == 0 { amount.abs() } else { amount }).clamp(0, 255) as u8;
            }
        }
        write("difference", &difference);
    }
    saved
}

/// Writes a BT.709 limited picture as a PNG for people.
pub fn write_png(file: &std::path::Path, picture: &Picture) {
    let mut rgb = Vec::new();
    for y in 0..picture.height as usize {
        for x in 0..picture.width as usize {
            let chroma = y / 2 * picture.stride(1) + x / 2;
            let luma = (f64::from(picture.planes[0][y * picture.stride(0) + x]) - 16.0) * 255.0 / 219.0;
            let [u, v] = [1, 2].map(|n| (f64::from(picture.planes[n][chroma]) - 128.0) * 255.0 / 224.0);
            rgb.extend(
                [luma + 1.5748 * v, luma - 0.1873 * u - 0.4681 * v, luma + 1.8556 * u].map(|c| c as u8),
            );
        }
    }
    let file = std::io::BufWriter::new(std::fs::File::create(file).unwrap());
    let mut encoder = png::Encoder::new(file, picture.width, picture.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&rgb).unwrap();
}

mod proved_red {
    use super::*;

    const TIGHT: Tolerance = Tolerance { max_diff: 1, min_psnr: 54.0, max_bias: 0.25 };

    /// A busy picture: every neighbour differs, U and V differ.
    fn busy() -> Picture {
        let mut picture = Picture::filled(64, 48, [0; 3]);
        for (plane, samples) in picture.planes.iter_mut().enumerate() {
            for (n, sample) in samples.iter_mut().enumerate() {
                *sample = 40 + ((n * (7 + 2 * plane) + n / 32 * 13) % 150) as u8;
            }
        }
        picture
    }

    fn spoilt(spoil: impl FnOnce(&mut Picture)) -> Result<Figures, String> {
        let mut picture = busy();
        spoil(&mut picture);
        compare(&picture, &busy(), TIGHT)
    }

    #[test]
    fn equal_pictures_and_rounding_are_green() {
        let figures = spoilt(|_| {}).unwrap();
        assert_eq!((figures.max_diff, figures.bias), (0, 0.0));
        assert!(figures.psnr.is_infinite());
        // Every tenth sample one off, to both sides: what rounding does.
        spoilt(|p| {
            for (n, sample) in p.planes[0].iter_mut().step_by(10).enumerate() {
                *sample = if n % 2 == 0 { *sample + 1 } else { *sample - 1 };
            }
        })
        .unwrap();
    }

    #[test]
    fn one_changed_pixel_is_red() {
        let error = spoilt(|p| p.planes[0][64 * 5 + 9] += 2).unwrap_err();
        assert!(error.contains("plane Y") && error.contains("9,5"), "{error}");
        spoilt(|p| p.planes[2][0] -= 2).unwrap_err();
    }

    #[test]
    fn a_shift_by_one_pixel_is_red() {
        spoilt(|p| p.planes[0].rotate_right(1)).unwrap_err();
        spoilt(|p| p.planes[0].rotate_right(64)).unwrap_err();
        spoilt(|p| p.planes[1].rotate_right(1)).unwrap_err();
    }

    #[test]
    fn swapped_chroma_is_red() {
        spoilt(|p| p.planes.swap(1, 2)).unwrap_err();
    }

    #[test]
    fn one_wrong_tile_is_red() {
        spoilt(|p| {
            for y in 16..32 {
                for x in 16..32 {
                    p.planes[0][y * 64 + x] = 100;
                }
            }
        })
        .unwrap_err();
    }

    #[test]
    fn a_slight_shift_of_brightness_is_red_though_each_sample_is_within_bounds() {
        let error = spoilt(|p| p.planes[0].iter_mut().for_each(|s| *s += 1)).unwrap_err();
        assert!(error.contains(" 0 samples beyond"), "{error}");
        // A third of it: only the bias tells.
        let error = spoilt(|p| p.planes[1].iter_mut().step_by(3).for_each(|s| *s += 1)).unwrap_err();
        assert!(error.contains("plane U"), "{error}");
    }

    #[test]
    fn another_size_is_red() {
        let error = compare(&Picture::filled(64, 46, [0; 3]), &busy(), TIGHT).unwrap_err();
        assert!(error.contains("64x46"), "{error}");
    }

    #[test]
    fn mismatches_are_saved_where_it_says() {
        let mut other = busy();
        other.planes[0][0] += 9;
        let saved = save("proof", &other, &busy());
        let dir = saved.strip_prefix("pictures in ").unwrap().split_once(':').unwrap().0;
        for kind in ["got", "want", "difference"] {
            std::fs::remove_file(std::path::Path::new(dir).join(format!("proof-{kind}.png"))).unwrap();
        }
        // Stays where another scene left its pictures.
        let _ = std::fs::remove_dir(dir);
    }
}
