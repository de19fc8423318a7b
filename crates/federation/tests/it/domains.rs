// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whose a domain is, and that a tenant that lost one is not believed of it.

use federation::{DomainClaim, DomainName, FederationError, ProvedBy};
use store::TenantId;

use crate::world::{World, commit, worlds};

#[tokio::test]
async fn a_claim_ends_only_as_it_was_seen_and_by_a_word_of_its_own_kind() {
    for world in worlds().await {
        let (ada, bea) = (world.tenant().await, world.tenant().await);
        assert!(claims(&world, ada, ProvedBy::Dns, None).await);
        assert!(!claims(&world, bea, ProvedBy::Dns, None).await, "nobody's claim was named");
        let seen = claim(&world).await;
        assert_eq!(seen.map(|claim| (claim.owner, claim.proved_by)), Some((ada, ProvedBy::Dns)));
        assert!(!claims(&world, bea, ProvedBy::Platform, seen).await, "what a tenant proved by itself");

        // The tenant proves it again before the claim is moved.
        world.test.clock.advance(1);
        assert!(claims(&world, ada, ProvedBy::Dns, None).await);
        assert!(!claims(&world, bea, ProvedBy::Dns, seen).await, "it is not what was seen");
        let seen = claim(&world).await;
        assert!(claims(&world, bea, ProvedBy::Dns, seen).await);
        assert_eq!(claim(&world).await.map(|claim| claim.owner), Some(bea));

        // What the platform says, only the platform takes back.
        assert!(claims(&world, bea, ProvedBy::Platform, None).await);
        let seen = claim(&world).await;
        assert_eq!(seen.map(|claim| claim.proved_by), Some(ProvedBy::Platform));
        assert!(!claims(&world, ada, ProvedBy::Dns, seen).await);
        assert!(claims(&world, bea, ProvedBy::Dns, None).await, "its own");
        assert_eq!(claim(&world).await.map(|claim| claim.proved_by), Some(ProvedBy::Platform));
        let seen = claim(&world).await;
        assert!(claims(&world, ada, ProvedBy::Platform, seen).await);
        assert_eq!(claim(&world).await.map(|claim| claim.owner), Some(ada));
    }
}

#[tokio::test]
async fn a_tenant_that_is_gone_frees_its_domains_and_no_others() {
    for world in worlds().await {
        let (ada, bea) = (world.tenant().await, world.tenant().await);
        assert!(claims(&world, ada, ProvedBy::Dns, None).await);
        for (gone, owner) in [(bea, Some(ada)), (ada, None)] {
            let mut tx = world.write(TenantId::PLATFORM).await;
            world.federation.release_domains(&mut tx, gone).await.unwrap();
            commit(tx).await;
            assert_eq!(claim(&world).await.map(|claim| claim.owner), owner);
        }
        assert!(claims(&world, bea, ProvedBy::Dns, None).await);
    }
}

#[tokio::test]
async fn a_domain_that_is_not_proved_any_more_is_nobodys_until_it_is_again() {
    for world in worlds().await {
        let tenant = world.tenant().await;
        let mut tx = world.write(tenant).await;
        let federation = &world.federation;
        assert!(matches!(federation.set_unverified(&mut tx, &name()).await, Err(FederationError::NotFound)));
        let added = federation.add_domain(&mut tx, &name()).await.unwrap();
        federation.set_verified(&mut tx, &name()).await.unwrap();
        assert!(federation.has_domain_of(&mut tx, "ada@acme.example").await.unwrap());

        assert!(federation.set_unverified(&mut tx, &name()).await.unwrap());
        assert!(!federation.has_domain_of(&mut tx, "ada@acme.example").await.unwrap());
        assert_eq!(federation.domain(&mut tx, &name()).await.unwrap(), added);
        assert!(!federation.set_unverified(&mut tx, &name()).await.unwrap(), "it was not");

        federation.set_verified(&mut tx, &name()).await.unwrap();
        assert!(federation.has_domain_of(&mut tx, "ada@acme.example").await.unwrap());
    }
}

/// Claims the domain for a tenant; whether it is its own then.
async fn claims(world: &World, tenant: TenantId, by: ProvedBy, former: Option<DomainClaim>) -> bool {
    let mut tx = world.write(TenantId::PLATFORM).await;
    match world.federation.claim_domain(&mut tx, tenant, &name(), by, former.as_ref()).await {
        Ok(()) => {
            commit(tx).await;
            true
        }
        Err(FederationError::DomainTaken) => false,
        Err(error) => panic!("{error}"),
    }
}

async fn claim(world: &World) -> Option<DomainClaim> {
    let mut tx = world.read(TenantId::PLATFORM).await;
    world.federation.claim_of_domain(&mut tx, &name()).await.unwrap()
}

fn name() -> DomainName {
    "acme.example".parse().unwrap()
}
