// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the policies are shown of a question: the caller and the resource, as the schema has them.

use cedar_policy::{
    Entity, EntityAttrEvaluationError, EntityId, EntityTypeName, EntityUid, RequestValidationError,
    RestrictedExpression, entities_errors::EntitiesError,
};
use store::TenantId;
use uuid::Uuid;

use crate::caller::Principal;
use crate::policies::PolicyError;
use crate::resource::Resource;

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

/// The names of the schema's types.
pub(crate) struct Types {
    action: EntityTypeName,
    tenant: EntityTypeName,
    platform_role: EntityTypeName,
    visitor: EntityTypeName,
    account: EntityTypeName,
    worker: EntityTypeName,
    home: EntityTypeName,
    session: EntityTypeName,
    collection: EntityTypeName,
    item: EntityTypeName,
    file: EntityTypeName,
    log: EntityTypeName,
    platform: EntityTypeName,
    directory_entry: EntityTypeName,
}

impl Types {
    pub(crate) fn new() -> Result<Types, PolicyError> {
        let name = |name: &str| {
            name.parse::<EntityTypeName>().map_err(|error| PolicyError::Schema(error.to_string()))
        };
        Ok(Types {
            action: name("Action")?,
            tenant: name("Tenant")?,
            platform_role: name("PlatformRole")?,
            visitor: name("Visitor")?,
            account: name("Account")?,
            worker: name("Worker")?,
            home: name("Home")?,
            session: name("Session")?,
            collection: name("Collection")?,
            item: name("Item")?,
            file: name("File")?,
            log: name("Log")?,
            platform: name("Platform")?,
            directory_entry: name("DirectoryEntry")?,
        })
    }

    pub(crate) fn action(&self, name: &str) -> EntityUid {
        uid(&self.action, name)
    }

    pub(crate) fn tenant(&self, tenant: TenantId) -> EntityUid {
        if tenant == TenantId::PLATFORM {
            uid(&self.tenant, "platform")
        } else {
            uid(&self.tenant, tenant.to_string())
        }
    }

    pub(crate) fn principal(&self, principal: &Principal) -> Result<Entity, Unanswerable> {
        match principal {
            Principal::Visitor => self.entity(uid(&self.visitor, "visitor"), TenantId::PLATFORM, [], []),
            Principal::System(worker) => self.entity(uid(&self.worker, *worker), TenantId::PLATFORM, [], []),
            Principal::Account(account) => self.entity(
                self.account(account.account),
                account.home,
                [("suspended", RestrictedExpression::new_bool(account.suspended))],
                account.platform_roles.iter().map(|role| uid(&self.platform_role, role.name())),
            ),
        }
    }

    pub(crate) fn resource(&self, resource: &Resource, tenant: TenantId) -> Result<Entity, Unanswerable> {
        let collection = |id: &Uuid| uid(&self.collection, format!("col_{}", id.simple()));
        match resource {
            Resource::Home => self.entity(uid(&self.home, tenant.to_string()), tenant, [], []),
            Resource::Log => self.entity(uid(&self.log, tenant.to_string()), tenant, [], []),
            Resource::Platform => self.entity(uid(&self.platform, "platform"), tenant, [], []),
            Resource::Session(id) => {
                self.entity(uid(&self.session, format!("ses_{}", id.simple())), tenant, [], [])
            }
            Resource::Collection(id) => self.entity(collection(id), tenant, [], []),
            Resource::Item { collection: parent, id } => {
                self.entity(uid(&self.item, format!("itm_{}", id.simple())), tenant, [], [collection(parent)])
            }
            Resource::File { collection: parent, id } => {
                self.entity(uid(&self.file, format!("fil_{}", id.simple())), tenant, [], [collection(parent)])
            }
            Resource::DirectoryEntry { account } => self.entity(
                uid(&self.directory_entry, account.simple().to_string()),
                tenant,
                [("account", RestrictedExpression::new_entity_uid(self.account(*account)))],
                [],
            ),
        }
    }

    fn account(&self, account: Uuid) -> EntityUid {
        uid(&self.account, format!("acc_{}", account.simple()))
    }

    fn entity<const N: usize>(
        &self,
        uid: EntityUid,
        tenant: TenantId,
        attributes: [(&str, RestrictedExpression); N],
        parents: impl IntoIterator<Item = EntityUid>,
    ) -> Result<Entity, Unanswerable> {
        let tenant = ("tenant", RestrictedExpression::new_entity_uid(self.tenant(tenant)));
        let attributes =
            attributes.into_iter().chain([tenant]).map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Entity::new(uid, attributes, parents.into_iter().collect())?)
    }
}

fn uid(of_type: &EntityTypeName, id: impl AsRef<str>) -> EntityUid {
    EntityUid::from_type_name_and_id(of_type.clone(), EntityId::new(id))
}
