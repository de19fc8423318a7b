// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What clients get: access tokens (RFC 9068) and ID tokens (OpenID Connect Core, section 2), signed; and how the former are
//! read again.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::{ReadTx, WriteTx, params};
use uuid::Uuid;

use super::signer::HS256;
use super::{
    ClientAddress, Confirmation, Grant, GrantId, ProofKey, Provider, ProviderError, ScopeSet, SharedKey,
    Signer,
};
use crate::SigningAlgorithm;
use crate::access::{ACCESS_TOKEN, Issued, LONGEST_LEEWAY_SECONDS, VerifyError};

/// For whom a token speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An account, by what it consented to.
    Account(Uuid),
    /// A service account, through the client that speaks for it.
    Service(Uuid),
}

/// What an access token is to say.
#[derive(Clone, Debug)]
pub struct NewToken<'a> {
    /// The client that gets it.
    pub client: ClientAddress,
    /// For whom it speaks.
    pub subject: Subject,
    /// What it hangs on; nothing for a client's own.
    pub grant: Option<GrantId>,
    /// Whom it is for.
    pub resource: &'a str,
    /// What it may be used for.
    pub scope: &'a ScopeSet,
    /// The client that acts for the subject, of a token that was exchanged.
    pub agent: Option<ClientAddress>,
    /// What an exchanged token is for, in words.
    pub purpose: Option<&'a str>,
    /// When it ends at the latest, in Unix milliseconds.
    pub ends_at: Option<i64>,
    /// The key that it is bound to.
    pub key: Option<ProofKey>,
    /// What signs it.
    pub signer: &'a Signer,
    /// Whether its subject came by a plain password.
    pub by_password: bool,
}

/// The claims of a client's access token (RFC 9068, section 2.2). Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenClaims {
    /// The server that issued it.
    pub iss: String,
    /// Whom it is for.
    pub aud: String,
    /// For whom it speaks: `acc_…` or `sva_…`.
    pub sub: String,
    /// The client that it was issued to.
    pub client_id: String,
    /// The account, when it speaks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The tenant of the client, the only one that it is good in.
    pub tenant_id: String,
    /// The agent that acts for the account: the client that exchanged a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// Who acts (RFC 8693, section 4.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Actor>,
    /// What an exchanged token is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// What it hangs on: look it up before acting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<String>,
    /// What it may be used for: scopes, separated by spaces.
    pub scope: String,
    /// How its subject came, when that was by a plain password: `pwd` (RFC 8176).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amr: Option<Vec<String>>,
    /// The key without which it is worth nothing (RFC 9449, section 6.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// When it was issued.
    pub iat: i64,
    /// From when it is good no longer.
    pub exp: i64,
    /// Its own id.
    pub jti: String,
}

/// Who acts for the subject of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The client's `client_id`.
    pub sub: String,
}

/// A client's access token whose signature and times are good. Whether it still holds is looked up.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What it says.
    pub claims: TokenClaims,
    /// The client, and the tenant that it is good in.
    pub client: ClientAddress,
    /// For whom it speaks.
    pub subject: Subject,
    /// What it hangs on.
    pub grant: Option<GrantId>,
    /// What it may be used for.
    pub scope: ScopeSet,
}

/// The claims of an ID token.
#[derive(Serialize, Deserialize)]
struct IdClaims {
    iss: String,
    aud: String,
    sub: String,
    tenant_id: String,
    sid: String,
    auth_time: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amr: Option<Vec<String>>,
    iat: i64,
    exp: i64,
}

/// What an ID token that comes back says: whose it was and what it was of. It may have expired.
#[derive(Clone, Copy, Debug)]
pub struct Hint {
    /// The client that it was issued to.
    pub client: ClientAddress,
    /// What it came with.
    pub grant: GrantId,
}

