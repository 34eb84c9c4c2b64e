//! Names that are not the mesh's, with real dnsmasq as the upstream.

#![cfg(test)]

mod common;

use std::net::SocketAddr;

use common::machine::{Dnsmasq, on_machine, sh};
use common::names_table::NamesTable;
use common::{dig, dig_at, dig_short, flags, section, serve, serve_with, status};
use servos_names::NamesSettings;

const UPSTREAM: &str = "127.1.1.1";

fn at(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), 53)
}

#[test]
fn other_names_come_from_the_upstream_as_they_are() {
    on_machine(async |folder| {
        let upstream = Dnsmasq::start(
            folder.path(),
            UPSTREAM,
            &[
                "--host-record=www.example.com,192.0.2.80,2001:db8::80",
                "--cname=alias.example.com,www.example.com",
                "--mx-host=example.com,mail.example.com,10",
                "--txt-record=example.com,hello",
                "--dns-rr=odd.example.com,65280,0102",
                "--local-ttl=77",
                "--local=/example.com/",
            ],
        )
        .await;
        let served = serve(NamesTable::example(), &[at(UPSTREAM)]).await;

        let printed = dig("WWW.example.com A").await;
        assert_eq!(section(&printed, "ANSWER"), ["WWW.example.com. 77 IN A 192.0.2.80"]);
        assert!(flags(&printed).contains(&"ra"), "{printed}");
        assert_eq!(dig_short("www.example.com AAAA").await, ["2001:db8::80"]);
        assert_eq!(dig_short("+tcp alias.example.com A").await, ["www.example.com.", "192.0.2.80"]);
        assert_eq!(dig_short("example.com MX").await, ["10 mail.example.com."]);
        assert_eq!(dig_short("example.com TXT").await, [r#""hello""#]);
        assert_eq!(dig_short("odd.example.com TYPE65280").await, [r"\# 2 0102"]);
        assert_eq!(status(&dig("nobody.example.com A").await), "NXDOMAIN");
        assert_eq!(served.table.calls(), 0, "plugins are not asked for them");
        assert_eq!(served.server.counters().forwarded, 7);
        drop(upstream);
    });
}

#[test]
fn a_host_of_a_service_is_the_plugins_and_the_upstreams_if_they_pass() {
    on_machine(async |folder| {
        let upstream = Dnsmasq::start(
            folder.path(),
            UPSTREAM,
            &["--host-record=api.example.org,192.0.2.1,2001:db8::1", "--host-record=open.example.org,192.0.2.2"],
        )
        .await;
        let _served = serve(NamesTable::example(), &[at(UPSTREAM)]).await;
        assert_eq!(dig_short("api.example.org A").await, ["100.64.0.1"]);
        assert!(dig_short("api.example.org AAAA").await.is_empty(), "its other half must not lead elsewhere");
        assert_eq!(dig_short("open.example.org A").await, ["192.0.2.2"]);
        assert!(!upstream.log().contains("api.example.org"), "{}", upstream.log());
    });
}

#[test]
fn names_of_the_mesh_are_never_sent_on() {
    on_machine(async |folder| {
        let arguments = ["--address=/#/192.0.2.66", "--txt-record=org,zone"];
        let upstream = Dnsmasq::start(folder.path(), UPSTREAM, &arguments).await;
        let served = serve(NamesTable::example(), &[at(UPSTREAM)]).await;
        let before = upstream.log();
        for question in [
            "nobody A",
            "nobody AAAA",
            "nobody MX",
            "nobody HTTPS",
            "nobody.mesh.internal A",
            "_http._tcp.nobody SRV",
            "_ldap._tcp.dc._msdcs.nobody.mesh.internal SRV",
            "7.7.77.100.in-addr.arpa PTR",
            "internal A",
            "db.localhost TXT",
        ] {
            assert_ne!(section(&dig(question).await, "AUTHORITY").len(), 0, "{question}");
        }
        assert_eq!(upstream.log(), before);
        assert_eq!(served.server.counters().forwarded, 0);

        // What only zones have is not a name: validating resolvers ask for it.
        let printed = dig("org DNSKEY").await;
        assert_eq!(served.server.counters().forwarded, 1, "{printed}");
        assert!(upstream.log().contains("org"), "{}", upstream.log());
    });
}

#[test]
fn an_upstreams_addresses_inside_the_mesh_are_dropped() {
    on_machine(async |folder| {
        let _upstream = Dnsmasq::start(
            folder.path(),
            UPSTREAM,
            &[
                "--host-record=evil.example.com,100.64.0.2,::ffff:100.127.255.254",
                "--host-record=mixed.example.com,100.100.1.1",
                "--host-record=mixed.example.com,192.0.2.9",
                "--host-record=below.example.com,100.63.255.255",
                "--host-record=above.example.com,100.128.0.0",
            ],
        )
        .await;
        let served = serve(NamesTable::example(), &[at(UPSTREAM)]).await;
        let printed = dig("evil.example.com A").await;
        assert_eq!((status(&printed), section(&printed, "ANSWER").len()), ("NOERROR", 0));
        assert!(dig_short("evil.example.com AAAA").await.is_empty());
        assert_eq!(dig_short("mixed.example.com A").await, ["192.0.2.9"]);
        assert_eq!(dig_short("below.example.com A").await, ["100.63.255.255"]);
        assert_eq!(dig_short("above.example.com A").await, ["100.128.0.0"]);
        assert_eq!(served.server.counters().rebinding_dropped, 3);
    });
}

#[test]
fn a_cut_answer_is_fetched_whole_over_tcp() {
    on_machine(async |folder| {
        let records: Vec<String> = (1..=100).map(|n| format!("--host-record=many.example.com,192.0.2.{n}")).collect();
        let arguments: Vec<&str> = records.iter().map(String::as_str).collect();
        let _upstream = Dnsmasq::start(folder.path(), UPSTREAM, &arguments).await;
        let _served = serve(NamesTable::example(), &[at(UPSTREAM)]).await;
        let direct = dig_at(UPSTREAM, "+ignore +bufsize=1232 many.example.com A").await;
        assert!(flags(&direct).contains(&"tc"), "the upstream must cut for this test to mean something: {direct}");
        assert_eq!(dig_short("+tcp many.example.com A").await.len(), 100);
        let cut = dig("+ignore +bufsize=1232 many.example.com A").await;
        assert!(flags(&cut).contains(&"tc"), "{cut}");
        assert!(cut.contains("EDNS: version: 0"), "{cut}");
        assert_eq!(dig_short("many.example.com A").await.len(), 100);
    });
}

#[test]
fn the_next_upstream_stands_in_for_one_that_fails() {
    on_machine(async |folder| {
        // One that refuses, one whose port is closed, one that never answers, and one that works.
        let _refuses = Dnsmasq::start(folder.path(), "127.1.1.3", &[]).await;
        assert_eq!(status(&dig_at("127.1.1.3", "www.example.com A").await), "REFUSED");
        let _silent = std::net::UdpSocket::bind("127.1.1.2:53").unwrap();
        let works = Dnsmasq::start(folder.path(), UPSTREAM, &["--host-record=www.example.com,192.0.2.80"]).await;
        let order = [at("127.1.1.3"), at("127.1.1.4"), at("127.1.1.2"), at(UPSTREAM)];
        let served = serve(NamesTable::example(), &order).await;
        assert_eq!(dig_short("www.example.com A").await, ["192.0.2.80"]);
        assert_eq!(dig_short("www.example.com A").await, ["192.0.2.80"]);

        drop(works);
        served.server.set_upstreams(vec![at("127.1.1.4")]);
        assert_eq!(status(&dig("www.example.com A").await), "SERVFAIL");
        served.server.set_upstreams(vec![at("127.1.1.2")]);
        assert_eq!(status(&dig("www.example.com A").await), "SERVFAIL");
        served.server.set_upstreams(Vec::new());
        assert_eq!(status(&dig("www.example.com A").await), "SERVFAIL");
        assert_eq!(served.server.counters().upstream_failures, 3);
        assert_eq!(dig_short("api A").await, ["100.64.0.1"], "the mesh's names need no upstream");
    });
}

#[test]
fn dead_upstreams_do_not_hold_up_the_meshs_names() {
    on_machine(async |_| {
        let _silent = std::net::UdpSocket::bind("127.1.1.2:53").unwrap();
        let served = serve(NamesTable::example(), &[at("127.1.1.2")]).await;
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect((common::LOOPBACK, 53)).await.unwrap();
        // More than may be under way at once: those on top are told so without delay.
        let name = b"\x03www\x07example\x03com\x00\x00\x01\x00\x01";
        let mut buffer = [0; 512];
        for id in 0..=servos_names::limits::CONCURRENT_FORWARDS as u16 {
            socket.send(&[&id.to_be_bytes()[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0], name].concat()).await.unwrap();
            // Let the server take it, before its socket's buffer is full and before the first ones are given up.
            while served.server.counters().queries <= u64::from(id) {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(dig_short("api A").await, ["100.64.0.1"]);
        socket.recv(&mut buffer).await.unwrap();
        assert_eq!(served.server.counters().overloaded, 1);
        assert_eq!(buffer[3] & 0x0f, 2, "SERVFAIL");
    });
}

#[test]
fn the_mesh_gets_the_meshs_names_and_nothing_is_forwarded_for_it() {
    on_machine(async |folder| {
        let upstream = Dnsmasq::start(folder.path(), UPSTREAM, &["--host-record=www.example.com,192.0.2.80"]).await;
        // An address of another server of the mesh, to ask from.
        sh("ip address add 100.64.0.2/32 dev lo");
        let served = serve(NamesTable::example(), &[at(UPSTREAM)]).await;
        let from_mesh = async |question: &str| dig_at(common::OWN, &format!("-b 100.64.0.2 {question}")).await;
        let printed = from_mesh("api A").await;
        assert_eq!((status(&printed), flags(&printed).contains(&"ra")), ("NOERROR", false));
        assert_eq!(status(&from_mesh("nobody A").await), "NXDOMAIN");
        assert_eq!(status(&from_mesh("www.example.com A").await), "REFUSED");
        assert_eq!(status(&from_mesh("open.example.org A").await), "REFUSED");
        assert_eq!(served.server.counters().forwarded, 0);
        assert!(!upstream.log().contains("www.example.com"));
        assert_eq!(status(&dig_at(common::OWN, "www.example.com A").await), "NOERROR", "this server itself may");
        served.server.shutdown().await;

        let settings = NamesSettings { clients: vec!["100.64.0.0/10".parse().unwrap()], ..NamesSettings::default() };
        let _served = serve_with(&settings, NamesTable::example(), &[at(UPSTREAM)]).await;
        assert_eq!(status(&from_mesh("www.example.com A").await), "NOERROR");
    });
}
