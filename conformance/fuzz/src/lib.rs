//! What the fuzz targets share: packets with right checksums, and a network of devices in memory.

pub mod network;
#[path = "../../../host/tunnel/tests/support/packets.rs"]
pub mod packets;
