// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices: things with an id of their own (a DevEUI, a serial number), each assigned to an organisation.
//!
//! The id is sealed, and found by its keyed hash under a key of the tenant: so a copy of the database does not tell which
//! devices a customer has.

use custody::TenantKeys;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use store::{Param, ReadTx, WriteTx, params};
use uuid::Uuid;

use crate::standing::Stamp;
use crate::tenancy::member::MAX_PAGE;
use crate::tenancy::{DeviceId, Name, OrganisationId, Tenancy, TenancyError};
use crate::visible::Visible;

/// The longest id that a device has by itself, in bytes.
pub const MAX_EXTERNAL_ID: usize = 128;

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its id here.
    pub id: DeviceId,
    /// Its own id: a DevEUI, a serial number.
    pub external_id: String,
    /// Its name.
    pub name: Name,
    /// The organisation that it is assigned to.
    pub organisation: OrganisationId,
    /// Since when, in Unix milliseconds.
    pub created_at: i64,
}

/// A device to be registered.
#[derive(Clone, Copy, Debug)]
pub struct NewDevice<'a> {
    /// Its own id: 1 to [`MAX_EXTERNAL_ID`] visible ASCII characters. Case does not matter: a DevEUI is written both ways.
    pub external_id: &'a str,
    /// Its name.
    pub name: &'a Name,
    /// The organisation that it is assigned to.
    pub organisation: OrganisationId,
}

/// A page of devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Devices {
    /// The devices, by id.
    pub devices: Vec<Device>,
    /// What to pass as `after` for the next page; `None` on the last.
    pub next: Option<DeviceId>,
}

type Row = (Uuid, Uuid, Vec<u8>, Vec<u8>, i64);

impl Tenancy {
    /// Registers a device.
    ///
    /// # Errors
    /// [`TenancyError::Invalid`] for its own id, [`TenancyError::Exists`], [`TenancyError::NotFound`] for the organisation.
    pub async fn register_device(
        &self,
        tx: &mut WriteTx,
        new: NewDevice<'_>,
    ) -> Result<Device, TenancyError> {
        let NewDevice { external_id, name, organisation } = new;
        let fits = (1..=MAX_EXTERNAL_ID).contains(&external_id.len());
        if !fits || !external_id.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(TenancyError::invalid("external_id", "1 to 128 visible ASCII characters"));
        }
        require_organisation(tx, organisation).await?;
        let keys = self.keys(tx).await?;
        let (id, now) = (DeviceId::random(), tx.now());
        let inserted = tx
            .execute(
                "INSERT INTO tenant_device \
                   (id, lookup, organisation, sealed_name, sealed_external, created_at, changed_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT DO NOTHING",
                params![
                    &id,
                    &lookup(&keys, external_id),
                    &organisation,
                    &name.seal(&keys, *id.uuid()),
                    &keys.seal(EXTERNAL, &[id.as_bytes()], external_id.as_bytes()),
                    now,
                ],
            )
            .await?;
        if inserted == 0 {
            return Err(TenancyError::Exists("a device with this id is registered already"));
        }
        Ok(Device {
            id,
            external_id: external_id.to_owned(),
            name: name.clone(),
            organisation,
            created_at: now,
        })
    }

    /// The device with this id of its own.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`].
    pub async fn find_device(&self, tx: &mut ReadTx, external_id: &str) -> Result<Device, TenancyError> {
        let keys = self.keys(tx).await?;
        let row: Option<Row> = tx
            .query_opt(
                "SELECT id, organisation, sealed_name, sealed_external, created_at FROM tenant_device WHERE lookup = $1",
                params![&lookup(&keys, external_id)],
            )
            .await?;
        Device::open(&keys, row.ok_or(TenancyError::NotFound)?)
    }

    /// One device.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`].
    pub async fn device(&self, tx: &mut ReadTx, id: DeviceId) -> Result<Device, TenancyError> {
        let keys = self.keys(tx).await?;
        let row: Option<Row> = tx
            .query_opt(
                "SELECT id, organisation, sealed_name, sealed_external, created_at FROM tenant_device WHERE id = $1",
                params![&id],
            )
            .await?;
        Device::open(&keys, row.ok_or(TenancyError::NotFound)?)
    }

    /// The devices among those that `visible` admits, after `after`, by id, at most `limit` (1 to [`MAX_PAGE`]).
    pub async fn devices(
        &self,
        tx: &mut ReadTx,
        visible: &Visible,
        after: Option<DeviceId>,
        limit: u32,
    ) -> Result<Devices, TenancyError> {
        let keys = self.keys(tx).await?;
        let after = after.map_or(Uuid::nil(), |id| *id.uuid());
        let limit = limit.clamp(1, MAX_PAGE) as usize;
        let mut rows = Vec::new();
        // Until the page is full: what stands in a list of single refusals is left out after it was read.
        let mut from = after;
        loop {
            let mut read = read_rows(tx, visible, from, limit + 1).await?;
            let is_last = read.len() <= limit;
            from = read.last().map_or(from, |(id, ..)| *id);
            read.retain(|(id, ..)| !visible.refused.contains(id));
            rows.append(&mut read);
            if is_last || rows.len() > limit {
                break;
            }
        }
        let more = rows.len() > limit;
        let devices: Vec<_> =
            rows.into_iter().take(limit).map(|row| Device::open(&keys, row)).collect::<Result<_, _>>()?;
        let next = devices.last().filter(|_| more).map(|device| device.id);
        Ok(Devices { devices, next })
    }

    /// Gives a device another name.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`].
    pub async fn rename_device(
        &self,
        tx: &mut WriteTx,
        id: DeviceId,
        name: &Name,
    ) -> Result<(), TenancyError> {
        let (sealed, now) = (name.seal(&self.keys(tx).await?, *id.uuid()), tx.now());
        let changed = tx
            .execute(
                "UPDATE tenant_device SET sealed_name = $2, changed_at = $3 WHERE id = $1",
                params![&id, &sealed, now],
            )
            .await?;
        if changed == 1 { Ok(()) } else { Err(TenancyError::NotFound) }
    }

    /// Assigns a device to another organisation, whose people then see it, and those of the former one no more.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`] for the device or the organisation.
    pub async fn assign_device(
        &self,
        tx: &mut WriteTx,
        id: DeviceId,
        organisation: OrganisationId,
    ) -> Result<(), TenancyError> {
        require_organisation(tx, organisation).await?;
        let now = tx.now();
        let changed = tx
            .execute(
                "UPDATE tenant_device SET organisation = $2, changed_at = $3 WHERE id = $1",
                params![&id, &organisation, now],
            )
            .await?;
        if changed == 1 { Ok(()) } else { Err(TenancyError::NotFound) }
    }

    /// Removes a device, with the roles that were held on it.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`].
    pub async fn delete_device(&self, tx: &mut WriteTx, id: DeviceId) -> Result<(), TenancyError> {
        if tx.execute("DELETE FROM tenant_device WHERE id = $1", params![&id]).await? == 0 {
            return Err(TenancyError::NotFound);
        }
        tx.execute("DELETE FROM role_grant WHERE place = $1 AND is_device = 1", params![&id]).await?;
        Stamp::People.renew(tx).await?;
        Ok(())
    }
}

