// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Teams: members who hold roles together.

use store::{ReadTx, WriteTx, params};
use uuid::Uuid;

use crate::standing::Stamp;
use crate::tenancy::role::require_no_audited_owner;
use crate::tenancy::{Name, TeamId, Tenancy, TenancyError};

/// How many teams a tenant has at most.
pub const MAX_TEAMS: i64 = 1_000;
/// How many teams a member is in at most.
pub const MAX_TEAMS_OF_MEMBER: i64 = 32;

/// A team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Team {
    /// Its id.
    pub id: TeamId,
    /// Its name.
    pub name: Name,
    /// Since when, in Unix milliseconds.
    pub created_at: i64,
}

impl Tenancy {
    /// The teams, the oldest first.
    pub async fn teams(&self, tx: &mut ReadTx) -> Result<Vec<Team>, TenancyError> {
        let keys = self.keys(tx).await?;
        let rows: Vec<(Uuid, Vec<u8>, i64)> = tx
            .query("SELECT id, sealed_name, created_at FROM team ORDER BY created_at, id", params![])
            .await?;
        let open = |(id, sealed, created_at): (Uuid, Vec<u8>, i64)| {
            Ok(Team { id: TeamId::from_uuid(id), name: Name::open(&keys, id, &sealed)?, created_at })
        };
        rows.into_iter().map(open).collect()
    }

    /// One team.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`].
    pub async fn team(&self, tx: &mut ReadTx, id: TeamId) -> Result<Team, TenancyError> {
        let keys = self.keys(tx).await?;
        let row: Option<(Vec<u8>, i64)> =
            tx.query_opt("SELECT sealed_name, created_at FROM team WHERE id = $1", params![&id]).await?;
        let (sealed, created_at) = row.ok_or(TenancyError::NotFound)?;
        Ok(Team { id, name: Name::open(&keys, *id.uuid(), &sealed)?, created_at })
    }

    /// Who is in a team.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`].
    pub async fn team_members(&self, tx: &mut ReadTx, team: TeamId) -> Result<Vec<Uuid>, TenancyError> {
        require_team(tx, team).await?;
        let rows: Vec<(Uuid,)> = tx
            .query("SELECT account FROM team_member WHERE team = $1 ORDER BY account", params![&team])
            .await?;
        Ok(rows.into_iter().map(|(account,)| account).collect())
    }

    /// Makes a team.
    ///
    /// # Errors
    /// [`TenancyError::TooMany`].
    pub async fn create_team(&self, tx: &mut WriteTx, name: &Name) -> Result<Team, TenancyError> {
        Stamp::People.renew(tx).await?;
        let (count,): (i64,) = tx.query_one("SELECT count(*) FROM team", params![]).await?;
        if count >= MAX_TEAMS {
            return Err(TenancyError::TooMany("a tenant has at most 1,000 teams"));
        }
        let (id, now) = (TeamId::random(), tx.now());
        let sealed = name.seal(&self.keys(tx).await?, *id.uuid());
        tx.execute(
            "INSERT INTO team (id, sealed_name, created_at) VALUES ($1, $2, $3)",
            params![&id, &sealed, now],
        )
        .await?;
        Ok(Team { id, name: name.clone(), created_at: now })
    }

    /// Gives a team another name.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`].
    pub async fn rename_team(&self, tx: &mut WriteTx, team: TeamId, name: &Name) -> Result<(), TenancyError> {
        let sealed = name.seal(&self.keys(tx).await?, *team.uuid());
        let changed =
            tx.execute("UPDATE team SET sealed_name = $2 WHERE id = $1", params![&team, &sealed]).await?;
        if changed == 1 { Ok(()) } else { Err(TenancyError::NotFound) }
    }

    /// Deletes a team, with the roles that it held.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`].
    pub async fn delete_team(&self, tx: &mut WriteTx, team: TeamId) -> Result<(), TenancyError> {
        Stamp::People.renew(tx).await?;
        if tx.execute("DELETE FROM team WHERE id = $1", params![&team]).await? == 0 {
            return Err(TenancyError::NotFound);
        }
        tx.execute("DELETE FROM team_member WHERE team = $1", params![&team]).await?;
        tx.execute("DELETE FROM role_grant WHERE holder = $1", params![&team]).await?;
        Ok(())
    }

    /// Puts a member into a team. Whoever does it gives what the team holds: [`Access::covers`](crate::Access::covers). `false` when
    /// they were in it.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`], [`TenancyError::TooMany`]; [`TenancyError::Invalid`] for an owner, when the team audits.
    pub async fn add_to_team(
        &self,
        tx: &mut WriteTx,
        team: TeamId,
        account: Uuid,
    ) -> Result<bool, TenancyError> {
        Stamp::People.renew(tx).await?;
        require_team(tx, team).await?;
        let member: Option<(i64,)> =
            tx.query_opt("SELECT 1 FROM member WHERE account = $1", params![&account]).await?;
        member.ok_or(TenancyError::NotFound)?;
        let (count,): (i64,) =
            tx.query_one("SELECT count(*) FROM team_member WHERE account = $1", params![&account]).await?;
        if count >= MAX_TEAMS_OF_MEMBER {
            return Err(TenancyError::TooMany("a member is in at most 32 teams"));
        }
        let now = tx.now();
        let inserted = tx
            .execute(
                "INSERT INTO team_member (team, account, added_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                params![&team, &account, now],
            )
            .await?;
        require_no_audited_owner(tx).await?;
        Ok(inserted == 1)
    }

    /// Takes a member out of a team. `false` when they were not in it.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`] for the team.
    pub async fn take_from_team(
        &self,
        tx: &mut WriteTx,
        team: TeamId,
        account: Uuid,
    ) -> Result<bool, TenancyError> {
        Stamp::People.renew(tx).await?;
        require_team(tx, team).await?;
        let deleted = tx
            .execute("DELETE FROM team_member WHERE team = $1 AND account = $2", params![&team, &account])
            .await?;
        Ok(deleted == 1)
    }
}

async fn require_team(tx: &mut ReadTx, team: TeamId) -> Result<(), TenancyError> {
    let found: Option<(i64,)> = tx.query_opt("SELECT 1 FROM team WHERE id = $1", params![&team]).await?;
    found.map(drop).ok_or(TenancyError::NotFound)
}
