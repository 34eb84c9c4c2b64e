//! `ufw show added` is read whole: what real ufw 0.36 prints, and whatever else.

use proptest::prelude::*;
use servos_firewall::{Action, ExistingRule, Protocol, UfwState, parse_added, parse_status};

/// As printed by ufw 0.36.2.
const PRINTED: &str = "\
Added user rules (see 'ufw status' for running firewall):
ufw deny 8080
ufw allow 51820/udp comment 'x'
ufw limit 22
ufw allow in on wg0 to any port 80 proto tcp comment 'servos-mesh: a b'
ufw allow from 10.0.0.0/8 to any port 8000:8010 proto tcp comment 'servos-mesh: net'
ufw allow log 81/tcp
ufw route allow in on eth0 out on eth1
ufw allow out 53
ufw deny from 203.0.113.4
ufw allow 80,443/tcp
ufw allow to any proto esp
ufw allow from 2001:db8::/32 to 2001:db8::1 port 22
ufw allow from any port 53 proto udp
ufw allow 'WWW Full'
ufw reject in on eth0 log-all from 10.0.0.1 to any app 'WWW Full' comment 'y z'
";

#[test]
fn every_printed_rule_is_read_and_printed_the_same() {
    let rules = parse_added(PRINTED);

    assert_eq!(rules.len(), PRINTED.lines().count() - 1);
    for (rule, line) in rules.iter().zip(PRINTED.lines().skip(1)) {
        assert_eq!(format!("ufw {rule}"), line);
        let tuple = rule.tuple.as_ref().unwrap_or_else(|| panic!("{line}"));
        let unlogged: Vec<_> = rule.arguments.iter().filter(|word| !word.starts_with("log")).cloned().collect();
        assert_eq!(tuple.arguments(rule.action.unwrap()), unlogged, "{line}");
    }
}

#[test]
fn only_a_rule_with_the_ownership_comment_is_ours() {
    let ours: Vec<_> = parse_added(PRINTED).into_iter().filter(ExistingRule::is_ours).map(|rule| rule.text).collect();
    assert_eq!(
        ours,
        [
            "allow in on wg0 to any port 80 proto tcp comment 'servos-mesh: a b'",
            "allow from 10.0.0.0/8 to any port 8000:8010 proto tcp comment 'servos-mesh: net'"
        ]
    );
    for foreign in [
        "allow 80",
        "allow 80 comment 'not servos-mesh: a'",
        "allow 80 comment 'servos-mesh'",
        "allow 80 comment 'servos-mesh: open quote",
        "route allow in on eth0 out on eth1 comment 'servos-mesh: a'",
        "frobnicate 80 comment 'servos-mesh: a'",
        "allow from somewhere strange to port comment 'servos-mesh: a'",
    ] {
        assert!(!ExistingRule::parse(foreign).is_ours(), "{foreign}");
    }
}

#[test]
fn what_is_no_rule_is_kept_as_text() {
    let rules =
        parse_added("Added user rules (see 'ufw status' for running firewall):\nufw frobnicate 80/tcp\nwhat?\n\n");

    assert_eq!(rules.iter().map(|rule| rule.text.as_str()).collect::<Vec<_>>(), ["frobnicate 80/tcp", "what?"]);
    assert_eq!(rules[0].action, None);
    assert_eq!(rules[0].tuple.as_ref().unwrap().protocol, Protocol::Tcp, "its tuple still counts");
    assert_eq!(rules[1].tuple, None);
}

#[test]
fn none_is_none() {
    assert_eq!(parse_added("Added user rules (see 'ufw status' for running firewall):\n(None)\n"), []);
}

#[test]
fn the_status_is_its_line() {
    assert_eq!(parse_status("Status: inactive\n"), Some(UfwState::Inactive));
    assert_eq!(parse_status("WARN: uid is 0\nStatus: active\n\nTo   Action\n"), Some(UfwState::Active));
    assert_eq!(parse_status("ERROR: You need to be root to run this script"), None);
}

