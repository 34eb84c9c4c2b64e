//! A value whose memory is erased when it is dropped, for types that do not do so themselves.

use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};

use zeroize::Zeroize;

/// A value on the heap, its bytes overwritten with zeros after it was dropped.
pub(super) struct Wiped<T>(Box<MaybeUninit<T>>);

impl<T> Wiped<T> {
    /// Takes the value. What moves of it left on the stack is not erased.
    pub(super) fn new(value: T) -> Self {
        Self(Box::new(MaybeUninit::new(value)))
    }
}

impl<T> Deref for Wiped<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: made of a value in `new`, which alone is dropped in `drop`.
        unsafe { self.0.assume_init_ref() }
    }
}

impl<T> DerefMut for Wiped<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { self.0.assume_init_mut() }
    }
}

impl<T> Drop for Wiped<T> {
    fn drop(&mut self) {
        // SAFETY: it is a value, and nobody sees it again.
        unsafe { self.0.assume_init_drop() };
        // `MaybeUninit` may hold any bytes.
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Wiped;

    #[test]
    fn the_value_is_dropped_once_and_its_bytes_are_zeros() {
        let witness = Arc::new(());
        let mut wiped = Wiped::new((witness.clone(), [0xa5_u8; 64]));
        assert_eq!(wiped.1, [0xa5; 64]);
        assert_eq!(Arc::strong_count(&witness), 2);
        // SAFETY: as in `drop`, whose second half is done here; the value is then forgotten.
        unsafe { wiped.0.assume_init_drop() };
        zeroize::Zeroize::zeroize(&mut *wiped.0);
        assert_eq!(Arc::strong_count(&witness), 1);
        // SAFETY: zeros are bytes like others.
        let bytes = unsafe { std::slice::from_raw_parts(wiped.0.as_ptr().cast::<u8>(), 64) };
        assert!(bytes.iter().all(|byte| *byte == 0));
        std::mem::forget(wiped);
    }
}
