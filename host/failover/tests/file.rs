//! Traefik's file: what is in it, and when it is written.

mod common;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use common::{Told, snapshot};
use servos_failover::{Weights, WriteError, dynamic_file, remove, would_change, write_if_changed};
use servos_mesh::{Health, Protocol};

fn entry_points() -> BTreeMap<String, u16> {
    BTreeMap::from([("web".to_owned(), 80), ("pg".to_owned(), 5432), ("dns".to_owned(), 53)])
}

#[test]
fn all_protocols() {
    let services = [("api", Protocol::Http, 80), ("postgres", Protocol::Tcp, 5432), ("zone", Protocol::Udp, 53)];
    let snapshot = snapshot(&services, &[]);
    let weights = Weights::default().next(&snapshot, &Told(Some(vec![100, 0, 300])));
    insta::assert_snapshot!(dynamic_file(&snapshot, &weights, &entry_points()).content);
}

#[test]
fn nobody_in_means_all_in() {
    let snapshot = snapshot(&[("api", Protocol::Http, 80)], &[]);
    let weights = Weights::default().next(&snapshot, &Told(Some(vec![0, 0, 0])));
    let content = dynamic_file(&snapshot, &weights, &entry_points()).content;
    for server in ["100.64.0.1:8080", "100.64.0.2:8080", "100.64.0.3:8080"] {
        assert!(content.contains(server), "{content}");
    }
}

#[test]
fn a_service_without_entry_point_is_left_out_and_named() {
    let file = dynamic_file(&snapshot(&[("redis", Protocol::Tcp, 6379)], &[]), &Weights::default(), &entry_points());
    assert_eq!(file.services, 0);
    assert!(file.notes[0].contains("redis") && file.notes[0].contains("6379"), "{:?}", file.notes);
    assert!(!file.content.contains("redis"));
}

#[test]
fn without_an_answer_the_last_weights_stay_and_a_first_one_is_the_hint_of_who_may_work() {
    let at_first = snapshot(&[("api", Protocol::Http, 80)], &[("api", 2, Health::Unhealthy)]);
    let of = |weights: &Weights| -> Vec<u16> {
        let service = &at_first.table.services()[0];
        service.instances.iter().map(|instance| weights.of(service, instance)).collect()
    };
    let hints = Weights::default().next(&at_first, &Told(None));
    assert_eq!(of(&hints), [100, 0, 300]);
    let asked = hints.next(&at_first, &Told(Some(vec![7, 8, 9])));
    assert_eq!(of(&asked.next(&at_first, &Told(None))), [7, 8, 9]);
}

#[test]
fn written_only_when_it_changes_and_whole() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("servos-mesh.yml");
    assert!(write_if_changed(&path, "a: 1\n").expect("written"));
    let before = std::fs::metadata(&path).expect("there").ino();
    assert!(!write_if_changed(&path, "a: 1\n").expect("unchanged"));
    assert_eq!(std::fs::metadata(&path).expect("there").ino(), before, "an unchanged file was written again");
    assert!(would_change(&path, "a: 2\n"));
    assert!(write_if_changed(&path, "a: 2\n").expect("written"));
    assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 1, "a temp file is left behind");
    remove(&path).expect("removed");
    remove(&path).expect("removed already");
}

#[test]
fn a_folder_that_is_missing_is_named() {
    let error = write_if_changed("/nowhere/at/all/servos-mesh.yml".as_ref(), "a: 1\n").expect_err("no folder");
    assert!(matches!(error, WriteError::NoFolder { .. }));
    assert!(error.to_string().contains("/nowhere/at/all/servos-mesh.yml"), "{error}");
}
