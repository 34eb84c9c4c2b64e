//! A rotation of the key from its beginning to its end, with a double of the control plane that looks, when it is told a
//! key, at what is on disk and in force. Time passes by itself whenever everybody waits; the clock of the wall is set.

mod common;
#[path = "common/mesh.rs"]
mod mesh;

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use servos_agent::clock::{Clock, Now};
use servos_agent::control_client::{ControlError, Publish};
use servos_agent::identity;
use servos_agent::key_files;
use servos_agent::key_ring::KeyRing;
use servos_agent::key_rotation::{KeyRotation, first_keys};
use servos_agent::limits::{KEY_TRANSITION, MIN_ROTATE_KEY_EVERY, PUBLISH_KEY_AGAIN};
use servos_agent::paths::Paths;
use servos_agent::rotation_handle::{Phase, RotationError, RotationHandle, RotationStatus};
use servos_mesh::{PeerTable, PublicKey};
use servos_tunnel::PrivateKey;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A server whose mesh does not follow by itself.
struct Server {
    paths: Paths,
    keys: Arc<KeyRing>,
    mesh: watch::Sender<Arc<PeerTable>>,
    control: Control,
    wall: Wall,
    handle: RotationHandle,
    agent: JoinHandle<()>,
    every: Option<Duration>,
    _folder: TempDir,
}

impl Server {
    fn start(every: Option<Duration>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let paths = common::paths(&folder);
        identity::store(&paths, &common::commissioned("s1")).expect("stored");
        Self::start_in(folder, paths, every, Wall::default())
    }

    fn start_in(folder: TempDir, paths: Paths, every: Option<Duration>, wall: Wall) -> Self {
        let before = identity::load(&paths).expect("an identity").private_key;
        let next = key_files::load(&paths, &before.public_key()).expect("usable files");
        let first = first_keys(before.clone(), next.as_ref());
        let (mesh, table) = watch::channel(mesh::table(1, first.present.public_key()));
        let keys = Arc::new(KeyRing::new(first, Arc::new(ArcSwapOption::empty())));
        let control =
            Control { paths: paths.clone(), keys: keys.clone(), told: Arc::default(), refusal: Arc::default() };
        let (rotation, handle) =
            KeyRotation::new(paths.clone(), control.clone(), keys.clone(), table, (before, next), every, wall.clock());
        let agent = tokio::spawn(rotation.run());
        Self { paths, keys, mesh, control, wall, handle, agent, every, _folder: folder }
    }

    /// Killed, and started once more.
    async fn restart(self) -> Self {
        self.agent.abort();
        let _ = self.agent.await;
        Self::start_in(self._folder, self.paths, self.every, self.wall)
    }

    async fn begin(&self, transition: Duration) -> RotationStatus {
        let begun = self.handle.begin(transition).await.expect("a rotation");
        settle().await;
        begun
    }

    /// The mesh has that key for this server from here on.
    async fn mesh_has(&self, key: PublicKey) {
        self.mesh.send_replace(mesh::table(2, key));
        settle().await;
    }

    /// A rotation whose key the mesh has.
    async fn in_transition(&self, transition: Duration) -> RotationStatus {
        let begun = self.begin(transition).await;
        self.mesh_has(begun.next_key).await;
        begun
    }

    fn rotation(&self) -> Option<RotationStatus> {
        self.handle.status().rotation
    }

    fn phase(&self) -> Option<Phase> {
        self.rotation().map(|rotation| rotation.phase)
    }

    fn problem(&self) -> String {
        self.handle.status().problem.unwrap_or_default()
    }

    /// What `private-key` holds.
    fn kept_key(&self) -> PublicKey {
        identity::load(&self.paths).expect("an identity").private_key.public_key()
    }

    fn held(&self) -> (PublicKey, Option<PublicKey>) {
        let held = self.keys.held();
        (held.present.public_key(), held.other.map(|other| other.public_key()))
    }

    fn has_files_of_a_rotation(&self) -> bool {
        self.paths.next_private_key().exists() || self.paths.key_rotation().exists()
    }

    /// Makes `private-key` so old.
    fn age(&self, age: Duration) {
        let file = fs::File::options().write(true).open(self.paths.private_key()).expect("a file");
        file.set_modified(SystemTime::now() - age).expect("a time");
    }
}

/// What is due at this moment is done when this returns.
async fn settle() {
    sleep(Duration::from_millis(100)).await;
}

/// A clock of the wall that can be set.
#[derive(Clone)]
struct Wall {
    shows: Arc<Mutex<SystemTime>>,
    started: Instant,
}

impl Default for Wall {
    fn default() -> Self {
        Self { shows: Arc::new(Mutex::new(SystemTime::now())), started: Instant::now() }
    }
}

