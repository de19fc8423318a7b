// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sessions: opaque tokens that end.
//!
//! A token is `bws_` and base64url of the home's id and 32 secret bytes. The home says where to look, and its row is found
//! by SHA-256 of the secret; so a session is one row in one place, ended by one write, at once and for every server.
//! The session also keeps the key of its account's address, sealed under its own token: so that while somebody is signed in the
//! server can tell the owner what is changed, and otherwise it cannot read the address.
//! A session lives as long as the login method that opened it: replacing a password leaves nothing behind it.

use keyring::sealed::{Context, SealingKey};
use keyring::{EmailKey, Sealed, ServerHalf, SystemRng};
use store::{ReadTx, TenantId, WriteTx, params};
use uuid::Uuid;

use crate::device::{DeviceToken, Place, SeenDevice};
use crate::failure::{Failure, fails};
use crate::service::{Identity, in_home};
use crate::session_token::SessionToken;
use crate::{AccountId, DeviceId, MethodId, SessionId};

/// A session that has just begun, for the client that began it.
#[derive(Debug)]
pub struct NewSession {
    /// Its id, as lists show it.
    pub id: SessionId,
    /// What the client shows from now on.
    pub token: SessionToken,
    /// The server's half of the device's split key.
    pub server_half: ServerHalf,
    /// When it ends at the latest, in milliseconds since the Unix epoch.
    pub expires_at: i64,
    /// Until when it may change methods and keys.
    pub fresh_until: i64,
    /// What it is for.
    pub kind: SessionKind,
    /// The device.
    pub device: DeviceId,
    /// For a device that was not known: what it is to keep, and to show at its next sign-in.
    pub device_token: Option<DeviceToken>,
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// Its owner proved to be there.
    Proven,
    /// A device of the owner's that another one let in; it changes how one signs in only after a proof.
    Paired,
    /// A public computer that a device let in: it reads for a short while.
    Public,
    /// A device of the owner's, whom another provider vouched for; it changes how one signs in only after a proof.
    Provided,
    /// A tenant's provider vouched for somebody on a device that the account does not know. It is the tenant's word alone, and
    /// good in that tenant alone.
    Vouched,
}

impl SessionKind {
    const ALL: [Self; 5] = [Self::Proven, Self::Paired, Self::Public, Self::Provided, Self::Vouched];

    const fn as_str(self) -> &'static str {
        match self {
            SessionKind::Proven => "proven",
            SessionKind::Paired => "paired",
            SessionKind::Public => "public",
            SessionKind::Provided => "provided",
            SessionKind::Vouched => "vouched",
        }
    }
}

/// A live session: proof that its token was shown in this home. Made by [`Identity::authenticate`] alone.
#[derive(Clone, Debug)]
pub struct AuthenticatedSession {
    id: SessionId,
    account: AccountId,
    home: TenantId,
    device: DeviceId,
    method: MethodId,
    kind: SessionKind,
    created_at: i64,
    last_used_at: i64,
    expires_at: i64,
    fresh_until: i64,
    is_suspended: bool,
    came_by: Option<TenantId>,
    /// There when the token itself was shown.
    address_seal: Option<SealingKey>,
}

impl AuthenticatedSession {
    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Whose it is.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The account's home.
    pub fn home(&self) -> TenantId {
        self.home
    }

    /// From which device.
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// By which login method it was opened.
    pub fn method(&self) -> MethodId {
        self.method
    }

    /// What it is for.
    pub fn kind(&self) -> SessionKind {
        self.kind
    }

    /// Since when, in milliseconds since the Unix epoch.
    pub fn created_at(&self) -> i64 {
        self.created_at
    }

    /// Until when at the latest.
    pub fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// Until when it may change methods and keys without proving both factors again.
    pub fn fresh_until(&self) -> i64 {
        self.fresh_until
    }

    /// Whether its account is suspended.
    pub fn is_suspended(&self) -> bool {
        self.is_suspended
    }

    /// Whose provider vouched for whoever began it, if one did: a customer's tenant, or the platform.
    pub fn came_by(&self) -> Option<TenantId> {
        self.came_by
    }

