// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whose rows a connection sees.

use uuid::Uuid;

crate::id! {
    /// A tenant: the wall around somebody's rows. Written `ten_` and 32 hexadecimal digits.
    TenantId = "ten_";
}

impl TenantId {
    /// The platform's own rows: the directory, the server's sealed keys and the platform's log.
    pub const PLATFORM: TenantId = TenantId::from_uuid(Uuid::nil());
}
