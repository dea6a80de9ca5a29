//! Keeps libraries from writing to stderr. In a module of its own for its unsafe calls.
#![allow(unsafe_code)]

/// Switches Mesa's device-select layer off where there is no Wayland session. The layer asks the
/// compositor which GPU it draws on, and libwayland complains on stderr where there is none; the
/// order of devices, which is all that the layer changes, does not matter to the compositor's probe.
/// One who set the layer's own variables keeps it. Does nothing once other threads run.
pub fn mesa() {
    let set = |name| std::env::var_os(name).is_some();
    let session = set("XDG_RUNTIME_DIR") || set("WAYLAND_DISPLAY");
    let alone = std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1);
    if alone && !session && !set("MESA_VK_DEVICE_SELECT") && !set("NODEVICE_SELECT") {
        // SAFETY: this is the only thread, so nobody reads the environment meanwhile.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}

/// Lets SVT-AV1 say only what is wrong: it describes itself at length for each encoder. One who set its own
/// variable keeps it. Does nothing once other threads run.
pub fn svt() {
    let alone = std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1);
    if alone && std::env::var_os("SVT_LOG").is_none() {
        // SAFETY: this is the only thread, so nobody reads the environment meanwhile.
        unsafe { std::env::set_var("SVT_LOG", "1") };
    }
}
