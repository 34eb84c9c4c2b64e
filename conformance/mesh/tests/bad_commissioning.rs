//! Commissioning that cannot succeed: one clear line, a non-zero exit code, and nothing left behind.

use std::time::Duration;

use anyhow::{Result, ensure};
use servos_lab::{MeshLab, Output, Server, wait_for};

fn commission(mesh: &MeshLab, server: &Server, token: &str, more: &[&str]) -> Result<Output> {
    let mut arguments = vec!["commission", "--name", server.machine.name(), "--no-start"];
    arguments.extend(more);
    server.machine.run_with_input(&mesh.programs.agent, &arguments, token)
}

/// It failed with one line that says `what`, and the server is as it was.
fn refused(output: &Output, what: &str) -> Result<()> {
    ensure!(output.status.code() == Some(1), "exit {:?}: {}", output.status.code(), output.all());
    ensure!(output.stderr.contains(what), "{what:?} is not in {:?}", output.stderr);
    ensure!(output.stderr.trim().lines().count() == 1, "more than a line: {}", output.stderr);
    Ok(())
}

fn not_commissioned(server: &Server) -> Result<()> {
    let there = server.machine.sh("ls /var/lib/servos/identity.json /var/lib/servos/private-key")?;
    ensure!(!there.status.success(), "something is left behind: {}", there.stdout);
    Ok(())
}

#[test]
fn tokens_that_are_wrong_damaged_expired_used_up_or_revoked() -> Result<()> {
    let mesh = MeshLab::start(false)?;
    let server = mesh.bare("s1")?;

    refused(&commission(&mesh, &server, "hello", &[])?, "no enrolment token")?;
    refused(&commission(&mesh, &server, "", &[])?, "no enrolment token on standard input")?;
    let token = mesh.token(&[])?;
    refused(&commission(&mesh, &server, &token[..token.len() - 3], &[])?, "damaged")?;

    let expired = mesh.token(&["--expires", "1s"])?;
    wait_for("the token's end", Duration::from_secs(20), || {
        let output = commission(&mesh, &server, &expired, &[])?;
        ensure!(output.stderr.contains("expired"), "{}", output.all());
        // The answer may have been a success if the machine is slow to start: then the test itself is wrong.
        ensure!(!output.status.success(), "an expired token was accepted");
        Ok(())
    })
    .or_else(|error| {
        if server.machine.sh("test -e /var/lib/servos/identity.json")?.status.success() { Ok(()) } else { Err(error) }
    })?;
    server.machine.sh("rm -rf /var/lib/servos")?;

    let first = mesh.bare("s2")?;
    let once = mesh.token(&[])?;
    commission(&mesh, &first, &once, &[])?.success("first use")?;
    refused(&commission(&mesh, &server, &once, &[])?, "used")?;

    let token = mesh.token(&[])?;
    let list = mesh.control(&["--json", "token", "list", "--organisation", "acme"])?.success("token list")?;
    let list: serde_json::Value = serde_json::from_str(&list)?;
    let tokens = list["tokens"].as_array().or(list.as_array()).expect("a list of tokens");
    let newest = tokens.iter().map(|token| &token["id"]).next_back().expect("a token").to_string();
    for id in tokens.iter().map(|token| token["id"].to_string()) {
        mesh.control(&["token", "revoke", id.trim_matches('"')])?;
    }
    refused(&commission(&mesh, &server, &token, &[])?, "revoked").map_err(|error| error.context(newest))?;
    not_commissioned(&server)
}

#[test]
fn a_second_commissioning_leaves_the_first_alone() -> Result<()> {
    let mesh = MeshLab::start(false)?;
    let server = mesh.bare("s1")?;
    commission(&mesh, &server, &mesh.token(&[])?, &[])?.success("commission")?;
    let key = server.machine.read("/var/lib/servos/private-key")?;
    refused(&commission(&mesh, &server, &mesh.token(&[])?, &[])?, "already commissioned")?;
    assert_eq!(key, server.machine.read("/var/lib/servos/private-key")?);
    Ok(())
}

#[test]
fn machines_on_which_the_tunnel_could_not_work() -> Result<()> {
    let mesh = MeshLab::start(false)?;
    let server = mesh.bare("s1")?;
    let token = mesh.token(&[])?;

    let agent = mesh.programs.agent.display().to_string();
    let nobody = ["--reuid", "65534", "--clear-groups", &agent, "commission", "--name", "s1"];
    // The program may lie where only root looks: either way nobody but root commissions.
    let output = server.machine.run_with_input("setpriv", &nobody, &token)?;
    ensure!(!output.status.success(), "commissioned without root");
    ensure!(output.stderr.contains("needs root") || output.stderr.contains("ermission denied"), "{}", output.all());

    let mut holder = server.machine.spawn(
        "holder",
        "python3",
        &["-c", "import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 51820)); time.sleep(600)"],
        "",
    )?;
    wait_for("port 51820 taken", Duration::from_secs(20), || {
        server.machine.sh("ss -uln | grep -q :51820")?.success("ss").map(drop)
    })?;
    refused(&commission(&mesh, &server, &token, &[])?, "UDP port 51820 cannot be used")?;
    holder.kill()?;

    server.machine.sh("mount -t tmpfs tmpfs /dev/net")?.success("hide /dev/net/tun")?;
    refused(&commission(&mesh, &server, &token, &[])?, "no /dev/net/tun")?;
    server.machine.sh("umount /dev/net")?.success("show /dev/net/tun")?;
    not_commissioned(&server)?;

    // None of these spent the token.
    commission(&mesh, &server, &token, &[])?.success("commission")?;
    Ok(())
}

#[test]
fn names_that_are_no_dns_labels_or_taken() -> Result<()> {
    let mesh = MeshLab::start(false)?;
    let (first, second) = (mesh.bare("s1")?, mesh.bare("s2")?);
    commission(&mesh, &first, &mesh.token(&[])?, &[])?.success("commission")?;
    let token = mesh.token(&[])?;
    let as_name = |name: &str| {
        second.machine.run_with_input(&mesh.programs.agent, &["commission", "--no-start", "--name", name], &token)
    };
    refused(&as_name("Not_A_Label")?, "DNS label")?;
    refused(&as_name("s1")?, "s1")?;
    not_commissioned(&second)?;
    as_name("s2")?.success("commission")?;
    Ok(())
}