impl Wall {
    fn clock(&self) -> Clock {
        let wall = self.clone();
        Box::new(move || wall.now())
    }

    fn now(&self) -> Now {
        let boot = self.started.elapsed();
        Now { wall: *self.shows.lock() + boot, boot }
    }

    fn set_back(&self, by: Duration) {
        *self.shows.lock() -= by;
    }

    fn set_forward(&self, by: Duration) {
        *self.shows.lock() += by;
    }
}

/// The control plane's double.
#[derive(Clone)]
struct Control {
    paths: Paths,
    keys: Arc<KeyRing>,
    told: Arc<Mutex<Vec<Told>>>,
    /// None: it takes the key.
    refusal: Arc<Mutex<Option<Refusal>>>,
}

/// Status and `Retry-After` of its answers.
type Refusal = (u16, Option<Duration>);

/// What it was told, and what was true at that moment.
#[derive(Clone, Debug)]
struct Told {
    key: PublicKey,
    at: Instant,
    next_on_disk: Option<PublicKey>,
    rotation_on_disk: bool,
    held: Vec<PublicKey>,
}

impl Control {
    fn refuse(&self, status: u16, retry_after: Option<Duration>) {
        *self.refusal.lock() = Some((status, retry_after));
    }

    fn take(&self) {
        *self.refusal.lock() = None;
    }

    fn told(&self) -> Vec<Told> {
        self.told.lock().clone()
    }

    fn times(&self) -> usize {
        self.told.lock().len()
    }
}

impl Publish for Control {
    async fn publish_key(&self, key: PublicKey) -> Result<(), ControlError> {
        let next = fs::read_to_string(self.paths.next_private_key()).ok();
        let held = self.keys.held();
        self.told.lock().push(Told {
            key,
            at: Instant::now(),
            next_on_disk: next.map(|text| PrivateKey::from_base64(&text).expect("a key").public_key()),
            rotation_on_disk: self.paths.key_rotation().exists(),
            held: std::iter::once(held.present).chain(held.other).map(|key| key.public_key()).collect(),
        });
        let Some((status, retry_after)) = *self.refusal.lock() else { return Ok(()) };
        let (url, code, message) = ("https://control".to_owned(), String::new(), "no".to_owned());
        Err(ControlError::Refused { url, status, code, message, retry_after })
    }
}

#[tokio::test(start_paused = true)]
async fn both_keys_are_on_disk_and_answered_before_anybody_is_told() {
    let server = Server::start(None);
    let before = server.kept_key();

    let begun = server.begin(HOUR).await;

    let told = &server.control.told()[0];
    assert_eq!(told.key, begun.next_key);
    assert_eq!(told.next_on_disk, Some(begun.next_key), "a crash here would lose a key that the mesh may have");
    assert!(told.rotation_on_disk);
    assert_eq!(told.held, [before, begun.next_key]);
    assert_eq!((begun.phase, begun.previous_key, begun.until), (Phase::Publishing, before, None));
    assert_eq!(server.held(), (before, Some(begun.next_key)), "peers know the one before");
    let again = server.handle.begin(HOUR).await.expect_err("one at a time");
    assert!(matches!(again, RotationError::UnderWay(_)), "{again}");
    assert!(matches!(server.handle.finish().await, Err(RotationError::NotInMesh)));
}

