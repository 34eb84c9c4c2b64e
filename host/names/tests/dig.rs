//! What real dig gets: records, negative answers, sizes, and what is refused.

mod common;

use std::net::UdpSocket;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::machine::{Daemon, on_machine, sh};
use common::names_table::NamesTable;
use common::{OWN, Served, dig, dig_at, dig_short, flags, mesh, mesh_of, section, serve, serve_with, status};
use servos_names::{NamesSettings, limits};
use servos_sandbox::naming::{Keep, Outcome, Question, RecordType};

async fn example() -> Served {
    serve(NamesTable::example(), &[]).await
}

#[test]
fn addresses_come_by_bare_and_by_full_name_in_the_plugins_order() {
    on_machine(async |_| {
        let served = example().await;
        for name in ["postgres", "postgres.mesh.internal", "POSTGRES.Mesh.Internal"] {
            for transport in ["+notcp", "+tcp"] {
                let answers = dig_short(&format!("{transport} {name} A")).await;
                assert_eq!(answers, ["100.64.0.2", "100.64.0.1"], "{name} {transport}");
            }
        }
        let printed = dig_at(OWN, "postgres A").await;
        assert_eq!(section(&printed, "ANSWER"), ["postgres. 5 IN A 100.64.0.2", "postgres. 5 IN A 100.64.0.1"]);
        assert!(flags(&printed).contains(&"aa"), "{printed}");
        let asked = served.table.asked.lock().clone();
        assert!(
            asked.iter().all(|q| *q == Question { name: "postgres".into(), record_type: RecordType::A }),
            "{asked:?}"
        );
    });
}

#[test]
fn a_plugins_ttl_is_lowered_to_the_ceiling() {
    on_machine(async |_| {
        let settings = NamesSettings { ttl_ceiling: 17, ..NamesSettings::default() };
        let _served = serve_with(&settings, NamesTable::example(), &[]).await;
        let printed = dig("postgres.mesh.internal A").await;
        assert_eq!(section(&printed, "ANSWER")[0], "postgres.mesh.internal. 17 IN A 100.64.0.2");
    });
}

#[test]
fn a_name_without_that_type_is_nodata_with_soa() {
    on_machine(async |_| {
        let _served = example().await;
        for (question, zone) in [
            ("postgres AAAA", "."),
            ("postgres.mesh.internal AAAA", "mesh.internal."),
            ("postgres.mesh.internal MX", "mesh.internal."),
            ("2.0.64.100.in-addr.arpa A", "64.100.in-addr.arpa."),
            ("api.example.org AAAA", "api.example.org."),
            // The top of the zones, and what only others stand below.
            ("mesh.internal A", "mesh.internal."),
            ("internal A", "."),
            ("0.64.100.in-addr.arpa PTR", "64.100.in-addr.arpa."),
            ("localhost MX", "."),
        ] {
            let printed = dig(question).await;
            assert_eq!((status(&printed), section(&printed, "ANSWER").len()), ("NOERROR", 0), "{question}");
            let authority = section(&printed, "AUTHORITY");
            assert_eq!(
                authority,
                [format!("{zone} 10 IN SOA s1.mesh.internal. hostmaster.mesh.internal. 1 3600 600 86400 10")],
                "{question}"
            );
        }
    });
}

#[test]
fn a_name_with_an_address_exists_for_all_types_whatever_a_plugin_passes_on() {
    on_machine(async |_| {
        let _served = example().await;
        assert_eq!(dig_short("sloppy A").await, ["100.64.0.1"]);
        assert_eq!(status(&dig("sloppy AAAA").await), "NOERROR");
        assert_eq!(status(&dig("sloppy.mesh.internal AAAA").await), "NOERROR");
    });
}

