// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Providers as they are set up: how they are reached, and what who comes by them gets.
//!
//! Terms are sealed under the tenant's key, with the client's secret in them, for their row and tenant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use store::{ReadTx, TenantId, WriteTx, params};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::address::Reach;
use crate::id_token::Assertion;
use crate::{Federation, FederationError, ProviderId};

/// How many providers a tenant, or the platform, has at most.
pub const MAX_PROVIDERS: i64 = 16;
/// How many roles a provider gives at most.
pub const MAX_GIVEN: usize = 200;

/// A provider, as it is set up.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its id.
    pub id: ProviderId,
    /// Whose it is: a customer's tenant, or the platform.
    pub tenant: TenantId,
    /// Its terms.
    pub terms: Terms,
    /// Since when, in Unix milliseconds.
    pub created_at: i64,
    /// Who made it, as records name them.
    pub created_by: String,
}

/// How a provider is reached, and what who comes by it gets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// What people see.
    pub name: String,
    /// What is known of it beside the standard.
    pub preset: Preset,
    /// Its issuer: where its metadata are, and who its tokens are of.
    pub issuer: String,
    /// Our name at it.
    pub client_id: String,
    /// Our secret at it; without one the exchange rests on PKCE.
    pub client_secret: Option<Zeroizing<String>>,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// The claim in which it names groups.
    pub groups_claim: Option<String>,
    /// Whether its addresses are right although it does not say that it verified them: it has only the tenant's own people.
    pub trusts_addresses: bool,
    /// Whether people of the tenant's domains become members by coming in.
    pub joins: bool,
    /// Which roles who comes by it gets.
    pub gives: Vec<Given>,
    /// Whether people may come in by it.
    pub is_enabled: bool,
}

/// A role that people get by coming in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// Who is in this group; everybody, if it is none.
    pub group: Option<String>,
    /// The role, as it is written.
    pub role: String,
    /// Where, as it is written.
    pub place: String,
    /// The account that said so: nobody gets more than they may give.
    pub by: Uuid,
}

/// What is known of a provider beside the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Nothing: any issuer.
    Generic,
    /// Google: accounts of any domain have one issuer, so the tenant's own are told by `hd`.
    Google,
    /// Microsoft Entra ID: several tenants may share an address, whose issuer is then a template.
    Entra,
    /// Okta.
    Okta,
}

impl Preset {
    const ALL: [Self; 4] = [Self::Generic, Self::Google, Self::Entra, Self::Okta];

    /// The name as it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Google => "google",
            Self::Entra => "entra",
            Self::Okta => "okta",
        }
    }

    /// The issuer, where there is only one.
    pub const fn issuer(self) -> Option<&'static str> {
        match self {
            Self::Google => Some(GOOGLE),
            Self::Generic | Self::Entra | Self::Okta => None,
        }
    }

    /// What is asked for beside `openid`, when nothing is said.
    pub fn scopes(self) -> Vec<String> {
        let scopes: &[&str] = match self {
            Self::Okta => &["email", "profile", "groups"],
            Self::Generic | Self::Google | Self::Entra => &["email", "profile"],
        };
        scopes.iter().map(|scope| (*scope).to_owned()).collect()
    }

    /// The claim with the groups, when nothing is said.
    pub fn groups_claim(self) -> Option<String> {
        match self {
            Self::Generic | Self::Entra | Self::Okta => Some("groups".to_owned()),
            Self::Google => None,
        }
    }
}

impl FromStr for Preset {
    type Err = FederationError;

    fn from_str(name: &str) -> Result<Self, FederationError> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.name() == name)
            .ok_or_else(|| FederationError::invalid("preset", "one of generic, google, entra, okta"))
    }
}

