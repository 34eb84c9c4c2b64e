//! SSH is found where it really is.

#![cfg(test)]

mod common;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use common::namespace::script;
use servos_firewall::ssh_ports::{Listener, parse_listeners, parse_sshd_config};
use servos_firewall::{Firewall, FirewallSettings};
use tempfile::TempDir;

#[test]
fn the_configuration_names_ports_and_addresses() {
    let output =
        "port 22\nport 2222\naddressfamily any\nlistenaddress [::]:2223\nlistenaddress 0.0.0.0:22\nport x\nport 0\n";

    assert_eq!(parse_sshd_config(output), [22, 2222, 2223, 22]);
}

#[test]
fn listeners_on_loopback_and_connections_are_left_out() {
    let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 101 1 0 100 0 0 10 0
   1: 0100007F:177A 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 102 1 0 100 0 0 10 0
   2: 0200000A:0016 0300000A:D431 01 00000000:00000000 00:00000000 00000000     0        0 103 1 0 100 0 0 10 0
   3: 00000000000000000000000000000000:08AE 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 104 1 0 100 0 0 10 0
   4: 00000000000000000000000001000000:08AF 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 105 1 0 100 0 0 10 0
   5: 0000000000000000FFFF00000100007F:08B0 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 106 1 0 100 0 0 10 0
   6: cut
";

    let listener = |port, inode| Listener { port, inode };
    assert_eq!(parse_listeners(table), [listener(22, 101), listener(2222, 104)]);
}

/// A process named `sshd` (Python under another name: a double) that listens on all addresses and on loopback.
#[tokio::test]
async fn a_listening_sshd_is_found() {
    let folder = TempDir::new().unwrap();
    let sshd = folder.path().join("sshd");
    symlink(std::fs::canonicalize("/usr/bin/python3").expect("ufw brings python3"), &sshd).unwrap();
    let program = "import socket,sys\nopen_ = [socket.create_server((a, 0)) for a in ('0.0.0.0', '127.0.0.1')]\n\
                   print(*[s.getsockname()[1] for s in open_], flush=True)\nsys.stdin.read()";
    let mut child =
        Command::new(&sshd).args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ports: Vec<&str> = line.split_whitespace().collect();

    let plan = plan_with(folder.path(), FirewallSettings { sshd_path: "/no/sshd".into(), ..Default::default() }).await;
    drop(child.stdin.take());
    child.wait().unwrap();

    assert!(plan.contains(&format!("allow {}/tcp comment 'servos-mesh: ssh'", ports[0])), "{plan}");
    assert!(!plan.contains(&format!("allow {}/tcp", ports[1])), "{plan}");
}

/// A process table made by hand: a server with a session whose user forwards port 8080.
#[tokio::test]
async fn a_forwarded_port_of_a_session_is_not_sshs() {
    let folder = TempDir::new().unwrap();
    let proc = folder.path().join("proc");
    std::fs::create_dir_all(proc.join("self/net")).unwrap();
    let line = |port: u16, inode| format!(" 0: 00000000:{port:04X} 00000000:0000 0A 0:0 0:0 0 0 0 {inode} 1 0\n");
    std::fs::write(proc.join("self/net/tcp"), line(2222, 7) + &line(8080, 8) + &line(80, 9)).unwrap();
    for (id, name, parent, inode) in [("10", "sshd", "1", 7), ("11", "sshd", "10", 8), ("12", "nginx", "1", 9)] {
        std::fs::create_dir_all(proc.join(id).join("fd")).unwrap();
        std::fs::write(proc.join(id).join("comm"), format!("{name}\n")).unwrap();
        std::fs::write(proc.join(id).join("stat"), format!("{id} (odd) name) S {parent} 0 0")).unwrap();
        symlink(format!("socket:[{inode}]"), proc.join(id).join("fd/3")).unwrap();
    }

    let settings = FirewallSettings { proc_path: proc, sshd_path: "/no/sshd".into(), ..Default::default() };
    let plan = plan_with(folder.path(), settings).await;

    let ssh: Vec<&str> = plan.lines().filter(|line| line.contains("servos-mesh: ssh")).collect();
    assert_eq!(ssh, ["ufw allow 2222/tcp comment 'servos-mesh: ssh'"]);
}

#[tokio::test]
async fn what_sshd_is_configured_for_counts_too() {
    let folder = TempDir::new().unwrap();
    let sshd_path = script(folder.path(), "sshd", "[ \"$1\" = -T ] && echo port 2022");
    let settings = FirewallSettings { sshd_path, proc_path: folder.path().into(), ..Default::default() };

    assert!(plan_with(folder.path(), settings).await.contains("allow 2022/tcp comment 'servos-mesh: ssh'"));
}

#[tokio::test]
async fn where_nothing_is_found_it_is_22() {
    let folder = TempDir::new().unwrap();
    let settings =
        FirewallSettings { sshd_path: "/no/sshd".into(), proc_path: folder.path().into(), ..Default::default() };

    assert!(plan_with(folder.path(), settings).await.contains("allow 22/tcp comment 'servos-mesh: ssh'"));
}

/// The plan for an inactive ufw (a double) that may be enabled: it opens what SSH listens on.
async fn plan_with(folder: &Path, settings: FirewallSettings) -> String {
    let ufw_path = script(folder, "ufw", "[ \"$1\" = status ] && echo 'Status: inactive' || true");
    let settings = FirewallSettings { ufw_path, enable_ufw: true, lock_path: folder.join("lock"), ..settings };
    Firewall::new(settings, "wg0", 51820).plan(None).await.unwrap().to_string()
}
