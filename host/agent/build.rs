//! Puts the guests (default plugins, eBPF program) where `guests.rs` embeds them, or says how to build them.

use std::path::PathBuf;

const GUESTS: [&str; 4] = ["dns-naming.wasm", "traefik-failover.wasm", "ufw-policy.wasm", "mesh-wakeup.o"];

fn main() {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let folder = PathBuf::from(manifest).join("../../target/guests");
    for guest in GUESTS {
        let path = folder.join(guest);
        println!("cargo::rerun-if-changed={}", path.display());
        if !path.is_file() {
            println!("cargo::error=the guests are not built ({guest} is missing): run `cargo xtask build`");
        }
    }
    println!("cargo::rustc-env=SERVOS_GUESTS={}", folder.display());
}