/// Without the secret.
impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terms")
            .field("name", &self.name)
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl Terms {
    /// Whether accounts of many organisations come by this issuer.
    fn is_shared(&self) -> bool {
        self.issuer.trim_end_matches('/') == GOOGLE || self.is_entra_of_several()
    }

    fn is_entra_of_several(&self) -> bool {
        ["/common/v2.0", "/organizations/v2.0", "/consumers/v2.0"]
            .iter()
            .any(|end| self.issuer.ends_with(end))
    }

    fn check(&self, tenant: TenantId, reach: &Reach) -> Result<(), FederationError> {
        let invalid = FederationError::invalid;
        let is_shown = |text: &str, most: usize| {
            (1..=most).contains(&text.chars().count())
                && text.trim() == text
                && !text.chars().any(char::is_control)
        };
        if !is_shown(&self.name, 64) {
            return Err(invalid("name", "1 to 64 characters, none of control, and no space at either end"));
        }
        reach.check("issuer", &self.issuer)?;
        if url::Url::parse(&self.issuer).is_ok_and(|url| url.query().is_some()) {
            return Err(invalid("issuer", "an issuer has no query"));
        }
        if !is_shown(&self.client_id, 256) {
            return Err(invalid("client_id", "1 to 256 characters"));
        }
        if self.client_secret.as_ref().is_some_and(|secret| !(1..=1_024).contains(&secret.len())) {
            return Err(invalid("client_secret", "1 to 1,024 bytes"));
        }
        // RFC 6749, section 3.3.
        let is_scope = |scope: &String| {
            (1..=100).contains(&scope.len())
                && scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
        };
        if self.scopes.len() > 32 || !self.scopes.iter().all(is_scope) {
            return Err(invalid("scopes", "at most 32 scopes of visible characters"));
        }
        if self.groups_claim.as_ref().is_some_and(|claim| !is_shown(claim, 128)) {
            return Err(invalid("groups_claim", "1 to 128 characters"));
        }
        if self.trusts_addresses && self.is_shared() {
            let why = "anybody has an account at this issuer: only addresses that it says are verified count";
            return Err(invalid("trusts_addresses", why));
        }
        if self.gives.len() > MAX_GIVEN {
            return Err(FederationError::TooMany("a provider gives at most 200 roles"));
        }
        let is_group = |given: &Given| given.group.as_ref().is_none_or(|group| is_shown(group, 256));
        if !self.gives.iter().all(is_group) {
            return Err(invalid("gives", "the name of a group has 1 to 256 characters"));
        }
        if tenant == TenantId::PLATFORM && (self.joins || !self.gives.is_empty()) {
            return Err(invalid("joins", "the platform's providers let into accounts, not into tenants"));
        }
        Ok(())
    }
}

impl Provider {
    /// The address that the provider gives of somebody, when it is to be believed. Of a tenant's provider, only in the tenant's
    /// own domains: that is the caller's to see.
    pub fn believed_address<'a>(&self, assertion: &'a Assertion) -> Option<&'a str> {
        let email = assertion.email.as_deref()?;
        let (_, domain) = email.rsplit_once('@')?;
        let is_verified = match assertion.email_verified {
            Some(said) => said,
            None => self.terms.trusts_addresses,
        };
        // An address at Google outlives the account at the organisation that it is of, unless `hd` says that this is one.
        let is_theirs = self.tenant == TenantId::PLATFORM
            || self.terms.issuer.trim_end_matches('/') != GOOGLE
            || assertion.hosted_domain.as_ref().is_some_and(|hosted| hosted.eq_ignore_ascii_case(domain));
        (is_verified && is_theirs).then_some(email)
    }

    /// What somebody of these groups gets.
    pub fn given<'a>(&'a self, groups: &'a [String]) -> impl Iterator<Item = &'a Given> {
        self.terms
            .gives
            .iter()
            .filter(|given| given.group.as_ref().is_none_or(|group| groups.contains(group)))
    }

    /// The groups that matter, of those that were named.
    pub fn known_groups(&self, groups: &[String]) -> Vec<String> {
        let mut known: Vec<String> = groups
            .iter()
            .filter(|group| self.terms.gives.iter().any(|given| given.group.as_ref() == Some(group)))
            .cloned()
            .collect();
        known.sort_unstable();
        known.dedup();
        known
    }
}

type Row = (Uuid, Vec<u8>, i64, String);

/// The statements, which differ in the table: a tenant's, or the platform's.
struct Statements {
    list: &'static str,
    find: &'static str,
    count: &'static str,
    insert: &'static str,
    update: &'static str,
    delete: &'static str,
}

macro_rules! statements {
    ($table:literal) => {
        Statements {
            list: concat!(
                "SELECT id, sealed, created_at, created_by FROM ",
                $table,
                " ORDER BY created_at, id"
            ),
            find: concat!("SELECT id, sealed, created_at, created_by FROM ", $table, " WHERE id = $1"),
            count: concat!("SELECT count(*) FROM ", $table),
            insert: concat!(
                "INSERT INTO ",
                $table,
                " (id, sealed, created_at, created_by, changed_at) VALUES ($1, $2, $3, $4, $3)"
            ),
            update: concat!("UPDATE ", $table, " SET sealed = $2, changed_at = $3 WHERE id = $1"),
            delete: concat!("DELETE FROM ", $table, " WHERE id = $1"),
        }
    };
}

