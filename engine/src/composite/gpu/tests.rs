//! The GPU compositor on whatever device this machine has, lavapipe included.

use std::sync::Arc;

use super::lower::lower;
use super::*;
use crate::composite::{Bitmap, Draw};
use crate::media::PixelRect;

fn gpu(width: u32, height: u32) -> Option<GpuCompositor> {
    match GpuCompositor::new(width, height, |_| true) {
        Ok(gpu) => Some(gpu),
        Err(error) => {
            println!("skipped: {error}");
            None
        }
    }
}

fn plan(width: u32, height: u32, draws: Vec<Draw>) -> CompositePlan {
    CompositePlan { width, height, draws, damage: vec![PixelRect::new(0, 0, width, height)] }
}

fn fill(rect: PixelRect, y: u8) -> Draw {
    Draw::Fill { rect, color: Yuv { y, u: 128, v: 128 }, alpha: 255 }
}

fn grey(width: u32, height: u32, y: u8) -> Frame {
    Frame::filled(width, height, [y, 128, 128], FrameMeta::default()).expect("a valid size")
}

fn luma(gpu: &mut GpuCompositor, x: usize, y: usize) -> u8 {
    let frame = gpu.picture(FrameMeta::default()).expect("a picture");
    frame.planes()[0].row(y, x + 1)[x]
}

#[test]
fn a_picture_handed_out_does_not_change() {
    let Some(mut gpu) = gpu(66, 34) else { return };
    let whole = PixelRect::new(0, 0, 66, 34);
    gpu.compose(&plan(66, 34, vec![fill(whole, 50)])).expect("draws");
    let first = gpu.picture(FrameMeta::default()).expect("a picture");
    let again = gpu.picture(FrameMeta { sequence: 7, ..FrameMeta::default() }).expect("a picture");
    assert_eq!(again.meta().sequence, 7);
    // Two plans without a picture between: the readback of the first is let go.
    gpu.compose(&plan(66, 34, vec![fill(whole, 60)])).expect("draws");
    gpu.compose(&plan(66, 34, vec![fill(PixelRect::new(0, 0, 65, 33), 70)])).expect("draws");
    assert_eq!(luma(&mut gpu, 64, 32), 70);
    assert_eq!(luma(&mut gpu, 65, 33), 60);
    for picture in [first, again] {
        assert!(picture.to_packed_i420()[..66 * 34].iter().all(|y| *y == 50));
    }
}

#[test]
fn what_exceeds_the_budget_is_drawn_in_several_dispatches_in_order() {
    let Some(gpu) = gpu(128, 64) else { return };
    let mut gpu = gpu.with_budget(20_000);
    // Each picture covers the one before but for a strip.
    let draws: Vec<Draw> = (0..8)
        .map(|n| Draw::Picture {
            frame: grey(64, 40, 20 + 10 * n),
            dest: PixelRect::new(8 * u32::from(n), 4, 64, 40),
        })
        .collect();
    let plan = plan(128, 64, draws);
    assert!(lower(&plan, 20_000).expect("fits").len() > 2);
    gpu.compose(&plan).expect("draws");
    for n in 0..8 {
        assert_eq!(luma(&mut gpu, 8 * n + 3, 10), 20 + 10 * n as u8);
    }
    let huge = CompositePlan {
        draws: vec![Draw::Picture { frame: grey(400, 400, 99), dest: PixelRect::new(0, 0, 64, 64) }],
        ..plan
    };
    let error = gpu.compose(&huge).expect_err("more than the budget");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(luma(&mut gpu, 3, 10), 20, "the canvas is as it was");
}

#[test]
fn plans_and_canvases_that_cannot_be_are_refused() {
    for (width, height) in [(0, 2), (3, 2), (2, 5), (20_000, 2)] {
        let error = GpuCompositor::new(width, height, |_| true).err().expect("refused");
        assert!(matches!(error.kind(), ErrorKind::Config | ErrorKind::Unsupported), "{error}");
    }
    let Some(mut gpu) = gpu(64, 32) else { return };
    assert_eq!(gpu.compose(&plan(64, 30, Vec::new())).expect_err("another size").kind(), ErrorKind::Internal);
    let bitmap = Arc::new(Bitmap { width: 9, height: 9, coverage: Bytes::from_static(&[1, 2, 3]) });
    let stamp = Draw::Stamp { x: 0, y: 0, bitmap, color: Yuv::WHITE, alpha: 255 };
    assert!(gpu.compose(&plan(64, 32, vec![stamp])).is_err());
    gpu.compose(&plan(64, 32, vec![fill(PixelRect::new(0, 0, 8, 8), 90)])).expect("still draws");
    assert_eq!(luma(&mut gpu, 0, 0), 90);
}

#[test]
fn a_lost_device_is_an_error_that_lets_the_wall_go_on() {
    let Some(mut gpu) = gpu(64, 32) else { return };
    let plan = plan(64, 32, vec![fill(PixelRect::new(0, 0, 64, 32), 90)]);
    gpu.compose(&plan).expect("draws");
    gpu.device.destroy();
    let mut results = vec![gpu.compose(&plan).err(), gpu.picture(FrameMeta::default()).err()];
    results.push(gpu.compose(&plan).err());
    let error = results.pop().flatten().expect("the device is gone");
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert!(error.to_string().contains("composing must go on elsewhere"), "{error}");
    assert!(results.iter().any(Option::is_some), "told within one tick");
}

#[test]
fn only_the_damaged_part_of_a_copied_picture_is_uploaded() {
    let frame = grey(640, 360, 77);
    let draws = vec![Draw::Picture { frame, dest: PixelRect::new(0, 0, 640, 360) }];
    let part = CompositePlan {
        width: 640,
        height: 360,
        draws,
        damage: vec![PixelRect::new(100, 40, 64, 20), PixelRect::new(300, 300, 32, 16)],
    };
    let batches = lower(&part, 1 << 20).expect("fits");
    let [batch] = &batches[..] else { panic!("one batch") };
    assert_eq!(batch.items.len(), 2);
    assert!(batch.bytes < 2 * (64 * 20 + 32 * 16), "{} bytes", batch.bytes);
    // Bins of 64 by 16: 2 by 2 for each (100 to 164, 40 to 60; 300 to 332, 300 to 316).
    assert_eq!(batch.bin_count, 8);
}

#[test]
fn what_a_bin_hides_is_not_drawn_there() {
    let whole = PixelRect::new(0, 0, 128, 32);
    let veil = Draw::Fill { rect: whole, color: Yuv::WHITE, alpha: 9 };
    let left = fill(PixelRect::new(0, 0, 64, 32), 40);
    let [batch] = &lower(&plan(128, 32, vec![fill(whole, 20), veil, left]), 1 << 20).expect("fits")[..]
    else {
        panic!("one batch")
    };
    let counts: Vec<u32> = batch.bins[..16].chunks(4).map(|bin| bin[3]).collect();
    assert_eq!(counts, [1, 2, 1, 2]);
}