#[test]
fn an_unknown_name_is_nxdomain_with_soa() {
    on_machine(async |_| {
        let _served = example().await;
        for (question, zone) in [
            ("nobody A", "."),
            ("nobody AAAA", "."),
            ("gone A", "."),
            ("nobody.mesh.internal A", "mesh.internal."),
            ("9.0.64.100.in-addr.arpa PTR", "64.100.in-addr.arpa."),
            ("300.0.64.100.in-addr.arpa PTR", "64.100.in-addr.arpa."),
            ("1.2.3.127.100.in-addr.arpa PTR", "127.100.in-addr.arpa."),
            ("2.0.64.100.in-addr.arpa.mesh.internal PTR", "mesh.internal."),
            ("_http._tcp.nobody SRV", "."),
            (r"post\.gres A", "."),
            (r"post\000gres.mesh.internal A", "mesh.internal."),
        ] {
            let printed = dig(question).await;
            assert_eq!(status(&printed), "NXDOMAIN", "{question}");
            assert!(
                section(&printed, "AUTHORITY")[0].starts_with(&format!("{zone} 10 IN SOA ")),
                "{question}: {printed}"
            );
        }
    });
}

#[test]
fn srv_has_full_targets_and_their_addresses() {
    on_machine(async |_| {
        let _served = example().await;
        for name in ["_http._tcp.api", "_http._tcp.api.mesh.internal"] {
            let printed = dig(&format!("{name} SRV")).await;
            assert_eq!(
                section(&printed, "ANSWER"),
                [
                    format!("{name}. 5 IN SRV 0 100 8080 s2.mesh.internal."),
                    format!("{name}. 5 IN SRV 0 100 8081 s1.mesh.internal."),
                ]
            );
            assert_eq!(
                section(&printed, "ADDITIONAL"),
                ["s2.mesh.internal. 5 IN A 100.64.0.2", "s1.mesh.internal. 5 IN A 100.64.0.1"]
            );
        }
    });
}