const OF_TENANTS: Statements = statements!("provider");
const OF_PLATFORM: Statements = statements!("platform_provider");

fn of(tx: &ReadTx) -> &'static Statements {
    if tx.tenant() == TenantId::PLATFORM { &OF_PLATFORM } else { &OF_TENANTS }
}

impl Federation {
    /// The providers, the oldest first.
    pub async fn providers(&self, tx: &mut ReadTx) -> Result<Vec<Provider>, FederationError> {
        let statements = of(tx);
        let rows: Vec<Row> = tx.query(statements.list, params![]).await?;
        let mut providers = Vec::with_capacity(rows.len());
        for row in rows {
            providers.push(self.open_provider(tx, row).await?);
        }
        Ok(providers)
    }

    /// One provider.
    ///
    /// # Errors
    /// [`FederationError::NotFound`].
    pub async fn provider(&self, tx: &mut ReadTx, id: ProviderId) -> Result<Provider, FederationError> {
        let statements = of(tx);
        let row: Option<Row> = tx.query_opt(statements.find, params![&id]).await?;
        self.open_provider(tx, row.ok_or(FederationError::NotFound)?).await
    }

    /// Sets a provider up.
    ///
    /// # Errors
    /// [`FederationError::Invalid`], [`FederationError::TooMany`].
    pub async fn create_provider(
        &self,
        tx: &mut WriteTx,
        terms: Terms,
        by: &str,
    ) -> Result<Provider, FederationError> {
        terms.check(tx.tenant(), &self.fetcher.reach)?;
        let statements = of(tx);
        let (count,): (i64,) = tx.query_one(statements.count, params![]).await?;
        if count >= MAX_PROVIDERS {
            return Err(FederationError::TooMany("there are at most 16 providers"));
        }
        let (id, now) = (ProviderId::random(), tx.now());
        let sealed = self.seal_terms(tx, id, &terms).await?;
        tx.execute(statements.insert, params![&id, &sealed, now, by]).await?;
        Ok(Provider { id, tenant: tx.tenant(), terms, created_at: now, created_by: by.to_owned() })
    }

    /// Changes a provider's terms.
    ///
    /// # Errors
    /// [`FederationError::NotFound`], [`FederationError::Invalid`], [`FederationError::TooMany`].
    pub async fn change_provider(
        &self,
        tx: &mut WriteTx,
        id: ProviderId,
        terms: &Terms,
    ) -> Result<(), FederationError> {
        terms.check(tx.tenant(), &self.fetcher.reach)?;
        let (sealed, now) = (self.seal_terms(tx, id, terms).await?, tx.now());
        let statements = of(tx);
        match tx.execute(statements.update, params![&id, &sealed, now]).await? {
            0 => Err(FederationError::NotFound),
            _ => Ok(()),
        }
    }

    /// Takes a provider away: nobody comes in by it any more.
    ///
    /// # Errors
    /// [`FederationError::NotFound`].
    pub async fn delete_provider(&self, tx: &mut WriteTx, id: ProviderId) -> Result<(), FederationError> {
        let statements = of(tx);
        match tx.execute(statements.delete, params![&id]).await? {
            0 => Err(FederationError::NotFound),
            _ => Ok(()),
        }
    }

    async fn seal_terms(
        &self,
        tx: &mut WriteTx,
        id: ProviderId,
        terms: &Terms,
    ) -> Result<Vec<u8>, FederationError> {
        let plain = serde_json::to_vec(terms).map_err(|_| FederationError::Unreadable("a provider"))?;
        let plain = Zeroizing::new(plain);
        Ok(self.custody.tenant_or_new(tx).await?.seal(TERMS, &[id.as_bytes()], &plain))
    }

    async fn open_provider(
        &self,
        tx: &mut ReadTx,
        (id, sealed, created_at, created_by): Row,
    ) -> Result<Provider, FederationError> {
        let unreadable = || FederationError::Unreadable("a provider");
        let keys = self.custody.tenant(tx).await?;
        let plain = keys.open(TERMS, &[id.as_bytes()], &sealed).map_err(|_| unreadable())?;
        let terms = serde_json::from_slice(&plain).map_err(|_| unreadable())?;
        Ok(Provider { id: ProviderId::from_uuid(id), tenant: tx.tenant(), terms, created_at, created_by })
    }
}

