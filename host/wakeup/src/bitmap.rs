//! A bitmap over all addresses of the mesh, as this side knows the kernel's copy to be.

use servos_mesh::MeshAddress;

use crate::shared::{ADDRESSES, WORDS};

/// The filter and the wire mean the same mesh.
const _: () = assert!(ADDRESSES == servos_mesh::limits::MESH_ADDRESSES);

/// 2^22 bits, 512 KiB.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Bitmap(Box<[u64]>);

impl Bitmap {
    pub(crate) fn new() -> Self {
        Self(vec![0; WORDS as usize].into_boxed_slice())
    }

    pub(crate) fn set(&mut self, address: MeshAddress, value: bool) {
        let bit = 1 << (address.index() % 64);
        let word = &mut self.0[address.index() as usize / 64];
        *word = if value { *word | bit } else { *word & !bit };
    }

    pub(crate) fn contains(&self, index: u32) -> bool {
        self.0.get(index as usize / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// What is in both.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, other)| one & other).collect())
    }

    /// The word that an address lies in: its index and its value.
    pub(crate) fn word_of(&self, address: MeshAddress) -> (u32, u64) {
        let index = address.index() / 64;
        (index, self.0[index as usize])
    }

    /// The words in which `next` differs: index and next value.
    pub(crate) fn changes<'a>(&'a self, next: &'a Self) -> impl Iterator<Item = (u32, u64)> + 'a {
        let words = self.0.iter().zip(&next.0).enumerate();
        words.filter(|(_, (before, after))| before != after).map(|(index, (_, after))| (index as u32, *after))
    }
}
