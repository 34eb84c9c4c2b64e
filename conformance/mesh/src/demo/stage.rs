//! The stage: machines, services on them, resources, and what an operator had there before.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::daemon::Daemon;
use crate::machine::Machine;
use crate::mesh::{MeshLab, Server};
use crate::services::{start_http_instance, start_traefik};
use crate::wait_for;

/// Where the instances of `api` listen.
pub const API_PORT: u16 = 8080;

/// Weights of `api` on the first three servers.
pub const API_WEIGHTS: [u16; 3] = [100, 100, 200];

/// `api` on three servers with failover, `postgres` on the fourth without.
const RESOURCES: &str = "\
resources:
  - name: api
    protocol: http
    port: 80
    enable_mesh_failover: true
    hosts: [api.example.org]
    health_check: { path: /healthz, interval: 250ms, timeout: 250ms }
    instances:
      - { server: s1, port: 8080, weight: 100 }
      - { server: s2, port: 8080, weight: 100 }
      - { server: s3, port: 8080, weight: 200 }
  - name: postgres
    protocol: tcp
    port: 5432
    instances:
      - { server: s4, port: 5432 }
";

/// Everything that the steps play with. Fields are dropped in this order.
pub struct Stage {
    /// HTTP servers behind `api`, one Traefik a server, listeners on ports 22 (stands for sshd), 9999 (nobody asked
    /// for it) and 5432.
    #[expect(dead_code, reason = "held: they end when they are dropped")]
    services: Vec<Daemon>,
    /// s1 to s4.
    pub servers: Vec<Server>,
    /// A machine of the underlay that is in no mesh.
    pub outsider: Machine,
    /// Control plane and laboratory.
    pub mesh: MeshLab,
}

impl Stage {
    /// Sets everything up.
    pub fn set(keep: bool) -> Result<Self> {
        let mesh = MeshLab::start(keep)?;
        let outsider = mesh.lab.machine("outside")?;
        let mut servers = Vec::new();
        let mut services = Vec::new();
        for name in ["s1", "s2", "s3", "s4"] {
            let mut server = mesh.bare(name)?;
            services.extend(operator_before(&server.machine).with_context(|| format!("firewall of {name}"))?);
            services.push(start_traefik(&server.machine, &mesh.programs.traefik)?);
            mesh.commission(&mut server)?;
            servers.push(server);
        }
        for server in &servers[..3] {
            services.push(start_http_instance(&server.machine, API_PORT)?);
        }
        services.push(servers[3].machine.spawn("postgres", "python3", &["-m", "http.server", "5432"], "")?);
        mesh.apply(RESOURCES)?;
        wait_for("`api` on every server", Duration::from_secs(30), || {
            for server in &servers {
                server.machine.run("getent", &["hosts", "api"])?.success("getent hosts api")?;
                let answer = server.machine.run("curl", &["-fsS", "-m", "3", "http://api/"])?;
                answer.success("curl http://api/")?;
            }
            Ok(())
        })?;
        Ok(Self { services, servers, outsider, mesh })
    }

    /// What commissioning came to.
    pub fn evidence(&self) -> String {
        let addresses: Vec<_> = self.servers.iter().filter_map(|server| server.mesh_address().ok()).collect();
        format!("wg0 up with {}", addresses.join(", "))
    }

    /// How a person looks around.
    pub fn how_to_enter(&self) -> String {
        let mut text = String::from("left running; enter with:\n");
        for server in &self.servers {
            text.push_str(&format!("  {}: {}\n", server.machine.name(), server.machine.how_to_enter()));
        }
        text.push_str(&format!("  control: {}\n", self.mesh.control.how_to_enter()));
        text.push_str(&format!("  programs: {}\n", self.mesh.programs.agent.display()));
        text
    }

    /// Leaves everything running.
    pub fn leave(self) {
        std::mem::forget(self);
    }
}

/// What an operator had on a server before: an active ufw with rules, a service on port 22, another on 9999.
fn operator_before(machine: &Machine) -> Result<Vec<Daemon>> {
    let rules = "ufw allow 22/tcp comment 'operator: ssh' && ufw deny 8081/tcp comment 'operator: legacy' \
                 && ufw allow from 10.77.0.0/16 to any port 9100 proto tcp && ufw --force enable";
    machine.sh(rules)?.success("ufw")?;
    let ssh = machine.spawn("ssh", "python3", &["-m", "http.server", "22"], "")?;
    let other = machine.spawn("other", "python3", &["-m", "http.server", "9999"], "")?;
    Ok(vec![ssh, other])
}
