// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Keys of subjects, and their end.

use custody::{KeyError, SealError};
use store::params;

use crate::world::{commit, worlds};

#[tokio::test]
async fn an_erased_subject_says_nothing_any_more_and_the_others_still_do() {
    for world in worlds().await {
        let tenant = world.tenant().await;
        let mut tx = world.write(tenant).await;
        let ann = world.custody.subject_or_new(&mut tx, b"ann", "profile").await.unwrap();
        let bob = world.custody.subject_or_new(&mut tx, b"bob", "profile").await.unwrap();
        world.custody.subject_or_new(&mut tx, b"ann", "notes").await.unwrap();
        let sealed = ann.seal(&[b"row"], b"Ann");
        let others = bob.seal(&[b"row"], b"Bob");
        assert_eq!(bob.open(&[b"row"], &sealed), Err(SealError::WrongKeyOrContext));
        commit(tx).await;

        let found = world.custody.subject(&mut world.read(tenant).await, b"ann", "profile").await.unwrap();
        assert_eq!(*found.open(&[b"row"], &sealed).unwrap(), b"Ann");
        assert_eq!(found.open(&[b"another row"], &sealed), Err(SealError::WrongKeyOrContext));

        let mut tx = world.write(tenant).await;
        assert_eq!(world.custody.shred(&mut tx, b"ann").await.unwrap(), 2);
        commit(tx).await;
        for purpose in ["profile", "notes"] {
            let mut tx = world.write(tenant).await;
            let error = world.custody.subject(&mut tx, b"ann", purpose).await.err().unwrap();
            assert!(matches!(error, KeyError::Destroyed), "{error}");
            let error = world.custody.subject_or_new(&mut tx, b"ann", purpose).await.err().unwrap();
            assert!(matches!(error, KeyError::Destroyed), "it gets no new key: {error}");
        }
        let found = world.custody.subject(&mut world.read(tenant).await, b"bob", "profile").await.unwrap();
        assert_eq!(*found.open(&[b"row"], &others).unwrap(), b"Bob");
        let error =
            world.custody.subject(&mut world.read(tenant).await, b"cyd", "profile").await.err().unwrap();
        assert!(matches!(error, KeyError::NoKey), "{error}");
    }
}

#[tokio::test]
async fn a_key_moved_to_another_subject_does_not_open() {
    for world in worlds().await {
        let tenant = world.tenant().await;
        let mut tx = world.write(tenant).await;
        world.custody.subject_or_new(&mut tx, b"ann", "profile").await.unwrap();
        tx.execute("UPDATE subject_key SET subject = $1", params![&b"bob".to_vec()]).await.unwrap();
        let error = world.custody.subject(&mut tx, b"bob", "profile").await.err().unwrap();
        assert!(matches!(error, KeyError::Damaged { what: "subject's key", .. }), "{error}");
    }
}
