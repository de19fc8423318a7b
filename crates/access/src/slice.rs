// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the policies are shown of a question: the caller and the resource, as the schema has them.

use cedar_policy::{
    Entity, EntityAttrEvaluationError, EntityId, EntityTypeName, EntityUid, RequestValidationError,
    RestrictedExpression, entities_errors::EntitiesError,
};
use store::TenantId;
use uuid::Uuid;

use crate::action::Action;
use crate::caller::{Caller, Principal};
use crate::policies::PolicyError;
use crate::resource::Resource;
use crate::standing::{Found, Holder, Place, Standing};
use crate::vocabulary::HOURS;

/// Why a question could not be put to the policies. It is refused then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswerable {
    #[error("there can be no such thing in this tenant")]
    Misplaced,
    #[error("{0}")]
    Inapplicable(String),
}

impl From<RequestValidationError> for Unanswerable {
    fn from(error: RequestValidationError) -> Self {
        Unanswerable::Inapplicable(error.to_string())
    }
}

impl From<EntityAttrEvaluationError> for Unanswerable {
    fn from(error: EntityAttrEvaluationError) -> Self {
        Unanswerable::Inapplicable(error.to_string())
    }
}

impl From<EntitiesError> for Unanswerable {
    fn from(error: EntitiesError) -> Self {
        Unanswerable::Inapplicable(error.to_string())
    }
}

/// When a question is asked, as far as policies look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct When {
    /// Whether the caller proved again, moments ago, who they are.
    pub(crate) fresh: bool,
    /// The hour of the day, in UTC: 0 to 23.
    pub(crate) hour: u8,
}

/// A question as the policies see it: who asks, what for, about what, and its circumstances. What Cedar is given is made
/// of this and of nothing else, and so is the key under which its answer is remembered.
pub(crate) struct Slice {
    pub(crate) principal: Fact,
    pub(crate) action: Action,
    pub(crate) resource: Fact,
    pub(crate) when: When,
    /// Whether the action is within what the caller's token may be used for.
    pub(crate) in_scope: bool,
}

/// What is known of one thing.
pub(crate) struct Fact {
    pub(crate) name: Name,
    tenant: Name,
    attributes: Vec<(&'static str, Value)>,
    parents: Vec<Name>,
    /// Roles, and where they are held.
    tags: Vec<(String, Vec<Name>)>,
}

/// One of the schema's types, and which of its things.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name {
    of: Type,
    which: Which,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    /// A word that stands in the code, and that policies may name.
    Word(&'static str),
    /// One of many: no policy that is delivered names it.
    Id(Uuid),
    /// The place that a single device is.
    Device(Uuid),
}

#[derive(Clone, Copy)]
enum Value {
    Flag(bool),
    Name(Name),
}

macro_rules! types {
    ($($name:ident),+ $(,)?) => {
        /// The schema's types.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Type { $($name),+ }

        impl Type {
            const ALL: &'static [Type] = &[$(Type::$name),+];

            fn name(self) -> &'static str {
                match self { $(Type::$name => stringify!($name)),+ }
            }
        }
    };
}

types! {
    Tenant, PlatformRole, Visitor, Account, Worker, Home, Session, Collection, Item, File, Log, Platform, DirectoryEntry,
    Member, ServiceAccount, Supporter, Invitee, Team, Place, Device,
}

impl When {
    /// At this time, in milliseconds since the Unix epoch, by this caller.
    pub(crate) fn at(now_ms: i64, caller: &Caller) -> When {
        let hour = now_ms.div_euclid(3_600_000).rem_euclid(i64::from(HOURS));
        When { fresh: caller.is_fresh(now_ms), hour: u8::try_from(hour).unwrap_or(0) }
    }
}

