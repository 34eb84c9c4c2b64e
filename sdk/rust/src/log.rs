//! Lines for the agent's log. At most 1,024 bytes of each are kept, and they are rate-limited. On native targets, where
//! tests run, they go to standard error.

pub use crate::level::Level;

/// Writes a line.
pub fn log(level: Level, message: &str) {
    #[cfg(target_arch = "wasm32")]
    crate::component::log(level, message);
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("{level:?}: {message}");
}
