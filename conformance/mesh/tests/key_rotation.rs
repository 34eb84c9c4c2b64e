//! A server's key is rotated while packets pass, by command, on real agents.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use servos_lab::{Daemon, MeshLab, Server, wait_for};

/// Sends numbered datagrams to a peer, so many a second, and counts what comes from there. Files in its folder tell it
/// when to begin, when to stop, and when to print what it saw; in others it says how far it is.
const STREAM: &str = r#"
import json, os, socket, sys, threading, time
own, peer, rate, folder = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 33, 8 << 20) # SO_RCVBUFFORCE: what waits here is not lost on the way
s.bind((own, 7000))
seen, doubled = set(), 0
def receive():
    global doubled
    while True:
        number = int(s.recv(2048)[:12])
        if number in seen: doubled += 1
        seen.add(number)
threading.Thread(target=receive, daemon=True).start()
def wait_for(name):
    while not os.path.exists(folder + "/" + name): time.sleep(0.01)
def say(name, number):
    open(folder + "/part", "w").write(str(number))
    os.rename(folder + "/part", folder + "/" + name)
say("ready", 0)
wait_for("go")
sent, begun = 0, time.monotonic()
while not os.path.exists(folder + "/stop"):
    due = int((time.monotonic() - begun) * rate)
    while sent < due:
        s.sendto(b"%012d" % sent + b"." * 500, (peer, 7000))
        sent += 1
    say("sent", sent)
    time.sleep(0.001)
say("total", sent)
while not os.path.exists(folder + "/report"):
    say("seen", len(seen))
    time.sleep(0.01)
json.dump({"sent": sent, "highest": max(seen, default=-1), "seen": len(seen), "doubled": doubled}, sys.stdout)
"#;

/// Datagrams a second, each way.
const RATE: &str = "1000";

struct Stream {
    daemon: Daemon,
}

/// Streams both ways: each sends once the other listens.
fn streams(servers: [&Server; 2]) -> Result<[Stream; 2]> {
    let [one, two] = servers;
    let streams = [Stream::start(one, two)?, Stream::start(two, one)?];
    for (server, stream) in servers.iter().zip(&streams) {
        wait_for("the stream's socket", Duration::from_secs(30), || {
            server.machine.read("/run/stream/ready").with_context(|| stream.daemon.log())
        })?;
    }
    tell(servers, "go")?;
    Ok(streams)
}

fn tell(servers: [&Server; 2], word: &str) -> Result<()> {
    servers.iter().try_for_each(|server| server.machine.sh(&format!("touch {FOLDER}/{word}"))?.success(word).map(drop))
}

/// Where a stream is told to stop and to report, on its machine.
const FOLDER: &str = "/run/stream";

impl Stream {
    fn start(from: &Server, to: &Server) -> Result<Self> {
        from.machine.sh("rm -rf /run/stream && mkdir -p /run/stream")?.success("mkdir")?;
        let (own, peer) = (from.mesh_address()?, to.mesh_address()?);
        let daemon = from.machine.spawn("stream", "python3", &["-c", STREAM, &own, &peer, RATE, FOLDER], "")?;
        Ok(Self { daemon })
    }

    /// What the one on a server says last under a name.
    fn says(server: &Server, name: &str) -> Result<u64> {
        Ok(server.machine.read(&format!("{FOLDER}/{name}"))?.trim().parse()?)
    }
}

/// Stops both streams; fails if any datagram of either is missing or came twice.
fn nothing_was_lost(servers: [&Server; 2], mut streams: [Stream; 2]) -> Result<()> {
    tell(servers, "stop")?;
    for (from, to) in [(servers[0], servers[1]), (servers[1], servers[0])] {
        wait_for("what is under way", Duration::from_secs(30), || {
            let (total, seen) = (Stream::says(from, "total")?, Stream::says(to, "seen")?);
            ensure!(seen >= total, "of {total} datagrams {seen} arrived");
            Ok(())
        })?;
    }
    tell(servers, "report")?;
    let mut reports = Vec::new();
    for stream in &mut streams {
        wait_for("the stream's end", Duration::from_secs(30), || {
            ensure!(!stream.daemon.is_running(), "it still runs");
            Ok(())
        })?;
        let log = stream.daemon.log();
        let report: serde_json::Value =
            serde_json::from_str(log.trim().lines().last().unwrap_or_default()).with_context(|| log.clone())?;
        reports.push(report);
    }
    for (to, from) in [(0, 1), (1, 0)] {
        let (sent, seen) = (&reports[from]["sent"], &reports[to]["seen"]);
        ensure!(sent.as_u64() > Some(1_000), "{reports:?}");
        ensure!(sent == seen && reports[to]["doubled"] == 0, "of {sent} datagrams {seen} arrived: {reports:?}");
    }
    Ok(())
}

