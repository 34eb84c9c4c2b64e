//! Two network namespaces joined by a cable, and programs in them. All is gone when dropped.

#![cfg(test)]
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use servos_tunnel::PrivateKey;

/// Generous: the machine may be busy with much else.
const DEADLINE: Duration = Duration::from_secs(60);

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Two machines, one at each end of a cable.
pub struct Lab {
    pub machines: [Machine; 2],
    pub folder: tempfile::TempDir,
    number: u32,
}

pub struct Machine {
    namespace: String,
    pub interface: String,
    pub underlay: String,
    pub v4: String,
    pub v6: String,
    pub address: String,
    pub key: PrivateKey,
    pub port: u16,
}

impl Lab {
    pub fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let pid = std::process::id();
        let machine = |side: u32| Machine {
            namespace: format!("svt{pid}-{number}-{side}"),
            interface: format!("w{}x{number}x{side}", pid % 1_000_000),
            underlay: format!("u{}x{number}x{side}", pid % 1_000_000),
            v4: format!("192.0.2.{side}"),
            v6: format!("fd00::{side}"),
            address: format!("100.64.0.{side}"),
            key: PrivateKey::generate(),
            port: 51_820,
        };
        let lab = Self { machines: [machine(1), machine(2)], folder: tempfile::tempdir().unwrap(), number };
        let [one, two] = &lab.machines;
        for machine in &lab.machines {
            run("ip", &["netns", "add", &machine.namespace]);
        }
        let cable = ["netns", &one.namespace, "type", "veth", "peer", "name", &two.underlay, "netns", &two.namespace];
        run("ip", &[&["link", "add", &one.underlay][..], &cable].concat());
        for machine in &lab.machines {
            machine.run("ip", &["address", "add", &format!("{}/24", machine.v4), "dev", &machine.underlay]);
            machine.run("ip", &["address", "add", &format!("{}/64", machine.v6), "dev", &machine.underlay, "nodad"]);
            machine.run("ip", &["link", "set", &machine.underlay, "up"]);
            machine.run("ip", &["link", "set", "lo", "up"]);
        }
        lab
    }

    /// What a tunnel on one machine is told: the other is its peer.
    pub fn settings(&self, side: usize) -> Value {
        let (own, peer) = (&self.machines[side], &self.machines[1 - side]);
        json!({
            "interface": own.interface,
            "private_key": *own.key.to_base64(),
            "listen_port": own.port,
            "address": own.address,
            "mtu": 1_420,
            "peers": [{
                "public_key": peer.key.public_key().to_string(),
                "endpoint": format!("{}:{}", peer.v4, peer.port),
                "address": peer.address,
            }],
        })
    }

    pub fn file(&self, side: usize) -> PathBuf {
        self.folder.path().join(format!("{}-{side}.json", self.number))
    }

    pub fn write(&self, side: usize, settings: &Value) {
        fs::write(self.file(side), settings.to_string()).unwrap();
    }

    pub fn start(&self, side: usize, settings: &Value) -> Daemon {
        self.write(side, settings);
        Daemon::start(self.command(side))
    }

    pub fn command(&self, side: usize) -> Command {
        let mut command = self.machines[side].command(tunnel_program());
        command.arg(self.file(side));
        command
    }

    /// Both tunnels, as `settings` says.
    pub fn start_both(&self) -> [Daemon; 2] {
        [self.start(0, &self.settings(0)), self.start(1, &self.settings(1))]
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for machine in &self.machines {
            // Cleaning up goes on whatever fails. A program that a failed test left would hold the namespace.
            if let Ok(pids) = Command::new("ip").args(["netns", "pids", &machine.namespace]).output() {
                let pids = String::from_utf8_lossy(&pids.stdout);
                let _ = Command::new("kill").arg("-KILL").args(pids.split_whitespace()).output();
            }
            let _ = Command::new("ip").args(["netns", "delete", &machine.namespace]).output();
            let _ = fs::remove_file(machine.socket());
        }
    }
}

impl Machine {
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace]).arg(program);
        command
    }

    /// Runs a program that must succeed; returns what it printed.
    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        succeed(self.command(program).args(arguments).output().unwrap(), program, arguments)
    }

    pub fn fails(&self, program: &str, arguments: &[&str]) -> bool {
        !self.command(program).args(arguments).output().unwrap().status.success()
    }

    pub fn wg(&self, what: &str) -> String {
        self.run("wg", &["show", &self.interface, what]).trim().to_owned()
    }

    pub fn ping(&self, to: &str) {
        self.run("ping", &["-c", "3", "-i", "0.2", "-W", "20", to]);
    }

    pub fn socket(&self) -> PathBuf {
        format!("/var/run/wireguard/{}.sock", self.interface).into()
    }

    /// Bits a second of one TCP stream to `to`, where an `iperf3` server is started for it.
    pub fn stream(&self, to: &Machine, arguments: &[&str]) -> f64 {
        let mut server =
            to.command("iperf3").args(["-s", "-1", "-B", &to.address]).stdout(Stdio::null()).spawn().unwrap();
        wait_for("iperf3 to listen", || to.run("ss", &["-tln"]).contains(":5201"));
        let report = self.run("iperf3", &[&["-c", &to.address, "-C", "cubic", "--json"], arguments].concat());
        server.wait().unwrap();
        let report: Value = serde_json::from_str(&report).unwrap();
        report["end"]["sum_received"]["bits_per_second"].as_f64().unwrap()
    }
}

/// A tunnel program that is up.
pub struct Daemon {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Daemon {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut daemon = Self { child, input, output };
        assert!(daemon.line().contains("up"), "the tunnel is not up");
        daemon
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn ask(&mut self, command: &str) -> Value {
        writeln!(self.input, "{command}").unwrap();
        serde_json::from_str(&self.line()).unwrap()
    }

    pub fn counter(&mut self, pointer: &str) -> u64 {
        self.ask("counters").pointer(pointer).and_then(Value::as_u64).unwrap()
    }

    pub fn quit(mut self) {
        writeln!(self.input, "quit").unwrap();
        assert!(self.child.wait().unwrap().success());
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again until it is so.
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < DEADLINE, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// Built with the tests by `cargo test`.
pub fn tunnel_program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().and_then(|deps| deps.parent()).unwrap().join("examples/tunnel");
    assert!(program.exists(), "run `cargo test -p servos-tunnel`, which builds {}", program.display());
    program
}

fn run(program: &str, arguments: &[&str]) {
    succeed(Command::new(program).args(arguments).output().unwrap(), program, arguments);
}

fn succeed(output: Output, program: &str, arguments: &[&str]) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {text}{errors}");
    text
}
