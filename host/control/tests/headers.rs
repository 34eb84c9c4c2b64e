//! `If-None-Match`, `Prefer`, and the endpoint rules: pure, against small models.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::time::Duration;

use proptest::prelude::*;
use servos_control::endpoint::{self, Origin};
use servos_control::http::a_im;
use servos_control::http::if_none_match::IfNoneMatch;
use servos_control::http::prefer;
use servos_mesh::api::EndpointReport;

/// Characters that may stand inside an entity tag, some of them awkward.
fn opaque() -> impl Strategy<Value = String> {
    "[!#-~]{0,6}|[0-9]{1,3}|[,W/ *]{0}[,*/W]{0,4}"
}

/// A tag as it is written, with its text.
fn tag() -> impl Strategy<Value = (bool, String)> {
    (any::<bool>(), opaque())
}

fn matches(value: &[u8], etag: &str) -> bool {
    IfNoneMatch::parse([value]).matches(etag)
}

proptest! {
    /// The model: a list of tags matches if one of them, weak or not, has the text that is looked for.
    #[test]
    fn a_list_matches_if_one_of_its_tags_does(
        tags in prop::collection::vec((tag(), "[ \t]{0,2}", "[ \t]{0,2}", 0..3_usize), 0..6),
        looked_for in opaque(),
        split in any::<prop::sample::Index>(),
    ) {
        let write = |tags: &[((bool, String), String, String, usize)]| {
            let mut text = String::new();
            for (at, ((weak, opaque), before, after, commas)) in tags.iter().enumerate() {
                text.push_str(if at > 0 { "," } else { "" });
                text.push_str(&",".repeat(*commas));
                text.push_str(&format!("{before}{}\"{opaque}\"{after}", if *weak { "W/" } else { "" }));
            }
            text
        };
        let expected = tags.iter().any(|((_, opaque), ..)| *opaque == looked_for);
        let etag = format!("\"{looked_for}\"");
        prop_assert_eq!(matches(write(&tags).as_bytes(), &etag), expected);
        // The same, spread over two fields.
        let (left, right) = tags.split_at(split.index(tags.len() + 1));
        let fields = [write(left), write(right)];
        prop_assert_eq!(IfNoneMatch::parse(fields.iter().map(String::as_bytes)).matches(&etag), expected);
    }

    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let etag = "\"4711\"";
        if matches(&bytes, etag) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            prop_assert!(text.trim() == "*" || text.contains(etag));
        }
        prefer::wait([bytes.as_slice()]);
    }

    #[test]
    fn a_wait_is_found_among_other_preferences(
        before in prop::collection::vec("(respond-async|foo=\"a, wait=9; \\\\\"\"|bar; wait=8|x = 1)", 0..3),
        name in "(wait|Wait|WAIT)", blank in "[ \t]{0,2}", quoted in any::<bool>(), seconds in 0..100_000_u64,
        parameter in "(|; a=b|;c)", after in "(|, wait=1|,,)",
    ) {
        let value = if quoted { format!("\"{seconds}\"") } else { seconds.to_string() };
        let mut list = before;
        list.push(format!("{blank}{name}{blank}={blank}{value}{parameter}{after}"));
        let text = list.join(",");
        prop_assert_eq!(prefer::wait([text.as_bytes()]), Some(Duration::from_secs(seconds)), "{}", text);
    }
}

#[test]
fn a_star_stands_alone_and_what_is_malformed_matches_nothing() {
    assert!(matches(b" * ", "\"1\""));
    for wrong in [
        "",
        "1",
        "\"1",
        "1\"",
        "\"1\" \"2\"",
        "w/\"1\"",
        "W/ \"1\"",
        "\"1\";q=1",
        "*, \"2\"",
        "\"a b\", \"1\"",
        "\"1\"x",
    ] {
        assert!(!matches(wrong.as_bytes(), "\"1\""), "{wrong}");
    }
    assert!(!IfNoneMatch::parse(["*".as_bytes(), "\"2\"".as_bytes()]).matches("\"1\""));
    // One field that is malformed does not spoil another.
    assert!(IfNoneMatch::parse(["oops".as_bytes(), "\"1\"".as_bytes()]).matches("\"1\""));
}

