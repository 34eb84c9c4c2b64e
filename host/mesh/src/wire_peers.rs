//! Peer records and their names between bytes and values, for states and deltas alike.

use std::ops::Range;

use zerocopy::{FromBytes, IntoBytes};

use crate::codec::WireError;
use crate::{DnsLabel, MeshAddress, PeerRecord};

/// Records from which on half of them are checked by another thread: it costs as much as checking a thousand.
const WORTH_A_THREAD: usize = 1 << 16;

/// Reads records where they are: addresses in range, sorted and unique, each with a name in `names`.
pub(crate) fn check_peers<'a>(peers: &'a [u8], names: &[u8]) -> Result<&'a [PeerRecord], WireError> {
    let Ok(records) = <[PeerRecord]>::ref_from_bytes(peers) else {
        return Err(WireError::invalid("peers", format!("{} bytes are no multiple of 64", peers.len())));
    };
    let check = |part: Range<usize>| check_part(records, names, part);
    if records.len() < WORTH_A_THREAD {
        check(0..records.len())?;
        return Ok(records);
    }
    let middle = records.len() / 2;
    std::thread::scope(|scope| {
        // Half of the work beside the other half.
        let upper = scope.spawn(|| check(middle..records.len()));
        check(0..middle)?;
        upper.join().expect("checking records does not panic")
    })?;
    Ok(records)
}

fn check_part(records: &[PeerRecord], names: &[u8], part: Range<usize>) -> Result<(), WireError> {
    let mut before = part.start.checked_sub(1).map(|at| records[at].address.get());
    for (at, record) in part.clone().zip(&records[part]) {
        let index = record.address.get();
        server_address(index).map_err(|problem| WireError::invalid(format!("peer {at}"), problem))?;
        if before.is_some_and(|before| before >= index) {
            return Err(WireError::invalid(format!("peer {at}"), "is not sorted by address, or not unique"));
        }
        before = Some(index);
        if !name_bytes_at(names, record.name_offset.get()).is_some_and(DnsLabel::are_valid) {
            return Err(WireError::invalid(format!("peer {at}"), "has no name that is a DNS label"));
        }
    }
    Ok(())
}

/// An address that a server may have, of its index.
pub(crate) fn server_address(index: u32) -> Result<MeshAddress, String> {
    let address = MeshAddress::from_index(index).map_err(|error| error.to_string())?;
    if address == MeshAddress::FIRST || address == MeshAddress::LAST {
        return Err(format!("has the reserved address {address}"));
    }
    Ok(address)
}

/// The name at `offset` of a names section.
pub(crate) fn name_at(names: &[u8], offset: u32) -> Option<&str> {
    std::str::from_utf8(name_bytes_at(names, offset)?).ok()
}

/// The same, where text is not asked for.
pub(crate) fn name_bytes_at(names: &[u8], offset: u32) -> Option<&[u8]> {
    let (length, rest) = names.get(offset as usize..)?.split_first()?;
    rest.get(..usize::from(*length))
}

/// All names of a section that holds nothing else. What is no text, and a rest that is cut off, comes as none.
pub(crate) fn names_in(mut names: &[u8]) -> impl Iterator<Item = Option<&str>> {
    std::iter::from_fn(move || {
        let (length, rest) = names.split_first()?;
        let Some((name, rest)) = rest.split_at_checked(usize::from(*length)) else {
            names = &[];
            return Some(None);
        };
        names = rest;
        Some(std::str::from_utf8(name).ok())
    })
}

/// Writes a name behind the others.
pub(crate) fn push_name(names: &mut Vec<u8>, name: &str) -> Result<(), WireError> {
    let length = u8::try_from(name.len()).map_err(|_| WireError::invalid("names", "a name over 255 bytes"))?;
    names.push(length);
    names.extend_from_slice(name.as_bytes());
    Ok(())
}

/// Records and their names, one behind the other as they come.
#[derive(Debug, Default)]
pub(crate) struct PeerWriter {
    pub(crate) peers: Vec<u8>,
    pub(crate) names: Vec<u8>,
}

impl PeerWriter {
    pub(crate) fn with_capacity(records: usize, names: usize) -> Self {
        Self { peers: Vec::with_capacity(records * size_of::<PeerRecord>()), names: Vec::with_capacity(names) }
    }

    /// Writes a record behind the others; where its name stands is filled in.
    pub(crate) fn push(&mut self, record: &PeerRecord, name: &str) -> Result<(), WireError> {
        let offset = u32::try_from(self.names.len()).map_err(|_| WireError::invalid("names", "over 4 GiB"))?;
        self.peers.extend_from_slice(PeerRecord { name_offset: offset.into(), ..*record }.as_bytes());
        push_name(&mut self.names, name)
    }

    /// What was written.
    pub(crate) fn records(&self) -> &[PeerRecord] {
        <[PeerRecord]>::ref_from_bytes(&self.peers).expect("whole records were written")
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros as _;

    use super::*;

    /// So many records that two threads check them, with a name each.
    fn many() -> (Vec<PeerRecord>, Vec<u8>) {
        let records = (1..=WORTH_A_THREAD as u32 + 1).map(|index| {
            let mut record = PeerRecord::new_zeroed();
            record.address.set(index);
            record
        });
        (records.collect(), b"\x01a".to_vec())
    }

    #[test]
    fn wherever_it_is_a_bad_record_is_found_and_of_several_the_first_is_named() {
        let (records, names) = many();
        assert!(check_peers(records.as_bytes(), &names).is_ok());
        let (last, middle) = (records.len() - 1, records.len() / 2);
        for at in [1, middle - 1, middle, middle + 1, last] {
            let mut unsorted = records.clone();
            unsorted[at].address = unsorted[at - 1].address;
            unsorted[last].name_offset.set(7);
            let error = check_peers(unsorted.as_bytes(), &names).expect_err("an address twice").to_string();
            assert!(error.contains(&format!("peer {at}: is not sorted")), "{error}");
        }
    }
}
