//! The GPU compositor on whatever device this machine has, lavapipe included.

use super::*;
#[test]
fn smoke() {
    let mut gpu = match GpuCompositor::new(64, 32, |_| true) {
        Ok(gpu) => gpu,
        Err(error) => {
            println!("skipped: {error}");
            return;
        }
    };
    println!("{}", gpu.name());
    let plan = CompositePlan {
        width: 64,
        height: 32,
        draws: vec![crate::composite::Draw::Fill {
            rect: crate::fit::PixelRect::new(3, 3, 5, 5),
            color: Yuv::WHITE,
            alpha: 128,
        }],
        damage: vec![crate::fit::PixelRect::new(0, 0, 64, 32)],
    };
    gpu.compose(&plan).unwrap();
    let f = gpu.picture(FrameMeta::default()).unwrap();
    println!("{:?}", &f.planes()[0].row(3, 16));
}