#[test]
fn ptr_txt_soa_ns_and_localhost_are_answered() {
    on_machine(async |_| {
        let _served = example().await;
        assert_eq!(dig_short("-x 100.64.0.2").await, ["s2.mesh.internal."]);
        assert_eq!(dig_short("postgres TXT").await, [r#""a b" "c""#]);
        let soa = ["s1.mesh.internal. hostmaster.mesh.internal. 1 3600 600 86400 10"];
        for zone in ["mesh.internal", "64.100.in-addr.arpa", "127.100.in-addr.arpa"] {
            assert_eq!(dig_short(&format!("{zone} SOA")).await, soa);
            assert_eq!(dig_short(&format!("{zone} NS")).await, ["s1.mesh.internal."]);
        }
        assert_eq!(dig_short("localhost A").await, ["127.0.0.1"]);
        assert_eq!(dig_short("db.localhost AAAA").await, ["::1"]);
    });
}

#[test]
fn transfers_and_any_are_refused() {
    on_machine(async |_| {
        let served = example().await;
        for question in
            ["postgres ANY", "+notcp postgres ANY", "mesh.internal ANY", "CH version.bind TXT", "postgres TYPE250"]
        {
            assert_eq!(status(&dig(question).await), "REFUSED", "{question}");
        }
        for question in ["mesh.internal AXFR", "+tcp mesh.internal IXFR=1", "64.100.in-addr.arpa AXFR"] {
            let transfer = dig(question).await;
            assert!(transfer.contains("Transfer failed"), "{transfer}");
        }
        assert_eq!(served.server.counters().refused, 8);
        assert_eq!(served.table.calls(), 0);
        assert_eq!(status(&dig("+opcode=notify postgres SOA").await), "NOTIMP");
    });
}

#[test]
fn answers_are_cut_to_what_the_asker_takes() {
    on_machine(async |_| {
        let _served = example().await;
        for (options, limit, whole) in [
            ("+noedns", 512, false),
            ("+bufsize=512", 512, false),
            ("+bufsize=1000", 1000, false),
            // 64 records take 1,052 bytes.
            ("+bufsize=1232", 1232, true),
            ("+bufsize=4096", 1232, true),
            ("+tcp", 65_535, true),
        ] {
            let printed = dig(&format!("+ignore {options} big A")).await;
            let size: usize = printed.split_once("rcvd: ").unwrap().1.trim().parse().unwrap();
            let answers = section(&printed, "ANSWER");
            assert!(size <= limit, "{options}: {size}");
            assert_eq!(flags(&printed).contains(&"tc"), !whole, "{options}: {printed}");
            assert_eq!(answers.len() == 64, whole, "{options}");
            assert!(answers.len() > 20, "{options}: {answers:?}");
            // The best come first, and an asker that uses EDNS sees that this server does, too.
            assert_eq!(answers[0], "big. 5 IN A 100.64.1.64", "{options}");
            assert_eq!(printed.contains("EDNS: version: 0"), options != "+noedns", "{options}: {printed}");
        }
        // dig itself comes back over TCP.
        assert_eq!(dig_short("+noedns big A").await.len(), 64);
        assert_eq!(status(&dig("+edns=1 +noednsneg postgres A").await), "BADVERS");
    });
}

#[test]
fn a_repeated_question_costs_no_plugin_call_until_mesh_or_plugins_change() {
    on_machine(async |_| {
        let served = example().await;
        for _ in 0..3 {
            assert_eq!(dig_short("api A").await, ["100.64.0.1"]);
            assert_eq!(status(&dig("nobody A").await), "NXDOMAIN");
        }
        assert_eq!(served.table.calls(), 2);
        let counters = served.server.counters();
        assert_eq!((counters.queries, counters.plugin_calls, counters.cache_hits), (6, 2, 4));

        served.table.set("api", RecordType::A, Outcome::NoSuchName);
        assert_eq!(status(&dig("api A").await), "NOERROR", "what was said holds until something changes");
        served.table.changed();
        assert_eq!(status(&dig("api A").await), "NXDOMAIN");

        served.table.set("api", RecordType::A, Outcome::NoData);
        served.mesh.send_replace(mesh(2));
        assert_eq!(status(&dig("api A").await), "NOERROR");
        assert_eq!(served.table.calls(), 4);
    });
}

#[test]
fn an_answer_is_kept_as_long_as_the_plugins_allow() {
    on_machine(async |_| {
        let served = example().await;
        let hour = Duration::from_secs(3_600);
        for (keep, calls) in [(Keep::Never, 2), (Keep::For(Duration::ZERO), 2), (Keep::For(hour), 1)] {
            *served.table.keep.lock() = keep;
            served.table.changed();
            let before = served.table.calls();
            for _ in 0..2 {
                assert_eq!(dig_short("api A").await, ["100.64.0.1"]);
            }
            assert_eq!(served.table.calls() - before, calls, "{keep:?}");
        }
    });
}

#[test]
fn the_domain_follows_the_mesh() {
    on_machine(async |_| {
        let served = example().await;
        assert_eq!(dig_short("api.mesh.internal A").await, ["100.64.0.1"]);
        served.mesh.send_replace(mesh_of("other.example", 2));
        assert_eq!(dig_short("api.other.example A").await, ["100.64.0.1"]);
        assert_eq!(dig_short("-x 100.64.0.2").await, ["s2.other.example."]);
    });
}

#[test]
fn a_plugin_that_fails_is_servfail_and_is_asked_again() {
    on_machine(async |_| {
        let served = example().await;
        assert_eq!(status(&dig("broken A").await), "SERVFAIL");
        served.table.set("broken", RecordType::A, Outcome::NoData);
        assert_eq!(status(&dig("broken A").await), "NOERROR");
        assert_eq!(served.server.counters().servfail, 1);
    });
}

#[test]
fn what_is_kept_is_bounded() {
    on_machine(async |_| {
        let served = example().await;
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect((common::LOOPBACK, 53)).await.unwrap();
        let mut buffer = [0; 512];
        let count = 2 * limits::CACHE_HALF + 2;
        for number in 0..count {
            socket.send(&question(number as u16, &format!("n{number}"))).await.unwrap();
            socket.recv(&mut buffer).await.unwrap();
        }
        let before = served.table.calls.load(Ordering::SeqCst);
        assert_eq!(before, count);
        assert_eq!(status(&dig(&format!("n{} A", count - 1)).await), "NXDOMAIN");
        assert_eq!(served.table.calls(), before, "the last one is kept");
        assert_eq!(status(&dig("n0 A").await), "NXDOMAIN");
        assert_eq!(served.table.calls(), before + 1, "the first one had to go");
    });
}

#[test]
fn garbage_is_no_end() {
    on_machine(async |_| {
        let served = example().await;
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect((common::LOOPBACK, 53)).unwrap();
        let whole = question(7, "postgres");
        let mut pieces: Vec<Vec<u8>> = (0..whole.len()).map(|length| whole[..length].to_vec()).collect();
        // Every byte of a question, changed in three ways; a name that points at itself; an answer; noise.
        for at in 0..whole.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut changed = whole.clone();
                changed[at] ^= change;
                pieces.push(changed);
            }
        }
        pieces.push([&whole[..12], &[0xc0, 0x0c, 0, 1, 0, 1]].concat());
        pieces.push([&whole[..2], &[0x81, 0x80], &whole[4..]].concat());
        let mut noise: u32 = 1;
        for length in [1, 11, 12, 13, 100, 512, 4_000, 20_000] {
            pieces.push(
                (0..length)
                    .map(|_| {
                        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (noise >> 24) as u8
                    })
                    .collect(),
            );
        }
        for piece in &pieces {
            // A closed port may answer an earlier one.
            let _ = socket.send(piece);
            tokio::task::yield_now().await;
        }
        assert_eq!(dig_short("postgres A").await.len(), 2);
        assert_eq!(dig_short("+tcp postgres A").await.len(), 2);
        assert!(served.server.counters().queries > 2);
        let listening = served.server.listeners();
        assert!(listening.iter().all(|one| one.state == servos_names::ListenerState::Listening), "{listening:?}");
    });
}

