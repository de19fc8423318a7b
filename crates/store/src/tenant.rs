// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whose rows a connection sees.

use uuid::{Builder, Uuid, Version};

crate::id! {
    /// A tenant: the wall around somebody's rows. Written `ten_` and 32 hexadecimal digits.
    ///
    /// The id says of which [kind](TenantId::kind) it is, so that a tenant's tables and policies are known before
    /// anything of it is read.
    TenantId = "ten_";
}

/// Whose rows are behind the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TenantKind {
    /// The platform's own: the directory.
    Platform,
    /// One account's: its home.
    Home,
    /// A customer's: an organisation of people.
    Customer,
}

impl TenantId {
    /// The platform's own rows: the directory, the server's sealed keys and the platform's log.
    pub const PLATFORM: TenantId = TenantId::from_uuid(Uuid::nil());

    /// A new random id for a customer's tenant: a UUID version 8 (RFC 9562, section 5.8). A home's is version 4.
    pub fn customer() -> TenantId {
        TenantId::from_uuid(Builder::from_custom_bytes(Uuid::new_v4().into_bytes()).into_uuid())
    }

    /// Whose rows these are.
    pub fn kind(&self) -> TenantKind {
        match self.uuid().get_version() {
            _ if *self == TenantId::PLATFORM => TenantKind::Platform,
            Some(Version::Custom) => TenantKind::Customer,
            _ => TenantKind::Home,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_of_which_kind_the_tenant_is() {
        assert_eq!(TenantId::PLATFORM.kind(), TenantKind::Platform);
        assert_eq!(TenantId::random().kind(), TenantKind::Home);
        assert_eq!(TenantId::customer().kind(), TenantKind::Customer);
        assert_ne!(TenantId::customer(), TenantId::customer());
    }
}