/// What `wg show` says of itself and its one peer: own key, the peer's, its last handshake (Unix seconds).
fn wg(server: &Server) -> Result<(String, String, u64)> {
    let dump = server.machine.run("wg", &["show", "wg0", "dump"])?.success("wg show")?;
    let mut lines = dump.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let own = lines.next().context("no interface")?;
    let peer = lines.next().with_context(|| format!("no peer: {dump}"))?;
    Ok((own[1].to_owned(), peer[0].to_owned(), peer[4].parse()?))
}

fn key_files(server: &Server) -> Result<String> {
    let listed = server.machine.sh("cd /var/lib/servos && ls private-key* key-rotation* 2>/dev/null; true")?;
    Ok(listed.success("ls")?.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn wait_for_end(server: &Server, key: &str) -> Result<()> {
    wait_for("the end of the rotation", Duration::from_secs(120), || {
        let status = server.status()?;
        ensure!(status["server"]["key_rotation"].is_null(), "{}", status["server"]);
        ensure!(status["server"]["public_key"] == key, "{}", status["server"]);
        Ok(())
    })?;
    ensure!(key_files(server)? == "private-key", "{}", key_files(server)?);
    Ok(())
}

#[test]
fn a_stream_of_a_thousand_packets_a_second_each_way_loses_none() -> Result<()> {
    let mesh = MeshLab::start(false)?;
    let [one, two] = [mesh.server("s1")?, mesh.server("s2")?];
    wait_for("each other", Duration::from_secs(30), || {
        one.machine.run("ping", &["-n", "-c", "1", "-W", "2", &two.mesh_address()?])?.success("ping").map(drop)
    })?;
    let streams = streams([&one, &two])?;
    wait_for("two seconds of it", Duration::from_secs(30), || {
        ensure!(Stream::says(&one, "sent")? > 2_000 && Stream::says(&two, "sent")? > 2_000, "not yet");
        Ok(())
    })?;
    let (before, _, _) = wg(&one)?;
    let (_, _, handshake) = wg(&two)?;

    let rotated = one.agent_json(&["rotate-key", "--transition", "90s"])?;

    let next = rotated["public_key"].as_str().with_context(|| rotated.to_string())?.to_owned();
    ensure!(rotated["previous_key"] == before.as_str() && next != before, "{rotated}");
    ensure!(rotated["in_mesh"] == true && rotated["until"].is_string(), "{rotated}");
    // Told once more what is under way, and not begun again.
    let again = one.agent(&["rotate-key"])?;
    ensure!(
        again.status.code() == Some(1) && again.stderr.contains("a rotation is under way since"),
        "{}",
        again.all()
    );
    let shown = one.agent(&["status"])?;
    ensure!(shown.stdout.contains("both answered until"), "{}", shown.all());
    wait_for("the next key on both sides, and a handshake under it", Duration::from_secs(60), || {
        let ((own, _, _), (_, peer, latest)) = (wg(&one)?, wg(&two)?);
        ensure!(own == next && peer == next && latest > handshake, "{own} {peer} {latest}, before {handshake}");
        Ok(())
    })?;
    ensure!(key_files(&one)? == "key-rotation.json private-key private-key.next", "{}", key_files(&one)?);
    wait_for_end(&one, &next)?;
    // A little of it under the one key.
    let sent = Stream::says(&one, "sent")?;
    wait_for("two more seconds", Duration::from_secs(30), || {
        ensure!(Stream::says(&one, "sent")? > sent + 2_000, "not yet");
        Ok(())
    })?;
    nothing_was_lost([&one, &two], streams)
}

#[test]
fn an_agent_that_is_killed_goes_on_with_the_rotation() -> Result<()> {
    let mut mesh = MeshLab::start(false)?;
    let [mut one, two] = [mesh.server("s1")?, mesh.server("s2")?];
    let reached = |one: &Server| {
        wait_for("each other", Duration::from_secs(60), || {
            one.machine.run("ping", &["-n", "-c", "1", "-W", "2", &two.mesh_address()?])?.success("ping")?;
            two.machine.run("ping", &["-n", "-c", "1", "-W", "2", &one.mesh_address()?])?.success("ping").map(drop)
        })
    };
    reached(&one)?;
    let before = wg(&one)?.0;
    // Killed before the control plane was told.
    mesh.stop_control()?;
    let rotated = one.agent(&["rotate-key", "--transition", "20s"])?;
    ensure!(rotated.status.code() == Some(1), "{}", rotated.all());
    ensure!(rotated.stderr.contains("under way and goes on by itself"), "{}", rotated.all());
    ensure!(rotated.stderr.contains("cannot reach the control plane"), "{}", rotated.all());
    let again = one.agent(&["rotate-key", "--json"])?;
    ensure!(
        again.status.code() == Some(1) && again.stderr.contains("a rotation is under way since"),
        "{}",
        again.all()
    );
    let rotation = one.status()?["server"]["key_rotation"].clone();
    ensure!(rotation["phase"] == "publishing" && rotation["until"].is_null(), "{rotation}");
    let next = rotation["next_key"].as_str().context("no key")?.to_owned();
    one.kill_agent()?;
    one.start_agent()?;
    reached(&one)?;
    ensure!(wg(&one)?.0 == before, "the mesh knows the one before");
    let finish = one.agent(&["rotate-key", "--finish"])?;
    ensure!(
        finish.status.code() == Some(1) && finish.stderr.contains("does not have the next key"),
        "{}",
        finish.all()
    );
    mesh.start_control()?;
    // Killed again as soon as the mesh has the key.
    wait_for("the next key in the mesh", Duration::from_secs(120), || {
        let rotation = &one.status()?["server"]["key_rotation"];
        ensure!(rotation["phase"] == "transition" && rotation["next_key"] == next.as_str(), "{rotation}");
        Ok(())
    })?;
    one.kill_agent()?;
    one.start_agent()?;
    ensure!(wg_own(&one)? == next, "the mesh knows the next");
    reached(&one)?;
    wait_for_end(&one, &next)?;
    reached(&one)?;
    one.kill_agent()?;
    one.start_agent()?;
    ensure!(wg_own(&one)? == next, "it stays");
    reached(&one)
}

#[test]
fn a_transition_can_be_cut_short_and_a_control_plane_restored_from_a_backup_is_told_the_key() -> Result<()> {
    let mut mesh = MeshLab::start(false)?;
    let one = mesh.server("s1")?;
    let none = one.agent(&["rotate-key", "--finish"])?;
    ensure!(none.status.code() == Some(1) && none.stderr.contains("no rotation is under way"), "{}", none.all());
    let wrong = one.agent(&["rotate-key", "--transition", "1s"])?;
    ensure!(wrong.status.code() == Some(2) && wrong.stderr.contains("give 10s to 7d"), "{}", wrong.all());
    mesh.stop_control()?;
    mesh.control.sh("cp -a /var/lib/servos-control /var/lib/backup")?.success("backup")?;
    mesh.start_control()?;
    let rotated = one.agent_json(&["rotate-key"])?;
    let next = rotated["public_key"].as_str().with_context(|| rotated.to_string())?.to_owned();
    one.agent(&["rotate-key", "--finish"])?.success("finish")?;
    wait_for_end(&one, &next)?;
    mesh.stop_control()?;
    mesh.control
        .sh("rm -r /var/lib/servos-control && mv /var/lib/backup /var/lib/servos-control")?
        .success("restore")?;
    mesh.start_control()?;
    wait_for("the key at the control plane", Duration::from_secs(120), || {
        let shown = mesh.control(&["server", "show", "s1", "--json"])?.success("server show")?;
        ensure!(shown.contains(&next), "{shown}");
        Ok(())
    })
}

/// Own key, with or without a session.
fn wg_own(server: &Server) -> Result<String> {
    let key = server.machine.run("wg", &["show", "wg0", "public-key"])?.success("wg show")?;
    Ok(key.trim().to_owned())
}
