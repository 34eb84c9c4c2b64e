//! What is due with this server's key, whatever is true.

use std::time::Duration;

use proptest::prelude::*;
use servos_agent::key_due::{Due, Facts, NotBefore, Stage, due};
use servos_mesh::PublicKey;

fn key(byte: u8) -> PublicKey {
    PublicKey::from_bytes([byte; 32]).expect("a key")
}

fn seconds() -> impl Strategy<Value = Duration> {
    (0..20_u64).prop_map(Duration::from_secs)
}

fn stage() -> impl Strategy<Value = Option<Stage>> {
    prop_oneof![
        Just(None),
        Just(Some(Stage::Publishing)),
        (seconds(), any::<bool>()).prop_map(|(ends, kept)| Some(Stage::Transition { ends, kept })),
    ]
}

fn facts() -> impl Strategy<Value = Facts> {
    let record = prop_oneof![Just(None), Just(Some(key(1))), Just(Some(key(2)))];
    let not_before = (seconds(), seconds(), seconds());
    (seconds(), record, stage(), proptest::option::of(seconds()), not_before).prop_map(
        |(now, record, stage, old_at, (publish, write, begin))| Facts {
            now,
            record,
            newest: key(1),
            stage,
            old_at,
            not_before: NotBefore { publish, write, begin },
        },
    )
}

proptest! {
    #[test]
    fn no_key_is_given_up_that_the_mesh_may_know_this_server_by(facts in facts()) {
        let over = matches!(facts.stage, Some(Stage::Transition { ends, .. }) if ends <= facts.now);
        if due(&facts) == Due::End {
            prop_assert!(over && facts.record == Some(facts.newest));
        }
        if due(&facts) == Due::Adopt {
            prop_assert!(facts.stage == Some(Stage::Publishing) && facts.record == Some(facts.newest));
        }
    }

    #[test]
    fn nothing_is_done_before_its_time_and_nothing_is_waited_for_after(facts in facts()) {
        let NotBefore { publish, write, begin } = facts.not_before;
        match due(&facts) {
            Due::Publish(key) => prop_assert!(key == facts.newest && facts.record != Some(key) && publish <= facts.now),
            Due::Keep | Due::End => prop_assert!(write <= facts.now),
            Due::Begin => prop_assert!(facts.stage.is_none() && begin <= facts.now && facts.old_at <= Some(facts.now)),
            Due::Adopt => {}
            Due::Nothing(pause) | Due::Later(pause) => {
                prop_assert!(!pause.is_zero());
                // Unless the world changes, something is due then, or is waited for on another ground.
                let later = Facts { now: facts.now + pause, ..facts };
                prop_assert!(facts.record.is_none() || facts.old_at.is_none() || due(&later) != due(&facts));
            }
        }
    }

    #[test]
    fn all_is_well_only_if_the_mesh_has_the_newest_key_and_the_files_say_so(facts in facts()) {
        if let Due::Nothing(_) = due(&facts) {
            prop_assert_eq!(facts.record, Some(facts.newest));
            let is_told = !matches!(facts.stage, Some(Stage::Publishing | Stage::Transition { kept: false, .. }));
            prop_assert!(is_told);
        }
    }
}

/// A transition ends while its files cannot be written: neither is due before they can.
#[test]
fn what_is_to_be_written_down_waits_until_it_can_be() {
    let seconds = Duration::from_secs;
    let not_before = NotBefore { write: seconds(16), ..NotBefore::default() };
    let stage = Some(Stage::Transition { ends: seconds(10), kept: false });
    let at = |now| Facts { now: seconds(now), record: Some(key(1)), newest: key(1), stage, old_at: None, not_before };
    assert_eq!(due(&at(4)), Due::Later(seconds(12)));
    assert_eq!(due(&at(10)), Due::Later(seconds(6)));
    assert_eq!(due(&at(16)), Due::End);
}
