//! What the tests share: the program, the tools of the guests' languages, and where build products are kept.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the checkout")
}

/// `servos-plugin`, which finds the tools that `cargo xtask setup` has installed.
pub fn servos_plugin(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_servos-plugin"));
    prepare(command.args(arguments).current_dir(folder));
    command.output().expect("servos-plugin starts")
}

/// Gives a command the path with the tools, and a target folder for plugins in Rust that lasts.
pub fn prepare(command: &mut Command) {
    command.env("PATH", path()).env("CARGO_TARGET_DIR", cache().join("guest-target/templates"));
}

/// The program and the tools before what is in the path anyway.
pub fn path() -> OsString {
    let program = Path::new(env!("CARGO_BIN_EXE_servos-plugin")).parent().expect("a folder of programs").to_owned();
    let tools = cache().join("tools");
    let own = [program, tools.join("componentize-qjs/node_modules/.bin"), tools.join("componentize-py/bin")];
    let others = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(own.into_iter().chain(std::env::split_paths(&others))).expect("folders without colons")
}

/// Where `cargo xtask` keeps what lasts.
pub fn cache() -> PathBuf {
    if let Some(cache) = std::env::var_os("SERVOS_CACHE") {
        return cache.into();
    }
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from).join("servos-mesh")
}

/// What a program printed, both ways.
pub fn all(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
