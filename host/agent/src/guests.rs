//! What the agent carries inside itself: the default plugins and the eBPF program.

use servos_sandbox::BundledPlugin;

/// The default bundle, in the order in which it is asked.
pub fn bundle() -> Vec<BundledPlugin> {
    vec![
        BundledPlugin { name: "dns-naming", wasm: include_bytes!(concat!(env!("SERVOS_GUESTS"), "/dns-naming.wasm")) },
        BundledPlugin {
            name: "traefik-failover",
            wasm: include_bytes!(concat!(env!("SERVOS_GUESTS"), "/traefik-failover.wasm")),
        },
        BundledPlugin { name: "ufw-policy", wasm: include_bytes!(concat!(env!("SERVOS_GUESTS"), "/ufw-policy.wasm")) },
    ]
}

/// The mesh wakeup filter.
pub const MESH_WAKEUP: &[u8] = include_bytes!(concat!(env!("SERVOS_GUESTS"), "/mesh-wakeup.o"));
