//! The schema and its versions. `PRAGMA user_version` counts the migrations that were applied; `application_id` tells
//! our database from others.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// Every migration: number, SQL. Numbers begin at 1 and leave none out; one that was released is never changed.
pub const MIGRATIONS: &[(u32, &str)] = &[
    (1, include_str!("../../migrations/0001_initial.sql")),
    (2, include_str!("../../migrations/0002_key_rotation.sql")),
];

/// The schema that this program works on.
pub const SCHEMA_VERSION: u32 = MIGRATIONS.len() as u32;

/// "SVC1".
const APPLICATION_ID: u32 = 0x5356_4331;

/// Refuses what this program must not touch, before it touches anything.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let (application, version) = identity(connection, path)?;
    if version > SCHEMA_VERSION && application == APPLICATION_ID {
        return Err(StoreError::Newer { path: path.to_owned(), found: version, known: SCHEMA_VERSION });
    }
    if application != APPLICATION_ID && (application != 0 || version != 0 || !is_empty(connection, path)?) {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    Ok(())
}

/// Applies what is missing, all of it or nothing.
pub(super) fn run(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    if identity(connection, path)?.1 == SCHEMA_VERSION {
        return Ok(());
    }
    let failed = |version| move |source| StoreError::Migrate { path: path.to_owned(), version, source };
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed(SCHEMA_VERSION))?;
    // Another process may have done it while this one waited for the lock.
    let (_, applied) = identity(&transaction, path)?;
    for (version, sql) in MIGRATIONS.iter().skip(applied as usize) {
        transaction.execute_batch(sql).map_err(failed(*version))?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed(SCHEMA_VERSION))?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION).map_err(failed(SCHEMA_VERSION))?;
    transaction.commit().map_err(failed(SCHEMA_VERSION))
}

fn identity(connection: &Connection, path: &Path) -> Result<(u32, u32), StoreError> {
    let ask = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, u32>(0));
    let read = || Ok((ask("application_id")?, ask("user_version")?));
    read().map_err(|source| not_ours(path, source))
}

fn is_empty(connection: &Connection, path: &Path) -> Result<bool, StoreError> {
    let count = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
    Ok(count.map_err(|source| not_ours(path, source))? == 0)
}

fn not_ours(path: &Path, source: rusqlite::Error) -> StoreError {
    match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => StoreError::Foreign(path.to_owned()),
        _ => StoreError::Open { path: path.to_owned(), source },
    }
}
