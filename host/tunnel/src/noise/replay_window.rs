//! Which counters of a keypair were seen: the last 8,192 and whether each was (WireGuard paper §5.4.6, RFC 6479).

/// Counters below the newest that may still come; older ones are refused.
pub(crate) const WINDOW: u64 = 8_192;

/// One word more than the window, so that a word can be cleared before the window has left it.
const WORDS: usize = WINDOW as usize / 64 + 1;

/// See the module. Starts with nothing seen.
#[derive(Clone)]
pub(crate) struct ReplayWindow {
    /// One above the newest that was seen.
    next: u64,
    bits: [u64; WORDS],
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self { next: 0, bits: [0; WORDS] }
    }
}

impl ReplayWindow {
    /// Notes a counter of an authentic message. False if it was seen before, or is too old to tell. Counters are below
    /// `u64::MAX`.
    pub(crate) fn note(&mut self, counter: u64) -> bool {
        if counter >= self.next {
            let newest_word = self.next.saturating_sub(1) / 64;
            let ahead = (counter / 64).saturating_sub(newest_word).min(WORDS as u64);
            for step in 1..=ahead {
                self.bits[((newest_word + step) % WORDS as u64) as usize] = 0;
            }
            self.next = counter + 1;
        } else if self.next - counter > WINDOW {
            return false;
        }
        let word = &mut self.bits[(counter / 64 % WORDS as u64) as usize];
        let bit = 1 << (counter % 64);
        let fresh = *word & bit == 0;
        *word |= bit;
        fresh
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_set(steps in prop::collection::vec((any::<bool>(), 0_u64..20_000), 1..600), start in 0_u64..1 << 60) {
            let mut window = ReplayWindow::default();
            let (mut seen, mut newest) = (HashSet::new(), None::<u64>);
            for (forward, by) in steps {
                let from = newest.unwrap_or(start);
                // Small steps mostly, so that the window's inside and both its edges are met.
                let by = if by % 3 == 0 { by } else { by % 70 };
                let counter = if forward { from + by } else { from.saturating_sub(by) };
                let old = newest.is_some_and(|newest| newest - counter.min(newest) >= WINDOW);
                let expected = !old && !seen.contains(&counter);
                prop_assert_eq!(window.note(counter), expected, "{} after {:?}", counter, newest);
                if expected {
                    seen.insert(counter);
                    newest = Some(newest.map_or(counter, |newest| newest.max(counter)));
                }
            }
        }
    }

    #[test]
    fn the_edges() {
        let mut window = ReplayWindow::default();
        assert!(window.note(0) && !window.note(0));
        assert!(window.note(WINDOW), "one beyond the window");
        assert!(!window.note(0), "just too old");
        assert!(window.note(1) && !window.note(1), "the oldest that may come");
        let last = u64::MAX - WINDOW - 1;
        assert!(window.note(last) && !window.note(last) && window.note(last - 1));
    }
}
