//! Picks the widest instruction set that this machine has for the kernels that scale and convert.
//! They are plain Rust; only calling them under another instruction set is unsafe.
#![allow(unsafe_code)]

/// An instruction set that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// What every machine of this architecture has.
    Base,
    /// AVX2 (x86-64).
    Avx2,
    /// AVX-512 with byte and word operations (x86-64).
    Avx512,
}

impl Level {
    /// The widest that this machine has.
    pub fn best() -> Level {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl") {
                return Level::Avx512;
            }
            if is_x86_feature_detected!("avx2") {
                return Level::Avx2;
            }
        }
        Level::Base
    }

    /// All that this machine has, for tests and benches.
    pub fn available() -> Vec<Level> {
        match Level::best() {
            Level::Base => vec![Level::Base],
            Level::Avx2 => vec![Level::Base, Level::Avx2],
            Level::Avx512 => vec![Level::Base, Level::Avx2, Level::Avx512],
        }
    }
}

/// What can be compiled for an instruction set. A trait, not a closure: a large closure is not inlined, and what
/// is not inlined is compiled for the base.
pub(crate) trait Kernel {
    /// Does it; implementations, and all that they call in loops, are `#[inline(always)]`.
    fn run(self);
}

/// Runs `kernel` compiled for `level`; a level that this machine lacks runs as the base.
pub(crate) fn run(level: Level, kernel: impl Kernel) {
    #[cfg(target_arch = "x86_64")]
    match level {
        Level::Avx512 if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl") => {
            // SAFETY: the features were detected on the line above.
            return unsafe { avx512(kernel) };
        }
        Level::Avx2 if is_x86_feature_detected!("avx2") => {
            // SAFETY: the feature was detected on the line above.
            return unsafe { avx2(kernel) };
        }
        _ => {}
    }
    let _ = level;
    kernel.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(kernel: impl Kernel) {
    kernel.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn avx512(kernel: impl Kernel) {
    kernel.run();
}
