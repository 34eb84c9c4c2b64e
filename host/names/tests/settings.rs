//! The `[names]` table of `agent.toml`.

use servos_names::{NamesSettings, Network, ResolverChoice};

#[test]
fn an_empty_table_means_defaults() {
    let settings: NamesSettings = toml::from_str("").unwrap();
    assert_eq!(settings, NamesSettings::default());
    assert_eq!(settings.resolver, ResolverChoice::Auto);
    assert_eq!(settings.loopback.to_string(), "127.64.0.53");
    assert_eq!((settings.ttl_ceiling, settings.negative_ttl), (5, 10));
    assert!(settings.fallback_upstreams);
    assert_eq!(settings.paths.resolv_conf.to_str(), Some("/etc/resolv.conf"));
}

#[test]
fn every_setting_is_read() {
    let settings: NamesSettings = toml::from_str(
        r#"
        resolver = "resolv-conf"
        upstreams = ["192.0.2.1", "192.0.2.2:5353", "2001:db8::1", "[2001:db8::2]:54"]
        fallback_upstreams = false
        loopback = "127.0.0.2"
        clients = ["172.17.0.0/16"]
        ttl_ceiling = 1
        negative_ttl = 2
        [paths]
        resolv_conf = "/x/resolv.conf"
        system_bus = "unix:path=/x/bus"
        "#,
    )
    .unwrap();
    assert_eq!(settings.resolver, ResolverChoice::ResolvConf);
    let upstreams: Vec<String> = settings.upstreams.iter().map(ToString::to_string).collect();
    assert_eq!(upstreams, ["192.0.2.1:53", "192.0.2.2:5353", "[2001:db8::1]:53", "[2001:db8::2]:54"]);
    assert!(!settings.fallback_upstreams);
    assert_eq!(settings.loopback.to_string(), "127.0.0.2");
    assert_eq!((settings.ttl_ceiling, settings.negative_ttl), (1, 2));
    assert_eq!(settings.paths.system_bus.as_deref(), Some("unix:path=/x/bus"));
}

#[test]
fn nonsense_is_refused_with_a_remedy() {
    for (text, remedy) in [
        ("resolver = \"bind\"", "expected one of `auto`, `resolved`, `resolv-conf`, `off`"),
        ("upstreams = [\"dns.example\"]", "write 192.0.2.1, 192.0.2.1:5353"),
        ("loopback = \"10.0.0.1\"", "take one of 127.0.0.0/8"),
        ("ttl_ceiling = 61", "give 60 seconds at most"),
        ("clients = [\"10.0.0.1/8\"]", "without bits behind its prefix"),
        ("clients = [\"10.0.0.0/33\"]", "write one like 172.17.0.0/16"),
        ("resolvr = \"auto\"", "unknown field `resolvr`"),
        ("[paths]\nbackup = \"x\"", "unknown field `backup`"),
    ] {
        let error = toml::from_str::<NamesSettings>(text).unwrap_err().to_string();
        assert!(error.contains(remedy), "{text}: {error}");
    }
}

#[test]
fn a_network_holds_its_addresses_and_no_others() {
    for (network, inside, outside) in [
        ("172.17.0.0/16", "172.17.255.255", "172.18.0.0"),
        ("192.0.2.7/32", "192.0.2.7", "192.0.2.6"),
        ("128.0.0.0/1", "255.0.0.0", "127.255.255.255"),
    ] {
        let network: Network = network.parse().unwrap();
        assert!(network.contains(inside.parse().unwrap()) && !network.contains(outside.parse().unwrap()), "{network}");
    }
    let all: Network = "0.0.0.0/0".parse().unwrap();
    assert!(all.contains("255.255.255.255".parse().unwrap()));
}
