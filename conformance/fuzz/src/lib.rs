//! What the fuzz targets share: packets with right checksums, and a network of devices in memory.

pub mod network;
pub mod packet;
