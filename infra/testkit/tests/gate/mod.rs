//! The API's gate, and a key to it.
#![allow(dead_code, reason = "one of the test binaries logs in nobody")]

use api::{
    api_keys::create::{KeyRequest, new_key as make_key},
    auth::{Gate, tokens::KeySource},
    callbacks::secrets::{Callbacks, SecretSource},
};
use axum::http::HeaderValue;
use shared::{
    access::Permission,
    db::{Db, api_keys::insert_api_key, limits::Rate},
    secret::hash_token,
};

/// A gate that asks of its callers only to have a key.
pub async fn open() -> Gate {
    let keys = r#"{"kid":"test","key":"a key of at least thirty-two characters"}"#.to_owned();
    Gate::open(KeySource::Fixed(keys.into()), Rate { per_minute: 1_000_000 }).await.unwrap()
}

/// A new key that may do all that a key may, as a header's value.
pub async fn new_key(db: &Db) -> HeaderValue {
    let request = KeyRequest { name: "test".to_owned(), permissions: Permission::GRANTABLE.to_vec(), ..KeyRequest::default() };
    let (row, key) = make_key(&request, "nobody".to_owned(), db.now());
    insert_api_key(&mut db.pool.acquire().await.unwrap(), &row, &hash_token(&key)).await.unwrap();
    HeaderValue::try_from(format!("Bearer {key}")).unwrap()
}

/// No carrier pushes.
pub async fn callbacks() -> Callbacks {
    Callbacks::open(SecretSource::None).await.unwrap()
}
