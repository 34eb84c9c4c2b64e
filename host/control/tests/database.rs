//! The database: versions, crashes, and what a revision promises.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{DEADLINE, Plane};
use reqwest::StatusCode;
use rusqlite::Connection;
use servos_control::clock::UnixSeconds;
use servos_control::store::{MIGRATIONS, SCHEMA_VERSION, Store, StoreError};

#[test]
fn a_database_of_a_newer_program_is_left_alone() {
    let plane = Plane::new();
    let connection = Connection::open(plane.database()).unwrap();
    connection.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    drop(connection);
    assert!(matches!(Store::open(&plane.database()), Err(StoreError::Newer { .. })));
    for command in [&["organisation", "list"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        let words = plane.fails(1, command);
        assert!(words.contains("newer servos-control"), "{words}");
    }
}

#[test]
fn a_file_of_somebody_else_is_left_alone() {
    let plane = Plane::new();
    let other = plane.path().join("other.db");
    let connection = Connection::open(&other).unwrap();
    connection.execute_batch("CREATE TABLE precious (x)").unwrap();
    assert!(matches!(Store::open(&other), Err(StoreError::Foreign(_))));
    let text =
        plane.file("text", "this is no database, however long it is; SQLite reads the first hundred bytes of a file");
    assert!(matches!(Store::open(Path::new(&text)), Err(StoreError::Foreign(_))));
    assert!(matches!(Store::open(Path::new("/nonexistent/control.db")), Err(StoreError::Missing(_))));
}

#[test]
fn migrations_are_the_files_of_their_folder_in_order() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), MIGRATIONS.len());
    for ((number, sql), file) in MIGRATIONS.iter().zip(&files) {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with(&format!("{number:04}_")) && name.ends_with(".sql"), "{name}");
        assert_eq!(std::fs::read_to_string(file).unwrap(), *sql);
    }
}

#[test]
fn servers_of_the_first_schema_have_keys_of_generation_0_and_freed_addresses_begin_128_ahead() {
    let plane = Plane::new();
    let path = plane.path().join("first.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(MIGRATIONS[0].1).unwrap();
    connection
        .execute_batch(
            "INSERT INTO organisations VALUES (1, randomblob(16), 'acme', 'mesh.internal', 7, 3, 0);
            INSERT INTO servers VALUES (1, 1, 's1', randomblob(32), 1, NULL, NULL, NULL, randomblob(32), 7, 0);
            INSERT INTO freed_addresses VALUES (1, 1, 2);
            PRAGMA application_id = 0x53564331; PRAGMA user_version = 1;",
        )
        .unwrap();
    drop(connection);
    let store = Store::open(&path).unwrap();
    let organisation = store.organisation(None).unwrap().id;
    assert_eq!(store.server(organisation, "s1").unwrap().0.key_generation.number(), 0);
    let freed = "SELECT key_generation FROM freed_addresses WHERE address = 2";
    let freed: u8 = Connection::open(&path).unwrap().query_row(freed, [], |row| row.get(0)).unwrap();
    assert_eq!(freed, 128);
}

/// Versions before accepted it.
#[test]
fn a_server_whose_key_is_a_point_of_small_order_costs_the_others_nothing() {
    let plane = Plane::new();
    let mut store = plane.store();
    let id = store.organisation(None).unwrap().id;
    let now = UnixSeconds::now();
    let token = store.create_token(id, now.after(DEADLINE), None, now).unwrap();
    for name in ["good", "bad"] {
        let public_key = common::random_key().parse().unwrap();
        let joining = servos_control::store::Joining { name: name.parse().unwrap(), public_key, endpoint: None };
        store.enrol(&servos_control::secrets::hash(&token.secret), &joining, now).unwrap();
    }
    let mut point = [0; 32];
    point[0] = 1;
    let update = "UPDATE servers SET public_key = ?1 WHERE name = 'bad'";
    Connection::open(plane.database()).unwrap().execute(update, [point]).unwrap();
    let state = store.mesh_state(id).unwrap().unwrap().build().unwrap();
    let table = servos_mesh::PeerTable::new(std::sync::Arc::new(state), None);
    assert_eq!(table.peers().map(|peer| table.name_of(peer)).collect::<Vec<_>>(), ["good"]);
    assert_eq!(table.skipped().map(|skipped| skipped.name.as_str()).collect::<Vec<_>>(), ["bad"]);
}

#[test]
fn a_restored_backup_uses_no_revision_again() {
    let plane = Plane::new();
    let mut store = plane.store();
    let id = store.organisation(None).unwrap().id;
    let now = UnixSeconds::now();
    let token = store.create_token(id, now.after(DEADLINE), None, now).unwrap();
    let backup = plane.path().join("backup.db");
    Connection::open(plane.database()).unwrap().execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
    let enrol = |store: &mut Store, name: &str, now| {
        let public_key = common::random_key().parse().unwrap();
        let joining = servos_control::store::Joining { name: name.parse().unwrap(), public_key, endpoint: None };
        store.enrol(&servos_control::secrets::hash(&token.secret), &joining, now).unwrap().revision
    };
    let lost: Vec<_> = (0..3).map(|n| enrol(&mut store, &format!("lost{n}"), now)).collect();
    let later = now.after(Duration::from_secs(10));
    let mut restored = Store::open(&backup).unwrap();
    let revision = enrol(&mut restored, "kept", later);
    assert!(lost.iter().all(|lost| *lost < revision), "{lost:?} {revision}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_during_writes_loses_nothing_that_was_acknowledged() {
    let plane = Plane::new();
    let token = plane.token(&["--reusable"]);
    let mut serving = plane.serve_process();
    let client = serving.client();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (client, bearer, tell) = (client.clone(), token.bearer(), tell.clone());
            tokio::spawn(async move {
                for number in 0.. {
                    let name = format!("s{writer}-{number}");
                    let body = common::enrolment(&name);
                    let request = client.request(reqwest::Method::POST, "/api/v1/enrol", &bearer).json(&body);
                    let Ok(response) = request.send().await else { return };
                    assert_eq!(response.status(), StatusCode::CREATED);
                    let Ok(answer) = response.json::<serde_json::Value>().await else { return };
                    tell.send((name, answer)).unwrap();
                }
            })
        })
        .collect();
    drop(tell);
    let mut acknowledged = Vec::new();
    while acknowledged.len() < 25 {
        acknowledged.push(tokio::time::timeout(DEADLINE, told.recv()).await.unwrap().unwrap());
    }
    serving.child.0.kill().unwrap();
    serving.child.0.wait().unwrap();
    for writer in writers {
        writer.await.unwrap();
    }
    while let Some(one) = told.recv().await {
        acknowledged.push(one);
    }

    let connection = Connection::open(plane.database()).unwrap();
    let sound: String = connection.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    let broken = connection.prepare("PRAGMA foreign_key_check").unwrap().query([]).unwrap().next().unwrap().is_some();
    assert!(!broken);
    let again = plane.serve().await;
    let listed = plane.json(&["server", "list"]);
    for (name, answer) in &acknowledged {
        let found = listed.as_array().unwrap().iter().find(|server| server["name"] == **name);
        assert_eq!(found.unwrap()["address"], answer["address"], "{name}");
    }
    let (_, last) = acknowledged.last().unwrap();
    let state = again.state(last["credential"].as_str().unwrap()).await;
    assert_eq!(state.peers().len(), listed.as_array().unwrap().len());
}
