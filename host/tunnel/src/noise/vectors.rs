//! The cipher in the widest vectors that this machine has, for several packets together.

use super::half_wide::{self, HalfWide};
use super::wide::{self, Wide};

/// The proof that this machine has the instructions of one of our own ciphers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Vectors {
    /// Of 512 bits.
    Wide(Wide),
    /// Of 256 bits.
    HalfWide(HalfWide),
}

impl Vectors {
    /// The widest; `None` where `ring` alone is there.
    pub(super) fn of_this_machine() -> Option<Self> {
        Wide::of_this_machine().map(Self::Wide).or_else(|| HalfWide::of_this_machine().map(Self::HalfWide))
    }

    /// Whether so many texts of so many bytes take less time together than one by one.
    pub(super) fn are_worth_together(self, count: usize, length: usize) -> bool {
        match self {
            Self::Wide(wide) => wide.is_worth_together(count, length),
            Self::HalfWide(half_wide) => half_wide.is_worth_together(count, length),
        }
    }

    /// How many it takes at once, at most.
    pub(super) fn at_once(self) -> usize {
        match self {
            Self::Wide(_) => wide::AT_ONCE,
            Self::HalfWide(_) => half_wide::AT_ONCE,
        }
    }

    /// Seals so many texts of one length in place, each with its counter. Their tags go into the room behind them.
    pub(super) fn seal_several(self, key: &[u8; 32], counters: &[u64], texts: &mut [&mut [u8]]) {
        match self {
            Self::Wide(wide) => wide.seal_several(key, counters, texts),
            Self::HalfWide(half_wide) => half_wide.seal_several(key, counters, texts),
        }
    }

    /// Opens so many texts of one length, with the tags behind them, in place, and says which are what was sealed. The bytes
    /// of others are of no use.
    pub(super) fn open_several(
        self,
        key: &[u8; 32],
        counters: &[u64],
        texts: &mut [&mut [u8]],
        are_right: &mut [bool],
    ) {
        match self {
            Self::Wide(wide) => wide.open_several(key, counters, texts, are_right),
            Self::HalfWide(half_wide) => half_wide.open_several(key, counters, texts, are_right),
        }
    }
}
