//! Keeps names that others control from pointing into the mesh (DNS rebinding). Pure.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::rdata::SVCB;
use hickory_proto::rr::rdata::svcb::SvcParamValue;
use hickory_proto::rr::{RData, Record};
use servos_mesh::MeshAddress;

/// The records that do not point into 100.64.0.0/10, and how many did: as an address, as an IPv6 address that holds one
/// (mapped, or through NAT64), or as a hint (RFC 9460 §7.3).
pub fn without_mesh_addresses(records: Vec<Record>) -> (Vec<Record>, usize) {
    let before = records.len();
    let kept: Vec<Record> = records.into_iter().filter(|record| !points_into_mesh(&record.data)).collect();
    let dropped = before - kept.len();
    (kept, dropped)
}

fn points_into_mesh(rdata: &RData) -> bool {
    match rdata {
        RData::A(address) => in_mesh(address.0),
        RData::AAAA(address) => v6_in_mesh(address.0),
        RData::SVCB(service) => hints_into_mesh(service),
        RData::HTTPS(service) => hints_into_mesh(&service.0),
        _ => false,
    }
}

fn hints_into_mesh(service: &SVCB) -> bool {
    service.svc_params.iter().any(|(_, value)| match value {
        SvcParamValue::Ipv4Hint(hints) => hints.0.iter().any(|address| in_mesh(address.0)),
        SvcParamValue::Ipv6Hint(hints) => hints.0.iter().any(|address| v6_in_mesh(address.0)),
        _ => false,
    })
}

fn in_mesh(address: Ipv4Addr) -> bool {
    MeshAddress::try_from(address).is_ok()
}

fn v6_in_mesh(address: Ipv6Addr) -> bool {
    let octets = address.octets();
    let [.., a, b, c, d] = octets;
    let holds_v4 = octets[..12] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
        // The well-known prefix of NAT64, 64:ff9b::/96 (RFC 6052 §2.1).
        || octets[..12] == [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];
    holds_v4 && in_mesh(Ipv4Addr::new(a, b, c, d))
}
