//! The glue between a plugin's Rust types and the component model; compiled into components alone.

// Each world's bindings bring a section that names what the component exports, and the linker keeps them all.
#[cfg(any(
    all(feature = "naming", feature = "weighting"),
    all(feature = "naming", feature = "policy"),
    all(feature = "weighting", feature = "policy"),
))]
compile_error!(
    "a component exports one extension point: build plugins one package at a time (`cargo build -p`), each with one of \
     the features `naming`, `weighting` and `policy` of servos-plugin-sdk"
);

#[macro_use]
mod convert;
#[cfg(feature = "naming")]
pub mod naming;
#[cfg(feature = "policy")]
pub mod policy;
#[cfg(feature = "weighting")]
pub mod weighting;

use serde::de::DeserializeOwned;

use crate::level::Level;

/// Where the one plugin of a component lives.
pub trait Holds {
    /// The plugin's type.
    type Plugin;

    /// Lends the plugin; none before it is configured.
    fn with<R>(act: impl FnOnce(&mut Option<Self::Plugin>) -> R) -> R;
}

/// Makes a plugin of its settings, if `check` has nothing against them.
pub fn configure<H: Holds<Plugin: DeserializeOwned>>(
    text: &str,
    check: impl FnOnce(&H::Plugin) -> Result<(), String>,
) -> Result<(), String> {
    say_panics();
    let plugin = crate::settings::parse(text)?;
    check(&plugin)?;
    H::with(|place| *place = Some(plugin));
    Ok(())
}

/// A panic becomes a trap; its message goes to the log before.
fn say_panics() {
    std::panic::set_hook(Box::new(|panic| log(Level::Error, &panic.to_string().replace('\n', " "))));
}

/// Writes to the host's log.
pub fn log(level: Level, message: &str) {
    #[cfg(feature = "naming")]
    naming::log(level, message);
    #[cfg(feature = "weighting")]
    weighting::log(level, message);
    #[cfg(feature = "policy")]
    policy::log(level, message);
    #[cfg(not(any(feature = "naming", feature = "weighting", feature = "policy")))]
    let _ = (level, message);
}
