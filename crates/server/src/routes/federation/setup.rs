// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Providers as they are set up and shown, whosever they are.

use access::Place;
use access::tenancy::RoleName;
use federation::{Given, Preset, Provider as Stored, Terms};
use protocol::federation::{GivenRole, NewProvider, Provider, ProviderChange};
use protocol::tenants::grants::PlaceId;
use protocol::{AccountId, ProviderId};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error::ApiError;
use crate::routes::tenants::grants::{place_of, role};
use crate::state::App;

/// The terms of a provider that is to be set up by this account.
pub(crate) fn terms(body: NewProvider, by: Uuid) -> Result<Terms, ApiError> {
    let preset: Preset = body.preset.as_deref().unwrap_or("generic").parse()?;
    let issuer = match (body.issuer, preset.issuer()) {
        (Some(issuer), _) => issuer,
        (None, Some(known)) => known.to_owned(),
        (None, None) => return Err(ApiError::field("issuer", "say which: it is in the provider's metadata")),
    };
    Ok(Terms {
        name: body.name,
        preset,
        issuer,
        client_id: body.client_id,
        client_secret: body.client_secret.map(|secret| Zeroizing::new(secret.expose().to_owned())),
        scopes: body.scopes.unwrap_or_else(|| preset.scopes()),
        groups_claim: body.groups_claim.or_else(|| preset.groups_claim()),
        trusts_addresses: body.trusts_addresses,
        joins: body.joins,
        gives: gives(&body.gives, &[], by)?,
        is_enabled: true,
    })
}

/// The terms after a change by this account.
pub(crate) fn changed(before: &Terms, change: ProviderChange, by: Uuid) -> Result<Terms, ApiError> {
    let mut terms = before.clone();
    let ProviderChange {
        name,
        client_id,
        client_secret,
        scopes,
        groups_claim,
        trusts_addresses,
        joins,
        gives,
        enabled,
    } = change;
    terms.name = name.unwrap_or(terms.name);
    terms.client_id = client_id.unwrap_or(terms.client_id);
    if let Some(secret) = client_secret {
        terms.client_secret = Some(Zeroizing::new(secret.expose().to_owned()));
    }
    terms.scopes = scopes.unwrap_or(terms.scopes);
    terms.groups_claim = groups_claim.or(terms.groups_claim);
    terms.trusts_addresses = trusts_addresses.unwrap_or(terms.trusts_addresses);
    terms.joins = joins.unwrap_or(terms.joins);
    terms.is_enabled = enabled.unwrap_or(terms.is_enabled);
    if let Some(new) = gives {
        terms.gives = self::gives(&new, &before.gives, by)?;
    }
    Ok(terms)
}

/// What is in one of two lists of roles and not in the other: what whoever changes it must be able to give.
pub(crate) fn differing(before: &[Given], after: &[Given]) -> Vec<(RoleName, Place)> {
    let only_in = |all: &[Given], others: &[Given]| -> Vec<(RoleName, Place)> {
        let new = all.iter().filter(|given| !others.contains(given));
        new.filter_map(|given| Some((given.role.parse().ok()?, place(&given.place)?))).collect()
    };
    [only_in(after, before), only_in(before, after)].concat()
}

/// A place as it is written.
pub(crate) fn place(text: &str) -> Option<Place> {
    text.parse::<PlaceId>().ok().map(place_of)
}

/// What was said before stays the word of who said it.
fn gives(new: &[GivenRole], before: &[Given], by: Uuid) -> Result<Vec<Given>, ApiError> {
    let mut all = Vec::with_capacity(new.len());
    for one in new {
        let role = role(&one.role).map_err(|_| ApiError::field("gives", "there is no such role"))?;
        let mut given =
            Given { group: one.group.clone(), role: role.to_string(), place: one.place.to_string(), by };
        let is_same = |known: &&Given| {
            (&known.group, &known.role, &known.place) == (&given.group, &given.role, &given.place)
        };
        if let Some(known) = before.iter().find(is_same) {
            given.by = known.by;
        }
        if !all.contains(&given) {
            all.push(given);
        }
    }
    Ok(all)
}

/// A provider as it is shown. The secret never is.
pub(crate) fn shown(app: &App, provider: Stored) -> Provider {
    let terms = provider.terms;
    let given = |given: Given| {
        let place = given.place.parse().ok()?;
        Some(GivenRole {
            group: given.group,
            role: given.role,
            place,
            by: Some(AccountId::from_uuid(given.by)),
        })
    };
    Provider {
        id: ProviderId::from_uuid(*provider.id.uuid()),
        callback: super::callback(app, provider.id),
        name: terms.name,
        preset: terms.preset.name().to_owned(),
        issuer: terms.issuer,
        client_id: terms.client_id,
        has_secret: terms.client_secret.is_some(),
        scopes: terms.scopes,
        groups_claim: terms.groups_claim,
        trusts_addresses: terms.trusts_addresses,
        joins: terms.joins,
        gives: terms.gives.into_iter().filter_map(given).collect(),
        enabled: terms.is_enabled,
        created_at: provider.created_at,
        created_by: provider.created_by,
    }
}