impl Device {
    fn open(
        keys: &TenantKeys,
        (id, organisation, name, external, created_at): Row,
    ) -> Result<Self, TenancyError> {
        let unreadable = |error: &dyn std::fmt::Display| TenancyError::Unreadable(error.to_string());
        let opened = keys.open(EXTERNAL, &[id.as_bytes()], &external).map_err(|error| unreadable(&error))?;
        Ok(Device {
            id: DeviceId::from_uuid(id),
            external_id: String::from_utf8(opened.to_vec()).map_err(|error| unreadable(&error))?,
            name: Name::open(keys, id, &name)?,
            organisation: OrganisationId::from_uuid(organisation),
            created_at,
        })
    }
}

/// The rows after `from` that lie in a visible organisation or are visible by themselves, by id, at most `limit`.
async fn read_rows(
    tx: &mut ReadTx,
    visible: &Visible,
    from: Uuid,
    limit: usize,
) -> Result<Vec<Row>, TenancyError> {
    let count = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows: Vec<Row> = Vec::new();
    if visible.is_everywhere {
        rows = tx
            .query(
                "SELECT id, organisation, sealed_name, sealed_external, created_at FROM tenant_device \
                 WHERE id > $1 ORDER BY id LIMIT $2",
                params![&from, count],
            )
            .await?;
    } else {
        for some in visible.organisations.chunks(AT_ONCE) {
            rows.extend(read_some(tx, IN_ORGANISATIONS, some, from, count).await?);
        }
        for some in visible.devices.chunks(AT_ONCE) {
            rows.extend(read_some(tx, BY_ID, some, from, count).await?);
        }
        rows.sort_unstable_by_key(|(id, ..)| *id);
        rows.dedup_by_key(|(id, ..)| *id);
        rows.truncate(limit);
    }
    Ok(rows)
}

async fn read_some(
    tx: &mut ReadTx,
    sql: &'static str,
    some: &[Uuid],
    from: Uuid,
    limit: i64,
) -> Result<Vec<Row>, TenancyError> {
    // The last is repeated where there are fewer than the statement has room for.
    let last = some.last().copied().unwrap_or(Uuid::nil());
    let each: Vec<Uuid> = some.iter().copied().chain(std::iter::repeat(last)).take(AT_ONCE).collect();
    let mut values: Vec<Param<'_>> = vec![Param::from(&from), Param::from(limit)];
    values.extend(each.iter().map(Param::from));
    Ok(tx.query(sql, &values).await?)
}

/// How many ids one statement takes.
const AT_ONCE: usize = 16;

const IN_ORGANISATIONS: &str = "\
SELECT id, organisation, sealed_name, sealed_external, created_at FROM tenant_device \
WHERE id > $1 AND organisation IN ($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) \
ORDER BY id LIMIT $2";

const BY_ID: &str = "\
SELECT id, organisation, sealed_name, sealed_external, created_at FROM tenant_device \
WHERE id > $1 AND id IN ($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) \
ORDER BY id LIMIT $2";

/// Waits for whoever deletes organisations, and refuses one that is not there.
pub(super) async fn require_organisation(
    tx: &mut WriteTx,
    organisation: OrganisationId,
) -> Result<(), TenancyError> {
    tx.execute("UPDATE tenant_state SET places = places", params![]).await?;
    let found: Option<(i64,)> =
        tx.query_opt("SELECT 1 FROM organisation WHERE id = $1", params![&organisation]).await?;
    found.map(drop).ok_or(TenancyError::NotFound)
}

fn lookup(keys: &TenantKeys, external_id: &str) -> Vec<u8> {
    let key = keys.derive("access/device-lookup");
    match Hmac::<Sha256>::new_from_slice(key.as_slice()) {
        Ok(mut mac) => {
            mac.update(external_id.to_ascii_lowercase().as_bytes());
            mac.finalize().into_bytes().to_vec()
        }
        // HMAC takes keys of every length.
        Err(_) => Vec::new(),
    }
}

const EXTERNAL: &str = "access/device-id";
