//! One machine: its own network, `/etc`, `/run`, `/var/lib`, held by a process that does nothing else.

use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::daemon::Daemon;
use crate::shell::{self, Output};
use crate::underlay::{GATEWAY, end_programs, ip};
use crate::wait_for;

/// Gives a machine its own files. `$1`: its host name, `$2`: a folder for what it changes.
const OWN_FILES: &str = r#"
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$2"
for lower in /etc /lib/ufw /var/lib /var/log; do
    [ -d "$lower" ] || continue
    here="$2/$(echo "$lower" | tr / _)"
    mkdir -p "$here/upper" "$here/work"
    mount -t overlay overlay -o "lowerdir=$lower,upperdir=$here/upper,workdir=$here/work" "$lower"
done
rm -rf /etc/servos /var/lib/servos /etc/traefik
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock
hostname "$1"
rm -f /etc/resolv.conf
printf 'nameserver %s\nsearch corp.test\n' "$3" > /etc/resolv.conf
printf '127.0.0.1 localhost\n' > /etc/hosts
printf 'passwd: files\ngroup: files\nhosts: files dns\n' > /etc/nsswitch.conf
touch /run/ready
exec sleep infinity
"#;

/// A machine of a [`Lab`](crate::Lab). Ends with all its programs when dropped.
#[derive(Debug)]
pub struct Machine {
    name: String,
    namespace: String,
    hub: String,
    port: String,
    address: Ipv4Addr,
    folder: PathBuf,
    holder: Child,
    keep: bool,
}

impl Machine {
    pub(crate) fn start(
        name: &str,
        namespace: String,
        hub: String,
        port: String,
        address: Ipv4Addr,
        folder: PathBuf,
        keep: bool,
    ) -> Result<Self> {
        std::fs::create_dir_all(folder.join("own"))?;
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &namespace, "unshare", "--mount", "--uts"])
            .args(["sh", "-c", OWN_FILES, "machine", name])
            .arg(folder.join("own"))
            .arg(GATEWAY.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("holder.log"))?);
        // Ctrl-C is for the laboratory: it ends its machines in order.
        let holder = command.process_group(0).spawn().context("cannot start the holder of a machine")?;
        let machine = Self { name: name.to_owned(), namespace, hub, port, address, folder, holder, keep };
        wait_for("the machine's files", Duration::from_secs(20), || {
            machine
                .run("test", &["-e", "/run/ready"])?
                .success("ready")
                .map(drop)
                .with_context(|| std::fs::read_to_string(machine.folder.join("holder.log")).unwrap_or_default())
        })?;
        Ok(machine)
    }

    /// Its host name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address on the underlay.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The network namespace, for `ip netns exec`.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// How a person enters it.
    pub fn how_to_enter(&self) -> String {
        format!("nsenter -t {} --mount --net --uts bash", self.holder.id())
    }

    /// A command on this machine.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["-t", &self.holder.id().to_string(), "--mount", "--net", "--uts", "--wdns=/"])
            .arg(program.as_ref())
            .env_remove("SERVOS_AGENT_CONFIG");
        command
    }

    /// Runs a program on this machine to its end.
    ///
    /// # Errors
    ///
    /// If it cannot be started or does not end; not if it fails.
    pub fn run(&self, program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Result<Output> {
        self.run_with_input(program, arguments, "")
    }

    /// Runs a program with text on its standard input.
    ///
    /// # Errors
    ///
    /// See [`Machine::run`].
    pub fn run_with_input(
        &self,
        program: impl AsRef<std::ffi::OsStr>,
        arguments: &[&str],
        input: &str,
    ) -> Result<Output> {
        let mut command = self.command(program);
        command.args(arguments);
        shell::run(command, input)
    }

    /// Runs a shell line.
    ///
    /// # Errors
    ///
    /// See [`Machine::run`].
    pub fn sh(&self, line: &str) -> Result<Output> {
        self.run("sh", &["-c", line])
    }

    /// Starts a program that stays; its output goes to a log named `log`.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn spawn(
        &self,
        log: &str,
        program: impl AsRef<std::ffi::OsStr>,
        arguments: &[&str],
        input: &str,
    ) -> Result<Daemon> {
        let mut command = self.command(program);
        command.args(arguments);
        Daemon::start(command, input, self.folder.join(format!("{log}.log")))
    }

    /// Writes a file on this machine; folders on the way are made.
    ///
    /// # Errors
    ///
    /// What the machine said.
    pub fn write(&self, path: &str, content: &str) -> Result<()> {
        let line = format!("mkdir -p \"$(dirname '{path}')\" && cat > '{path}'");
        self.run_with_input("sh", &["-c", &line], content)?.success(&format!("write {path}")).map(drop)
    }

    /// Copies a file of the host to this machine, under another name first, then renamed.
    ///
    /// # Errors
    ///
    /// What the machine said.
    pub fn copy(&self, from: &Path, to: &str) -> Result<()> {
        let bytes = std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        // /tmp is shared with the host; the laboratory's folder below it is ours.
        let through = self.folder.join("copied");
        std::fs::write(&through, bytes)?;
        let line = format!(
            "mkdir -p \"$(dirname '{to}')\" && cp '{}' '{to}.part' && mv '{to}.part' '{to}'",
            through.display()
        );
        self.sh(&line)?.success(&format!("copy to {to}")).map(drop)
    }

    /// Reads a file of this machine.
    ///
    /// # Errors
    ///
    /// What the machine said.
    pub fn read(&self, path: &str) -> Result<String> {
        self.run("cat", &[path])?.success(&format!("read {path}"))
    }

    /// Pulls the machine's cable.
    ///
    /// # Errors
    ///
    /// What `ip` said.
    pub fn cut(&self) -> Result<()> {
        ip(&["-n", &self.hub, "link", "set", &self.port, "down"]).map(drop)
    }

    /// Puts the machine's cable back.
    ///
    /// # Errors
    ///
    /// What `ip` said.
    pub fn join(&self) -> Result<()> {
        ip(&["-n", &self.hub, "link", "set", &self.port, "up"]).map(drop)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // Best effort, each by itself.
        end_programs(&self.namespace);
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        let _ = ip(&["netns", "del", &self.namespace]);
        let _ = ip(&["-n", &self.hub, "link", "del", &self.port]);
    }
}