#[test]
fn strangers_get_nothing_and_clients_of_the_settings_everything() {
    on_machine(async |folder| {
        // Somebody else's machine, on a wire with ours.
        let mut holder = Daemon::start(std::process::Command::new("unshare").args(["--net", "sleep", "600"]));
        let pid = holder.0.id();
        assert!(holder.0.try_wait().unwrap().is_none());
        common::machine::until(|| async move {
            let theirs = std::fs::read_link(format!("/proc/{pid}/ns/net")).ok()?;
            (theirs != std::fs::read_link("/proc/thread-self/ns/net").unwrap()).then_some(())
        })
        .await;
        sh(&format!("ip link add near type veth peer name far netns {pid}"));
        sh("ip address add 192.0.2.1/24 dev near && ip link set near up");
        let there = format!("nsenter --net=/proc/{pid}/ns/net");
        sh(&format!("{there} ip address add 192.0.2.2/24 dev far && {there} ip link set far up"));
        sh(&format!("{there} ip route add 100.64.0.1 via 192.0.2.1"));
        let net = format!("--net=/proc/{pid}/ns/net");
        let from_there = async || {
            common::run("nsenter", &[&net, "dig", "@100.64.0.1", "+time=10", "+tries=1", "postgres", "A"]).await
        };

        let served = example().await;
        assert_eq!(status(&from_there().await), "REFUSED");
        assert_eq!(served.table.calls(), 0);
        served.server.shutdown().await;

        let settings = NamesSettings { clients: vec!["192.0.2.0/24".parse().unwrap()], ..NamesSettings::default() };
        let _served = serve_with(&settings, NamesTable::example(), &[]).await;
        assert_eq!(status(&from_there().await), "NOERROR");
        drop(folder);
    });
}

#[test]
fn an_address_that_cannot_be_bound_is_tried_again_and_stops_no_other() {
    on_machine(async |_| {
        sh("ip address del 100.64.0.1/10 dev wg0");
        let taken = UdpSocket::bind((common::LOOPBACK, 53)).unwrap();
        let served = example().await;
        let listeners = served.server.listeners();
        let text = serde_json::to_string(&listeners).unwrap();
        assert!(text.contains("no interface has this address yet"), "{text}");
        assert!(text.contains("another DNS server listens"), "{text}");

        sh("ip address add 100.64.0.1/10 dev wg0");
        let mut changes = served.server.listener_changes();
        let up = |at: usize| {
            move |all: &Vec<servos_names::ListenerStatus>| all[at].state == servos_names::ListenerState::Listening
        };
        changes.wait_for(up(1)).await.unwrap();
        assert!(dig_at(OWN, "api A").await.contains("100.64.0.1"), "one works without the other");
        drop(taken);
        changes.wait_for(up(0)).await.unwrap();
        assert_eq!(dig_short("api A").await, ["100.64.0.1"]);

        served.server.shutdown().await;
        // Not at once: a child of another test holds copies of all descriptors until it has become its program.
        common::machine::until(async || UdpSocket::bind((common::LOOPBACK, 53)).ok()).await;
    });
}

/// An address question.
fn question(id: u16, name: &str) -> Vec<u8> {
    let mut bytes = [&id.to_be_bytes()[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    bytes.push(name.len() as u8);
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
    bytes
}