impl Slice {
    /// The question whether the caller may do this. The resource's owner is the tenant that is being entered, whatever the
    /// caller claims.
    pub(crate) fn new(
        caller: &Caller,
        tenant: TenantId,
        action: Action,
        resource: &Resource,
        when: When,
    ) -> Result<Slice, Unanswerable> {
        if !resource.belongs_in(tenant) {
            return Err(Unanswerable::Misplaced);
        }
        let mut principal = Fact::of_principal(caller.principal());
        if let Some(share) = caller.share() {
            let collection = Name::id(Type::Collection, share.collection);
            principal.attributes.push(("shared_tenant", Value::Name(Name::tenant(share.home))));
            principal.attributes.push(("shared_collection", Value::Name(collection)));
            principal.attributes.push(("shared_writes", Value::Flag(share.writes)));
        }
        Ok(Slice {
            principal,
            action,
            resource: Fact::of_resource(resource, tenant),
            when,
            in_scope: caller.scopes_elsewhere().contains(action),
        })
    }

    /// The question whether the caller may do this in a customer's tenant: by what the tenant knows of the caller, and by
    /// where the resource lies in it.
    pub(crate) fn in_customer(
        caller: &Caller,
        tenant: TenantId,
        standing: &Standing,
        action: Action,
        found: &Found,
        when: When,
    ) -> Result<Slice, Unanswerable> {
        if !found.resource.belongs_in(tenant) {
            return Err(Unanswerable::Misplaced);
        }
        let grant = match standing {
            Standing::Supporter { scopes, .. } => scopes.contains(action),
            _ => true,
        };
        Ok(Slice {
            principal: Fact::of_standing(caller, tenant, standing, found),
            action,
            resource: Fact::of_found(found, tenant),
            when,
            in_scope: grant && caller.scopes().contains(action),
        })
    }

    /// The same question of somebody who has just proved who they are.
    pub(crate) fn with_fresh_proof(self) -> Slice {
        Slice { when: When { fresh: true, ..self.when }, ..self }
    }

    /// The same question at the first hour of the day: for policies that do not look at the clock, which answer it alike.
    pub(crate) fn at_any_hour(self) -> Slice {
        Slice { when: When { hour: 0, ..self.when }, ..self }
    }

    /// This question but for the names of single things: each id is replaced by its type and by which id of that type it
    /// is, in the order in which they come.
    ///
    /// Two slices with the same key are the same up to a renaming of ids. Cedar can do with an entity's id nothing
    /// but compare it, so policies that name no single thing answer both alike. Everything else is in the key as it is.
    pub(crate) fn key(&self) -> Vec<u8> {
        self.write_key(false)
    }

    /// This question with every id in it: for policies that name single things.
    pub(crate) fn exact_key(&self) -> Vec<u8> {
        self.write_key(true)
    }

    fn write_key(&self, exact: bool) -> Vec<u8> {
        let mut key = Key { bytes: Vec::with_capacity(128), seen: Vec::with_capacity(8), exact };
        let When { fresh, hour } = self.when;
        key.bytes.extend([self.action as u8, u8::from(fresh), u8::from(self.in_scope), hour]);
        key.fact(&self.principal);
        key.fact(&self.resource);
        key.bytes
    }
}

/// A key that is being written.
struct Key {
    bytes: Vec<u8>,
    /// The ids so far; where one stands is its number.
    seen: Vec<Name>,
    /// Whether ids stand as they are.
    exact: bool,
}

impl Key {
    fn fact(&mut self, fact: &Fact) {
        let Fact { name, tenant, attributes, parents, tags } = fact;
        self.name(name);
        self.name(tenant);
        self.count(attributes.len());
        for (attribute, value) in attributes {
            self.word(attribute);
            match value {
                Value::Flag(flag) => self.bytes.extend([0, u8::from(*flag)]),
                Value::Name(name) => {
                    self.bytes.push(1);
                    self.name(name);
                }
            }
        }
        self.count(parents.len());
        parents.iter().for_each(|parent| self.name(parent));
        self.count(tags.len());
        for (role, places) in tags {
            self.word(role);
            self.count(places.len());
            places.iter().for_each(|place| self.name(place));
        }
    }

