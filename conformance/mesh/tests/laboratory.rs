//! The laboratory itself: machines are apart from the host and joined with each other, and leave nothing behind.

use std::io::BufRead;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use servos_lab::{Lab, start_dns_upstream, start_http_instance, wait_for};

#[test]
fn machines_have_their_own_files_and_reach_each_other() -> Result<()> {
    let before = std::fs::read_to_string("/etc/resolv.conf")?;
    let namespace;
    {
        let lab = Lab::new()?;
        let _upstream = start_dns_upstream(&lab)?;
        let (one, two) = (lab.machine("one")?, lab.machine("two")?);
        namespace = one.namespace().to_owned();
        one.write("/etc/servos/agent.toml", "# mine\n")?;
        ensure!(!two.run("cat", &["/etc/servos/agent.toml"])?.status.success(), "files are shared");
        ensure!(!std::path::Path::new("/etc/servos/agent.toml").exists(), "the host's files are changed");

        let _http = start_http_instance(&two, 8080)?;
        let url = format!("http://{}:8080/", two.address());
        ensure!(one.run("curl", &["-fsS", "-m", "5", &url])?.stdout == "two\n", "no way from one to two");
        let found = one.run("getent", &["hosts", "outside.corp.test"])?.success("getent")?;
        ensure!(found.contains("192.0.2.80"), "{found}");

        one.sh("ufw allow 22/tcp && ufw --force enable && ufw status | grep -q 22/tcp")?.success("ufw")?;
        ensure!(
            !one.run("curl", &["-fsS", "-m", "2", "http://127.0.0.1:1/"])?.status.success(),
            "nothing listens there"
        );

        two.cut()?;
        ensure!(!one.run("curl", &["-fsS", "-m", "2", &url])?.status.success(), "a cut cable carries");
        two.join()?;
        wait_for("the way back", Duration::from_secs(20), || {
            one.run("curl", &["-fsS", "-m", "2", &url])?.success("curl")
        })?;
    }
    ensure!(std::fs::read_to_string("/etc/resolv.conf")? == before, "the host's resolver is changed");
    let namespaces = std::process::Command::new("ip").args(["netns", "list"]).output()?;
    ensure!(!String::from_utf8_lossy(&namespaces.stdout).contains(&namespace), "a namespace is left behind");
    Ok(())
}

#[test]
fn what_a_killed_laboratory_left_is_removed_by_the_next() -> Result<()> {
    // A process that is killed before it can tidy up: this test, run again as a child that only stays.
    let mut child = std::process::Command::new(std::env::current_exe()?)
        .args(["--exact", "stays_until_killed", "--nocapture"])
        .env(STAY, "1")
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    let mut said = std::io::BufReader::new(child.stdout.take().context("no output")?).lines();
    let names = said.find_map(|line| Some(line.ok()?.strip_prefix(STAYS)?.to_owned())).context("it said nothing")?;
    let (namespace, folder) = names.split_once(' ').context(names.clone())?;
    child.kill()?;
    child.wait()?;
    let exists = || -> Result<bool> {
        let listed = std::process::Command::new("ip").args(["netns", "list"]).output()?;
        Ok(String::from_utf8_lossy(&listed.stdout).contains(namespace) || std::path::Path::new(folder).exists())
    };
    ensure!(exists()?, "nothing was left to remove");
    let _next = Lab::new()?;
    // Another laboratory, of a test beside this one, may have begun the work.
    wait_for("the end of what was left", Duration::from_secs(20), || {
        ensure!(!exists()?, "{names} is still there");
        Ok(())
    })
}

/// Makes a child of the test above.
const STAY: &str = "SERVOS_LAB_STAY";

/// What that child says, before the names of its namespace and folder.
const STAYS: &str = "stays with ";

/// Only with a job in that child, which is killed.
#[test]
fn stays_until_killed() -> Result<()> {
    if std::env::var_os(STAY).is_none() {
        return Ok(());
    }
    let lab = Lab::new()?;
    let machine = lab.machine("one")?;
    println!("\n{STAYS}{} {}", machine.namespace(), lab.folder().display());
    loop {
        std::thread::park();
    }
}
