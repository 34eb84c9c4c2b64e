//! How often a server's key was changed: tells a rotated key from the key of another server at the same address.

/// Generations that a key may be ahead of the one before: more than a server rotates while its peer is away, and fewer
/// than lie between two owners of an address ([`KeyGeneration::of_next_owner`]).
const MOST_ADVANCED: u8 = 64;

/// Generation of the key at an address. Counts rotations, wraps at 256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyGeneration(u8);

impl KeyGeneration {
    /// The first key at an address that nobody had before.
    pub const FIRST: Self = Self(0);

    /// The generation with that number.
    pub fn from_number(number: u8) -> Self {
        Self(number)
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// That of the key which the same server has after a rotation.
    #[must_use]
    pub fn after_rotation(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// That of the first key of the next server which is given the address: too far ahead for a rotation.
    #[must_use]
    pub fn of_next_owner(self) -> Self {
        Self(self.0.wrapping_add(128))
    }

    /// Whether a key of this generation can be what rotations made of one of generation `before`.
    pub fn is_rotation_of(self, before: Self) -> bool {
        let ahead = self.0.wrapping_sub(before.0);
        ahead > 0 && ahead <= MOST_ADVANCED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotations_follow_and_other_owners_do_not() {
        for number in 0..=255 {
            let first = KeyGeneration::from_number(number);
            assert!(!first.is_rotation_of(first), "the same generation with another key is another server");
            let mut rotated = first;
            for _ in 0..MOST_ADVANCED {
                rotated = rotated.after_rotation();
                assert!(rotated.is_rotation_of(first));
                assert!(!first.is_rotation_of(rotated), "no way back");
                assert!(!rotated.of_next_owner().is_rotation_of(first));
            }
            assert!(!rotated.after_rotation().is_rotation_of(first));
        }
    }
}
