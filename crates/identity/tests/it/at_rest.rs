// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a thief of the data folder finds.

use std::path::Path;

use crate::world::worlds;

fn all_bytes(folder: &Path, into: &mut Vec<u8>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all_bytes(&path, into) } else { into.extend(std::fs::read(&path).unwrap()) }
    }
}

#[tokio::test]
async fn nothing_that_lets_in_or_names_anybody_lies_in_the_data_folder() {
    let world = worlds().await.into_iter().find(|world| world.store.name == "sqlite").unwrap();
    let (person, first) = world.sign_up("ada").await;
    let signed_in = world.sign_in(&person).await;
    let stepped = world.step_up(&person, &first.token).await.unwrap();
    let mut bytes = Vec::new();
    all_bytes(world.store.folder.path(), &mut bytes);
    let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(holds(person.account.as_bytes()), "the search finds what is there");

    let raw_token = |token: &identity::SessionToken| {
        data_encoding::BASE64URL_NOPAD.decode(&token.expose().as_bytes()[4..]).unwrap()[16..].to_vec()
    };
    let secrets: Vec<(&str, Vec<u8>)> = vec![
        ("address", person.email.as_str().into()),
        ("address's hash", person.email.hash().as_bytes().to_vec()),
        ("address's key", person.email_key.expose().to_vec()),
        ("password", person.password.clone().into()),
        ("master key", person.master.expose().to_vec()),
        ("authenticator", data_encoding::BASE32_NOPAD.decode(person.totp().base32().as_bytes()).unwrap()),
        ("backup code", person.codes[0].lookup(&person.account.into()).expose().to_vec()),
        ("first token", raw_token(&first.token)),
        ("second token", raw_token(&signed_in.session.token)),
        ("renewed token", raw_token(&stepped.token)),
        ("half of the device's key", first.server_half.expose().to_vec()),
    ];
    for (name, secret) in secrets {
        assert!(!holds(&secret), "{name} is stored in clear");
    }
}