    /// Whether both factors were proved a short while ago.
    pub fn is_fresh(&self, now_ms: i64) -> bool {
        now_ms < self.fresh_until
    }

    /// Opens the session's copy of the address's key; nothing when the session was not shown by its token.
    pub(crate) fn email_key(&self, sealed: Vec<u8>) -> Option<EmailKey> {
        let sealed = Sealed::parse(sealed).ok()?;
        let key = self.address_seal.as_ref()?.open(&sealed, &email_key_place(self.account, self.id)).ok()?;
        key.as_slice().try_into().ok().map(EmailKey::from_bytes)
    }

    /// Whether its use is to be written down ([`Identity::touch`]): once a minute is often enough.
    pub fn needs_touch(&self, now_ms: i64) -> bool {
        now_ms - self.last_used_at >= TOUCH_EVERY
    }
}

/// Why a token lets nobody in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// There is no such session.
    #[error("not signed in: there is no such session")]
    Unknown,
    /// It was signed out, or ended from elsewhere.
    #[error("not signed in: the session was ended")]
    Ended,
    /// It was not used for too long, or is too old.
    #[error("not signed in: the session has expired")]
    Expired,
    /// The server's own trouble.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// A session in a list.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Its device.
    pub device: DeviceId,
    /// The device's name.
    pub device_name: String,
    /// The device's platform.
    pub platform: String,
    /// The network that it was opened from.
    pub place: String,
    /// When it was opened, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Its last use, to the minute.
    pub last_used_at: i64,
    /// When it ends at the latest.
    pub expires_at: i64,
    /// Whether it is the one that asks.
    pub is_current: bool,
}

/// As [`select_session`] reads it; the last column is `NULL` when the method that opened the session is gone.
type SessionRow = (
    Uuid,
    Uuid,
    Uuid,
    Uuid,
    String,
    i64,
    i64,
    i64,
    i64,
    Option<i64>,
    Option<i64>,
    Option<Uuid>,
    Option<Uuid>,
);

/// The statement that finds a session by one of its unique columns.
macro_rules! select_session {
    ($column:literal) => {
        concat!(
            "SELECT session.id, session.account, session.device, session.method, session.kind,
                    session.created_at, session.last_used_at, session.expires_at, session.fresh_until, session.ended_at,
                    account.suspended_at, session.came_by, login_method.id
             FROM session LEFT JOIN login_method ON login_method.id = session.method
             LEFT JOIN account ON account.id = session.account
             WHERE session.",
            $column,
            " = $1"
        )
    };
}
impl Identity {
    /// Who shows this token. In a view of [`SessionToken::home`].
    ///
    /// # Errors
    /// [`SessionError::Unknown`], [`SessionError::Ended`] and [`SessionError::Expired`] are all "not signed in". A home
    /// that does not exist is the caller's to answer as [`SessionError::Unknown`].
    pub async fn authenticate(
        &self,
        tx: &mut ReadTx,
        token: &SessionToken,
    ) -> Result<AuthenticatedSession, SessionError> {
        in_home(tx, token.home())?;
        let row = tx.query_opt(select_session!("token_hash"), params![&token.hash()]).await?;
        self.living(tx, row, Some(token.address_seal()))
    }

    /// The session that an access token names, when it still lives. In a view of its home. What changes methods and keys
    /// asks for the session's own token.
    ///
    /// # Errors
    /// As [`authenticate`](Self::authenticate).
    pub async fn session_by_id(
        &self,
        tx: &mut ReadTx,
        id: SessionId,
    ) -> Result<AuthenticatedSession, SessionError> {
        let row = tx.query_opt(select_session!("id"), params![id.uuid()]).await?;
        self.living(tx, row, None)
    }