    fn name(&mut self, name: &Name) {
        self.bytes.push(name.of as u8);
        match name.which {
            Which::Word(word) => {
                self.bytes.push(0);
                self.word(word);
            }
            Which::Id(id) | Which::Device(id) if self.exact => {
                self.bytes.push(if matches!(name.which, Which::Device(_)) { 2 } else { 1 });
                self.bytes.extend_from_slice(id.as_bytes());
            }
            Which::Id(_) | Which::Device(_) => {
                let number = self.seen.iter().position(|seen| seen == name).unwrap_or_else(|| {
                    self.seen.push(*name);
                    self.seen.len() - 1
                });
                self.bytes.push(if matches!(name.which, Which::Device(_)) { 2 } else { 1 });
                self.count(number);
            }
        }
    }

    fn word(&mut self, word: &str) {
        self.count(word.len());
        self.bytes.extend_from_slice(word.as_bytes());
    }

    /// Seven bits to the byte, the last without the eighth.
    fn count(&mut self, mut count: usize) {
        while count >= 0x80 {
            self.bytes.push(count as u8 | 0x80);
            count >>= 7;
        }
        self.bytes.push(count as u8);
    }
}

impl Fact {
    fn new(name: Name, tenant: Name) -> Fact {
        Fact { name, tenant, attributes: Vec::new(), parents: Vec::new(), tags: Vec::new() }
    }

    /// Who the caller is in a customer's tenant. Whoever it does not know comes as they are, and meets the walls.
    fn of_standing(caller: &Caller, tenant: TenantId, standing: &Standing, found: &Found) -> Fact {
        let id = match caller.principal() {
            Principal::Account(account) => account.account,
            Principal::Service(service) => service.account,
            Principal::Visitor | Principal::System(_) => return Fact::of_principal(caller.principal()),
        };
        let suspended = caller.signed_in().is_some_and(|account| account.suspended);
        let fact = |of| Fact::new(Name::id(of, id), Name::tenant(tenant));
        let flags = |suspended, shut| {
            vec![("suspended", Value::Flag(suspended)), ("tenant_suspended", Value::Flag(shut))]
        };
        match standing {
            // One of this tenant's that it does not know any more is gone, and does no more than one that is suspended.
            Standing::Stranger if caller.is_service_of(tenant) => Fact {
                attributes: flags(true, found.tenant_suspended),
                ..Fact::of_principal(caller.principal())
            },
            Standing::Stranger | Standing::OtherWay => Fact::of_principal(caller.principal()),
            Standing::Member(holder) => Fact {
                attributes: flags(suspended || holder.suspended, found.tenant_suspended),
                parents: holder.teams.iter().map(|team| Name::id(Type::Team, *team)).collect(),
                tags: tags(holder, found),
                ..fact(Type::Member)
            },
            Standing::ServiceAccount(holder) => Fact {
                attributes: flags(holder.suspended, found.tenant_suspended),
                tags: tags(holder, found),
                ..fact(Type::ServiceAccount)
            },
            Standing::Supporter { .. } => {
                Fact { attributes: vec![("suspended", Value::Flag(suspended))], ..fact(Type::Supporter) }
            }
            Standing::Invitee => {
                Fact { attributes: flags(suspended, found.tenant_suspended), ..fact(Type::Invitee) }
            }
        }
    }

    /// The resource with every place that it lies in.
    fn of_found(found: &Found, tenant: TenantId) -> Fact {
        let mut above = found.path.iter().map(|place| Name::place(*place));
        let fact = |of, id: Uuid| Fact::new(Name::id(of, id), Name::tenant(tenant));
        match found.resource {
            // A place is not its own parent.
            Resource::Customer | Resource::Organisation(_) => match above.next() {
                Some(own) => Fact { parents: above.collect(), ..Fact::new(own, Name::tenant(tenant)) },
                None => fact(Type::Place, Uuid::nil()),
            },
            Resource::Device(id) => Fact { parents: above.collect(), ..fact(Type::Device, id) },
            resource => {
                let mut fact = Fact::of_resource(&resource, tenant);
                fact.parents.extend(above);
                fact
            }
        }
    }

