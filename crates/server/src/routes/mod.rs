// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The routes: translation between the protocol and the rooms, and nothing else. Each travels the same way: authenticate,
//! enter, one operation, commit, answer.

pub(crate) mod account;
pub(crate) mod accounts;
mod answers;
pub(crate) mod api_keys;
pub(crate) mod arrival;
pub(crate) mod collections;
pub(crate) mod federation;
pub(crate) mod files;
pub(crate) mod forward_auth;
pub(crate) mod imported;
pub(crate) mod items;
pub(crate) mod log;
pub(crate) mod methods;
pub(crate) mod oauth;
pub(crate) mod pairing;
pub(crate) mod passkey_signup;
pub(crate) mod passkeys;
pub(crate) mod platform_keys;
pub(crate) mod recovery_key;
pub(crate) mod scim;
pub(crate) mod service;
pub(crate) mod sessions;
pub(crate) mod shared;
pub(crate) mod sharing;
pub(crate) mod signin;
pub(crate) mod signup;
pub(crate) mod tenants;
pub(crate) mod versions;

use std::time::Duration;

use axum::http::{Method, header};
use tower_http::cors::{Any, CorsLayer};
use utoipa::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use crate::caller::client::PROOF_HEADER;
use crate::state::App;

/// What the OpenAPI document says beside the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Bailiwick",
        description = "Zero-knowledge accounts, end-to-end encrypted storage and a history that cannot be rewritten. \
                       Bytes are base64url without padding; times are milliseconds since the Unix epoch; errors are \
                       application/problem+json (RFC 9457).",
        license(name = "Apache-2.0 OR MIT")
    ),
    paths(log::tile),
    components(schemas(
        protocol::Problem,
        protocol::RoleId,
        protocol::ScimUserId,
        protocol::objects::ChangeEvent
    )),
    modifiers(&Bearer)
)]
struct Document;

/// How protected routes are called.
struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("session", scheme);
    }
}

