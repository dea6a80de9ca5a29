//! Streets of a city as cameras on masts see them: houses, trees, cars, trams and people, by day, at
//! dusk and by night. The same camera number gives the same pictures.

mod canvas;
mod house;
mod place;
mod things;
mod view;

use crate::picture::Picture;
use crate::scene::{Dice, add_noise, write};
use canvas::{Canvas, Rgb, mix, rgb, scale};
use place::Site;

/// A view of the city: the same `kind` and `seed` give the same pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct City {
    /// Which kind of place: those of [`crate::scene::Scene`].
    pub kind: usize,
    /// Varies houses, colours, traffic and the time of day.
    pub seed: u64,
}

/// Draws the pictures of one view; what never changes is drawn once.
pub struct Painter {
    seed: u64,
    site: Site,
    background: Picture,
}

/// What the time of day does to colours.
#[derive(Clone, Copy, Debug)]
struct Light {
    day: f32,
    tint: Rgb,
    sky: (Rgb, Rgb),
    noise: i32,
    /// Hour that the camera's clock shows.
    hour: u32,
}

impl Light {
    fn of(kind: usize, dice: &mut Dice) -> Light {
        let night = kind == 4;
        match (night, dice.below(8)) {
            (true, _) | (_, 7) => Light {
                day: 0.0,
                tint: [0.20, 0.22, 0.31],
                sky: (rgb(0x0b1020), rgb(0x222a3c)),
                noise: 7,
                hour: 23,
            },
            (_, 5 | 6) => Light {
                day: 0.35,
                tint: [0.62, 0.52, 0.54],
                sky: (rgb(0x4a5478), rgb(0xe0a078)),
                noise: 5,
                hour: 17,
            },
            (_, 3 | 4) => Light {
                day: 0.9,
                tint: [0.80, 0.82, 0.85],
                sky: (rgb(0xa8b2bc), rgb(0xc9cfd3)),
                noise: 4,
                hour: 11,
            },
            _ => Light {
                day: 1.0,
                tint: [1.0, 0.98, 0.94],
                sky: (rgb(0x5d93cf), rgb(0xbcd4e8)),
                noise: 3,
                hour: 14,
            },
        }
    }

    /// A colour in this light.
    fn on(&self, color: Rgb) -> Rgb {
        [0, 1, 2].map(|i| (color[i] * self.tint[i]).clamp(0.0, 1.0))
    }

    /// Lamps and windows are lit.
    fn dark(&self) -> bool {
        self.day < 0.5
    }

    /// What is far away takes the colour of the air.
    fn hazy(&self, color: Rgb, depth: f32) -> Rgb {
        mix(color, self.sky.1, (depth / 260.0).min(0.5))
    }
}

impl City {
    /// What draws the pictures of this view in one size.
    pub fn painter(&self, width: u32, height: u32) -> Painter {
        let mut dice = Dice::new(self.seed ^ 0xc17f);
        let light = Light::of(self.kind, &mut dice);
        let mut background = Picture::new(width, height);
        let mut canvas = Canvas::new(&mut background);
        let site = Site::new(self.kind, canvas.width(), light, &mut dice);
        sky(&mut canvas, &site, &mut dice);
        site.background(&mut canvas, &mut dice);
        // Plaster and asphalt are not smooth.
        add_noise(&mut background, self.seed ^ 0x77, 5);
        Painter { seed: self.seed, site, background }
    }
}

impl Painter {
    /// Overwrites `picture`, which has the painter's size, with the one at `at` (0 to 1) of the loop;
    /// `seconds` is how far into it that is.
    pub fn draw(&self, picture: &mut Picture, at: f64, seconds: f64) {
        picture.clone_from(&self.background);
        self.site.movement(&mut Canvas::new(picture), &self.background, at as f32);
        add_noise(picture, self.seed ^ seconds.to_bits(), self.site.light.noise);
        self.date_and_time(picture, seconds);
    }

    /// What cameras write into their own pictures, at the upper right.
    fn date_and_time(&self, picture: &mut Picture, seconds: f64) {
        let begun = 60 * (self.seed % 60) + 7 * self.seed % 50;
        let second = begun + seconds as u64;
        let text = format!("2026-03-14 {}:{:02}:{:02}", self.site.light.hour, second / 60 % 60, second % 60);
        let cell = 0.0036;
        let from = 0.985 - text.len() as f64 * 4.0 * cell;
        write(picture, &text, (from + 0.6 * cell, 0.036), cell, [20, 128, 128]);
        write(picture, &text, (from, 0.034), cell, [232, 128, 128]);
    }
}

fn sky(canvas: &mut Canvas<'_>, site: &Site, dice: &mut Dice) {
    let (light, horizon) = (site.light, site.view.horizon);
    canvas.gradient((0.0, horizon + 0.02), light.sky.0, light.sky.1);
    canvas.gradient((horizon + 0.02, 1.0), light.sky.1, light.sky.1);
    let cloud = if light.dark() { scale(light.sky.1, 1.15) } else { rgb(0xf4f6f8) };
    for _ in 0..14 {
        let at = (dice.unit() as f32 * canvas.width(), dice.unit() as f32 * horizon * 0.8);
        let size = (0.12 + 0.25 * dice.unit() as f32, 0.02 + 0.04 * dice.unit() as f32);
        canvas.glow(at, size, cloud, 0.55);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(city: City, (width, height): (u32, u32), at: f64) -> Picture {
        let mut picture = Picture::new(width, height);
        city.painter(width, height).draw(&mut picture, at, at * 10.0);
        picture
    }

    #[test]
    fn a_camera_number_gives_the_same_pictures_and_no_other_the_same() {
        for kind in 0..5 {
            let city = City { kind, seed: 3 };
            let (one, again) = (picture(city, (320, 180), 0.3), picture(city, (320, 180), 0.3));
            assert!(one.data() == again.data(), "kind {kind}");
            let later = picture(city, (320, 180), 0.5);
            assert!(one.data() != later.data(), "kind {kind}: something moves");
            let other = picture(City { kind, seed: 4 }, (320, 180), 0.3);
            let differs = one.luma().iter().zip(other.luma()).filter(|(a, b)| a.abs_diff(**b) > 20).count();
            assert!(differs > 320 * 180 / 10, "kind {kind}: {differs}");
        }
    }

    #[test]
    fn every_size_that_cameras_may_have_is_drawn_whole() {
        for (n, size) in [(64, 36), (360, 640), (352, 288), (1024, 96), (640, 360)].into_iter().enumerate() {
            for kind in 0..5 {
                let luma = picture(City { kind, seed: n as u64 }, size, 0.9).luma().to_vec();
                let (mut seen, mut kinds) = ([false; 256], 0);
                for value in luma {
                    kinds += usize::from(!std::mem::replace(&mut seen[usize::from(value)], true));
                }
                assert!(kinds > 30, "{size:?} {kind}: {kinds} values");
            }
        }
    }

    #[test]
    fn nights_are_dark_and_days_are_not() {
        let mean = |seed: u64, kind: usize| {
            let luma = picture(City { kind, seed }, (320, 180), 0.0).luma().to_vec();
            luma.iter().map(|v| u64::from(*v)).sum::<u64>() / luma.len() as u64
        };
        for seed in 0..6 {
            assert!(mean(seed, 4) < 60, "{}", mean(seed, 4));
        }
        assert!((0..12).any(|seed| mean(seed, 0) > 95));
    }
}
