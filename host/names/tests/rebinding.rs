//! Names that others control cannot point into the mesh.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::rdata::svcb::{IpHint, SvcParamKey, SvcParamValue};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, HTTPS, SVCB};
use hickory_proto::rr::{Name, RData, Record};
use proptest::prelude::*;
use servos_names::without_mesh_addresses;

fn dropped(rdata: RData) -> bool {
    let record = Record::from_rdata(Name::root(), 5, rdata);
    let (kept, dropped) = without_mesh_addresses(vec![record]);
    assert_eq!(kept.len() + dropped, 1);
    dropped == 1
}

fn hint(value: SvcParamValue, key: SvcParamKey) -> SVCB {
    SVCB::new(1, Name::root(), vec![(key, value)])
}

proptest! {
    /// The reference: RFC 6598's range, written out.
    #[test]
    fn an_address_is_dropped_exactly_if_it_lies_in_the_mesh_in_any_guise(
        a in prop_oneof![Just(100_u8), any::<u8>()], b in any::<u8>(), c in any::<u8>(), d in any::<u8>(),
    ) {
        let inside = a == 100 && (64..=127).contains(&b);
        let v4 = Ipv4Addr::new(a, b, c, d);
        let nat64 = Ipv6Addr::from((0x0064_ff9b_u128 << 96) | u128::from(u32::from(v4)));
        prop_assert_eq!(dropped(RData::A(A(v4))), inside);
        prop_assert_eq!(dropped(RData::AAAA(AAAA(v4.to_ipv6_mapped()))), inside);
        prop_assert_eq!(dropped(RData::AAAA(AAAA(nat64))), inside);
        let hints = SvcParamValue::Ipv4Hint(IpHint(vec![A(Ipv4Addr::new(192, 0, 2, 1)), A(v4)]));
        prop_assert_eq!(dropped(RData::SVCB(hint(hints.clone(), SvcParamKey::Ipv4Hint))), inside);
        prop_assert_eq!(dropped(RData::HTTPS(HTTPS(hint(hints, SvcParamKey::Ipv4Hint)))), inside);
        let hints = SvcParamValue::Ipv6Hint(IpHint(vec![AAAA(v4.to_ipv6_mapped())]));
        prop_assert_eq!(dropped(RData::HTTPS(HTTPS(hint(hints, SvcParamKey::Ipv6Hint)))), inside);
    }

    #[test]
    fn no_other_address_is_dropped(bytes in any::<[u8; 16]>()) {
        let address = Ipv6Addr::from(bytes);
        prop_assume!(address.to_ipv4_mapped().is_none() && bytes[..2] != [0, 0x64]);
        prop_assert!(!dropped(RData::AAAA(AAAA(address))));
        prop_assert!(!dropped(RData::CNAME(CNAME(Name::root()))));
    }
}