/// Every route, with its place in the OpenAPI document.
pub(crate) fn all() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(service::about))
        .routes(routes!(service::alive))
        .routes(routes!(service::ready))
        .routes(routes!(signup::salt))
        .routes(routes!(signup::start))
        .routes(routes!(signup::finish))
        .routes(routes!(passkey_signup::start))
        .routes(routes!(passkey_signup::finish))
        .routes(routes!(imported::start))
        .routes(routes!(signin::start))
        .routes(routes!(signin::finish))
        .routes(routes!(signin::step_up_start))
        .routes(routes!(signin::step_up_finish))
        .routes(routes!(recovery_key::sign_in))
        .routes(routes!(recovery_key::step_up))
        .routes(routes!(passkeys::sign_in_start))
        .routes(routes!(passkeys::sign_in_finish))
        .routes(routes!(passkeys::step_up_start))
        .routes(routes!(passkeys::step_up_finish))
        .routes(routes!(pairing::ask))
        .routes(routes!(pairing::device_take))
        .routes(routes!(pairing::device_answer))
        .routes(routes!(pairing::device_cancel))
        .routes(routes!(pairing::device_redeem))
        .routes(routes!(pairing::read))
        .routes(routes!(pairing::offer))
        .routes(routes!(pairing::approver_take))
        .routes(routes!(pairing::deliver))
        .routes(routes!(pairing::refuse))
        .routes(routes!(sessions::sign_out))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::end))
        .routes(routes!(sessions::end_others))
        .routes(routes!(sessions::devices))
        .routes(routes!(sessions::end_device))
        .routes(routes!(sessions::server_half))
        .routes(routes!(sessions::access_token))
        .routes(routes!(account::read))
        .routes(routes!(methods::list))
        .routes(routes!(methods::rename, methods::revoke))
        .routes(routes!(methods::add_recovery_key))
        .routes(routes!(passkeys::add_start))
        .routes(routes!(passkeys::add_finish))
        .routes(routes!(methods::replace_recovery_key))
        .routes(routes!(account::password_start))
        .routes(routes!(account::password_finish))
        .routes(routes!(account::backup_codes))
        .routes(routes!(account::totp_start))
        .routes(routes!(account::totp_finish))
        .routes(routes!(account::rotate_master_key))
        .routes(routes!(account::former_keys))
        .routes(routes!(account::delete))
        .routes(routes!(api_keys::list, api_keys::create))
        .routes(routes!(api_keys::approve))
        .routes(routes!(api_keys::deny))
        .routes(routes!(api_keys::report))
        .routes(routes!(api_keys::own))
        .routes(routes!(collections::list, collections::create))
        .routes(routes!(collections::read, collections::delete))
        .routes(routes!(collections::describe))
        .routes(routes!(collections::changes))
        .routes(routes!(collections::events))
        .routes(routes!(collections::usage))
        .routes(routes!(items::read, items::put, items::delete))
        .routes(routes!(versions::keep))
        .routes(routes!(versions::list))
        .routes(routes!(versions::read))
        .routes(routes!(versions::download))
        .routes(routes!(files::begin))
        .routes(routes!(files::status, files::abandon))
        .routes(routes!(files::put_part))
        .routes(routes!(files::download))
        .routes(routes!(sharing::keys))
        .routes(routes!(sharing::members))
        .routes(routes!(sharing::put))
        .routes(routes!(sharing::next_key))
        .routes(routes!(sharing::shares))
        .routes(routes!(shared::read))
        .routes(routes!(shared::changes))
        .routes(routes!(shared::events))
        .routes(routes!(shared::read_item, shared::put_item, shared::delete_item))
        .routes(routes!(shared::begin_upload))
        .routes(routes!(shared::read_upload, shared::abandon_upload))
        .routes(routes!(shared::put_part))
        .routes(routes!(shared::download))
        .routes(routes!(tenants::list, tenants::create))
        .routes(routes!(tenants::read, tenants::change, tenants::ending::delete))
        .routes(routes!(tenants::ending::restore))
        .routes(routes!(tenants::ending::transfer))
        .routes(routes!(tenants::organisations::list, tenants::organisations::create))
        .routes(routes!(tenants::organisations::change, tenants::organisations::delete))
        .routes(routes!(tenants::members::list))
        .routes(routes!(tenants::members::read, tenants::members::change, tenants::members::remove))
        .routes(routes!(tenants::members::leave))
        .routes(routes!(tenants::plain_passwords::list, tenants::plain_passwords::allow))
        .routes(routes!(tenants::plain_passwords::import, tenants::plain_passwords::remove))
        .routes(routes!(
            tenants::plain_passwords::read_own,
            tenants::plain_passwords::set_own,
            tenants::plain_passwords::remove_own
        ))
        .routes(routes!(tenants::teams::list, tenants::teams::create))
        .routes(routes!(tenants::teams::change, tenants::teams::delete))
        .routes(routes!(tenants::teams::members))
        .routes(routes!(tenants::teams::put_member, tenants::teams::delete_member))
        .routes(routes!(tenants::roles::list, tenants::roles::create))
        .routes(routes!(tenants::roles::change, tenants::roles::delete))
        .routes(routes!(tenants::grants::list))
        .routes(routes!(tenants::grants::put, tenants::grants::delete))
        .routes(routes!(tenants::devices::list, tenants::devices::register))
        .routes(routes!(tenants::devices::read, tenants::devices::change, tenants::devices::delete))
        .routes(routes!(tenants::invitations::list, tenants::invitations::create))
        .routes(routes!(tenants::invitations::revoke))
        .routes(routes!(tenants::invitations::join))
        .routes(routes!(tenants::platform::list))
        .routes(routes!(tenants::platform::suspend, tenants::platform::resume))
        .routes(routes!(accounts::read))
        .routes(routes!(accounts::suspend, accounts::resume))
        .routes(routes!(platform_keys::read))
        .routes(routes!(platform_keys::rotate))
        .routes(routes!(platform_keys::remove))
        .routes(routes!(tenants::service_accounts::list, tenants::service_accounts::create))
        .routes(routes!(tenants::service_accounts::change, tenants::service_accounts::delete))
        .routes(routes!(tenants::service_accounts::list_keys, tenants::service_accounts::create_key))
        .routes(routes!(tenants::service_accounts::revoke_key))
        .routes(routes!(tenants::clients::list, tenants::clients::create))
        .routes(routes!(tenants::clients::read, tenants::clients::change, tenants::clients::delete))
        .routes(routes!(tenants::clients::rotate_secret))
        .routes(routes!(tenants::providers::list, tenants::providers::create))
        .routes(routes!(tenants::providers::read, tenants::providers::change, tenants::providers::delete))
        .routes(routes!(tenants::providers::test))
        .routes(routes!(tenants::providers::require))
        .routes(routes!(tenants::domains::list, tenants::domains::add))
        .routes(routes!(tenants::domains::verify))
        .routes(routes!(tenants::domains::remove))
        .routes(routes!(federation::platform::list, federation::platform::create))
        .routes(routes!(federation::platform::change, federation::platform::delete))
        .routes(routes!(federation::platform::confirm_domain))
        .routes(routes!(scim::about::config))
        .routes(routes!(scim::about::types))
        .routes(routes!(scim::about::schemas))
        .routes(routes!(scim::users::list, scim::users::create))
        .routes(routes!(scim::users::read, scim::users::replace, scim::users::change, scim::users::delete))
        .routes(routes!(scim::groups::list, scim::groups::create))
        .routes(routes!(
            scim::groups::read,
            scim::groups::replace,
            scim::groups::change,
            scim::groups::delete
        ))
        .routes(routes!(federation::sign_in::list))
        .routes(routes!(federation::sign_in::start))
        .routes(routes!(federation::sign_in::finish))
        .routes(routes!(federation::sign_in::sign_up))
        .routes(routes!(federation::link::start))
        .routes(routes!(federation::link::finish))
        .routes(routes!(tenants::clients::rotate_token_key))
        .routes(routes!(oauth::authorize::by_link, oauth::authorize::by_form))
        .routes(routes!(oauth::authorize::push))
        .routes(routes!(oauth::consent::read))
        .routes(routes!(oauth::consent::approve))
        .routes(routes!(oauth::consent::deny))
        .routes(routes!(oauth::consent::login_required))
        .routes(routes!(oauth::consents::list))
        .routes(routes!(oauth::consents::take_back))
        .routes(routes!(oauth::device::ask))
        .routes(routes!(oauth::plain::token))
        .routes(routes!(oauth::inspect::introspect))
        .routes(routes!(oauth::revocations::follow))
        .routes(routes!(oauth::logout::log_out))
        .routes(routes!(forward_auth::check))
        .routes(routes!(tenants::support::list, tenants::support::create))
        .routes(routes!(tenants::support::end))
        .routes(routes!(tenants::policies::read, tenants::policies::put))
        .routes(routes!(tenants::policies::check))
        .routes(routes!(tenants::policies::try_out))
        .routes(routes!(tenants::policies::versions))
        .routes(routes!(tenants::policies::version))
        .routes(routes!(tenants::policies::restore))
        .routes(routes!(tenants::decisions::list))
        .routes(routes!(tenants::decisions::explain))
        .routes(routes!(tenants::decisions::holders))
        .routes(routes!(tenants::collections::list, tenants::collections::create))
        .routes(routes!(tenants::collections::read, tenants::collections::delete))
        .routes(routes!(tenants::collection_items::changes))
        .routes(routes!(
            tenants::collection_items::read,
            tenants::collection_items::put,
            tenants::collection_items::delete
        ))
        .routes(routes!(tenants::collection_keys::list))
        .routes(routes!(tenants::collection_keys::put))
        .routes(routes!(tenants::collection_keys::next))
        .routes(routes!(log::checkpoint))
        .routes(routes!(log::records))
        .routes(routes!(log::requests))
        .merge(for_pages())
        // For browsers alone, which come from elsewhere.
        .route("/federation/{provider}/callback", axum::routing::get(federation::callback::callback))
        // A tile's path has slashes of its own.
        .route("/api/v1/log/{log}/tile/{*tile}", axum::routing::get(log::tile))
}

/// What applications that are pages of other origins ask: they show codes, tokens and proofs, never a cookie.
fn for_pages() -> OpenApiRouter<App> {
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, PROOF_HEADER])
        .expose_headers([header::WWW_AUTHENTICATE, header::RETRY_AFTER])
        .max_age(Duration::from_secs(3_600));
    // Asked before they ask: answered by the layer, but for a method that there is.
    let asked = |routes: UtoipaMethodRouter<App>| routes.map(|router| router.options(async || ()));
    OpenApiRouter::new()
        .routes(asked(routes!(service::jwks)))
        .routes(asked(routes!(oauth::discovery::openid)))
        .routes(asked(routes!(oauth::discovery::server)))
        .routes(asked(routes!(oauth::token::token)))
        .routes(asked(routes!(oauth::inspect::revoke)))
        .routes(asked(routes!(oauth::userinfo::read, oauth::userinfo::read_by_post)))
        .layer(cors)
}

/// The OpenAPI document (3.1), as it is served and kept in the repository.
pub fn openapi() -> Result<String, serde_json::Error> {
    let (_, mut document) = all().split_for_parts();
    answers::complete(&mut document);
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}
