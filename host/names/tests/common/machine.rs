//! A machine of its own for a test: a network and a mount namespace around its thread, and what that thread starts.
//! Needs root. Nothing leaves it; it ends with the test, also with one that fails or is killed.

use std::fs;
use std::future::Future;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tempfile::TempDir;

/// Runs a test on a machine with loopback and `wg0`, which has this server's mesh address. Its `/etc` is a copy.
pub fn on_machine<F: Future<Output = ()>>(test: impl FnOnce(TempDir) -> F + Send + 'static) {
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("no namespaces: this test needs root");
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        let folder = TempDir::new().unwrap();
        let etc = folder.path().join("etc");
        sh(&format!("cp -a /etc {}", etc.display()));
        bind(&etc, Path::new("/etc"));
        sh("ip link set lo up");
        // Of all kinds of interface the one that is there on every kernel; its other end stands for the rest.
        sh("ip link add wg0 type veth peer name wg0-far && ip link set wg0-far up && ip link set wg0 up");
        sh("ip address add 100.64.0.1/10 dev wg0");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test(folder));
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

pub fn bind(from: &Path, to: &Path) {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
}

pub fn sh(line: &str) {
    let output = Command::new("sh").args(["-ec", line]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A program in the background; ends with the test.
pub struct Daemon(pub Child);

impl Daemon {
    pub fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Real dnsmasq on an address, with these further arguments. Its log names each question that it got.
pub struct Dnsmasq {
    _daemon: Daemon,
    log: std::path::PathBuf,
}

impl Dnsmasq {
    pub async fn start(folder: &Path, address: &str, arguments: &[&str]) -> Self {
        let log = folder.join(format!("dnsmasq-{address}.log"));
        let mut command = Command::new("dnsmasq");
        command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--user=root"]);
        command.args(["--bind-interfaces", "--log-queries", "--cache-size=0", "--pid-file="]);
        command.arg(format!("--listen-address={address}")).arg(format!("--log-facility={}", log.display()));
        let daemon = Daemon::start(command.args(arguments));
        let up = until(|| async {
            let printed = super::dig_at(address, "+tcp probe. TXT").await;
            printed.contains("status:").then_some(())
        });
        up.await;
        Self { _daemon: daemon, log }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

/// Waits for what has to come.
pub async fn until<T, F: Future<Output = Option<T>>>(mut look: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "it did not come within a minute");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
