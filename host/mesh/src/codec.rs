//! The one place that knows how a `MeshState` lies in bytes: bincode, little endian, fixed-size integers.
//!
//! bincode 2.0.1 is complete and unmaintained; a test compares it with `wincode` on the same layout, so that a swap
//! stays within this file.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::{BorrowDecode, Encode};

use crate::limits::{MAX_SERVICE_BYTES, MAX_STATE_BYTES};

/// Number of this layout; the first four bytes of every body.
pub const FORMAT: u32 = 1;

const STATE: Configuration<LittleEndian, Fixint, Limit<MAX_STATE_BYTES>> =
    bincode::config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<MAX_STATE_BYTES>();
const SERVICE: Configuration<LittleEndian, Fixint, Limit<MAX_SERVICE_BYTES>> =
    bincode::config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<MAX_SERVICE_BYTES>();

/// A whole body, borrowed from its buffer.
#[derive(Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub(crate) struct WireState<'a> {
    /// [`FORMAT`].
    pub format: u32,
    /// Random, one a mesh: tells two organisations' bodies apart.
    pub mesh: [u8; 16],
    pub organisation: &'a str,
    /// Search domain, for example `mesh.internal`.
    pub domain: &'a str,
    pub revision: u64,
    /// `PeerRecord`s of 64 bytes, sorted by address.
    pub peers: &'a [u8],
    /// Length byte and text, again and again.
    pub names: &'a [u8],
    /// How many services follow in `services`.
    pub service_count: u32,
    /// `WireService`s, one behind the other, each followed by its instances: a `u32` count and 8 bytes each.
    pub services: &'a [u8],
}

/// One service without its instances.
#[derive(Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub(crate) struct WireService<'a> {
    pub name: &'a str,
    /// 0 http, 1 tcp, 2 udp.
    pub protocol: u8,
    /// Bit 0: `enable_mesh_failover`.
    pub flags: u8,
    pub port: u16,
    pub hosts: Vec<&'a str>,
    pub labels: Vec<(&'a str, &'a str)>,
    pub health_check: Option<WireHealthCheck<'a>>,
    pub instance_count: u32,
}

#[derive(Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub(crate) struct WireHealthCheck<'a> {
    pub path: Option<&'a str>,
    pub interval_ms: u32,
    pub timeout_ms: u32,
}

/// Encodes a whole body.
pub(crate) fn encode_state(state: &WireState<'_>) -> Result<Vec<u8>, WireError> {
    bincode::encode_to_vec(state, STATE).map_err(WireError::Encode)
}

/// Encodes one service without its instances.
pub(crate) fn encode_service(service: &WireService<'_>) -> Result<Vec<u8>, WireError> {
    bincode::encode_to_vec(service, SERVICE).map_err(WireError::Encode)
}

/// Reads a whole body, which must end where the buffer does.
pub(crate) fn decode_state(body: &[u8]) -> Result<WireState<'_>, WireError> {
    if body.len() > MAX_STATE_BYTES {
        return Err(WireError::TooLong(body.len()));
    }
    let format = body.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)).ok_or(WireError::Truncated)?;
    if format != FORMAT {
        return Err(WireError::Format(format));
    }
    let (state, read) = bincode::borrow_decode_from_slice(body, STATE).map_err(WireError::Decode)?;
    if read != body.len() {
        return Err(WireError::Trailing(body.len() - read));
    }
    Ok(state)
}

/// Reads one service from the front of `bytes`; returns it and what follows.
pub(crate) fn decode_service(bytes: &[u8]) -> Result<(WireService<'_>, &[u8]), WireError> {
    let (service, read) = bincode::borrow_decode_from_slice(bytes, SERVICE).map_err(WireError::Decode)?;
    Ok((service, &bytes[read..]))
}

/// Why a body is refused. The state that was there before stays.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// More than [`MAX_STATE_BYTES`].
    #[error("mesh state of {0} bytes is longer than the {MAX_STATE_BYTES} allowed")]
    TooLong(usize),
    /// Less than a format number.
    #[error("mesh state is cut off before its format number")]
    Truncated,
    /// A format that this program does not read.
    #[error(
        "mesh state has format {0}, this program reads format {FORMAT}: not a mesh state, or upgrade the older side"
    )]
    Format(u32),
    /// Bytes that do not follow the layout.
    #[error("mesh state does not decode")]
    Decode(#[source] bincode::error::DecodeError),
    /// A state that cannot be written.
    #[error("mesh state does not encode")]
    Encode(#[source] bincode::error::EncodeError),
    /// More bytes than the layout has.
    #[error("mesh state has {0} bytes behind its end")]
    Trailing(usize),
    /// Well-formed bytes that make no sense.
    #[error("mesh state is invalid: {place}: {problem}")]
    Invalid {
        /// Which part, for example `peer 3`.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl WireError {
    pub(crate) fn invalid(place: impl Into<String>, problem: impl ToString) -> Self {
        Self::Invalid { place: place.into(), problem: problem.to_string() }
    }
}