    fn living(
        &self,
        tx: &ReadTx,
        row: Option<SessionRow>,
        address_seal: Option<SealingKey>,
    ) -> Result<AuthenticatedSession, SessionError> {
        let (
            id,
            account,
            device,
            method,
            kind,
            created_at,
            last_used_at,
            expires_at,
            fresh_until,
            ended_at,
            suspended_at,
            came_by,
            opened_by,
        ) = row.ok_or(SessionError::Unknown)?;
        if ended_at.is_some() || opened_by.is_none() {
            return Err(SessionError::Ended);
        }
        if tx.now() >= expires_at || tx.now() >= last_used_at + self.settings.idle_ms() {
            return Err(SessionError::Expired);
        }
        Ok(AuthenticatedSession {
            id: SessionId::from_uuid(id),
            account: AccountId::from_uuid(account),
            home: tx.tenant(),
            device: DeviceId::from_uuid(device),
            method: MethodId::from_uuid(method),
            kind: SessionKind::ALL
                .into_iter()
                .find(|known| known.as_str() == kind)
                .ok_or(Failure::Damaged("session"))?,
            created_at,
            last_used_at,
            expires_at,
            fresh_until,
            is_suspended: suspended_at.is_some(),
            came_by: came_by.map(TenantId::from_uuid),
            address_seal,
        })
    }

    /// Writes down that the session was used. Worth it only when [`AuthenticatedSession::needs_touch`].
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn touch(&self, tx: &mut WriteTx, session: &AuthenticatedSession) -> Result<(), Failure> {
        in_home(tx, session.home)?;
        let now = tx.now();
        tx.execute(
            "UPDATE session SET last_used_at = $1 WHERE id = $2 AND ended_at IS NULL AND last_used_at < $1",
            params![now, session.id.uuid()],
        )
        .await?;
        Ok(())
    }

