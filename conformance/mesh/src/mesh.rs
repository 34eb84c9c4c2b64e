//! A whole mesh in a laboratory: a control plane, and servers that were commissioned with one command.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::daemon::Daemon;
use crate::lab::Lab;
use crate::machine::Machine;
use crate::programs::Programs;
use crate::services::start_dns_upstream;
use crate::shell::Output;
use crate::wait_for;

/// A control plane with its laboratory.
#[derive(Debug)]
pub struct MeshLab {
    /// The programs under test.
    pub programs: Programs,
    /// The control plane's process; none while it is stopped.
    pub control_daemon: Option<Daemon>,
    /// The control plane's machine.
    pub control: Machine,
    /// The DNS server of the underlay.
    pub upstream: Daemon,
    /// Dropped last: machines hang on it.
    pub lab: Lab,
}

/// A server of the mesh.
#[derive(Debug)]
pub struct Server {
    /// The agent; none while it is stopped.
    pub agent: Option<Daemon>,
    /// The agent's program, for its command line.
    program: std::path::PathBuf,
    /// Its machine.
    pub machine: Machine,
}

impl MeshLab {
    /// Starts a control plane with one organisation, `acme`.
    ///
    /// # Errors
    ///
    /// What one of the programs said.
    pub fn start(keep: bool) -> Result<Self> {
        let programs = Programs::find()?;
        let mut lab = Lab::new()?;
        if keep {
            lab.keep()?;
        }
        let upstream = start_dns_upstream(&lab)?;
        let control = lab.machine("control")?;
        let mut mesh = Self { programs, control_daemon: None, control, upstream, lab };
        let url = mesh.url();
        mesh.control(&["init", "--organisation", "acme", "--url", &url, "--json"])?.success("servos-control init")?;
        mesh.start_control()?;
        Ok(mesh)
    }

    /// Where the control plane answers.
    pub fn url(&self) -> String {
        format!("https://{}:8443", self.control.address())
    }

    /// Runs a command of `servos-control` on its machine.
    ///
    /// # Errors
    ///
    /// If it cannot be run; not if it fails.
    pub fn control(&self, arguments: &[&str]) -> Result<Output> {
        self.control.run(&self.programs.control, arguments)
    }

    /// Starts `servos-control serve` and waits until it answers.
    ///
    /// # Errors
    ///
    /// If it does not come up.
    pub fn start_control(&mut self) -> Result<()> {
        let program = &self.programs.control;
        self.control_daemon =
            Some(self.control.spawn("control", program, &["serve", "--listen", "0.0.0.0:8443"], "")?);
        let url = format!("{}/healthz", self.url());
        wait_for("the control plane", Duration::from_secs(30), || {
            self.control.run("curl", &["-ksS", "-m", "2", &url])?.success("curl").map(drop)
        })
    }

    /// Ends `servos-control serve`.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub fn stop_control(&mut self) -> Result<()> {
        if let Some(mut daemon) = self.control_daemon.take() {
            daemon.stop()?;
        }
        Ok(())
    }

    /// A one-time enrolment token.
    ///
    /// # Errors
    ///
    /// What `servos-control` said.
    pub fn token(&self, more: &[&str]) -> Result<String> {
        let mut arguments = vec!["token", "create", "--organisation", "acme", "--json"];
        arguments.extend(more);
        let answer = self.control(&arguments)?.success("servos-control token create")?;
        let answer: Value = serde_json::from_str(&answer).with_context(|| format!("no JSON: {answer}"))?;
        Ok(answer["token"].as_str().context("no token in the answer")?.to_owned())
    }

    /// Applies resources.
    ///
    /// # Errors
    ///
    /// What `servos-control` said.
    pub fn apply(&self, yaml: &str) -> Result<()> {
        self.control.write("/etc/resources.yaml", yaml)?;
        let arguments = ["resource", "apply", "-f", "/etc/resources.yaml", "--organisation", "acme"];
        self.control(&arguments)?.success("servos-control resource apply").map(drop)
    }

    /// Makes a machine; nothing of ours is on it.
    ///
    /// # Errors
    ///
    /// See [`Lab::machine`].
    pub fn bare(&self, name: &str) -> Result<Server> {
        let machine = self.lab.machine(name)?;
        Ok(Server { agent: None, program: self.programs.agent.clone(), machine })
    }

    /// Commissions a machine with one command and waits until its tunnel is up.
    ///
    /// # Errors
    ///
    /// What the agent said.
    pub fn commission(&self, server: &mut Server) -> Result<()> {
        let token = self.token(&[])?;
        let name = server.machine.name().to_owned();
        let arguments = ["commission", "--name", &name, "--run"];
        server.agent = Some(server.machine.spawn("agent", &self.programs.agent, &arguments, &token)?);
        server.wait_until_up()
    }

    /// A machine, commissioned.
    ///
    /// # Errors
    ///
    /// See [`MeshLab::commission`].
    pub fn server(&self, name: &str) -> Result<Server> {
        let mut server = self.bare(name)?;
        self.commission(&mut server)?;
        Ok(server)
    }
}

