//! What a record is to this server: itself, a peer, or one that makes no sense beside the others.

use serde::Serialize;

use crate::{MeshAddress, PeerRecord, PublicKey};

/// Which server of the mesh this one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// Its address.
    pub address: MeshAddress,
    /// Its key.
    pub public_key: PublicKey,
}

/// A record that was left out of the table, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SkippedPeer {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: MeshAddress,
    /// Why it makes no sense.
    pub reason: SkipReason,
}

/// Why a record makes no sense beside the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SkipReason {
    /// This server's key at another address.
    OwnKey,
    /// The key of a record before it.
    DuplicateKey,
    /// No key at all.
    ZeroKey,
    /// A point of small order, with which no handshake can be made.
    SmallOrderKey,
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// This server.
    Own,
    Peer,
    Skipped(SkipReason),
}

impl Standing {
    /// Of a record by itself: a peer may still find its key taken by one before it.
    pub(crate) fn of(record: &PeerRecord, own: Option<Own>) -> Self {
        match own {
            Some(own) if own.address.index() == record.address.get() => Self::Own,
            Some(own) if own.public_key == *record.public_key() => Self::Skipped(SkipReason::OwnKey),
            _ if record.public_key().is_zero() => Self::Skipped(SkipReason::ZeroKey),
            _ if record.public_key().is_of_small_order() => Self::Skipped(SkipReason::SmallOrderKey),
            _ => Self::Peer,
        }
    }
}