    /// The sessions of the session's account that live, the last used first.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn sessions(
        &self,
        tx: &mut ReadTx,
        session: &AuthenticatedSession,
    ) -> Result<Vec<Session>, Failure> {
        in_home(tx, session.home)?;
        let used_since = tx.now() - self.settings.idle_ms();
        let now = tx.now();
        type Row = (Uuid, Uuid, String, String, String, i64, i64, i64);
        let rows: Vec<Row> = tx
            .query(
                "SELECT session.id, session.device, device.name, device.platform, session.place,
                        session.created_at, session.last_used_at, session.expires_at
                 FROM session
                 JOIN login_method ON login_method.id = session.method
                 JOIN device ON device.id = session.device
                 WHERE session.ended_at IS NULL AND session.expires_at > $1 AND session.last_used_at > $2
                 ORDER BY session.last_used_at DESC, session.id",
                params![now, used_since],
            )
            .await?;
        let listed =
            |(id, device, device_name, platform, place, created_at, last_used_at, expires_at)| Session {
                id: SessionId::from_uuid(id),
                device: DeviceId::from_uuid(device),
                device_name,
                platform,
                place,
                created_at,
                last_used_at,
                expires_at,
                is_current: SessionId::from_uuid(id) == session.id,
            };
        Ok(rows.into_iter().map(listed).collect())
    }

    /// Ends a session of the account: the asking one (signing out) or another. Its half of the device's key is gone with it.
    /// Says whether there was such a session.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn end_session(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        ended: SessionId,
    ) -> Result<bool, Failure> {
        in_home(tx, session.home)?;
        let now = tx.now();
        let rows = tx
            .execute(
                "UPDATE session SET ended_at = $1, server_half = NULL, email_key = NULL WHERE id = $2 AND ended_at IS NULL",
                params![now, ended.uuid()],
            )
            .await?;
        Ok(rows == 1)
    }

    /// Ends all sessions of the account but this one. Returns how many.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn end_other_sessions(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
    ) -> Result<u64, Failure> {
        in_home(tx, session.home)?;
        let now = tx.now();
        let rows = tx
            .execute(
                "UPDATE session SET ended_at = $1, server_half = NULL, email_key = NULL WHERE id <> $2 AND ended_at IS NULL",
                params![now, session.id.uuid()],
            )
            .await?;
        Ok(rows)
    }

    /// The server's half of the device's split key, for the device's live session only.
    ///
    /// # Errors
    /// [`SessionError::Ended`] when the session ended since it was authenticated.
    pub async fn server_half(
        &self,
        tx: &mut ReadTx,
        session: &AuthenticatedSession,
    ) -> Result<ServerHalf, SessionError> {
        in_home(tx, session.home)?;
        let row: Option<(Option<Vec<u8>>,)> = tx
            .query_opt(
                "SELECT server_half FROM session WHERE id = $1 AND ended_at IS NULL",
                params![session.id.uuid()],
            )
            .await?;
        let Some((Some(sealed),)) = row else { return Err(SessionError::Ended) };
        let keys = self.custody.tenant(tx).await?;
        let damaged = Failure::Damaged("half of a device's key");
        let half = keys.open(SERVER_HALF, &[session.id.as_bytes()], &sealed).map_err(|_| damaged)?;
        Ok(ServerHalf::from_slice(&half).ok_or(Failure::Damaged("half of a device's key"))?)
    }

    /// Opens a session for a device that was just seen, as whoever is there came.
    #[allow(clippy::too_many_arguments, reason = "a session's row has as many columns")]
    pub(crate) async fn begin_session_of(
        &self,
        tx: &mut WriteTx,
        how: Begin,
        account: AccountId,
        method: MethodId,
        device: SeenDevice,
        place: &Place,
        email_key: &EmailKey,
    ) -> Result<NewSession, Failure> {
        let Begin { kind, came_by, server_half } = how;
        let (home, now) = (tx.tenant(), tx.now());
        let (id, token) = (SessionId::random(), SessionToken::generate(home));
        let (expires_at, fresh_until) = match kind {
            SessionKind::Proven => (now + self.settings.absolute_ms(), now + self.settings.fresh_ms()),
            SessionKind::Paired | SessionKind::Provided => (now + self.settings.absolute_ms(), now),
            SessionKind::Vouched => (now + self.settings.absolute_ms().min(VOUCHED_MS), now),
            SessionKind::Public => (now + PUBLIC_MS, now),
        };
        let server_half = server_half.unwrap_or_else(|| ServerHalf::random(&mut SystemRng));
        let keys = self.custody.tenant(tx).await?;
        let sealed_half = keys.seal(SERVER_HALF, &[id.as_bytes()], server_half.expose());
        tx.defer(
            "INSERT INTO session (token_hash, id, account, device, method, kind, place,
                                  created_at, last_used_at, expires_at, fresh_until, server_half, email_key, came_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            params![
                &token.hash(),
                id.uuid(),
                account.uuid(),
                device.id.uuid(),
                method.uuid(),
                kind.as_str(),
                place.as_str(),
                now,
                now,
                expires_at,
                fresh_until,
                &sealed_half,
                &seal_email_key(&token, account, id, email_key),
                came_by.as_ref().map(TenantId::uuid),
            ],
        )
        .await?;
        Ok(NewSession {
            id,
            kind,
            token,
            server_half,
            expires_at,
            fresh_until,
            device: device.id,
            device_token: device.token,
        })
    }

    /// The server's half of the key of what this device keeps, of its last session that nobody ended; that session ends now. So a
    /// device that somebody comes back on opens what it kept.
    pub(crate) async fn taken_half(
        &self,
        tx: &mut WriteTx,
        device: DeviceId,
    ) -> Result<Option<ServerHalf>, Failure> {
        let row: Option<(Uuid, Vec<u8>)> = tx
            .query_opt(
                "SELECT id, server_half FROM session
                 WHERE device = $1 AND ended_at IS NULL AND server_half IS NOT NULL
                 ORDER BY created_at DESC, id LIMIT 1",
                params![device.uuid()],
            )
            .await?;
        let Some((id, sealed)) = row else { return Ok(None) };
        let keys = self.custody.tenant(tx).await?;
        let damaged = || Failure::Damaged("half of a device's key");
        let half = keys.open(SERVER_HALF, &[id.as_bytes()], &sealed).map_err(|_| damaged())?;
        let now = tx.now();
        tx.execute(
            "UPDATE session SET ended_at = $1, server_half = NULL, email_key = NULL WHERE id = $2",
            params![now, &id],
        )
        .await?;
        Ok(Some(ServerHalf::from_slice(&half).ok_or_else(damaged)?))
    }

    /// The session lives on by the method that takes the place of the one that opened it.
    pub(crate) async fn move_session(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        from: MethodId,
        to: MethodId,
    ) -> Result<(), Failure> {
        tx.execute(
            "UPDATE session SET method = $1 WHERE id = $2 AND method = $3",
            params![to.uuid(), session.id.uuid(), from.uuid()],
        )
        .await?;
        Ok(())
    }

    /// The key of the account's address that a live session keeps, when it was shown by its own token.
    pub(crate) async fn email_key_of(
        &self,
        tx: &mut ReadTx,
        session: &AuthenticatedSession,
    ) -> Result<Option<EmailKey>, Failure> {
        let row: Option<(Option<Vec<u8>>,)> = tx
            .query_opt(
                "SELECT email_key FROM session WHERE id = $1 AND ended_at IS NULL",
                params![session.id.uuid()],
            )
            .await?;
        Ok(row.and_then(|(sealed,)| sealed).and_then(|sealed| session.email_key(sealed)))
    }

    /// Gives a live session another token and makes it fresh; the old token is nothing from then on. `None` when the
    /// session ended meanwhile.
    pub(crate) async fn renew_session(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        email_key: &EmailKey,
    ) -> Result<Option<(SessionToken, i64)>, Failure> {
        let token = SessionToken::generate(session.home);
        let (now, fresh_until) = (tx.now(), tx.now() + self.settings.fresh_ms());
        let renewed = tx
            .execute(
                // Whoever proves by a method of the account's own is not only vouched for any more.
                "UPDATE session SET token_hash = $1, fresh_until = $2, last_used_at = $3, email_key = $4,
                                    kind = CASE kind WHEN 'vouched' THEN 'provided' ELSE kind END
                 WHERE id = $5 AND ended_at IS NULL",
                params![
                    &token.hash(),
                    fresh_until,
                    now,
                    &seal_email_key(&token, session.account, session.id, email_key),
                    session.id.uuid(),
                ],
            )
            .await?;
        Ok((renewed == 1).then_some((token, fresh_until)))
    }
}

