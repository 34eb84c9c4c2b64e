//! An end of a tunnel: a machine with an interface `wg1` that `wg` and `ip` configure, whatever program serves it.

#![allow(dead_code, reason = "each test file uses its part")]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use servos_lab::{Daemon, Lab, Machine, Programs, wait_for};

pub const PATIENCE: Duration = Duration::from_secs(30);

/// Inside it is 192.168.241.NUMBER and fd00::NUMBER; outside fd77::NUMBER too, port 10000. Its key is in /run/key.
pub struct End {
    pub machine: Machine,
    pub tunnel: Option<Daemon>,
    /// The public one.
    pub key: String,
    /// The namespace that the interface was moved to.
    pub namespace: Option<&'static str>,
    number: u8,
    program: PathBuf,
    arguments: Vec<String>,
}

impl End {
    /// With `servos-agent tunnel`.
    pub fn ours(lab: &Lab, number: u8) -> Result<Self> {
        Self::new(lab, number, Programs::find()?.agent, &["tunnel", "-f", "wg1"])
    }

    /// With Debian's `wireguard-go`.
    pub fn theirs(lab: &Lab, number: u8) -> Result<Self> {
        Self::new(lab, number, "wireguard-go", &["-f", "wg1"])
    }

    /// With a program that serves `wg1`.
    pub fn new(lab: &Lab, number: u8, program: impl Into<PathBuf>, arguments: &[&str]) -> Result<Self> {
        let machine = lab.machine(&format!("m{number}"))?;
        let (program, arguments) = (program.into(), arguments.iter().map(|text| (*text).to_owned()).collect());
        let mut end = Self { machine, tunnel: None, key: String::new(), namespace: None, number, program, arguments };
        end.sh(&format!("ip addr add fd77::{number}/64 dev eth0 nodad"))?;
        end.key = end.sh("umask 77; wg genkey > /run/key; wg pubkey < /run/key")?.trim().to_owned();
        end.start()?;
        Ok(end)
    }

    /// Starts the program; without peers.
    pub fn start(&mut self) -> Result<()> {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        self.tunnel = Some(self.machine.spawn("tunnel", &self.program, &arguments, "")?);
        wait_for("wg1", PATIENCE, || self.wg("show wg1").map(drop)).with_context(|| {
            let said = self.tunnel.as_ref().map(Daemon::log).unwrap_or_default();
            format!("{} does not serve it: {said}", self.program.display())
        })?;
        self.wg("set wg1 private-key /run/key listen-port 10000")?;
        self.up()
    }

    /// Gives the interface its addresses, where it is.
    pub fn up(&self) -> Result<()> {
        let number = self.number;
        self.inside(&format!("ip addr add 192.168.241.{number}/24 dev wg1"))?;
        self.inside(&format!("ip addr add fd00::{number}/64 dev wg1 nodad"))?;
        self.inside("ip link set wg1 up").map(drop)
    }

    /// Runs a line on the machine.
    pub fn sh(&self, line: &str) -> Result<String> {
        self.machine.sh(line)?.success(line)
    }

    /// Runs a command where the interface is.
    pub fn inside(&self, command: &str) -> Result<String> {
        match self.namespace {
            Some(namespace) => self.sh(&format!("ip netns exec {namespace} {command}")),
            None => self.sh(command),
        }
    }

    pub fn wg(&self, arguments: &str) -> Result<String> {
        self.sh(&format!("wg {arguments}"))
    }

    /// Makes another end a peer, with what else `wg set … peer` may say.
    pub fn peer(&self, other: &Self, more: &str) -> Result<()> {
        let (key, number) = (&other.key, other.number);
        let ips = format!("192.168.241.{number}/32,fd00::{number}/128");
        self.wg(&format!("set wg1 peer {key} allowed-ips {ips} {more}")).map(drop)
    }

    /// Where it is reached over IPv4, for [`End::peer`].
    pub fn at(&self) -> String {
        format!("endpoint {}:10000", self.machine.address())
    }

    /// Its address outside, of IPv6.
    pub fn v6(&self) -> String {
        format!("[fd77::{}]", self.number)
    }

    /// One echo.
    pub fn ping(&self, to: &str) -> Result<()> {
        self.inside(&format!("ping -c 1 -W 2 {to}")).map(drop)
    }

    pub fn reaches(&self, other: &Self) -> Result<()> {
        for to in [format!("192.168.241.{}", other.number), format!("fd00::{}", other.number)] {
            wait_for(&format!("an answer of {to}"), PATIENCE, || self.ping(&to))?;
        }
        Ok(())
    }

    /// A TCP stream to `to`, and a UDP stream behind it.
    pub fn streams(&self, other: &Self, to: &str) -> Result<()> {
        for more in ["-n 40M -C cubic", "-u -b 200M -n 20M"] {
            let log = format!("iperf3-{}", self.number);
            let _server = other.machine.spawn(&log, "iperf3", &["-s", "-1", "-B", to], "")?;
            wait_for("iperf3", PATIENCE, || other.sh("ss -tln | grep -q :5201").map(drop))?;
            let report: Value = serde_json::from_str(&self.inside(&format!("iperf3 {more} -c {to} --json"))?)?;
            let received = &report["end"]["sum_received"];
            ensure!(received["bytes"].as_u64() > Some(0), "{more} to {to}: {received}");
            // Only UDP's report tells how much was lost.
            ensure!(received["lost_percent"].as_f64().is_none_or(|lost| lost < 50.0), "{more} to {to}: {received}");
        }
        Ok(())
    }

    /// Bytes that came from its one peer.
    pub fn received(&self) -> Result<u64> {
        let text = self.wg("show wg1 transfer")?;
        text.split_whitespace().nth(1).and_then(|bytes| bytes.parse().ok()).with_context(|| text.clone())
    }

    pub fn endpoint_of(&self, other: &Self) -> Result<String> {
        let text = self.wg("show wg1 endpoints")?;
        let line = text.lines().find(|line| line.starts_with(&other.key)).with_context(|| text.clone())?;
        Ok(line.split_whitespace().nth(1).unwrap_or_default().to_owned())
    }
}
