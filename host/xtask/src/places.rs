//! Where things lie: the workspace, its guests, and the cache outside it.

use std::path::{Path, PathBuf};

/// The workspace.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap_or(root)
}

/// Built guests, where the agent's build script looks for them.
pub fn guests() -> PathBuf {
    root().join("target/guests")
}

/// Kept between checkouts: tools, and build products of dependencies.
pub fn cache() -> PathBuf {
    if let Some(cache) = std::env::var_os("SERVOS_CACHE") {
        return cache.into();
    }
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from).join("servos-mesh")
}

/// Tools that Debian does not have: `bin/bpf-linker`, `bin/cargo-deny`, `bin/cargo-fuzz`, `traefik`, `componentize-qjs`,
/// `componentize-py`.
pub fn tools() -> PathBuf {
    cache().join("tools")
}

/// Cargo's target folder for the workspace.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| cache().join("target"), PathBuf::from)
}

/// The fuzz targets, a workspace of their own.
pub fn fuzz() -> PathBuf {
    root().join("conformance/fuzz")
}

/// Golden files of what crosses versions and machines.
pub fn golden() -> PathBuf {
    root().join("host/mesh/tests/golden")
}

/// Cargo's target folder for the fuzz targets, which are built with flags of their own.
pub fn fuzz_target() -> PathBuf {
    cache().join("fuzz-target")
}

/// Cargo's target folder for the guests, which are built by another compiler.
pub fn guest_target() -> PathBuf {
    cache().join("guest-target")
}