const TERMS: &str = "federation/provider";
/// Google's only issuer.
const GOOGLE: &str = "https://accounts.google.com";

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(issuer: &str) -> Terms {
        Terms {
            name: "Acme".to_owned(),
            preset: Preset::Generic,
            issuer: issuer.to_owned(),
            client_id: "bailiwick".to_owned(),
            client_secret: None,
            scopes: vec!["email".to_owned()],
            groups_claim: Some("groups".to_owned()),
            trusts_addresses: false,
            joins: false,
            gives: Vec::new(),
            is_enabled: true,
        }
    }

    fn said(email: &str, verified: Option<bool>, hosted: Option<&str>) -> Assertion {
        Assertion {
            issuer: "https://id.example".to_owned(),
            subject: "ada".to_owned(),
            email: Some(email.to_owned()),
            email_verified: verified,
            hosted_domain: hosted.map(str::to_owned),
            name: None,
            groups: Vec::new(),
            has_more_groups: false,
        }
    }

    fn provider(tenant: TenantId, terms: Terms) -> Provider {
        Provider { id: ProviderId::random(), tenant, terms, created_at: 0, created_by: String::new() }
    }

    #[test]
    fn an_address_is_believed_only_where_it_was_verified() {
        let own = provider(TenantId::customer(), terms("https://id.example"));
        assert!(own.believed_address(&said("ada@acme.example", Some(true), None)).is_some());
        assert!(own.believed_address(&said("ada@acme.example", Some(false), None)).is_none());
        assert!(own.believed_address(&said("ada@acme.example", None, None)).is_none());
        assert!(own.believed_address(&said("ada", Some(true), None)).is_none());
        let trusted = Terms { trusts_addresses: true, ..terms("https://id.example") };
        let trusted = provider(TenantId::customer(), trusted);
        assert!(trusted.believed_address(&said("ada@acme.example", None, None)).is_some());
        assert!(trusted.believed_address(&said("ada@acme.example", Some(false), None)).is_none());
    }

    #[test]
    fn at_google_the_organisation_has_to_say_that_the_account_is_its_own() {
        let google = provider(TenantId::customer(), terms("https://accounts.google.com"));
        assert!(
            google.believed_address(&said("ada@acme.example", Some(true), Some("acme.example"))).is_some()
        );
        for hosted in [None, Some("evil.example"), Some("")] {
            assert!(google.believed_address(&said("ada@acme.example", Some(true), hosted)).is_none());
        }
        let platform = provider(TenantId::PLATFORM, terms("https://accounts.google.com"));
        assert!(platform.believed_address(&said("ada@gmail.com", Some(true), None)).is_some());
    }

    #[test]
    fn terms_that_make_no_sense_are_not_kept() {
        let field = |terms: Terms, tenant| match terms.check(tenant, &Reach::default()) {
            Ok(()) => "",
            Err(FederationError::Invalid { field, .. }) => field,
            Err(_) => "another error",
        };
        let tenant = TenantId::customer();
        let good = || terms("https://id.example/realms/acme");
        assert_eq!(field(good(), tenant), "");
        assert_eq!(field(terms("http://id.example"), tenant), "issuer");
        assert_eq!(field(terms("https://10.0.0.1"), tenant), "issuer");
        assert_eq!(field(terms("https://id.example/?a"), tenant), "issuer");
        assert_eq!(field(Terms { name: " x".to_owned(), ..good() }, tenant), "name");
        assert_eq!(field(Terms { client_id: String::new(), ..good() }, tenant), "client_id");
        assert_eq!(field(Terms { scopes: vec!["a b".to_owned()], ..good() }, tenant), "scopes");
        assert_eq!(field(Terms { joins: true, ..good() }, TenantId::PLATFORM), "joins");
        for shared in ["https://accounts.google.com", "https://login.microsoftonline.com/common/v2.0"] {
            assert_eq!(field(Terms { trusts_addresses: true, ..terms(shared) }, tenant), "trusts_addresses");
        }
        assert!(
            !format!("{:?}", Terms { client_secret: Some(Zeroizing::new("s3cret".to_owned())), ..good() })
                .contains("s3cret")
        );
    }
}