#[test]
fn a_wait_that_cannot_be_read_counts_for_nothing() {
    for wrong in ["", "wait", "wait=", "wait=-1", "wait=1.5", "wait=soon", "waits=5", "x=\"wait=5\""] {
        assert_eq!(prefer::wait([wrong.as_bytes()]), None, "{wrong}");
    }
    let long = format!("wait={}", "9".repeat(40));
    assert_eq!(prefer::wait([long.as_bytes()]), Some(Duration::from_secs(u64::MAX)));
    assert_eq!(prefer::wait(["a".as_bytes(), "wait=3".as_bytes(), "wait=4".as_bytes()]), Some(Duration::from_secs(3)));
}

#[test]
fn an_endpoint_is_what_was_told_or_else_where_it_came_from() {
    let resolve = |ip: Option<&str>, source: &str| {
        let report = EndpointReport { ip: ip.map(|ip| ip.parse().unwrap()), port: 5 };
        endpoint::resolve(&report, source.parse().unwrap())
            .map(|found| found.map(|one| (one.socket.to_string(), one.origin)))
    };
    assert_eq!(resolve(Some("203.0.113.1"), "192.0.2.1"), Ok(Some(("203.0.113.1:5".to_owned(), Origin::Told))));
    assert_eq!(resolve(None, "::ffff:192.0.2.1"), Ok(Some(("192.0.2.1:5".to_owned(), Origin::Observed))));
    assert_eq!(resolve(None, "2001:db8::1"), Ok(Some(("[2001:db8::1]:5".to_owned(), Origin::Observed))));
    // Through the mesh itself, or over a link: of no use to others, and no mistake of the server.
    assert_eq!(resolve(None, "100.64.0.5"), Ok(None));
    assert_eq!(resolve(None, "fe80::1"), Ok(None));
    for useless in ["0.0.0.0", "::", "255.255.255.255", "224.0.0.1", "100.127.255.254", "::ffff:100.64.0.1", "fe80::1"]
    {
        assert!(resolve(Some(useless), "192.0.2.1").is_err(), "{useless}");
    }
}

#[test]
fn a_manipulation_is_accepted_if_it_is_named() {
    let accepts = |values: &[&str]| a_im::accepts(values.iter().map(|value| value.as_bytes()), "servos-mesh-delta");
    for yes in [
        &["servos-mesh-delta"][..],
        &["vcdiff, gzip;q=0.3 , Servos-Mesh-Delta ;q=0.001"],
        &["vcdiff", ",,servos-mesh-delta;x=0"],
        &["servos-mesh-delta;q=0, servos-mesh-delta"],
    ] {
        assert!(accepts(yes), "{yes:?}");
    }
    for no in [
        &[][..],
        &[""],
        &["servos-mesh", "mesh-delta"],
        &["servos-mesh-delta;q=0"],
        &["servos-mesh-delta ; Q=0.000"],
        &["*"],
        &["\u{e9}, servos-mesh-delta x"],
    ] {
        assert!(!accepts(no), "{no:?}");
    }
    assert!(!a_im::accepts([&b"\xff, servos-mesh-delta"[..]], "servos-mesh-delta"), "no text");
}

/// A delta leads on from the same bytes, not from something as good.
#[test]
fn weak_tags_are_no_base() {
    let known = IfNoneMatch::parse([&b"W/\"1\", \"2\", \"3\""[..]]);
    assert!(known.matches("\"1\""));
    assert_eq!(known.strong().collect::<Vec<_>>(), [b"\"2\"", b"\"3\""]);
    assert_eq!(IfNoneMatch::parse([&b"*"[..]]).strong().count(), 0);
}