impl Provider {
    /// Issues an access token.
    ///
    /// # Errors
    /// [`ProviderError::Issue`].
    pub fn issue(&self, now: i64, new: &NewToken<'_>) -> Result<Issued, ProviderError> {
        let issued_at = now.div_euclid(1_000);
        let longest = issued_at.saturating_add(self.lifetime.seconds());
        let (sub, user_id) = match new.subject {
            Subject::Account(account) => {
                let account = format!("acc_{}", account.simple());
                (account.clone(), Some(account))
            }
            Subject::Service(service) => (format!("sva_{}", service.simple()), None),
        };
        let claims = TokenClaims {
            iss: self.issuer.clone(),
            aud: new.resource.to_owned(),
            sub,
            client_id: new.client.to_string(),
            user_id,
            tenant_id: new.client.tenant.to_string(),
            agent_id: new.agent.map(|agent| agent.to_string()),
            act: new.agent.map(|agent| Actor { sub: agent.to_string() }),
            purpose: new.purpose.map(str::to_owned),
            grant_id: new.grant.map(|grant| grant.to_string()),
            scope: new.scope.to_string(),
            amr: amr(new.by_password),
            cnf: new.key.map(|key| key.confirmation()),
            iat: issued_at,
            exp: new.ends_at.map_or(longest, |end| longest.min(end.div_euclid(1_000))),
            jti: Uuid::new_v4().simple().to_string(),
        };
        let token = match new.signer {
            Signer::Server(algorithm) => self.signing.sign_token(now, *algorithm, ACCESS_TOKEN, &claims)?,
            // Who has the key can make tokens: none of them is for this server.
            Signer::Shared(_) if new.resource == self.issuer => return Err(ProviderError::Target),
            Signer::Shared(key) => with_mac(key, &claims)?,
        };
        Ok(Issued { token, id: claims.jti, expires_at: claims.exp.saturating_mul(1_000) })
    }

    /// Issues an ID token that goes with this access token.
    ///
    /// # Errors
    /// [`ProviderError::Issue`], [`ProviderError::Grant`] for a grant that speaks for nobody.
    pub fn issue_id_token(
        &self,
        now: i64,
        client: ClientAddress,
        algorithm: SigningAlgorithm,
        grant: &Grant,
        access_token: &str,
        name: Option<String>,
    ) -> Result<String, ProviderError> {
        let issued_at = now.div_euclid(1_000);
        // The left half of its hash, by the hash of the signature (section 3.1.3.6): with Ed25519 that is SHA-512.
        let hash = match algorithm {
            SigningAlgorithm::EdDsa => sha2::Sha512::digest(access_token).to_vec(),
            SigningAlgorithm::Es256 => Sha256::digest(access_token).to_vec(),
        };
        let (half, _) = hash.split_at(hash.len() / 2);
        let claims = IdClaims {
            iss: self.issuer.clone(),
            aud: client.to_string(),
            sub: format!("acc_{}", grant.terms.account.simple()),
            tenant_id: client.tenant.to_string(),
            sid: grant.id.to_string(),
            auth_time: grant.terms.auth_time,
            nonce: grant.terms.nonce.clone(),
            at_hash: Some(BASE64URL_NOPAD.encode(half)),
            name,
            amr: amr(grant.terms.by_password.is_some()),
            iat: issued_at,
            exp: issued_at.saturating_add(self.lifetime.seconds()),
        };
        Ok(self.signing.sign_token(now, algorithm, ID_TOKEN, &claims)?)
    }

    /// Reads an ID token that a client shows again (`id_token_hint`); also one that has expired.
    ///
    /// # Errors
    /// [`ProviderError::Token`].
    pub fn hint(&self, now: i64, token: &str) -> Result<Hint, ProviderError> {
        let claims: IdClaims = self.signing.open_token(now, &SigningAlgorithm::ALL, ID_TOKEN, token)?;
        if claims.iss != self.issuer {
            return Err(VerifyError::WrongIssuer.into());
        }
        let malformed = || ProviderError::Token(VerifyError::Malformed);
        Ok(Hint {
            client: claims.aud.parse().map_err(|_| malformed())?,
            grant: claims.sid.parse().map_err(|_| malformed())?,
        })
    }

    /// Reads an access token of a client. What it says holds only while what it hangs on does:
    /// [`require_live`](Self::require_live).
    ///
    /// # Errors
    /// The reason, with its code.
    pub fn verify(&self, now: i64, token: &str) -> Result<Verified, VerifyError> {
        let claims: TokenClaims =
            self.signing.open_token(now, &SigningAlgorithm::ALL, ACCESS_TOKEN, token)?;
        let seconds = now.div_euclid(1_000);
        if claims.iss != self.issuer {
            return Err(VerifyError::WrongIssuer);
        }
        if seconds >= claims.exp {
            return Err(VerifyError::Expired);
        }
        if seconds.saturating_add(LONGEST_LEEWAY_SECONDS) < claims.iat {
            return Err(VerifyError::NotYetValid);
        }
        // A session's token has another client, and is none of these.
        let client: ClientAddress = claims.client_id.parse().map_err(|_| VerifyError::WrongType)?;
        if claims.tenant_id != client.tenant.to_string() {
            return Err(VerifyError::Malformed);
        }
        let id = |prefix: &str| {
            let digits = claims.sub.strip_prefix(prefix)?;
            Uuid::try_parse(digits).ok()
        };
        let subject = match (id("acc_"), id("sva_")) {
            (Some(account), _) => Subject::Account(account),
            (None, Some(service)) => Subject::Service(service),
            (None, None) => return Err(VerifyError::Malformed),
        };
        let grant = claims.grant_id.as_deref().map(str::parse::<GrantId>).transpose();
        let grant = grant.map_err(|_| VerifyError::Malformed)?;
        let scope = claims.scope.parse::<ScopeSet>().map_err(|_| VerifyError::Malformed)?;
        Ok(Verified { client, subject, grant, scope, claims })
    }