#[test]
fn covering_and_overlapping() {
    // (one, other, one covers other, they overlap)
    for (one, other, covers, overlaps) in [
        ("deny 8080", "allow 8080/tcp", true, true),
        ("deny 8080/tcp", "allow 8080", false, true),
        ("deny 1:65535/tcp", "allow 80,443/tcp", true, true),
        ("deny 80,443/tcp", "allow 80:443/tcp", false, true),
        ("deny 80/tcp", "allow 80/udp", false, false),
        ("deny from 10.0.0.0/8", "allow from 10.1.0.0/16 to any port 80 proto tcp", true, true),
        ("deny from 10.1.0.0/16", "allow from 10.0.0.0/8 to any port 80", false, true),
        ("deny from 10.0.0.0/8", "allow from 11.0.0.0/8", false, false),
        ("deny from 10.0.0.0/8", "allow 80", false, true),
        ("deny from fe80::/10 to any port 80", "allow from 10.0.0.0/8 to any port 80", false, false),
        ("deny 80", "allow in on wg0 to any port 80 proto tcp", true, true),
        ("deny in on eth0 to any port 80", "allow in on wg0 to any port 80", false, false),
        ("deny out 80", "allow 80", false, false),
        ("deny OpenSSH", "allow 22/tcp", false, true),
        ("route deny in on eth0", "allow in on eth0", false, false),
        ("deny from 10.0.0.0/255.0.255.0", "allow from 10.0.0.1", false, true),
    ] {
        let [one_tuple, other_tuple] = [one, other].map(|line| ExistingRule::parse(line).tuple.unwrap());
        assert_eq!(one_tuple.covers(&other_tuple), covers, "{one} covers {other}");
        assert_eq!(one_tuple.overlaps(&other_tuple), overlaps, "{one} overlaps {other}");
        assert_eq!(other_tuple.overlaps(&one_tuple), overlaps, "{other} overlaps {one}");
    }
}

proptest! {
    #[test]
    fn no_line_breaks_the_parser(line in "\\PC{0,120}", output in "(ufw |\\PC|\n){0,40}") {
        let rule = ExistingRule::parse(&line);
        prop_assert_eq!(rule.text.as_str(), line.strip_prefix("ufw ").unwrap_or(&line));
        parse_added(&output);
        parse_status(&output);
    }

    /// Words of ufw's own language in any order.
    #[test]
    fn no_sentence_breaks_the_parser(words in prop::collection::vec(
        prop::sample::select(vec![
            "allow", "deny", "in", "out", "on", "wg0", "from", "to", "any", "port", "80", "80:90,443", "proto", "tcp", "app",
            "'a b'", "log", "route", "10.0.0.0/8", "22/tcp", "0", "99999", ":", ",", "/", "comment", "'servos-mesh: x'", "'",
        ]),
        0..10,
    )) {
        let rule = ExistingRule::parse(&words.join(" "));
        if let Some(own) = rule.own() {
            // What is ours can be said again, and means the same.
            let again = ExistingRule::parse(&own.to_string());
            prop_assert_eq!(again.own(), Some(own));
        }
    }

    #[test]
    fn what_is_put_in_is_read_back(
        action in prop::sample::select(vec![Action::Allow, Action::Deny, Action::Limit]),
        line in prop::sample::select(PRINTED.lines().skip(1).collect::<Vec<_>>()),
        comment in "servos-mesh: [a-zA-Z0-9 ./:_-]{0,64}",
    ) {
        let tuple = ExistingRule::parse(line).tuple.unwrap();
        let rule = servos_firewall::OwnRule { action, tuple, comment };

        let read = ExistingRule::parse(&format!("ufw {rule}"));

        prop_assert_eq!(read.tuple, Some(rule.tuple));
        prop_assert_eq!(read.action, Some(action));
        // `quoted` writes quotes only where they are needed; a comment always has a blank.
        prop_assert_eq!(read.comment, Some(rule.comment));
    }
}
