//! The compositor on wgpu: one upload, one dispatch and one readback a plan. See docs/design/gpu.md.

mod device;
mod lower;

use std::num::NonZeroU64;

use bytemuck::{Pod, Zeroable};
use bytes::Bytes;

use super::{CompositePlan, Compositor, Yuv};
use crate::base::{Error, ErrorKind, Result};
use crate::media::{Chroma, Frame, FrameMeta, Plane};
use device::Device;
pub use device::{AdapterInfo, adapters};
use lower::{Batch, Upload};

/// The most that one dispatch is given to read, in bytes; a plan that needs more is drawn in several.
/// Room for one 8K picture with padding, or a 4K screen ten times over.
const UPLOAD_BUDGET: usize = 128 << 20;

/// Layout of the canvas in its buffer, in words of four samples; the shader's `Canvas`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct Layout {
    luma_stride: u32,
    chroma_stride: u32,
    u_base: u32,
    v_base: u32,
    bins: u32,
    height: u32,
    /// A uniform block is a multiple of 16 bytes.
    pad: [u32; 2],
}

impl Layout {
    fn of(width: u32, height: u32) -> Layout {
        let chroma_stride = width.div_ceil(8);
        let u_base = 2 * chroma_stride * height;
        Layout {
            luma_stride: 2 * chroma_stride,
            chroma_stride,
            u_base,
            v_base: u_base + chroma_stride * height / 2,
            bins: 0,
            height,
            pad: [0; 2],
        }
    }
    fn bytes(&self) -> u64 {
        4 * u64::from(self.v_base + self.chroma_stride * self.height / 2)
    }
}

/// Draws on a GPU. Its canvas stays there; [`Compositor::picture`] reads it back as I420.
pub struct GpuCompositor {
    device: Device,
    width: u32,
    height: u32,
    layout: Layout,
    canvas: wgpu::Buffer,
    params: wgpu::Buffer,
    pixels: wgpu::Buffer,
    items: wgpu::Buffer,
    bins: wgpu::Buffer,
    bound: wgpu::BindGroup,
    readback: [Readback; 2],
    /// Which readback holds the newest picture.
    newest: usize,
    budget: usize,
}

/// One staging buffer of the canvas's size, and how far it is.
struct Readback {
    buffer: wgpu::Buffer,
    state: ReadbackState,
}

enum ReadbackState {
    /// Nothing in it.
    Idle,
    /// Copied into it and asked to be mapped; waits for the GPU.
    Asked,
    /// Read: later pictures of the same canvas share these bytes.
    Read(Bytes),
}

impl GpuCompositor {
    /// A black canvas on the adapter that `wanted` accepts first (hardware before software).
    /// Errors name what is missing and how to install it.
    pub fn new(width: u32, height: u32, wanted: impl Fn(&AdapterInfo) -> bool) -> Result<GpuCompositor> {
        if width == 0 || height == 0 || width % 2 == 1 || height % 2 == 1 {
            return Err(Error::new(
                ErrorKind::Config,
                "gpu compositor",
                format!("a canvas of {width}x{height}: both must be even and above zero"),
            ));
        }
        lower::refuse_large("canvas", width, height)?;
        let layout = Layout::of(width, height);
        let device = Device::open(wanted, layout.bytes())?;
        let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        let canvas = device.buffer("canvas", layout.bytes(), storage | wgpu::BufferUsages::COPY_SRC);
        let params = device.buffer(
            "layout",
            size_of::<Layout>() as u64,
            wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        );
        // Small to begin with; `grow` enlarges them to what the plans of this wall need.
        let pixels = device.buffer("pixels", 1 << 16, storage);
        let items = device.buffer("items", 1 << 12, storage);
        let bins = device.buffer("bins", 1 << 12, storage);
        let bound = device.bind([&params, &canvas, &pixels, &items, &bins]);
        let read = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let readback = [0, 1].map(|_| Readback {
            buffer: device.buffer("readback", layout.bytes(), read),
            state: ReadbackState::Idle,
        });
        // The buffer also holds the word that the shader reads past an unaligned four bytes.
        let budget = UPLOAD_BUDGET.min(device.largest_binding()) - 16;
        let black = {
            let luma = 4 * layout.u_base as usize;
            let mut bytes = vec![Yuv::BLACK.y; luma];
            bytes.resize(layout.bytes() as usize, Yuv::BLACK.u);
            bytes
        };
        device.queue.write_buffer(&canvas, 0, &black);
        let compositor = GpuCompositor {
            device,
            width,
            height,
            layout,
            canvas,
            params,
            pixels,
            items,
            bins,
            bound,
            readback,
            newest: 0,
            budget,
        };
        compositor.device.check()?;
        Ok(compositor)
    }

    /// The adapter that it draws on.
    pub fn adapter(&self) -> &AdapterInfo {
        &self.device.info
    }

    /// Limits what one dispatch is given to read, so that a test sees plans split.
    #[cfg(test)]
    fn with_budget(mut self, bytes: usize) -> Self {
        self.budget = bytes;
        self
    }

