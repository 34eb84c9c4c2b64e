//! The files of a rotation, cut off at every step: an agent that starts then has the key that the mesh may know.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use servos_agent::key_files::{self, Next, Rotation};
use servos_agent::key_rotation::first_keys;
use servos_agent::limits::KEY_TRANSITION;
use servos_agent::paths::Paths;
use servos_mesh::PublicKey;
use servos_tunnel::PrivateKey;

struct Folder {
    paths: Paths,
    _folder: tempfile::TempDir,
}

impl Folder {
    /// With a key in it.
    fn new(key: &PrivateKey) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let paths = Paths { state: folder.path().to_owned(), ..Paths::default() };
        fs::write(paths.private_key(), key.to_base64().as_bytes()).expect("a file");
        Self { paths, _folder: folder }
    }

    /// The keys that an agent would start with: present, other.
    fn start(&self) -> (PublicKey, Option<PublicKey>) {
        let text = fs::read_to_string(self.paths.private_key()).expect("a key");
        let before = PrivateKey::from_base64(&text).expect("a key");
        let next = key_files::load(&self.paths, &before.public_key()).expect("usable files");
        let keys = first_keys(before, next.as_ref());
        (keys.present.public_key(), keys.other.map(|other| other.public_key()))
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.paths.state).expect("a folder");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }
}

fn next(transition: Duration) -> Next {
    Next { key: PrivateKey::generate(), rotation: Rotation::begin(SystemTime::now(), transition) }
}

#[test]
fn an_agent_that_is_killed_anywhere_goes_on() {
    let before = PrivateKey::generate();
    let folder = Folder::new(&before);
    let mut next = next(KEY_TRANSITION);
    let (old, new) = (before.public_key(), next.key.public_key());
    assert_eq!(folder.start(), (old, None));

    // Killed between the two files of the beginning: nobody knows the next key.
    fs::write(folder.paths.next_private_key(), next.key.to_base64().as_bytes()).expect("a file");
    assert_eq!(folder.start(), (old, None));
    assert_eq!(folder.files(), ["private-key"]);

    key_files::begin(&folder.paths, &next).expect("files");
    for file in [folder.paths.next_private_key(), folder.paths.key_rotation()] {
        let mode = fs::metadata(&file).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    assert_eq!(folder.start(), (old, Some(new)), "the mesh may know either");

    next.rotation.see(SystemTime::now());
    key_files::keep(&folder.paths, &next.rotation).expect("a file");
    assert_eq!(folder.start(), (new, Some(old)), "the mesh knows the next, and some the one before");

    // Killed within the end: after the key is in its place, and after each file that is removed.
    fs::write(folder.paths.private_key(), next.key.to_base64().as_bytes()).expect("a file");
    assert_eq!(folder.start(), (new, None));
    assert_eq!(folder.files(), ["private-key"]);
    for left in [folder.paths.next_private_key(), folder.paths.key_rotation()] {
        key_files::begin(&folder.paths, &next).expect("files");
        fs::remove_file(left).expect("a file");
        assert_eq!(folder.start(), (new, None));
        assert_eq!(folder.files(), ["private-key"]);
    }
}

#[test]
fn the_end_leaves_one_file_and_may_come_twice() {
    let folder = Folder::new(&PrivateKey::generate());
    let next = next(KEY_TRANSITION);
    key_files::begin(&folder.paths, &next).expect("files");
    for _ in 0..2 {
        key_files::finish(&folder.paths, &next.key).expect("an end");
        assert_eq!(folder.start(), (next.key.public_key(), None));
        assert_eq!(folder.files(), ["private-key"]);
    }
}

#[test]
fn a_damaged_file_of_the_rotation_gives_no_key_up() {
    let before = PrivateKey::generate();
    for damage in [
        "",
        "{",
        r#"{"begun":1,"transition":99999999999,"seen":1}"#,
        r#"{"begun":99999999999999,"transition":1,"seen":null}"#,
        r#"{"begun":18446744073709551615,"transition":1,"seen":null}"#,
        // The year 10000, which no text form of a time has.
        r#"{"begun":253402300800,"transition":1,"seen":null}"#,
        r#"{"begun":1,"transition":1,"seen":253402300800}"#,
        r#"{"begun":1,"transition":1,"seen":18446744073709551615}"#,
    ] {
        let folder = Folder::new(&before);
        let next = next(KEY_TRANSITION);
        key_files::begin(&folder.paths, &next).expect("files");
        fs::write(folder.paths.key_rotation(), damage).expect("a file");
        assert_eq!(folder.start(), (before.public_key(), Some(next.key.public_key())), "{damage:?}");
    }
}

#[test]
fn a_damaged_next_key_is_an_error_that_names_it() {
    let before = PrivateKey::generate();
    let folder = Folder::new(&before);
    key_files::begin(&folder.paths, &next(KEY_TRANSITION)).expect("files");
    let path: PathBuf = folder.paths.next_private_key();
    fs::write(&path, "no key").expect("a file");
    let error = key_files::load(&folder.paths, &before.public_key()).expect_err("damaged").to_string();
    assert!(error.contains("private-key.next is damaged"), "{error}");
}

#[test]
fn the_transition_is_counted_from_when_the_mesh_had_the_key() {
    let now = SystemTime::now();
    let transition = Duration::from_secs(100);
    let mut rotation = Rotation::begin(now, transition);
    let much_later = now + Duration::from_secs(100_000);
    assert_eq!(rotation.left(much_later), None, "as long as the mesh does not have the key, both are needed");
    rotation.see(much_later);
    rotation.see(much_later + transition);
    let left = rotation.left(much_later + transition / 2).expect("seen");
    assert!(left.abs_diff(transition / 2) <= Duration::from_secs(1), "{left:?}");
    assert_eq!(rotation.left(much_later + transition), Some(Duration::ZERO));
    assert_eq!(rotation.left(now), Some(transition), "a clock that was set back makes it no longer");
}
