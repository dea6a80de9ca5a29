//! A wgpu device with the compositor's one pipeline: adapters, opening, errors, loss.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::base::{Error, ErrorKind, Result};

/// One shader module: the frame, then one file a draw.
const SHADER: &str = concat!(
    include_str!("../../../../shaders/canvas.wgsl"),
    include_str!("../../../../shaders/fill.wgsl"),
    include_str!("../../../../shaders/picture.wgsl"),
    include_str!("../../../../shaders/stamp.wgsl"),
);

/// A GPU that takes longer than this for one canvas is hung: the wall falls back to the CPU.
const HUNG: Duration = Duration::from_secs(5);

/// A device that this machine offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterInfo {
    /// As its driver calls it.
    pub name: String,
    /// Driver and version.
    pub driver: String,
    /// The interface it is reached through: `vulkan`, …
    pub interface: String,
    /// True for a device that is a program on the CPU (Mesa's lavapipe): for tests only.
    pub software: bool,
}

impl std::fmt::Display for AdapterInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.software { ", software" } else { "" };
        write!(f, "{} ({}, {}{kind})", self.name, self.interface, self.driver)
    }
}

fn describe(info: &wgpu::AdapterInfo) -> AdapterInfo {
    AdapterInfo {
        name: info.name.clone(),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        interface: info.backend.to_string(),
        software: info.device_type == wgpu::DeviceType::Cpu,
    }
}

fn enumerate() -> Vec<(AdapterInfo, wgpu::Adapter)> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN;
    let instance = wgpu::Instance::new(descriptor);
    let found = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::VULKAN));
    let mut found: Vec<_> =
        found.into_iter().map(|adapter| (describe(&adapter.get_info()), adapter)).collect();
    found.sort_by_key(|(info, _)| info.software);
    found
}

/// The devices that wgpu can use here, hardware first. Empty where there is no Vulkan at all.
pub fn adapters() -> Vec<AdapterInfo> {
    enumerate().into_iter().map(|(info, _)| info).collect()
}

/// An open device. Guards that its loss is an error of the next call, never a panic.
pub struct Device {
    pub info: AdapterInfo,
    pub name: String,
    pub queue: wgpu::Queue,
    pub pipeline: wgpu::ComputePipeline,
    device: wgpu::Device,
    fault: Arc<Mutex<Option<String>>>,
}

impl Device {
    /// The first device that `wanted` accepts, able to hold a canvas of `canvas` bytes.
    pub fn open(wanted: impl Fn(&AdapterInfo) -> bool, canvas: u64) -> Result<Device> {
        let found = enumerate();
        if found.is_empty() {
            return Err(missing(
                "no Vulkan device; install the GPU vendor's driver and libvulkan1 (and, to try it without \
                 a GPU, mesa-vulkan-drivers), then see `vitrail doctor`",
            ));
        }
        let names: Vec<String> = found.iter().map(|(info, _)| info.to_string()).collect();
        let Some((info, adapter)) = found.into_iter().find(|(info, _)| wanted(info)) else {
            return Err(missing(format!(
                "no suitable device among {}; install the GPU vendor's Vulkan driver",
                names.join(", ")
            )));
        };
        let has = adapter.limits();
        let mut limits = wgpu::Limits::downlevel_defaults();
        limits.max_storage_buffer_binding_size = has.max_storage_buffer_binding_size;
        limits.max_buffer_size = has.max_buffer_size;
        if canvas > has.max_storage_buffer_binding_size || canvas > has.max_buffer_size {
            return Err(Error::new(
                ErrorKind::Unsupported,
                info.name,
                format!("a canvas of {canvas} bytes is more than this device binds at once"),
            ));
        }
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("vitrail"),
            required_limits: limits,
            ..wgpu::DeviceDescriptor::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|error| missing(format!("{info} cannot be opened")).caused_by(error))?;
        let fault = Arc::new(Mutex::new(None));
        watch(&device, &fault);
        let pipeline = pipeline(&device);
        let name = format!("gpu ({})", info.name);
        let device = Device { info, name, queue, pipeline, device, fault };
        device.check()?;
        Ok(device)
    }

    pub fn buffer(&self, label: &str, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: false,
        })
    }

    /// The buffers in the order of the shader's bindings.
    pub fn bind(&self, buffers: [&wgpu::Buffer; 5]) -> wgpu::BindGroup {
        let entries: Vec<_> = (0..)
            .zip(buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("compositor"),
            layout: &self.pipeline.get_bind_group_layout(0),
            entries: &entries,
        })
    }

    pub fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    /// The most bytes that one binding can show the shader.
    pub fn largest_binding(&self) -> usize {
        let limits = self.device.limits();
        // A grown buffer is a power of two: keep that within the limit as well.
        let most = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).max(2);
        1 << (most.ilog2().min(30))
    }

    /// Waits until the GPU has done all that was submitted.
    pub fn wait(&self) -> Result<()> {
        let wait = wgpu::PollType::Wait { submission_index: None, timeout: Some(HUNG) };
        self.device.poll(wait).map_err(|error| self.lost("it does not answer").caused_by(error))?;
        self.check()
    }

    /// The device's first fault, if it had one; it is not to be used again.
    pub fn check(&self) -> Result<()> {
        match &*self.fault.lock() {
            None => Ok(()),
            Some(fault) => Err(self.lost(fault)),
        }
    }

    /// The error of a device that is of no more use.
    pub fn lost(&self, what: &str) -> Error {
        Error::new(
            ErrorKind::Missing,
            self.name.clone(),
            format!("{}; composing must go on elsewhere", what.lines().collect::<Vec<_>>().join(" ")),
        )
    }

    /// Ends the device, as a driver reset would.
    #[cfg(test)]
    pub fn destroy(&self) {
        self.device.destroy();
    }
}

fn missing(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Missing, "gpu", what.into())
}

/// Keeps the first fault that wgpu reports outside a call's result.
fn watch(device: &wgpu::Device, fault: &Arc<Mutex<Option<String>>>) {
    let keep = |fault: &Mutex<Option<String>>, what: String| {
        fault.lock().get_or_insert(what);
    };
    let lost = fault.clone();
    device.set_device_lost_callback(move |reason, message| {
        keep(&lost, format!("the device was lost ({reason:?}) {message}"));
    });
    let failed = fault.clone();
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        keep(&failed, format!("the device refused a command: {error}"));
    }));
}

fn pipeline(device: &wgpu::Device) -> wgpu::ComputePipeline {
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("compositor"),
        source: wgpu::ShaderSource::Wgsl(SHADER.into()),
    });
    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("compositor"),
        layout: None,
        module: &module,
        entry_point: Some("draw"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    })
}
