// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A front end with an authenticator: the client library, asking one in software or a real browser's.

use std::sync::Mutex;

use client::passkey::{AuthenticatorError, Created, Shown};
use client::{Client, Options, Proof, SignIn, Unlocked};
use data_encoding::BASE64URL_NOPAD;
use harness::{Authenticator, Chromium, Factor, Person, World};
use protocol::Secret;
use protocol::passkeys::{CreationOptions, CredentialDescriptor, RequestOptions};
use serde_json::Value;

/// An authenticator in software, on a page of the server's own.
pub(crate) struct InSoftware(pub(crate) Authenticator);

impl InSoftware {
    pub(crate) fn of(world: &World) -> Self {
        Self(Authenticator::on(&origin(world)))
    }
}

impl client::passkey::Authenticator for InSoftware {
    async fn create(&self, options: &CreationOptions) -> Result<Created, AuthenticatorError> {
        let made = self.0.create(
            &options.rp.id,
            options.challenge.as_slice(),
            options.user.id.as_slice(),
            &ids(&options.exclude_credentials),
            Some(options.extensions.prf.eval.first.as_slice()),
        );
        let made = made.ok_or(AuthenticatorError::AlreadyThere)?;
        Ok(Created {
            id: made.id,
            client_data_json: made.client_data_json,
            attestation_object: made.attestation_object,
            has_prf: made.prf_enabled,
            prf: made.prf.map(Into::into),
        })
    }

    async fn get(&self, options: &RequestOptions) -> Result<Shown, AuthenticatorError> {
        let shown = self.0.get(
            &options.rp_id,
            options.challenge.as_slice(),
            &ids(&options.allow_credentials),
            Some(options.extensions.prf.eval.first.as_slice()),
        );
        let shown = shown.ok_or(AuthenticatorError::NotAllowed)?;
        Ok(Shown {
            id: shown.id,
            user_handle: shown.user_handle,
            client_data_json: shown.client_data_json,
            authenticator_data: shown.authenticator_data,
            signature: shown.signature,
            prf: shown.prf.map(Into::into),
        })
    }
}

fn ids(descriptors: &[CredentialDescriptor]) -> Vec<Vec<u8>> {
    descriptors.iter().map(|descriptor| descriptor.id.as_slice().to_vec()).collect()
}

/// The page that a browser shows, by the name that passkeys are bound to on this machine.
pub(crate) fn origin(world: &World) -> String {
    world.url().replace("127.0.0.1", "localhost")
}

pub(crate) fn client_of(world: &World) -> Client {
    Client::new(&world.url(), &Options::default()).unwrap()
}

pub(crate) fn device() -> protocol::signin::Device {
    protocol::signin::Device { token: None, name: "a browser".into(), platform: "test".into() }
}

/// Waits for what the client does.
pub(crate) fn done<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// A fresh session of the client library, by password.
pub(crate) fn unlocked(world: &World, person: &Person) -> Unlocked {
    let proof = match person.factor() {
        Factor::Otp(code) => Proof::Totp(Secret::from(code)),
        Factor::BackupCode(code) => Proof::BackupCode(Secret::from(code)),
    };
    let client = client_of(world);
    done(async {
        let password = person.password.borrow().clone();
        let started = SignIn::start(&client, &person.email, &password, None).await.unwrap();
        started.finish(proof, device()).await.unwrap().account
    })
}

/// A browser's own authenticator, asked by the page as a front end would ask it.
pub(crate) struct InBrowser(Mutex<Chromium>);

impl InBrowser {
    /// On a page of this address.
    pub(crate) fn on(page: &str) -> Self {
        Self(Mutex::new(Chromium::on(page)))
    }

    fn ask(&self, script: &str, options: Value) -> Result<Value, AuthenticatorError> {
        let script = format!("{{ {SCRIPT}; ({script})({options}) }}");
        let answer = self.0.lock().unwrap().evaluate(&script);
        match answer["error"].as_str() {
            None => Ok(answer),
            Some("NotAllowedError") => Err(AuthenticatorError::NotAllowed),
            Some("InvalidStateError") => Err(AuthenticatorError::AlreadyThere),
            Some(other) => Err(AuthenticatorError::Failed(other.to_owned())),
        }
    }
}

/// What every page of a front end does: options as they came, answers as base64url.
const SCRIPT: &str = r#"
    const text = (bytes) => bytes && btoa(String.fromCharCode(...new Uint8Array(bytes)))
        .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    const asked = async (promise) => {
        try {
            const credential = await promise, response = credential.response;
            const { prf } = credential.getClientExtensionResults();
            return {
                id: credential.id, client_data_json: text(response.clientDataJSON),
                attestation_object: text(response.attestationObject),
                authenticator_data: text(response.authenticatorData), signature: text(response.signature),
                user_handle: text(response.userHandle), has_prf: prf?.enabled, prf: text(prf?.results?.first),
            };
        } catch (error) {
            return { error: error.name };
        }
    }
"#;

fn bytes(answer: &Value, name: &str) -> Vec<u8> {
    let text = answer[name].as_str().unwrap_or_default();
    BASE64URL_NOPAD.decode(text.as_bytes()).unwrap()
}

fn prf(answer: &Value) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    answer["prf"].is_string().then(|| bytes(answer, "prf").into())
}

impl client::passkey::Authenticator for InBrowser {
    async fn create(&self, options: &CreationOptions) -> Result<Created, AuthenticatorError> {
        let script = "(options) => asked(navigator.credentials.create(
            { publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) }))";
        let made = self.ask(script, serde_json::to_value(options).unwrap())?;
        Ok(Created {
            id: bytes(&made, "id"),
            client_data_json: bytes(&made, "client_data_json"),
            attestation_object: bytes(&made, "attestation_object"),
            has_prf: made["has_prf"] == true,
            prf: prf(&made),
        })
    }

    async fn get(&self, options: &RequestOptions) -> Result<Shown, AuthenticatorError> {
        let script = "(options) => asked(navigator.credentials.get(
            { publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) }))";
        let shown = self.ask(script, serde_json::to_value(options).unwrap())?;
        Ok(Shown {
            id: bytes(&shown, "id"),
            user_handle: bytes(&shown, "user_handle"),
            client_data_json: bytes(&shown, "client_data_json"),
            authenticator_data: bytes(&shown, "authenticator_data"),
            signature: bytes(&shown, "signature"),
            prf: prf(&shown),
        })
    }
}
