// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which way a request went: who it turned out to be, and which tenant knew them. For its line in the request audit.

use std::sync::{Mutex, PoisonError};

use store::TenantId;

/// Kept beside a request while it is served. The door writes into it, and [`Caller::came`](crate::Caller::came): so a request
/// gets a line in no tenant that did not know its sender.
#[derive(Debug, Default)]
pub struct Passage(Mutex<Passed>);

/// What a [`Passage`] saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Who came; nobody who is known, if `None`.
    pub who: Option<Who>,
    /// The one customer's tenant that knew them, or the platform, to which its people did something.
    known_in: Option<TenantId>,
    /// Whether several did.
    by_several: bool,
}

/// Who came, as records name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// `acc_…`, `sva_…` or `cli_…`.
    pub actor: String,
    /// Through what: `ses_…`, `mth_…`, `cli_…`, `svk_…`.
    pub via: String,
    /// The account's home, the service account's tenant, the one tenant of an application's token.
    pub own: TenantId,
}

impl Passage {
    /// What was seen until now.
    pub fn seen(&self) -> Passed {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes who came, unless that is known: of a client that shows somebody's token, the client did.
    pub fn came(&self, who: Who) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).who.get_or_insert(who);
    }

    pub(crate) fn known_in(&self, who: impl FnOnce() -> Who, tenant: TenantId) {
        let mut passed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        passed.who.get_or_insert_with(who);
        passed.by_several |= passed.known_in.is_some_and(|before| before != tenant);
        passed.known_in = Some(tenant);
    }
}

impl Passed {
    /// The tenant whose history the request is part of: the one that knew its sender, or when that was none or several, the
    /// sender's own. The platform's, when nobody is known.
    pub fn tenant(&self) -> TenantId {
        let own = self.who.as_ref().map_or(TenantId::PLATFORM, |who| who.own);
        self.known_in.filter(|_| !self.by_several).unwrap_or(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_part_of_the_one_tenant_that_knew_its_sender() {
        let (home, acme, other) = (TenantId::random(), TenantId::customer(), TenantId::customer());
        let who = || Who { actor: "acc_1".into(), via: "ses_1".into(), own: home };
        let passage = Passage::default();
        assert_eq!(passage.seen().tenant(), TenantId::PLATFORM);
        passage.came(who());
        assert_eq!(passage.seen().tenant(), home);
        passage.known_in(who, acme);
        passage.known_in(who, acme);
        assert_eq!(passage.seen().tenant(), acme);
        passage.known_in(who, other);
        assert_eq!(passage.seen().tenant(), home, "who lists all their tenants is in none of them");
    }
}
