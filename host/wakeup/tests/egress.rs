//! The filter's verdicts on a real TUN device: what leaves is read from the TUN.

mod stage;

use nix::sched::{CloneFlags, unshare};
use servos_wakeup::{Counters, WakeupError, WakeupFilter};

use stage::{NOBODY, OTHER_PEER, PEER, address, object, on_stage, table};

#[test]
fn what_is_for_nobody_ends_in_the_kernel() {
    on_stage(async |mut stage| {
        stage.send(NOBODY, 100);

        assert_eq!(stage.read(0), 0);
        let counters = stage.counters();
        assert_eq!(counters.unknown, 100);
        assert_eq!(counters.woke + counters.active, 0);
        assert!(stage.no_wake().await);
    });
}

#[test]
fn what_is_for_a_peer_without_session_wakes_once() {
    on_stage(async |mut stage| {
        stage.send(PEER, 100);
        stage.send(OTHER_PEER, 10);

        assert_eq!(stage.read(110), 110);
        assert_eq!(stage.counters().woke, 110);
        assert_eq!(stage.wake().await, address(PEER));
        assert_eq!(stage.wake().await, address(OTHER_PEER));
        assert!(stage.no_wake().await);
    });
}

#[test]
fn what_is_for_a_peer_with_session_goes_straight_on() {
    on_stage(async |mut stage| {
        stage.filter.set_active(address(PEER), true).expect("active");
        stage.send(PEER, 100);
        assert_eq!(stage.read(100), 100);
        assert_eq!(stage.counters(), Counters { active: 100, ..stage.counters() });
        assert!(stage.no_wake().await);

        stage.filter.set_active(address(PEER), false).expect("inactive");
        stage.send(PEER, 5);
        assert_eq!(stage.wake().await, address(PEER));
        stage.filter.set_active(address(PEER), false).expect("seen to");
        stage.send(PEER, 5);
        assert_eq!(stage.wake().await, address(PEER));
    });
}

#[test]
fn a_change_of_the_mesh_changes_the_verdicts() {
    on_stage(async |mut stage| {
        stage.filter.set_known(&table(&[NOBODY])).expect("known");

        stage.send(NOBODY, 3);
        stage.send(PEER, 4);

        assert_eq!(stage.read(3), 3);
        assert_eq!(stage.counters().unknown, 4);
    });
}

/// Only what the change names is looked at: the rest stays as it was set before.
#[test]
fn a_named_change_of_the_mesh_changes_the_verdicts_that_it_names() {
    on_stage(async |mut stage| {
        stage.filter.set_active(address(PEER), true).expect("active");
        let next = table(&[NOBODY]);
        stage.filter.follow(&next, [PEER, NOBODY].map(address).into_iter()).expect("followed");

        stage.send(NOBODY, 3);
        stage.send(PEER, 4);
        stage.send(OTHER_PEER, 2);

        assert_eq!(stage.read(5), 5);
        assert_eq!((stage.counters().unknown, stage.counters().woke), (4, 5));
        assert_eq!(stage.wake().await, address(NOBODY));
        assert_eq!(stage.wake().await, address(OTHER_PEER), "not named, so it stays");

        // Whoever comes back has no session.
        stage.filter.follow(&table(&[PEER]), [PEER, NOBODY].map(address).into_iter()).expect("followed");
        stage.send(PEER, 1);
        stage.send(NOBODY, 1);
        assert_eq!(stage.wake().await, address(PEER));
        assert_eq!((stage.counters().active, stage.counters().unknown), (0, 5));
    });
}

#[test]
fn errors_say_what_is_wrong() {
    std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace: run as root");
        let no_interface = WakeupFilter::attach(&object(), "nowhere0", &table(&[PEER])).err().expect("no interface");
        assert!(matches!(no_interface, WakeupError::Attach { .. }), "{no_interface:?}");
        let no_object = WakeupFilter::attach(b"no object", "lo", &table(&[PEER])).err().expect("no object");
        assert!(matches!(no_object, WakeupError::Unavailable(_)), "{no_object:?}");
    })
    .join()
    .expect("the thread");
}
