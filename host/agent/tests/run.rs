//! How an agent becomes the one of its server.

mod common;

use std::fs;

use servos_agent::{durable_file, identity, run};

#[test]
fn who_a_server_is_is_read_by_the_one_agent_that_holds_the_lock() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = common::paths(&folder);
    let commissioned = common::commissioned("s1");
    identity::store(&paths, &commissioned).expect("stored");
    let held = run::enter(&paths).expect("the first agent");

    // In the midst of a change of the key, say.
    fs::write(paths.private_key(), "").expect("a file");
    let error = run::enter(&paths).map(drop).expect_err("a second agent").to_string();
    assert!(error.contains("another servos-agent runs"), "{error}");

    fs::write(paths.private_key(), commissioned.private_key.to_base64().as_bytes()).expect("a file");
    drop(held);
    let (_lock, again) = run::enter(&paths).expect("the next agent");
    assert_eq!(again.private_key.public_key(), commissioned.private_key.public_key());
}

#[test]
fn what_a_killed_agent_was_writing_is_removed_by_the_next_and_not_by_a_second_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = common::paths(&folder);
    identity::store(&paths, &common::commissioned("s1")).expect("stored");
    let unfinished = || durable_file::temp(&paths.state).expect("a file").keep().expect("kept").1;
    let left = unfinished();

    let _held = run::enter(&paths).expect("an agent");
    assert!(!left.exists(), "{}", left.display());

    let of_the_running_one = unfinished();
    assert!(run::enter(&paths).is_err());
    assert!(of_the_running_one.exists());
    assert!(paths.identity().exists() && paths.credential().exists() && paths.private_key().exists());
}