/// How a session begins.
pub(crate) struct Begin {
    kind: SessionKind,
    /// Whose provider vouched.
    came_by: Option<TenantId>,
    /// The half of the device's key that goes on.
    server_half: Option<ServerHalf>,
}

impl Begin {
    /// As a session of this kind, by a method of the account's own.
    pub(crate) fn of(kind: SessionKind) -> Self {
        Begin { kind, came_by: None, server_half: None }
    }

    /// Whether it is a tenant's word alone.
    pub(crate) fn is_vouched(&self) -> bool {
        self.kind == SessionKind::Vouched
    }

    /// By another provider.
    pub(crate) fn vouched(kind: SessionKind, came_by: TenantId, server_half: Option<ServerHalf>) -> Self {
        Begin { kind, came_by: Some(came_by), server_half }
    }
}

fn seal_email_key(
    token: &SessionToken,
    account: AccountId,
    session: SessionId,
    email_key: &EmailKey,
) -> Vec<u8> {
    token
        .address_seal()
        .seal(email_key.expose(), &email_key_place(account, session), &mut SystemRng)
        .into_bytes()
}

fn email_key_place(account: AccountId, session: SessionId) -> Context {
    Context::new("session-email-key", keyring::AccountId::from(account)).object(session.as_bytes())
}

fails!(SessionError);

const SERVER_HALF: &str = "session-half";
/// Milliseconds.
const TOUCH_EVERY: i64 = 60_000;
/// For how long a tenant's word alone lets in, in milliseconds: a working day.
const VOUCHED_MS: i64 = 12 * 3_600_000;
/// For how long a public computer is let in, in milliseconds.
const PUBLIC_MS: i64 = 15 * 60_000;
