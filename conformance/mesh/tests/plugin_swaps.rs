//! A thousand swaps of a naming plugin under a running `dnsperf`: not one question goes without the plugin's answer.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use servos_hostile_guests::answers::a_records;
use servos_hostile_guests::code::{Code, Point};
use servos_lab::{Daemon, DnsperfReport, MeshLab, Server, wait_for};

const SWAPS: usize = 1_000;

/// Swaps between two at which the file stands half-written for a while.
const HALF_WRITTEN: usize = 100;

const PATIENCE: Duration = Duration::from_secs(120);

/// A name that only the plugin knows: were it not asked for a moment, the answer would be "no such name".
const NAME: &str = "canary.mesh.internal";

const FILE: &str = "/etc/servos/plugins.d/10-canary.wasm";

#[test]
fn a_thousand_swaps_lose_no_answer() -> Result<()> {
    let mesh = MeshLab::start(false)?;
    let server = mesh.server("s1")?;
    let address = server.mesh_address()?;
    let folder = tempfile::tempdir()?;
    let own: std::net::Ipv4Addr = address.parse()?;
    let files = [folder.path().join("1.wasm"), folder.path().join("2.wasm")];
    for (ttl, file) in (1..).zip(&files) {
        fs::write(file, says(ttl, own.octets()))?;
    }
    server.drop_plugin(&files[0], "10-canary.wasm")?;
    wait_for("the plugin's answer", PATIENCE, || answers_with_ttl(&server, &address, 1))?;

    server.machine.write("/run/questions", &format!("{NAME} A\n"))?;
    let arguments =
        ["-s", &address, "-d", "/run/questions", "-c", "4", "-T", "1", "-Q", "200", "-l", "86400", "-t", "30"];
    let mut dnsperf = server.machine.spawn("dnsperf", "dnsperf", &arguments, "")?;

    for swap in 1..=SWAPS {
        let which = swap % 2;
        if swap % HALF_WRITTEN == 0 {
            write_half(&server, &files[which], folder.path())?;
            wait_for("the half-written file to be refused", PATIENCE, || is_refused(&server))?;
            answers_with_ttl(&server, &address, 2 - which).context("beside a half-written file")?;
        }
        server.drop_plugin(&files[which], "10-canary.wasm")?;
        let swapped = wait_for("the swap", PATIENCE, || answers_with_ttl(&server, &address, 1 + which));
        swapped.with_context(|| format!("swap {swap}"))?;
    }

    ensure!(dnsperf.is_running(), "dnsperf ended before the swaps did: {}", dnsperf.log());
    let report = DnsperfReport::new(end(&mut dnsperf)?);
    ensure!(report.says("Queries lost:")?.starts_with("0 "), "answers are missing: {report:?}");
    report.all_are_answers()?;
    let completed: usize = report.says("Queries completed:")?.split(' ').next().unwrap_or_default().parse()?;
    ensure!(completed > SWAPS, "hardly asked: {report:?}");

    server.machine.sh(&format!("rm {FILE}"))?.success("rm")?;
    wait_for("the name to go with the file", PATIENCE, || {
        let printed = server.machine.run("dig", &[&format!("@{address}"), NAME, "A"])?.success("dig")?;
        ensure!(printed.contains("status: NXDOMAIN"), "{printed}");
        Ok(())
    })
}

/// A plugin that says that every name is that address, and passes on all that asks for something else.
fn says(ttl: u32, address: [u8; 4]) -> Vec<u8> {
    let question = "(select (i32.const 1024) (i32.const 16) (i32.eqz (local.get $type)))";
    Code::new(Point::Naming, question).answer(a_records(ttl, &[address])).component()
}

/// The plugin's answer, of the version with that TTL.
fn answers_with_ttl(server: &Server, address: &str, ttl: usize) -> Result<()> {
    let (at, question) = (format!("@{address}"), [NAME, "A", "+noall", "+answer"]);
    let printed = server.machine.run("dig", &[&[at.as_str()][..], &question].concat())?.success("dig")?;
    let words: Vec<_> = printed.split_ascii_whitespace().collect();
    ensure!(words == [&format!("{NAME}."), &ttl.to_string(), "IN", "A", address], "{printed:?}, not TTL {ttl}");
    Ok(())
}

/// Writes the first half of a file over the plugin's, in place.
fn write_half(server: &Server, whole: &std::path::Path, folder: &std::path::Path) -> Result<()> {
    let bytes = fs::read(whole)?;
    let half = folder.join("half.wasm");
    fs::write(&half, &bytes[..bytes.len() / 2])?;
    server.machine.sh(&format!("cat '{}' > {FILE}", half.display()))?.success("cat").map(drop)
}

fn is_refused(server: &Server) -> Result<()> {
    let canary = server.plugin("10-canary")?;
    ensure!(canary["refused_update"].is_string(), "{canary}");
    Ok(())
}

/// Has `dnsperf` end as on Ctrl-C, and gives its report.
fn end(dnsperf: &mut Daemon) -> Result<String> {
    kill(Pid::from_raw(dnsperf.pid().cast_signed()), Signal::SIGINT)?;
    wait_for("dnsperf's report", PATIENCE, || {
        ensure!(!dnsperf.is_running(), "it still runs: {}", dnsperf.log());
        Ok(())
    })?;
    Ok(dnsperf.log())
}