#[tokio::test(start_paused = true)]
async fn the_control_plane_is_told_until_the_mesh_has_the_key() {
    let server = Server::start(None);
    let begun = server.begin(HOUR).await;
    for times in 1..=5 {
        assert_eq!(server.control.times(), times);
        sleep(PUBLISH_KEY_AGAIN).await;
    }
    settle().await;
    let times = server.control.times();

    server.mesh_has(begun.next_key).await;

    assert_eq!(server.held(), (begun.next_key, Some(begun.previous_key)));
    sleep(HOUR - MINUTE).await;
    assert_eq!((server.control.times(), server.phase()), (times, Some(Phase::Transition)));
    sleep(2 * MINUTE).await;
    assert_eq!((server.control.times(), server.phase()), (times, None));
    assert_eq!(server.held(), (begun.next_key, None));
    assert_eq!(server.kept_key(), begun.next_key);
    assert!(!server.has_files_of_a_rotation());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_at_the_first_asking_leaves_the_key_as_it_is() {
    let server = Server::start(None);
    let before = server.kept_key();
    server.control.refuse(409, None);

    let refused = server.handle.begin(HOUR).await.expect_err("refused");

    assert!(matches!(refused, RotationError::Refused(_)), "{refused}");
    assert_eq!(server.held(), (before, None));
    assert!(!server.has_files_of_a_rotation());
    sleep(DAY).await;
    assert_eq!((server.control.times(), server.rotation()), (1, None));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_may_pass_or_comes_later_holds_the_rotation_up() {
    for (first, later) in [(503, 503), (503, 409)] {
        let server = Server::start(None);
        server.control.refuse(first, None);
        let begun = server.begin(HOUR).await;
        server.control.refuse(later, None);
        sleep(MINUTE).await;
        assert!(server.problem().contains(&format!("refuses ({later})")), "{}", server.problem());
        assert_eq!(server.held(), (begun.previous_key, Some(begun.next_key)));
        assert!(server.has_files_of_a_rotation());

        server.control.take();
        sleep(2 * MINUTE).await;

        assert_eq!(server.problem(), "");
        assert_eq!(server.control.told().last().map(|told| told.key), Some(begun.next_key));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_refused_asks_later_each_time_whatever_pause_is_asked_for() {
    for asked in [None, Some(Duration::ZERO)] {
        let server = Server::start(None);
        server.control.refuse(503, asked);
        server.begin(HOUR).await;
        sleep(10 * MINUTE).await;
        let times = server.control.times();
        assert!((12..35).contains(&times), "{asked:?}: asked {times} times in ten minutes");
        let told = server.control.told();
        let pauses: Vec<_> = told.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
        assert!(pauses[0] < Duration::from_secs(3) && pauses[9] >= MINUTE / 2, "{asked:?}: {pauses:?}");
    }
    let server = Server::start(None);
    server.control.refuse(503, Some(5 * MINUTE));
    server.begin(HOUR).await;
    sleep(14 * MINUTE).await;
    assert_eq!(server.control.times(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_neither_ends_the_transition_nor_draws_it_out() {
    for set in [Wall::set_back, Wall::set_forward] {
        let server = Server::start(None);
        let begun = server.in_transition(HOUR).await;
        set(&server.wall, DAY);
        sleep(HOUR - MINUTE).await;

        let rotation = server.rotation().expect("it goes on");
        assert_eq!(server.held(), (begun.next_key, Some(begun.previous_key)));
        // As the clock has it at the moment, and as of the last look.
        let until = rotation.until.expect("an end");
        let left = until.duration_since(server.wall.now().wall).expect("to come");
        assert!(left.abs_diff(MINUTE) < Duration::from_secs(1), "{left:?}");

        sleep(MINUTE).await;
        assert_eq!((server.rotation(), server.held()), (None, (begun.next_key, None)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_starts_again_goes_on_by_the_clock_and_for_no_longer_than_the_transition() {
    let server = Server::start(None);
    let begun = server.in_transition(HOUR).await;
    sleep(HOUR / 2).await;
    let server = server.restart().await;
    sleep(HOUR / 2 - MINUTE).await;
    assert_eq!(server.held(), (begun.next_key, Some(begun.previous_key)));
    sleep(2 * MINUTE).await;
    assert_eq!((server.rotation(), server.held()), (None, (begun.next_key, None)));

    let begun = server.in_transition(HOUR).await;
    server.wall.set_back(DAY);
    let server = server.restart().await;
    sleep(HOUR - MINUTE).await;
    assert_eq!(server.held(), (begun.next_key, Some(begun.previous_key)));
    sleep(2 * MINUTE).await;
    assert_eq!((server.rotation(), server.held()), (None, (begun.next_key, None)));
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_leaves_the_phase_true_and_is_tried_again() {
    let server = Server::start(None);
    let begun = server.begin(HOUR).await;
    // Nothing can be put in the place of a folder.
    fs::remove_file(server.paths.key_rotation()).expect("removed");
    fs::create_dir(server.paths.key_rotation()).expect("a folder");

    server.mesh_has(begun.next_key).await;
    sleep(MINUTE).await;

    assert_eq!(server.phase(), Some(Phase::Transition));
    assert_eq!(server.held(), (begun.next_key, Some(begun.previous_key)));
    assert!(server.problem().contains("key-rotation.json"), "{}", server.problem());

    fs::remove_dir(server.paths.key_rotation()).expect("removed");
    sleep(2 * MINUTE).await;

    assert_eq!(server.problem(), "");
    let kept = fs::read_to_string(server.paths.key_rotation()).expect("a file");
    assert!(!kept.contains("null"), "a restart would tell the key once more: {kept}");
    sleep(HOUR).await;
    assert_eq!((server.rotation(), server.kept_key()), (None, begun.next_key));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_rotated_by_itself_at_its_age_and_not_before() {
    let every = 10 * MIN_ROTATE_KEY_EVERY;
    let server = Server::start(Some(every));
    server.age(every - HOUR);
    sleep(HOUR - MINUTE).await;
    assert_eq!(server.control.times(), 0);
    sleep(every / 10 + 15 * MINUTE).await;
    let begun = server.rotation().expect("a rotation");
    assert_eq!(server.control.told()[0].key, begun.next_key);
    let transition = fs::read_to_string(server.paths.key_rotation()).expect("a file");
    assert!(transition.contains(&KEY_TRANSITION.as_secs().to_string()), "{transition}");

    let server = Server::start(None);
    server.age(1_000 * every);
    sleep(DAY).await;
    assert_eq!((server.control.times(), server.rotation()), (0, None), "only when asked");
}

#[tokio::test(start_paused = true)]
async fn servers_of_one_age_do_not_rotate_in_step() {
    let every = 20 * MIN_ROTATE_KEY_EVERY;
    let servers: Vec<_> = (0..20).map(|_| Server::start(Some(every))).collect();
    // They look as if they had just come to that age.
    servers.iter().for_each(|server| server.age(every));
    let begun = || servers.iter().filter(|server| server.control.times() > 0).count();
    sleep(every / 20).await;
    assert!((1..20).contains(&begun()), "{} after half of the time that they are put off by", begun());
    sleep(every / 20 + 15 * MINUTE).await;
    assert_eq!(begun(), 20);
}

/// Tells its own key a second after the mesh has any other, as a clone of the server would that never waits.
async fn copy_of(server: &Server, key: PublicKey) {
    let mut times = 0;
    loop {
        sleep(Duration::from_secs(1)).await;
        let told = server.control.told();
        if told.len() > times {
            times = told.len();
            server.mesh_has(told[times - 1].key).await;
            server.mesh_has(key).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_with_one_identity_do_not_fight_over_its_key_for_ever_and_say_so() {
    let server = Server::start(None);
    let before = server.kept_key();
    let begun = server.begin(HOUR).await;
    assert_eq!(server.problem(), "");

    let _ = tokio::time::timeout(DAY, copy_of(&server, before)).await;

    let times = server.control.times();
    assert!((8..14).contains(&times), "told {times} times in a day");
    let problem = server.problem();
    assert!(problem.contains(&before.to_string()) && problem.contains("does a copy of it run?"), "{problem}");
    // It is said as well while the mesh has our key, and until a day has passed without another.
    server.mesh_has(begun.next_key).await;
    sleep(DAY / 4).await;
    assert_eq!(server.problem(), problem);
    sleep(DAY).await;
    assert_eq!(server.problem(), "");
}

#[tokio::test(start_paused = true)]
async fn a_control_plane_that_was_restored_once_is_told_at_once_and_nothing_is_said() {
    let server = Server::start(None);
    let begun = server.in_transition(10 * DAY).await;
    sleep(HOUR).await;
    server.mesh_has(begun.previous_key).await;
    assert_eq!(server.control.times(), 2);
    assert_eq!(server.problem(), "");
    server.mesh_has(begun.next_key).await;
    sleep(DAY).await;
    server.mesh_has(begun.previous_key).await;
    assert_eq!((server.control.times(), server.problem().as_str()), (3, ""), "the first was forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_control_plane_that_refuses_is_not_asked_for_a_rotation_by_itself_each_minute() {
    let every = MIN_ROTATE_KEY_EVERY;
    let server = Server::start(Some(every));
    let before = server.kept_key();
    server.age(2 * every);
    server.control.refuse(403, None);
    sleep(DAY + MINUTE).await;
    let times = server.control.times();
    assert!((24..=26).contains(&times), "{times} times in a day");
    assert!(server.problem().contains("refuses (403)"), "{}", server.problem());
    assert_eq!((server.held(), server.has_files_of_a_rotation()), ((before, None), false));

    server.control.take();
    sleep(HOUR).await;
    assert_eq!((server.phase(), server.problem().as_str()), (Some(Phase::Publishing), ""));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_the_mesh_hears_it_at_once_and_of_no_other_key() {
    let server = Server::start(None);
    let begun = server.begin(HOUR).await;
    let heard = tokio::spawn({
        let handle = server.handle.clone();
        async move { (handle.in_mesh(begun.next_key).await, Instant::now()) }
    });
    sleep(MINUTE).await;
    assert!(!heard.is_finished());
    let changed = Instant::now();
    server.mesh_has(begun.next_key).await;
    let (in_mesh, at) = heard.await.expect("an answer");
    assert!(in_mesh && at - changed < Duration::from_millis(50), "{:?}", at - changed);

    // Also of a key whose transition is over.
    sleep(2 * HOUR).await;
    assert!(server.handle.in_mesh(begun.next_key).await);
    let second = server.begin(HOUR).await;
    assert!(server.handle.in_mesh(begun.next_key).await);
    server.agent.abort();
    assert!(!server.handle.in_mesh(second.next_key).await);
}
