//! Puts the guests (default plugins, eBPF program) where `guests.rs` embeds them, or says how to build them.

use std::path::PathBuf;

const GUESTS: [&str; 4] = ["dns-naming.wasm", "traefik-failover.wasm", "ufw-policy.wasm", "mesh-wakeup.o"];

fn main() {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let folder = PathBuf::from(manifest).join("../../target/guests");
    for guest in GUESTS {
        println!("cargo::rerun-if-changed={}", folder.join(guest).display());
    }
    if let Some(missing) = GUESTS.iter().find(|guest| !folder.join(guest).is_file()) {
        println!("cargo::error=the guests are not built ({missing} is missing): run `cargo xtask build`");
    }
    println!("cargo::rustc-env=SERVOS_GUESTS={}", folder.display());
}
