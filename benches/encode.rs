//! How long a 1080p picture takes from submission to its access unit, by encoder and preset.
#![allow(missing_docs)]

use std::hint::black_box;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use vitrail_engine::base::{Moment, SystemClock};
use vitrail_engine::encode::{EncodedSink, EncoderChoice, EncoderConfig, Rate, ScreenEncoder};
use vitrail_engine::media::{AccessUnit, Codec, Frame, FrameMeta, Ratio};

struct Told(Mutex<Sender<usize>>);

impl EncodedSink for Told {
    fn unit(&self, unit: &AccessUnit) {
        if let Ok(sender) = self.0.lock() {
            let _ = sender.send(unit.data.len());
        }
    }
}

/// A wall of 16 moving tiles: gradients that shift, with texture.
fn wall(n: usize) -> Frame {
    let (w, h) = (1920usize, 1080usize);
    let mut data = vec![0u8; w * h * 3 / 2];
    for y in 0..h {
        for x in 0..w {
            let tile = x / 480 + 4 * (y / 270);
            let (u, v) = (x % 480 + n * (1 + tile % 4), y % 270 + n * (tile / 4));
            data[y * w + x] = (40 + (u / 3 + v / 2) % 150 + ((u * 7) ^ (v * 13)) % 23) as u8;
        }
    }
    data[w * h..].fill(120);
    Frame::packed_i420(1920, 1080, data.into(), FrameMeta::default()).expect("the length fits the size")
}

fn encode(criterion: &mut Criterion) {
    let frames: Vec<Frame> = (0..50).map(wall).collect();
    let mut group = criterion.benchmark_group("encode 1080p picture, 6 Mb/s");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    for (codec, preset) in [
        (Codec::H264, "ultrafast"),
        (Codec::H264, "superfast"),
        (Codec::H264, "veryfast"),
        (Codec::H265, "ultrafast"),
    ] {
        let config = EncoderConfig {
            codec,
            choice: EncoderChoice::Software,
            width: 1920,
            height: 1080,
            frame_rate: Ratio { num: 25, den: 1 },
            preset: preset.into(),
            instead: None,
            rate: Rate::Kbps(6000),
            gop: 50,
        };
        let (sender, units) = channel();
        let sink = Arc::new(Told(Mutex::new(sender)));
        let encoder = ScreenEncoder::start(&"bench".into(), config, sink, SystemClock::shared())
            .expect("an encoder works");
        let mut n = 0u64;
        group.bench_function(format!("{codec} {preset}"), |bencher| {
            bencher.iter_custom(|times| {
                let began = Instant::now();
                for _ in 0..times {
                    encoder.submit(frames[n as usize % frames.len()].clone(), Moment(n * 40_000_000));
                    black_box(units.recv().expect("a unit for each picture"));
                    n += 1;
                }
                began.elapsed()
            })
        });
        encoder.finish();
    }
    group.finish();
}

criterion_group!(benches, encode);
criterion_main!(benches);
