//! Segmentation offload on the interface: what the kernel leaves whole is split where it is sealed, and what it can take
//! whole is joined where it was opened. Pure: bytes in, bytes and ranges out.
//!
//! Every packet on a TUN device with `IFF_VNET_HDR` stands behind a [`VirtioHeader`] that says what is left to do:
//! a checksum, or segmentation and the checksums of the segments (virtio 1.2 §5.1.6).

mod checksum;
mod join;
mod split;
mod virtio;

pub use join::{Joinable, Joined, Joiner};
pub use split::Whole;
pub use virtio::VirtioHeader;

/// Protocol numbers (IANA).
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Bytes of the fixed heads (RFC 791 §3.1, RFC 8200 §3, RFC 9293 §3.1, RFC 768).
const IPV4_HEAD: usize = 20;
const IPV6_HEAD: usize = 40;
const TCP_HEAD: usize = 20;
const UDP_HEAD: usize = 8;

/// Where the checksum stands in a TCP and in a UDP head.
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;

/// Bits of TCP's flags, byte 13 (RFC 9293 §3.1).
mod flag {
    pub(super) const FIN: u8 = 0x01;
    pub(super) const PSH: u8 = 0x08;
    pub(super) const ACK: u8 = 0x10;
    pub(super) const CWR: u8 = 0x80;
}

fn word16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn word32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

fn put32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}
