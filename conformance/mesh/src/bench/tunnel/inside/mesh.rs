//! One tunnel over a state file, as the agent starts it: the file is mapped, indexed, and put in force.
//!
//! Takes lines: `apply FILE` puts another state in force while packets go through, `follow FILE` a delta, `quit` ends
//! it.

use std::io::BufRead as _;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use serde_json::{Value, json};
use servos_agent::state_file;
use servos_mesh::{MeshAddress, MeshDelta, Own, PeerTable};
use servos_tunnel::{PrivateKey, Tunnel, TunnelConfig};

use super::echo::Asker;
use super::{pause, say};

/// UDP port of this tunnel.
pub(in crate::bench::tunnel) const PORT: u16 = 51_901;

/// Echoes that are heard before a change, to compare with.
const BEFORE: Duration = Duration::from_secs(1);

/// Between two echoes.
const PAUSE: Duration = Duration::from_millis(1);

pub(super) fn serve(state: &Path, key: &Path) -> Result<()> {
    let private_key = PrivateKey::from_base64(std::fs::read_to_string(key)?.trim_end())?;
    let began = Instant::now();
    let mut table = table(state, &private_key)?;
    let indexed = began.elapsed();
    let own = table.own().context("the state does not hold this tunnel")?.address();
    let config = TunnelConfig {
        interface: "wgb0".to_owned(),
        private_key,
        listen_port: PORT,
        address: own,
        mtu: 1_420,
        lanes: NonZeroUsize::MIN,
        stays: false,
        handshakes: None,
        sessions: None,
    };
    let key = config.private_key.clone();
    let tunnel = Tunnel::start(config, table.clone())?;
    let echo = format!("{}:7", MeshAddress::from_index(1)?);
    let mut asker = Asker::new(&echo)?;
    asker.ask()?.context("the first packet is lost")?;
    let answered = began.elapsed();
    say(&json!({ "ready": true, "indexed_s": indexed.as_secs_f64(), "start_s": answered.as_secs_f64() }))?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("apply", file) => {
                let whole = || self::table(Path::new(file), &key);
                say(&apply(&tunnel, &mut asker, &mut table, |_| whole())?)?;
            }
            ("follow", file) => {
                let body = Bytes::from(std::fs::read(file)?);
                let follow = |table: &PeerTable| Ok(Arc::new(table.apply(&MeshDelta::parse(body)?)?));
                say(&apply(&tunnel, &mut asker, &mut table, follow)?)?;
            }
            ("sessions", _) => say(&json!({ "sessions": tunnel.counters().sessions }))?,
            ("quit", _) => break,
            _ => bail!("unknown line {line}"),
        }
    }
    tunnel.shutdown();
    Ok(())
}

/// Maps and indexes a state as the agent does; this tunnel is its last server.
fn table(path: &Path, key: &PrivateKey) -> Result<Arc<PeerTable>> {
    let mapped = state_file::load(path)?.with_context(|| format!("{} is not there", path.display()))?;
    let state = mapped.state();
    let own = state.peers().last().map(|last| Own { address: last.address(), public_key: key.public_key() });
    let table = PeerTable::new(state.clone(), own);
    mapped.release_names();
    Ok(Arc::new(table))
}

/// Makes the table that follows `table` and puts it in force while echoes go through.
fn apply(
    tunnel: &Tunnel,
    asker: &mut Asker,
    table: &mut Arc<PeerTable>,
    next: impl FnOnce(&PeerTable) -> Result<Arc<PeerTable>>,
) -> Result<Value> {
    let quiet = AtomicBool::new(false);
    let before = echoes(asker, || false)?;
    std::thread::scope(|scope| {
        let meanwhile = scope.spawn(|| echoes(asker, || !quiet.load(Ordering::Relaxed)));
        let began = Instant::now();
        let next = next(table).map(|next| (tunnel.apply(next.clone()), next));
        let took = began.elapsed();
        quiet.store(true, Ordering::Relaxed);
        let meanwhile = meanwhile.join().map_err(|_| anyhow::anyhow!("the echoes broke"))??;
        let (applied, next) = next?;
        *table = next;
        let late = meanwhile.worst.saturating_sub(before.worst);
        Ok(json!({
            "took_ms": millis(took), "applied": applied,
            "echoes": meanwhile.count, "lost": meanwhile.lost, "late_ms": millis(late),
        }))
    })
}

#[derive(Default)]
struct Echoes {
    count: u64,
    lost: u64,
    worst: Duration,
}

/// Asks for [`BEFORE`], and as long as `more` says so.
fn echoes(asker: &mut Asker, more: impl Fn() -> bool) -> Result<Echoes> {
    let mut echoes = Echoes::default();
    let began = Instant::now();
    while began.elapsed() < BEFORE || more() {
        echoes.count += 1;
        match asker.ask()? {
            Some(time) => echoes.worst = echoes.worst.max(time),
            None => echoes.lost += 1,
        }
        pause(PAUSE);
    }
    Ok(echoes)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
