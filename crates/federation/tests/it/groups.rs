// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Groups of many: how much a page has, and what a change of one writes.

use federation::scim::{GroupTerms, MAX_PAGE_MEMBERS, ScimError, UserId, UserTerms};
use serde_json::json;
use store::{Param, WriteTx};
use uuid::Uuid;

use crate::world::{World, worlds};

#[tokio::test]
async fn a_page_ends_before_it_has_too_many_members_and_the_next_one_goes_on() {
    for world in worlds().await {
        let mut tx = world.write(world.tenant().await).await;
        for (number, members) in [(1, MAX_PAGE_MEMBERS + 1), (2, 10_000), (3, 10_000), (4, 1)] {
            let team = Uuid::from_u128(number);
            group(&world, &mut tx, team, &[]).await;
            put(&mut tx, team, &(0..members).map(|_| UserId::random()).collect::<Vec<_>>()).await;
        }
        let (mut start, mut pages) = (0, Vec::new());
        while pages.len() < 5 {
            let page = world.federation.groups(&mut tx, None, start, 200, true).await.unwrap();
            assert_eq!(page.total, 4);
            if page.resources.is_empty() {
                break;
            }
            start += i64::try_from(page.resources.len()).unwrap();
            pages.push(page.resources.iter().map(|group| group.terms.members.len()).collect::<Vec<_>>());
        }
        assert_eq!(pages, [vec![20_001], vec![10_000, 10_000], vec![1]]);
        // Nobody is counted who is not listed.
        let page = world.federation.groups(&mut tx, None, 0, 200, false).await.unwrap();
        assert_eq!(page.resources.len(), 4);
        assert!(page.resources.iter().all(|group| group.terms.members.is_empty()));
    }
}

#[tokio::test]
async fn a_change_of_a_group_writes_who_comes_and_who_goes_and_nobody_else() {
    for world in worlds().await {
        let mut tx = world.write(world.tenant().await).await;
        let (ada, bea) = (user(&world, &mut tx, "ada").await, user(&world, &mut tx, "bea").await);
        let team = Uuid::from_u128(1);
        group(&world, &mut tx, team, &[ada]).await;
        // Whom a change would refuse, if it looked at them.
        let unknown = UserId::random();
        put(&mut tx, team, &[unknown]).await;

        let to = |members: &[UserId]| {
            let mut members = members.to_vec();
            members.sort_unstable();
            terms(&members)
        };
        let wanted = to(&[bea, unknown]);
        let (before, after) = world.federation.change_group(&mut tx, team, wanted.clone()).await.unwrap();
        assert_eq!(before.terms.members, to(&[ada, unknown]).members);
        assert_eq!(after.terms, wanted);
        assert_eq!(world.federation.group(&mut tx, team, true).await.unwrap().terms, wanted);
        assert!(world.federation.teams_of_user(&mut tx, ada).await.unwrap().is_empty());

        // Many go at once, and of whom the tenant was not told do not come.
        let many: Vec<UserId> = (0..300).map(|_| UserId::random()).collect();
        put(&mut tx, team, &many).await;
        world.federation.change_group(&mut tx, team, wanted.clone()).await.unwrap();
        assert_eq!(world.federation.group(&mut tx, team, true).await.unwrap().terms, wanted);
        let refused = world.federation.change_group(&mut tx, team, to(&many)).await;
        assert!(matches!(refused, Err(ScimError::InvalidValue { .. })), "{refused:?}");
    }
}

async fn user(world: &World, tx: &mut WriteTx, name: &str) -> UserId {
    let terms = UserTerms::read(json!({ "userName": name }).as_object().unwrap()).unwrap();
    world.federation.create_user(tx, terms).await.unwrap().id
}

async fn group(world: &World, tx: &mut WriteTx, team: Uuid, members: &[UserId]) {
    let terms = GroupTerms { display_name: team.to_string(), ..terms(members) };
    world.federation.create_group(tx, team, terms).await.unwrap();
}

fn terms(members: &[UserId]) -> GroupTerms {
    GroupTerms { display_name: "Crew".to_owned(), external_id: None, members: members.to_vec() }
}

/// Rows of members, whoever they are.
async fn put(tx: &mut WriteTx, team: Uuid, members: &[UserId]) {
    for some in members.chunks(1_000) {
        let each: Vec<Vec<Param<'_>>> =
            some.iter().map(|user| vec![Param::from(&team), Param::from(user)]).collect();
        tx.execute_each("INSERT INTO scim_group_member (team, user_id) VALUES ($1, $2)", &each)
            .await
            .unwrap();
    }
}
