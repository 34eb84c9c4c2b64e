//! Batches keep what they are given, in order, and cut it into runs that the kernel takes.

use std::net::SocketAddr;

use proptest::prelude::*;
use servos_tunnel::device::{DatagramBatch, Endpoint};

proptest! {
    #[test]
    fn runs_are_the_datagrams_in_order(
        lengths in proptest::collection::vec((0_u16..3, 1_usize..5, any::<bool>()), 0..200), segments in 1_usize..70,
    ) {
        let mut batch = DatagramBatch::default();
        let mut wanted: Vec<(Endpoint, Vec<u8>)> = Vec::new();
        for (at, (port, size, long)) in lengths.into_iter().enumerate() {
            let to = Endpoint::from(SocketAddr::new("192.0.2.1".parse().unwrap(), 1 + port / 2));
            let bytes = vec![at as u8; if long { 1_452 } else { size * 300 }];
            batch.push(to, &bytes);
            wanted.push((to, bytes));
        }
        let mut found = Vec::new();
        while let Some((run, count)) = batch.run(found.len(), segments) {
            let pieces: Vec<&[u8]> = run.bytes.chunks(run.segment).collect();
            prop_assert_eq!(pieces.len(), count);
            prop_assert!(count <= segments && run.bytes.len() <= 65_507);
            found.extend(pieces.into_iter().map(|piece| (run.to, piece.to_vec())));
        }
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn what_is_forgotten_is_gone_and_the_rest_goes_on(
        lengths in proptest::collection::vec(1_usize..2_000, 1..50), forgotten in 0_usize..60, more in 1_usize..2_000,
    ) {
        let mut batch = DatagramBatch::default();
        let to = Endpoint::from(SocketAddr::from(([192, 0, 2, 1], 1)));
        let mut wanted: Vec<Vec<u8>> = Vec::new();
        for (at, length) in lengths.into_iter().enumerate() {
            wanted.push(vec![at as u8; length]);
            batch.push(to, &wanted[at]);
        }
        batch.forget(forgotten);
        wanted.drain(..forgotten.min(wanted.len()));
        prop_assert_eq!(batch.is_empty(), wanted.is_empty());
        wanted.push(vec![0xff; more]);
        batch.push(to, &vec![0xff; more]);
        let kept: Vec<Vec<u8>> = batch.datagrams().map(|(_, bytes)| bytes.to_vec()).collect();
        prop_assert_eq!(kept, wanted);
    }

    #[test]
    fn an_open_run_is_one_that_the_next_datagram_joins(
        sizes in proptest::collection::vec(prop_oneof![4 => Just(1_452_usize), 1 => 1..1_452_usize], 1..100),
        segments in 1_usize..70,
    ) {
        let mut batch = DatagramBatch::default();
        let to = Endpoint::from(SocketAddr::from(([192, 0, 2, 1], 1)));
        sizes.iter().for_each(|size| batch.push(to, &vec![0; *size]));
        let (mut first, mut last) = (0, None);
        while let Some((run, count)) = batch.run(first, segments) {
            last = Some((first, count, run.segment, run.is_open));
            first += count;
            prop_assert!(first == sizes.len() || !run.is_open, "only the last run may be open");
        }
        let (first, count, segment, is_open) = last.expect("there is a datagram");
        batch.push(to, &vec![0; segment]);
        let grown = batch.run(first, segments).expect("it is still there").1;
        prop_assert_eq!(grown > count, is_open);
    }
}

#[test]
fn a_cleared_batch_keeps_nothing() {
    let mut batch = DatagramBatch::default();
    let to = Endpoint::from("192.0.2.1:1".parse::<SocketAddr>().unwrap());
    batch.push(to, &[1; 100]);
    batch.clear();
    assert!(batch.is_empty() && batch.run(0, 64).is_none());
    batch.push(to, &[2; 10]);
    assert_eq!(batch.datagrams().map(|(_, bytes)| bytes.to_vec()).collect::<Vec<_>>(), [vec![2; 10]]);
}
