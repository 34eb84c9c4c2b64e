//! The poll loop against a control plane that fails in ways that a real one cannot be made to.

#[path = "common/control_double.rs"]
mod control_double;
#[path = "common/mesh.rs"]
mod mesh;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use servos_agent::kept_state::KeptState;
use servos_agent::key_ring::KeyRing;
use servos_agent::limits::DELTA_ATTEMPTS;
use servos_agent::paths::Paths;
use servos_agent::poll::{ControlStatus, Poller};
use servos_agent::state_file;
use servos_mesh::api::{DELTA_MANIPULATION, EndpointReport, MESH_DELTA_TYPE, MESH_STATE_TYPE};
use servos_mesh::limits::MAX_DELTA_BYTES;
use servos_mesh::{MeshDelta, PeerTable, Revision};
use servos_tunnel::PrivateKey;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::control_double::ControlDouble;

/// What polls, and where it brings the mesh to.
struct Agent {
    paths: Paths,
    status: Arc<Mutex<ControlStatus>>,
    table: watch::Receiver<Arc<PeerTable>>,
    _folder: TempDir,
}

impl Agent {
    /// It knows revision 1. `prepare` is done to its folder before.
    fn start(key: &PrivateKey, control: &ControlDouble, prepare: impl FnOnce(&Paths)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let paths = Paths { state: folder.path().to_owned(), ..Paths::default() };
        prepare(&paths);
        let (table_out, table) = watch::channel(mesh::table(1, key.public_key()));
        let keys = Arc::new(KeyRing::new(key.clone().into(), Arc::new(ArcSwapOption::empty())));
        let endpoint = EndpointReport { ip: None, port: 51_820 };
        let kept = (KeptState::new(&paths), None);
        let poller = Poller::new(control.client.clone(), kept, mesh::own_address(), keys, endpoint, table_out);
        let status = poller.status();
        tokio::spawn(poller.run());
        Self { paths, status, table, _folder: folder }
    }

    async fn reaches(&self, revision: u64) {
        let mut table = self.table.clone();
        let reached = table.wait_for(|table| table.revision() == Revision(revision));
        let reached = tokio::time::timeout(Duration::from_secs(60), reached).await;
        reached.unwrap_or_else(|_| panic!("{:?}", self.status.lock())).expect("a poller");
    }
}

fn whole(revision: u8, key: &PrivateKey) -> Vec<u8> {
    let state = mesh::state(revision, key.public_key());
    let (etag, length) = (state.revision().etag(), state.body().len());
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {MESH_STATE_TYPE}\r\netag: {etag}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n"
    );
    [head.as_bytes(), state.body()].concat()
}

/// The change from revision 1 to 2, said to be `length` bytes long.
fn delta(key: &PrivateKey, length: impl FnOnce(usize) -> usize) -> Vec<u8> {
    let [one, two] = [1, 2].map(|revision| mesh::state(revision, key.public_key()));
    let delta = MeshDelta::between(&one, &two).expect("sound").expect("sayable");
    let head = format!(
        "HTTP/1.1 226 IM Used\r\ncontent-type: {MESH_DELTA_TYPE}\r\nim: {DELTA_MANIPULATION}\r\ndelta-base: {}\r\n\
         etag: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        one.revision().etag(),
        two.revision().etag(),
        length(delta.body().len())
    );
    [head.as_bytes(), delta.body()].concat()
}

const UNCHANGED: &[u8] = b"HTTP/1.1 304 Not Modified\r\npreference-applied: wait=25\r\nconnection: close\r\n\r\n";

fn asks_for_delta(poll: &str) -> bool {
    poll.contains("\r\na-im: ")
}

fn knows(poll: &str, revision: u8) -> bool {
    poll.contains(&format!("\r\nif-none-match: \"{revision}\""))
}

#[tokio::test]
async fn a_change_is_asked_for_and_followed() {
    let key = PrivateKey::generate();
    let control = ControlDouble::start({
        let key = key.clone();
        move |poll| if asks_for_delta(poll) && knows(poll, 1) { delta(&key, |length| length) } else { UNCHANGED.into() }
    });
    let control = control.await;
    let agent = Agent::start(&key, &control, |_| {});
    agent.reaches(2).await;
    assert_eq!(agent.status.lock().updates.delta, 1);
}

#[tokio::test]
async fn a_change_that_breaks_off_again_and_again_is_asked_for_as_the_whole() {
    let key = PrivateKey::generate();
    let control = ControlDouble::start({
        let key = key.clone();
        move |poll| match knows(poll, 1) {
            true if asks_for_delta(poll) => delta(&key, |length| length + 1),
            true => whole(2, &key),
            false => UNCHANGED.into(),
        }
    });
    let control = control.await;

    let agent = Agent::start(&key, &control, |_| {});
    agent.reaches(2).await;

    let polls = control.polls();
    let attempts = DELTA_ATTEMPTS as usize;
    assert!(polls.iter().take(attempts).all(|poll| asks_for_delta(poll)), "{polls:?}");
    assert!(!asks_for_delta(&polls[attempts]) && knows(&polls[attempts], 1), "{polls:?}");
    // From there on changes are asked for again.
    while control.polls().len() < attempts + 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(asks_for_delta(&control.polls()[attempts + 1]), "{:?}", control.polls());
}

#[tokio::test]
async fn a_change_that_is_too_long_is_asked_for_as_the_whole() {
    let key = PrivateKey::generate();
    let control = ControlDouble::start({
        let key = key.clone();
        move |poll| match knows(poll, 1) {
            true => delta(&key, |_| MAX_DELTA_BYTES + 1),
            false if knows(poll, 2) => UNCHANGED.into(),
            false => whole(2, &key),
        }
    });
    let control = control.await;

    let agent = Agent::start(&key, &control, |_| {});
    agent.reaches(2).await;

    let polls = control.polls();
    assert!(knows(&polls[0], 1) && !polls[1].contains("if-none-match"), "{polls:?}");
}

#[tokio::test]
async fn a_state_that_could_not_be_written_is_written_though_nothing_changes() {
    let key = PrivateKey::generate();
    let control = ControlDouble::start({
        let key = key.clone();
        move |poll| if knows(poll, 1) { whole(2, &key) } else { UNCHANGED.into() }
    });
    let control = control.await;
    // Nothing can be put in the place of a folder.
    let agent = Agent::start(&key, &control, |paths| fs::create_dir(paths.mesh_state()).expect("a folder"));
    agent.reaches(2).await;
    let polls = control.polls().len();
    while control.polls().len() < polls + 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let problem = agent.status.lock().state_file_error.clone().expect("a problem");
    assert!(problem.contains("cannot keep the mesh state"), "{problem}");

    fs::remove_dir(agent.paths.mesh_state()).expect("removed");

    let kept = tokio::time::timeout(Duration::from_secs(30), async {
        while agent.status.lock().state_file_error.is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    kept.await.expect("it is written");
    let kept = state_file::load(&agent.paths.mesh_state()).expect("readable").expect("there");
    assert_eq!(kept.state().revision(), Revision(2));
}
