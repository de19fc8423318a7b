// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A service that says who calls it. It takes access tokens of a Bailiwick server, and refuses those that have ended.
//!
//! ```sh
//! bailiwick tenant clients create "Devices API" --serves https://api.example      # its id and secret
//! ISSUER=http://127.0.0.1:7341 AUDIENCE=https://api.example CLIENT_ID=cli_… CLIENT_SECRET=… \
//!     cargo run -p bailiwick-tower --example service
//! ```

use std::env::var;
use std::error::Error;

use axum::routing::get;
use axum::{Extension, Router};
use bailiwick_tower::{Guard, Settings, Token};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let settings = Settings::new(var("ISSUER")?, var("AUDIENCE")?, var("CLIENT_ID")?, var("CLIENT_SECRET")?);
    let guard = Guard::new(settings)?;
    let hello = |Extension(token): Extension<Token>| async move {
        format!("{} of {}, for {:?}\n", token.subject, token.tenant, token.scopes)
    };
    let app = Router::new().route("/", get(hello)).layer(guard.layer().requiring("device.read"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    axum::serve(listener, app).await?;
    Ok(())
}
