//! Enrolment tokens: expiring, for one use, several, or any number; revocable; only their hash is kept.

use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::Serialize;
use zeroize::Zeroizing;

use super::error::During;
use super::{OrganisationId, Store, StoreError};
use crate::clock::UnixSeconds;
use crate::secrets;

/// Number of a token, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct TokenId(pub i64);

impl std::fmt::Display for TokenId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A token that was just made: the only moment at which its secret is known.
pub struct MintedToken {
    /// Its number.
    pub id: TokenId,
    /// Its secret.
    pub secret: Zeroizing<[u8; 32]>,
    /// When it ends.
    pub expires_at: UnixSeconds,
    /// How many servers may join with it; none: any number.
    pub uses_left: Option<u32>,
}

/// A token as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Token {
    /// Its number.
    pub id: TokenId,
    /// Name of the organisation that it leads into.
    pub organisation: String,
    /// Whether it lets a server join, and if not, why.
    pub state: TokenState,
    /// How many servers may join with it; none: any number.
    pub uses_left: Option<u32>,
    /// When it was made.
    pub created_at: UnixSeconds,
    /// When it ends.
    pub expires_at: UnixSeconds,
}

/// Whether a token lets a server join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenState {
    /// It does.
    Usable,
    /// It was revoked.
    Revoked,
    /// Its time is up.
    Expired,
    /// It has been used as often as it may be.
    UsedUp,
}

impl TokenState {
    /// The state of a token at `now`. What the operator did counts first, then time, then use.
    pub fn of(
        revoked_at: Option<i64>,
        expires_at: UnixSeconds,
        uses_left: Option<u32>,
        now: UnixSeconds,
    ) -> TokenState {
        if revoked_at.is_some() {
            Self::Revoked
        } else if now >= expires_at {
            Self::Expired
        } else if uses_left == Some(0) {
            Self::UsedUp
        } else {
            Self::Usable
        }
    }

    /// `usable`, `revoked`, `expired` or `used-up`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usable => "usable",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::UsedUp => "used-up",
        }
    }
}

impl Store {
    /// Makes a token. `uses`: how many servers may join with it; none: any number.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn create_token(
        &mut self,
        organisation: OrganisationId,
        expires_at: UnixSeconds,
        uses: Option<u32>,
        now: UnixSeconds,
    ) -> Result<MintedToken, StoreError> {
        self.write("make a token", |tx| insert_token(tx, organisation, expires_at, uses, now))
    }

    /// Tokens, the newest last; of one organisation or of all.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn tokens(&self, organisation: Option<OrganisationId>, now: UnixSeconds) -> Result<Vec<Token>, StoreError> {
        let what = "list the tokens";
        let sql = "SELECT t.id, o.name, t.uses_left, t.created_at, t.expires_at, t.revoked_at
            FROM tokens t JOIN organisations o ON o.id = t.organisation
            WHERE ?1 IS NULL OR t.organisation = ?1 ORDER BY t.id";
        let read = |row: &Row<'_>| {
            let (uses_left, expires_at) = (row.get(2)?, UnixSeconds(row.get(4)?));
            Ok(Token {
                id: TokenId(row.get(0)?),
                organisation: row.get(1)?,
                state: TokenState::of(row.get(5)?, expires_at, uses_left, now),
                uses_left,
                created_at: UnixSeconds(row.get(3)?),
                expires_at,
            })
        };
        let mut statement = self.connection.prepare(sql).during(what)?;
        let tokens = statement.query_map([organisation.map(|one| one.0)], read).during(what)?;
        tokens.collect::<Result<_, _>>().during(what)
    }

    /// Revokes a token. Servers that joined with it stay.
    ///
    /// # Errors
    ///
    /// [`TokenError::Unknown`].
    pub fn revoke_token(&mut self, id: TokenId, now: UnixSeconds) -> Result<(), TokenError> {
        self.write("revoke the token", |tx| {
            let sql = "UPDATE tokens SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1";
            let found = tx.execute(sql, params![id.0, now.0]).during("revoke the token")?;
            if found == 0 {
                return Err(TokenError::Unknown(id));
            }
            Ok(())
        })
    }
}

pub(super) fn insert_token(
    tx: &Transaction<'_>,
    organisation: OrganisationId,
    expires_at: UnixSeconds,
    uses: Option<u32>,
    now: UnixSeconds,
) -> Result<MintedToken, StoreError> {
    let secret = secrets::generate()?;
    tx.execute(
        "INSERT INTO tokens (organisation, secret_hash, created_at, expires_at, uses_left) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![organisation.0, secrets::hash(&secret), now.0, expires_at.0, uses],
    )
    .during("keep the token")?;
    Ok(MintedToken { id: TokenId(tx.last_insert_rowid()), secret, expires_at, uses_left: uses })
}

/// A token as an enrolment finds it.
pub(super) struct PresentedToken {
    pub id: i64,
    pub organisation: OrganisationId,
    pub state: TokenState,
}

pub(super) fn find_token(
    tx: &Transaction<'_>,
    secret_hash: &[u8; 32],
    now: UnixSeconds,
) -> Result<Option<PresentedToken>, StoreError> {
    let sql = "SELECT id, organisation, expires_at, uses_left, revoked_at FROM tokens WHERE secret_hash = ?1";
    let read = |row: &Row<'_>| {
        Ok(PresentedToken {
            id: row.get(0)?,
            organisation: OrganisationId(row.get(1)?),
            state: TokenState::of(row.get(4)?, UnixSeconds(row.get(2)?), row.get(3)?, now),
        })
    };
    tx.query_row(sql, [secret_hash], read).optional().during("look the token up")
}

pub(super) fn use_token(tx: &Transaction<'_>, id: i64) -> Result<(), StoreError> {
    let sql = "UPDATE tokens SET uses_left = uses_left - 1 WHERE id = ?1 AND uses_left IS NOT NULL";
    tx.execute(sql, [id]).during("count the token's use").map(drop)
}

/// Why something cannot be done with a token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// A number that does not exist.
    #[error("there is no token {0}: `servos-control token list` shows them")]
    Unknown(TokenId),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}
