//! The one place that knows how `MeshState` and `MeshDelta` lie in bytes: bincode, little endian, fixed-size integers.
//!
//! bincode 2.0.1 is complete and unmaintained; a test compares it with `wincode` on the same layout, so that a swap
//! stays within this file.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::{BorrowDecode, Encode};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::limits::{MAX_DELTA_BYTES, MAX_SERVICE_BYTES, MAX_STATE_BYTES};

/// Number of the layout of a `MeshState`; the first four bytes of every body.
pub const FORMAT: u32 = 1;

/// Number of the layout of a `MeshDelta`. The top bit tells deltas from states, so that neither is taken for the other.
pub const DELTA_FORMAT: u32 = 0x8000_0001;

const STATE: Configuration<LittleEndian, Fixint, Limit<MAX_STATE_BYTES>> =
    bincode::config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<MAX_STATE_BYTES>();
const DELTA: Configuration<LittleEndian, Fixint, Limit<MAX_DELTA_BYTES>> =
    bincode::config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<MAX_DELTA_BYTES>();
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

/// What changed from one revision to a later one, borrowed from its buffer.
#[derive(Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub(crate) struct WireDelta<'a> {
    /// [`DELTA_FORMAT`].
    pub format: u32,
    /// As in [`WireState`].
    pub mesh: [u8; 16],
    /// Revision that this is to be applied to.
    pub base: u64,
    pub revision: u64,
    /// Addresses that nobody has from here on, `u32` each, sorted.
    pub removed: &'a [u8],
    /// `PeerRecord`s of 64 bytes that were added or changed, sorted by address.
    pub peers: &'a [u8],
    /// Of those records.
    pub names: &'a [u8],
    /// Names of services that are no more from here on: length byte and text, again and again, sorted.
    pub removed_services: &'a [u8],
    /// How many services follow in `services`.
    pub service_count: u32,
    /// Those that were added or changed, as in [`WireState`], but each instance names its server by address.
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

/// One place where a service runs. 8 bytes, alignment 1.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct WireInstance {
    /// In a state: index of the server among the peers. In a delta, which does not hold all peers: its address.
    pub server: U32,
    pub port: U16,
    pub weight: U16,
}

/// Encodes a whole body.
pub(crate) fn encode_state(state: &WireState<'_>) -> Result<Vec<u8>, WireError> {
    bincode::encode_to_vec(state, STATE).map_err(WireError::Encode)
}

/// Encodes one service without its instances.
pub(crate) fn encode_service(service: &WireService<'_>) -> Result<Vec<u8>, WireError> {
    bincode::encode_to_vec(service, SERVICE).map_err(WireError::Encode)
}

/// Encodes a delta.
pub(crate) fn encode_delta(delta: &WireDelta<'_>) -> Result<Vec<u8>, WireError> {
    bincode::encode_to_vec(delta, DELTA).map_err(WireError::Encode)
}

/// Reads a whole body, which must end where the buffer does.
pub(crate) fn decode_state(body: &[u8]) -> Result<WireState<'_>, WireError> {
    check_head(body, FORMAT, MAX_STATE_BYTES)?;
    let (state, read) = bincode::borrow_decode_from_slice(body, STATE).map_err(WireError::Decode)?;
    check_end(body, read)?;
    Ok(state)
}

/// Reads a delta, which must end where the buffer does.
pub(crate) fn decode_delta(body: &[u8]) -> Result<WireDelta<'_>, WireError> {
    check_head(body, DELTA_FORMAT, MAX_DELTA_BYTES)?;
    let (delta, read) = bincode::borrow_decode_from_slice(body, DELTA).map_err(WireError::Decode)?;
    check_end(body, read)?;
    Ok(delta)
}

fn check_head(body: &[u8], expected: u32, limit: usize) -> Result<(), WireError> {
    if body.len() > limit {
        return Err(WireError::TooLong { length: body.len(), limit });
    }
    let found = body.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)).ok_or(WireError::Truncated)?;
    if found != expected {
        return Err(WireError::Format { found, expected });
    }
    Ok(())
}

fn check_end(body: &[u8], read: usize) -> Result<(), WireError> {
    if read != body.len() {
        return Err(WireError::Trailing(body.len() - read));
    }
    Ok(())
}

/// Reads one service from the front of `bytes`; returns it and what follows.
pub(crate) fn decode_service(bytes: &[u8]) -> Result<(WireService<'_>, &[u8]), WireError> {
    let (service, read) = bincode::borrow_decode_from_slice(bytes, SERVICE).map_err(WireError::Decode)?;
    Ok((service, &bytes[read..]))
}

/// Why a body is refused. The state that was there before stays.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// More than [`MAX_STATE_BYTES`], or [`MAX_DELTA_BYTES`].
    #[error("its {length} bytes are more than the {limit} allowed")]
    TooLong {
        /// Of the body.
        length: usize,
        /// What is allowed.
        limit: usize,
    },
    /// Less than a format number.
    #[error("it is cut off before its format number")]
    Truncated,
    /// A format that this program does not read.
    #[error("it has format {found}, this program reads format {expected}: something else, or upgrade the older side")]
    Format {
        /// Its first four bytes.
        found: u32,
        /// [`FORMAT`] or [`DELTA_FORMAT`].
        expected: u32,
    },
    /// Bytes that do not follow the layout.
    #[error("it does not decode")]
    Decode(#[source] bincode::error::DecodeError),
    /// What cannot be written.
    #[error("it does not encode")]
    Encode(#[source] bincode::error::EncodeError),
    /// More bytes than the layout has.
    #[error("it has {0} bytes behind its end")]
    Trailing(usize),
    /// Well-formed bytes that make no sense.
    #[error("it is invalid: {place}: {problem}")]
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
