//! Joins what the control plane says with what this server sees into the [`Snapshot`] that everybody reads.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use servos_failover::ProbeView;
use servos_mesh::{InstanceKey, Link, LinkObservation, MeshAddress, Observations, PeerTable, Snapshot};
use tokio::sync::{mpsc, watch};

use crate::limits::SETTLE;

/// A change of one link, as the tunnel tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkChange {
    /// The server at the other end.
    pub server: MeshAddress,
    /// None: its session is gone.
    pub link: Option<LinkObservation>,
}

/// The sources of a snapshot.
pub struct Sources {
    /// What the control plane said.
    pub table: watch::Receiver<Arc<PeerTable>>,
    /// What the probes see.
    pub probes: watch::Receiver<Arc<ProbeView>>,
    /// What the tunnel sees.
    pub links: mpsc::UnboundedReceiver<LinkChange>,
}

/// The first snapshot: the mesh, nothing observed.
pub fn first(table: Arc<PeerTable>) -> Arc<Snapshot> {
    let observations = Arc::new(Observations::default());
    Arc::new(Snapshot { generation: 1, taken_at: Instant::now(), table, observations })
}

/// Publishes a new snapshot whenever a source changes; ends when they are gone.
pub async fn publish(mut sources: Sources, snapshots: watch::Sender<Arc<Snapshot>>) {
    let mut links: HashMap<MeshAddress, LinkObservation> = HashMap::new();
    loop {
        let mut matters = false;
        tokio::select! {
            changed = sources.table.changed() => {
                if changed.is_err() { return }
                matters = true;
            }
            changed = sources.probes.changed() => {
                if changed.is_err() { return }
                matters = true;
            }
            change = sources.links.recv() => {
                let Some(change) = change else { return };
                matters |= note(&mut links, change, &sources.table.borrow());
            }
        }
        // A burst of changes makes one snapshot.
        tokio::time::sleep(SETTLE).await;
        while let Ok(change) = sources.links.try_recv() {
            matters |= note(&mut links, change, &sources.table.borrow());
        }
        if !matters {
            continue;
        }
        let table = sources.table.borrow_and_update().clone();
        let probes = sources.probes.borrow_and_update().clone();
        snapshots.send_modify(|snapshot| {
            let observations =
                Observations { instances: probes.instances.clone(), links: links.clone(), proxy: probes.proxy.clone() };
            *snapshot = Arc::new(Snapshot {
                generation: snapshot.generation + 1,
                taken_at: Instant::now(),
                table,
                observations: Arc::new(observations),
            });
        });
    }
}

/// Notes a link. True if it can change an answer: sessions come and go all the time on a busy server, and answers
/// depend only on the links of servers that something runs on.
fn note(links: &mut HashMap<MeshAddress, LinkObservation>, change: LinkChange, table: &PeerTable) -> bool {
    let before = match change.link {
        Some(link) => links.insert(change.server, link),
        None => links.remove(&change.server),
    };
    let verdict = |link: Option<LinkObservation>| link.map_or(Link::Idle, |link| link.link);
    verdict(before) != verdict(change.link) && table.is_hosting(change.server)
}

/// The key under which an instance's observation is kept.
pub fn instance_key(service: &servos_mesh::Service, instance: &servos_mesh::Instance) -> InstanceKey {
    InstanceKey { service: service.name.clone(), server: instance.server(), port: instance.port() }
}