impl Server {
    /// Runs a command of `servos-agent` on this server.
    ///
    /// # Errors
    ///
    /// If it cannot be run; not if it fails.
    pub fn agent(&self, arguments: &[&str]) -> Result<Output> {
        self.machine.run(&self.program, arguments)
    }

    /// JSON of a command of `servos-agent`, whatever its exit code.
    ///
    /// # Errors
    ///
    /// If it prints no JSON.
    pub fn agent_json(&self, arguments: &[&str]) -> Result<Value> {
        let mut all = vec!["--json"];
        all.extend(arguments);
        let output = self.agent(&all)?;
        serde_json::from_str(&output.stdout).with_context(|| format!("no JSON: {}", output.all()))
    }

    /// The agent's status.
    ///
    /// # Errors
    ///
    /// If the agent does not answer.
    pub fn status(&self) -> Result<Value> {
        self.agent_json(&["status"])
    }

    /// One executor's part of the status.
    ///
    /// # Errors
    ///
    /// If the agent does not answer.
    pub fn executor(&self, name: &str) -> Result<Value> {
        let status = self.status()?;
        let executors = status["executors"].as_array().context("no executors in the status")?;
        executors.iter().find(|one| one["name"] == name).cloned().with_context(|| format!("no executor {name}"))
    }

    /// What the agent reports of one plugin.
    ///
    /// # Errors
    ///
    /// If the agent does not answer, or knows no such plugin.
    pub fn plugin(&self, name: &str) -> Result<Value> {
        let status = self.status()?;
        let plugins = status["plugins"].as_array().context("no plugins in the status")?;
        plugins.iter().find(|one| one["name"] == name).cloned().with_context(|| format!("no plugin {name}"))
    }

    /// The server's address in the mesh.
    ///
    /// # Errors
    ///
    /// If the server is not commissioned.
    pub fn mesh_address(&self) -> Result<String> {
        let identity: Value = serde_json::from_str(&self.machine.read("/var/lib/servos/identity.json")?)?;
        Ok(identity["address"].as_str().context("no address in the identity")?.to_owned())
    }

    /// Starts `servos-agent run`.
    ///
    /// # Errors
    ///
    /// If it does not come up.
    pub fn start_agent(&mut self) -> Result<()> {
        self.begin_agent()?;
        self.wait_until_up()
    }

    /// Starts it and waits for nothing.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub fn begin_agent(&mut self) -> Result<()> {
        self.agent = Some(self.machine.spawn("agent", &self.program, &["run"], "")?);
        Ok(())
    }

    /// Waits until tunnel and names are as the agent wants them.
    ///
    /// # Errors
    ///
    /// If that does not happen; with the agent's last words.
    pub fn wait_until_up(&mut self) -> Result<()> {
        let up = wait_for("the agent's tunnel and names", Duration::from_secs(60), || {
            for name in ["tunnel", "names"] {
                let executor = self.executor(name)?;
                anyhow::ensure!(executor["state"] == "applied", "{name}: {executor}");
            }
            Ok(())
        });
        up.with_context(|| {
            let log = self.agent.as_ref().map(Daemon::log).unwrap_or_default();
            let last: Vec<_> = log.lines().rev().take(15).collect();
            last.into_iter().rev().collect::<Vec<_>>().join("\n")
        })
    }

    /// SIGKILLs the agent.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub fn kill_agent(&mut self) -> Result<()> {
        if let Some(mut agent) = self.agent.take() {
            agent.kill()?;
        }
        Ok(())
    }

    /// Drops a plugin into the agent's folder, as an operator would.
    ///
    /// # Errors
    ///
    /// What the machine said.
    pub fn drop_plugin(&self, wasm: &Path, name: &str) -> Result<()> {
        self.machine.copy(wasm, &format!("/etc/servos/plugins.d/{name}"))
    }
}