    /// Whether the token was revoked by itself. In its tenant.
    ///
    /// # Errors
    /// [`ProviderError::Revoked`].
    pub async fn require_not_revoked(&self, tx: &mut ReadTx, jti: &str) -> Result<(), ProviderError> {
        let hash: [u8; 32] = Sha256::digest(jti).into();
        let found: Option<(i64,)> =
            tx.query_opt("SELECT 1 FROM oauth_spent WHERE hash = $1", params![&hash]).await?;
        if found.is_some() { Err(ProviderError::Revoked) } else { Ok(()) }
    }

    /// Revokes one access token (RFC 7009) until it would have ended anyway. In its tenant.
    pub async fn revoke(&self, tx: &mut WriteTx, token: &Verified) -> Result<(), ProviderError> {
        let hash: [u8; 32] = Sha256::digest(&token.claims.jti).into();
        spend(tx, &hash, token.claims.exp.saturating_mul(1_000)).await.map(drop)
    }

    /// Uses an assertion up, in the transaction that it opened.
    ///
    /// # Errors
    /// [`ProviderError::Client`] when it was shown before.
    pub async fn use_up(
        &self,
        tx: &mut WriteTx,
        assertion: Option<super::assertion::Used>,
    ) -> Result<(), ProviderError> {
        let Some(used) = assertion else { return Ok(()) };
        if spend(tx, &used.hash, used.expires_at).await? { Ok(()) } else { Err(ProviderError::Client) }
    }
}

/// Notes what must not be used again until its end; false when it was noted before. What has ended is forgotten.
pub(super) async fn spend(tx: &mut WriteTx, hash: &[u8; 32], expires_at: i64) -> Result<bool, ProviderError> {
    let now = tx.now();
    tx.execute("DELETE FROM oauth_spent WHERE expires_at < $1", params![now]).await?;
    let noted = tx
        .execute(
            "INSERT INTO oauth_spent (hash, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            params![hash, expires_at],
        )
        .await?;
    Ok(noted == 1)
}

/// A token that a shared key signs (RFC 7515, section 7.1).
fn with_mac(key: &SharedKey, claims: &TokenClaims) -> Result<String, ProviderError> {
    let header = serde_json::json!({ "alg": HS256, "typ": ACCESS_TOKEN }).to_string();
    let claims = serde_json::to_vec(claims).map_err(|_| ProviderError::Unreadable("a token"))?;
    let mut token =
        format!("{}.{}", BASE64URL_NOPAD.encode(header.as_bytes()), BASE64URL_NOPAD.encode(&claims));
    let mac = key.sign(token.as_bytes());
    token.push('.');
    token.push_str(&BASE64URL_NOPAD.encode(&mac));
    Ok(token)
}

/// How somebody came, in the words of RFC 8176, when that is to be told.
fn amr(by_password: bool) -> Option<Vec<String>> {
    by_password.then(|| vec!["pwd".to_owned()])
}

/// The media type of ID tokens, as other servers write it.
const ID_TOKEN: &str = "JWT";
/// The type of a logout token (OpenID Connect Back-Channel Logout, section 2.4).
pub(super) const LOGOUT_TOKEN: &str = "logout+jwt";

/// Whether a token is a client's and not a session's, by what it says itself. Nothing of that is believed: it tells which way
/// the token is verified.
pub fn is_clients(token: &str) -> bool {
    #[derive(Deserialize)]
    struct Says {
        client_id: String,
    }
    let payload = token.split('.').nth(1).and_then(|part| BASE64URL_NOPAD.decode(part.as_bytes()).ok());
    let says = payload.and_then(|payload| serde_json::from_slice::<Says>(&payload).ok());
    says.is_some_and(|says| says.client_id.parse::<ClientAddress>().is_ok())
}