    pub(crate) fn of_principal(principal: &Principal) -> Fact {
        let platform = Name::tenant(TenantId::PLATFORM);
        match principal {
            Principal::Visitor => Fact::new(Name::word(Type::Visitor, "visitor"), platform),
            Principal::System(worker) => Fact::new(Name::word(Type::Worker, worker), platform),
            // Of another tenant than the one that is entered: its own wall stops it.
            Principal::Service(service) => Fact {
                attributes: vec![("suspended", Value::Flag(false)), ("tenant_suspended", Value::Flag(false))],
                ..Fact::new(Name::id(Type::ServiceAccount, service.account), Name::tenant(service.tenant))
            },
            Principal::Account(account) => Fact {
                attributes: vec![("suspended", Value::Flag(account.suspended))],
                parents: account
                    .platform_roles
                    .iter()
                    .map(|role| Name::word(Type::PlatformRole, role.name()))
                    .collect(),
                ..Fact::new(Name::id(Type::Account, account.account), Name::tenant(account.home))
            },
        }
    }

    pub(crate) fn of_resource(resource: &Resource, tenant: TenantId) -> Fact {
        let fact = |of, id: Uuid| Fact::new(Name::id(of, id), Name::tenant(tenant));
        let within = |of, id, collection| Fact {
            parents: vec![Name::id(Type::Collection, collection)],
            ..fact(of, id)
        };
        match *resource {
            Resource::Home => fact(Type::Home, *tenant.uuid()),
            Resource::Log => fact(Type::Log, *tenant.uuid()),
            Resource::Platform => Fact::new(Name::word(Type::Platform, PLATFORM), Name::tenant(tenant)),
            Resource::Customer => fact(Type::Place, *tenant.uuid()),
            Resource::Organisation(id) => fact(Type::Place, id),
            Resource::Device(id) => fact(Type::Device, id),
            Resource::Session(id) => fact(Type::Session, id),
            Resource::Collection(id) => fact(Type::Collection, id),
            Resource::Item { collection, id } => within(Type::Item, id, collection),
            Resource::File { collection, id } => within(Type::File, id, collection),
            Resource::DirectoryEntry { account } => Fact {
                attributes: vec![("account", Value::Name(Name::id(Type::Account, account)))],
                ..fact(Type::DirectoryEntry, account)
            },
        }
    }
}

impl Name {
    pub(crate) fn tenant(tenant: TenantId) -> Name {
        if tenant == TenantId::PLATFORM {
            Name::word(Type::Tenant, PLATFORM)
        } else {
            Name::id(Type::Tenant, *tenant.uuid())
        }
    }

    fn place(place: Place) -> Name {
        let which = match place {
            Place::Organisation(id) => Which::Id(id),
            Place::Device(id) => Which::Device(id),
        };
        Name { of: Type::Place, which }
    }

    fn word(of: Type, word: &'static str) -> Name {
        Name { of, which: Which::Word(word) }
    }

    fn id(of: Type, id: Uuid) -> Name {
        Name { of, which: Which::Id(id) }
    }
}

/// A holder's roles and their places: those that the resource lies in first, from the nearest on, so that two slices that
/// differ only in ids are written alike.
fn tags(holder: &Holder, found: &Found) -> Vec<(String, Vec<Name>)> {
    let name = |place: &Place| Name::place(*place);
    let tag = |(role, places): (&String, &Vec<Place>)| {
        let here = found.path.iter().filter(|place| places.contains(place));
        let elsewhere = places.iter().filter(|place| !found.path.contains(place));
        (role.clone(), here.chain(elsewhere).map(name).collect())
    };
    holder.roles.iter().map(tag).collect()
}

/// The platform, as a tenant and as a thing.
const PLATFORM: &str = "platform";

/// The names of the schema's types, as Cedar has them.
pub(crate) struct Types {
    action: EntityTypeName,
    all: Vec<EntityTypeName>,
}

