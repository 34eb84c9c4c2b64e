//! Addresses, keys, names and revisions hold what they may and nothing else.

use std::net::Ipv4Addr;

use proptest::prelude::*;
use servos_mesh::api::{EndpointReport, EnrolRequest};
use servos_mesh::{AddressError, DnsLabel, HostName, KeyError, MeshAddress, PublicKey, Revision};

proptest! {
    #[test]
    fn an_address_is_one_of_the_ten_bit_prefix(ip in any::<Ipv4Addr>(), low in 0_u32..1 << 22) {
        let inside = u32::from(ip) >> 22 == u32::from(Ipv4Addr::new(100, 64, 0, 0)) >> 22;
        prop_assert_eq!(MeshAddress::try_from(ip).is_ok(), inside);

        let address = MeshAddress::from_index(low).unwrap();
        prop_assert_eq!(address.index(), low);
        prop_assert_eq!(MeshAddress::try_from(address.ipv4()), Ok(address));
        prop_assert_eq!(address.to_string().parse(), Ok(address));
        prop_assert_eq!(serde_json::from_str::<MeshAddress>(&serde_json::to_string(&address).unwrap()).unwrap(), address);
    }

    #[test]
    fn a_label_is_letters_digits_and_inner_hyphens(text in "[a-zA-Z0-9.é _-]{0,66}") {
        let right = !text.is_empty()
            && text.len() <= 63
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        prop_assert_eq!(text.parse::<DnsLabel>().is_ok(), right);
        prop_assert_eq!(DnsLabel::is_valid(&text), right);
        prop_assert_eq!(serde_json::from_value::<DnsLabel>(text.clone().into()).is_ok(), right);
    }

    #[test]
    fn a_host_name_is_labels_and_dots(labels in prop::collection::vec("[a-z-]{0,64}", 0..6)) {
        let text = labels.join(".");
        let right = text.len() <= 253 && text.split('.').all(DnsLabel::is_valid);
        prop_assert_eq!(text.parse::<HostName>().is_ok(), right);
    }

    #[test]
    fn a_key_is_32_bytes_in_base64(bytes in any::<[u8; 32]>()) {
        let key = PublicKey::from_bytes(bytes).unwrap();
        prop_assert_eq!(key.to_string().parse(), Ok(key));
        prop_assert_eq!(key.to_string().len(), 44);
    }

    #[test]
    fn no_text_breaks_a_parser(text in "\\PC{0,80}") {
        let _ = (text.parse::<MeshAddress>(), text.parse::<PublicKey>(), text.parse::<Revision>());
        let _ = (text.parse::<DnsLabel>(), text.parse::<HostName>(), Revision::from_etag(&text));
    }

    #[test]
    fn a_revision_is_its_entity_tag(number in any::<u64>()) {
        let revision = Revision(number);
        prop_assert_eq!(Revision::from_etag(&revision.etag()), Ok(revision));
        prop_assert_eq!(Revision::from_etag(&format!(" W/{} ", revision.etag())), Ok(revision));
    }
}

#[test]
fn the_borders_of_the_prefix() {
    assert_eq!(MeshAddress::FIRST.ipv4(), Ipv4Addr::new(100, 64, 0, 0));
    assert_eq!(MeshAddress::LAST.ipv4(), Ipv4Addr::new(100, 127, 255, 255));
    assert_eq!(MeshAddress::from_index(1 << 22), Err(AddressError::Index(1 << 22)));
    for outside in ["100.63.255.255", "100.128.0.0"] {
        assert_eq!(outside.parse::<MeshAddress>(), Err(AddressError::Outside(outside.parse().unwrap())));
    }
    assert_eq!("100.64.0.01".parse::<MeshAddress>(), Err(AddressError::Text));
}

#[test]
fn a_key_of_zeros_is_none() {
    assert_eq!(PublicKey::from_bytes([0; 32]), Err(KeyError::Zero));
    assert_eq!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".parse::<PublicKey>(), Err(KeyError::Zero));
    // 43 characters; 33 bytes; bits behind the last byte.
    for text in [
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=",
    ] {
        assert_eq!(text.parse::<PublicKey>(), Err(KeyError::Text), "{text}");
    }
}

/// libsodium's list (`x25519_ref10.c`), of which those stay that X25519 reads as such points.
#[test]
fn a_point_of_small_order_is_no_key() {
    let mut points = [[0; 32]; 5];
    points[0][0] = 1;
    for (at, lowest) in [(1, 0xec), (2, 0xed), (3, 0xee)] {
        points[at] = [0xff; 32];
        (points[at][0], points[at][31]) = (lowest, 0x7f);
    }
    points[4] = [
        95, 156, 149, 188, 163, 80, 140, 36, 177, 208, 177, 85, 156, 131, 239, 91, 4, 68, 92, 196, 88, 28, 142, 134,
        216, 34, 78, 221, 208, 159, 17, 87,
    ];
    for mut point in points {
        for top in [0, 0x80] {
            point[31] ^= top;
            assert_eq!(PublicKey::from_bytes(point), Err(KeyError::SmallOrder), "{point:?}");
            assert!(PublicKey::from_any_bytes(point).is_ok());
        }
    }
    let mut top_bit_alone = [0; 32];
    top_bit_alone[31] = 0x80;
    assert_eq!(PublicKey::from_bytes(top_bit_alone), Err(KeyError::SmallOrder));
    let mut two = [0; 32];
    two[0] = 2;
    assert!(PublicKey::from_bytes(two).is_ok());
}

#[test]
fn an_entity_tag_of_somebody_else_is_no_revision() {
    for tag in ["", "7", "\"", "\"\"", "\"7", "\"+7\"", "\"-1\"", "\"7 \"", "\"abc\"", "*", "\"18446744073709551616\""]
    {
        assert!(Revision::from_etag(tag).is_err(), "{tag}");
    }
}

#[test]
fn a_name_error_quotes_no_more_than_is_needed() {
    let error = "X".repeat(10_000).parse::<HostName>().unwrap_err().to_string();

    assert!(error.len() < 200, "{error}");
}

#[test]
fn a_request_with_a_field_that_nobody_knows_is_refused() {
    let good = r#"{"ip":null,"port":51820}"#;
    let request =
        format!(r#"{{"name":"web-1","public_key":"{}","endpoint":{good}}}"#, PublicKey::from_bytes([1; 32]).unwrap());

    assert!(serde_json::from_str::<EndpointReport>(good).is_ok());
    assert!(serde_json::from_str::<EndpointReport>(r#"{"ip":null,"port":51820,"prot":1}"#).is_err());
    assert!(serde_json::from_str::<EnrolRequest>(&request).is_ok());
    assert!(serde_json::from_str::<EnrolRequest>(&request.replace("web-1", "Web 1")).is_err());
}