    /// Draws one batch and copies the canvas into `readback`, in one submission.
    fn submit(&mut self, batch: &Batch, readback: Option<usize>) -> Result<()> {
        self.grow(batch);
        let mut layout = self.layout;
        layout.bins = batch.bin_count;
        self.device.queue.write_buffer(&self.params, 0, bytemuck::bytes_of(&layout));
        self.device.queue.write_buffer(&self.items, 0, bytemuck::cast_slice(&batch.items));
        self.device.queue.write_buffer(&self.bins, 0, bytemuck::cast_slice(&batch.bins));
        if let Some(size) = NonZeroU64::new(batch.bytes.next_multiple_of(4) as u64) {
            let view = self.device.queue.write_buffer_with(&self.pixels, 0, size);
            let mut view = view.ok_or_else(|| self.device.lost("the upload could not be staged"))?;
            for upload in &batch.uploads {
                write_rows(&mut view, upload);
            }
        }
        let mut encoder = self.device.encoder();
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&self.device.pipeline);
            pass.set_bind_group(0, &self.bound, &[]);
            // A dimension of a dispatch holds at most 65535 workgroups.
            let across = batch.bin_count.clamp(1, 32768);
            pass.dispatch_workgroups(across, batch.bin_count.div_ceil(across), 1);
        }
        if let Some(n) = readback {
            encoder.copy_buffer_to_buffer(&self.canvas, 0, &self.readback[n].buffer, 0, self.layout.bytes());
        }
        self.device.queue.submit([encoder.finish()]);
        self.device.check()
    }

    /// Enlarges what is too small for a batch, to the next power of two.
    fn grow(&mut self, batch: &Batch) {
        let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        let mut grown = false;
        for (buffer, label, needed) in [
            (&mut self.pixels, "pixels", batch.bytes + 8),
            (&mut self.items, "items", size_of_val(&batch.items[..])),
            (&mut self.bins, "bins", size_of_val(&batch.bins[..])),
        ] {
            if buffer.size() < needed as u64 {
                *buffer = self.device.buffer(label, needed.next_power_of_two() as u64, storage);
                grown = true;
            }
        }
        if grown {
            let buffers = [&self.params, &self.canvas, &self.pixels, &self.items, &self.bins];
            self.bound = self.device.bind(buffers);
        }
    }

    /// Turns to the other readback, and lets go of what it held.
    fn next_readback(&mut self) -> usize {
        self.newest = 1 - self.newest;
        let readback = &mut self.readback[self.newest];
        if matches!(readback.state, ReadbackState::Asked) {
            readback.buffer.unmap();
        }
        readback.state = ReadbackState::Idle;
        self.newest
    }

    fn ask(&mut self, n: usize) {
        let readback = &mut self.readback[n];
        // A failure shows when the mapped range is taken.
        readback.buffer.map_async(wgpu::MapMode::Read, .., |_| {});
        readback.state = ReadbackState::Asked;
    }

    /// The newest canvas's bytes, read once and then shared.
    fn bytes(&mut self) -> Result<Bytes> {
        if let ReadbackState::Read(bytes) = &self.readback[self.newest].state {
            return Ok(bytes.clone());
        }
        if matches!(self.readback[self.newest].state, ReadbackState::Idle) {
            let n = self.newest;
            let mut encoder = self.device.encoder();
            encoder.copy_buffer_to_buffer(&self.canvas, 0, &self.readback[n].buffer, 0, self.layout.bytes());
            self.device.queue.submit([encoder.finish()]);
            self.ask(n);
        }
        self.device.wait()?;
        let readback = &mut self.readback[self.newest];
        let bytes = readback
            .buffer
            .get_mapped_range(..)
            .map(|view| Bytes::copy_from_slice(&view))
            .map_err(|error| self.device.lost("the canvas could not be read back").caused_by(error))?;
        readback.buffer.unmap();
        readback.state = ReadbackState::Read(bytes.clone());
        Ok(bytes)
    }
}

impl Compositor for GpuCompositor {
    fn name(&self) -> &str {
        &self.device.name
    }

    fn compose(&mut self, plan: &CompositePlan) -> Result<()> {
        if (plan.width, plan.height) != (self.width, self.height) {
            return Err(Error::new(
                ErrorKind::Internal,
                "gpu compositor",
                format!(
                    "a plan of {}x{} for a canvas of {}x{}",
                    plan.width, plan.height, self.width, self.height
                ),
            ));
        }
        self.device.check()?;
        let batches = lower::lower(plan, self.budget)?;
        let Some((last, before)) = batches.split_last() else { return Ok(()) };
        for batch in before {
            self.submit(batch, None)?;
        }
        let readback = self.next_readback();
        self.submit(last, Some(readback))?;
        self.ask(readback);
        Ok(())
    }

    fn picture(&mut self, meta: FrameMeta) -> Result<Frame> {
        let bytes = self.bytes()?;
        let luma = 4 * self.layout.luma_stride as usize;
        let chroma = 4 * self.layout.chroma_stride as usize;
        let (u, v) = (4 * self.layout.u_base as usize, 4 * self.layout.v_base as usize);
        let planes = vec![
            Plane { data: bytes.slice(..u), stride: luma },
            Plane { data: bytes.slice(u..v), stride: chroma },
            Plane { data: bytes.slice(v..), stride: chroma },
        ];
        Frame::new(self.width, self.height, Chroma::I420, planes, meta).ok_or_else(|| {
            Error::new(ErrorKind::Internal, "gpu compositor", "the canvas's planes are too short")
        })
    }
}

fn write_rows(view: &mut wgpu::QueueWriteBufferView, upload: &Upload) {
    for n in 0..upload.rows {
        let from = &upload.from[n * upload.from_stride..][..upload.row];
        let to = upload.to + n * upload.to_stride;
        view.slice(to..to + upload.row).copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests;