impl Types {
    pub(crate) fn new() -> Result<Types, PolicyError> {
        let name = |name: &str| {
            name.parse::<EntityTypeName>().map_err(|error| PolicyError::Schema(error.to_string()))
        };
        let all = Type::ALL.iter().map(|of| name(of.name())).collect::<Result<_, _>>()?;
        Ok(Types { action: name("Action")?, all })
    }

    pub(crate) fn action(&self, name: &str) -> EntityUid {
        uid(&self.action, name)
    }

    /// Whether a policy that names this stays free of single things: it is an action, a role, or the platform.
    pub(crate) fn is_word(&self, named: &EntityUid) -> bool {
        let of = named.type_name();
        *of == self.action
            || Some(of) == self.of(Type::PlatformRole)
            || self.uid(&Name::tenant(TenantId::PLATFORM)).is_ok_and(|platform| platform == *named)
    }

    /// The thing as Cedar has it.
    pub(crate) fn entity(&self, fact: &Fact) -> Result<Entity, Unanswerable> {
        let Fact { name, tenant, attributes, parents, tags } = fact;
        let value = |value: &Value| {
            Ok::<_, Unanswerable>(match value {
                Value::Flag(flag) => RestrictedExpression::new_bool(*flag),
                Value::Name(name) => RestrictedExpression::new_entity_uid(self.uid(name)?),
            })
        };
        let attributes = std::iter::once(&("tenant", Value::Name(*tenant)))
            .chain(attributes)
            .map(|(name, given)| Ok(((*name).to_owned(), value(given)?)))
            .collect::<Result<_, Unanswerable>>()?;
        let parents = parents.iter().map(|parent| self.uid(parent)).collect::<Result<_, _>>()?;
        if tags.is_empty() {
            return Ok(Entity::new(self.uid(name)?, attributes, parents)?);
        }
        let place = |name: &Name| Ok(RestrictedExpression::new_entity_uid(self.uid(name)?));
        let tag = |(role, places): &(String, Vec<Name>)| {
            let places: Vec<_> = places.iter().map(place).collect::<Result<_, Unanswerable>>()?;
            Ok((role.clone(), RestrictedExpression::new_set(places)))
        };
        let tags: Vec<_> = tags.iter().map(tag).collect::<Result<_, Unanswerable>>()?;
        Ok(Entity::new_with_tags(self.uid(name)?, attributes, parents, tags)?)
    }

    pub(crate) fn uid(&self, name: &Name) -> Result<EntityUid, Unanswerable> {
        let of = self.of(name.of).ok_or(Unanswerable::Misplaced)?;
        Ok(match (name.which, name.of) {
            (Which::Word(word), _) => uid(of, word),
            (Which::Device(id), _) | (Which::Id(id), Type::Device) => uid(of, format!("dvc_{}", id.simple())),
            (Which::Id(id), Type::Place) => uid(of, format!("org_{}", id.simple())),
            (Which::Id(id), Type::Team) => uid(of, format!("tea_{}", id.simple())),
            (Which::Id(id), Type::ServiceAccount) => uid(of, format!("sva_{}", id.simple())),
            (Which::Id(id), Type::Tenant | Type::Home | Type::Log) => {
                uid(of, TenantId::from_uuid(id).to_string())
            }
            (Which::Id(id), Type::Account | Type::Member | Type::Supporter | Type::Invitee) => {
                uid(of, format!("acc_{}", id.simple()))
            }
            (Which::Id(id), Type::Session) => uid(of, format!("ses_{}", id.simple())),
            (Which::Id(id), Type::Collection) => uid(of, format!("col_{}", id.simple())),
            (Which::Id(id), Type::Item) => uid(of, format!("itm_{}", id.simple())),
            (Which::Id(id), Type::File) => uid(of, format!("fil_{}", id.simple())),
            (Which::Id(id), _) => uid(of, id.simple().to_string()),
        })
    }

    fn of(&self, of: Type) -> Option<&EntityTypeName> {
        self.all.get(of as usize)
    }
}

fn uid(of_type: &EntityTypeName, id: impl AsRef<str>) -> EntityUid {
    EntityUid::from_type_name_and_id(of_type.clone(), EntityId::new(id))
}
