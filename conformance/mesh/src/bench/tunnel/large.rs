//! Four million known peers: memory, start, an idle tunnel, a change. Ours alone; nobody else has a mesh of that size.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;
use servos_mesh::PublicKey;
use servos_tunnel::PrivateKey;

use super::echo::number;
use super::figure::{APPLY, APPLY_LATE, APPLY_LOST, APPLY_WHOLE, BYTES_A_PEER, IDLE_CPU, KIB_A_SESSION, OURS, START};
use super::inside::{Helper, MESH_PORT, SWARM, StateSize, write_delta, write_state};
use crate::bench::process::{cpu_seconds, resident_kib};
use crate::bench::results::Results;
use crate::lab::Lab;
use crate::machine::Machine;
use crate::wait_for;

/// All addresses of the mesh but the first and the last.
const LARGE: StateSize = StateSize { peers: (1 << 22) - 2, changed: 0 };
/// The same, changed; of the changed peers half have a session.
const CHANGED: StateSize = StateSize { changed: 100, ..LARGE };
/// Beside it: the real peers, and this server.
const SMALL: StateSize = StateSize { peers: SWARM + 1, changed: 0 };

/// Sessions whose memory is measured.
const SESSIONS: u32 = 100;

/// UDP port of the reflector.
const REFLECTOR: u16 = 51_902;

/// Two machines: the tunnel, and all its real peers.
struct Site {
    folder: PathBuf,
    key: PublicKey,
    key_file: PathBuf,
    mesh: Machine,
    swarm: Machine,
    _lab: Lab,
}

pub(super) fn measure(rounds: usize, idle: Duration, results: &mut Results) -> Result<()> {
    let lab = Lab::new()?;
    let (mesh, swarm) = (lab.machine("mesh")?, lab.machine("swarm")?);
    let folder = lab.folder().to_owned();
    let key = PrivateKey::generate();
    let key_file = folder.join("private.key");
    std::fs::write(&key_file, &*key.to_base64())?;
    let site = Site { folder, key: key.public_key(), key_file, mesh, swarm, _lab: lab };
    let (small, large, changed) =
        (site.state("small", SMALL)?, site.state("large", LARGE)?, site.state("new", CHANGED)?);
    let delta = site.folder.join("new.delta");
    write_delta(&delta, &large, &changed)?;
    for _ in 0..rounds {
        let few = {
            let (tunnel, _reflector) = site.start(&small, None)?;
            resident_kib(tunnel.pid())?
        };
        let (mut tunnel, mut reflector) = site.start(&large, Some(results))?;
        let many = resident_kib(tunnel.pid())?;
        results.add(BYTES_A_PEER, OURS, (many - few) * 1_024.0 / f64::from(LARGE.peers - SMALL.peers));
        // The session of the first packet stands already.
        reflector.ask(&SESSIONS.to_string())?;
        let used = resident_kib(tunnel.pid())?;
        results.add(KIB_A_SESSION, OURS, (used - many) / f64::from(SESSIONS - 1));
        reflector.ask(&SWARM.to_string())?;
        let sessions = number(&tunnel.ask("sessions")?, "sessions")?;
        ensure!(sessions >= f64::from(SWARM), "only {sessions} sessions stand");
        results.add(IDLE_CPU, OURS, share(tunnel.pid(), idle)? * 100.0);
        let change = put_in_force(&mut tunnel, "follow", &delta)?;
        for (figure, name) in [(APPLY, "took_ms"), (APPLY_LOST, "lost"), (APPLY_LATE, "late_ms")] {
            results.add(figure, OURS, number(&change, name)?);
        }
        // And back: the same peers change once more.
        let change = put_in_force(&mut tunnel, "apply", &large)?;
        results.add(APPLY_WHOLE, OURS, number(&change, "took_ms")?);
    }
    Ok(())
}

impl Site {
    fn state(&self, name: &str, size: StateSize) -> Result<PathBuf> {
        let path = self.folder.join(format!("{name}.state"));
        write_state(&path, SocketAddr::from((self.swarm.address(), REFLECTOR)), size)?;
        Ok(path)
    }

    /// The tunnel, its first packet answered, and the reflector that answered it.
    fn start(&self, state: &Path, results: Option<&mut Results>) -> Result<(Helper, Helper)> {
        let (port, target) = (REFLECTOR.to_string(), format!("{}:{MESH_PORT}", self.mesh.address()));
        let own = self.key.to_string();
        let reflector = Helper::start(&self.swarm, &["reflect", &port, &target, &own])?;
        self.mesh.run("ping", &["-c", "1", &self.swarm.address().to_string()])?.success("ping")?;
        let mut tunnel =
            Helper::launch(&self.mesh, &["mesh", &state.display().to_string(), &self.key_file.display().to_string()])?;
        let ready = tunnel.answer()?;
        if let Some(results) = results {
            results.add(START, OURS, number(&ready, "start_s")?);
        }
        Ok((tunnel, reflector))
    }
}

/// Puts a change in force; the sessions of the peers that changed must have followed, and no other.
fn put_in_force(tunnel: &mut Helper, how: &str, file: &Path) -> Result<Value> {
    let change = tunnel.ask(&format!("{how} {}", file.display()))?;
    let applied = &change["applied"];
    let followed = applied["endpoints"] == CHANGED.changed / 2 && applied["ended"] == 0 && applied["rotated"] == 0;
    ensure!(followed, "{how}: {change}");
    Ok(change)
}

/// Share of a core that a process uses over so long.
fn share(pid: u32, length: Duration) -> Result<f64> {
    let before = cpu_seconds(pid)?;
    let began = Instant::now();
    wait_for("the end of the measurement", length * 2, || {
        let passed = began.elapsed();
        ensure!(passed >= length, "{} s passed", passed.as_secs());
        Ok(())
    })?;
    Ok((cpu_seconds(pid)? - before) / began.elapsed().as_secs_f64())
}
