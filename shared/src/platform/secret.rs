//! Passwords of users, and random tokens of which only a hash is stored.

use std::sync::LazyLock;

use anyhow::anyhow;
use argon2::{
    Algorithm, Argon2, Params, PasswordVerifier, Version,
    password_hash::{PasswordHasher, phc::PasswordHash},
};
use ring::{digest, rand::SecureRandom};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

/// Characters that are not confused with each other: 32, so that five bits of a byte select each
/// with equal probability.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The second choice of OWASP for argon2id: 19 MiB, two passes, one lane. It takes about 50 ms in
/// an optimized build on a full CPU.
const MEMORY_KIB: u32 = 19 * 1024;
/// Limits concurrent hashes in a process, 19 MiB each.
static HASH_SLOTS: Semaphore = Semaphore::const_new(2);

fn argon2() -> Argon2<'static> {
    // The constants are within the bounds; otherwise the library's defaults, which are equal, would
    // apply.
    let params = Params::new(MEMORY_KIB, 2, 1, None).unwrap_or(Params::DEFAULT);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The hash that stands for a user who does not exist, so that an unknown user takes as long as a
/// wrong password.
static DUMMY_HASH: LazyLock<String> = LazyLock::new(|| {
    argon2()
        .hash_password(random_text(40).as_bytes())
        .map(|hash| hash.to_string())
        .unwrap_or_default()
});

/// Hashes a password into a PHC string.
pub async fn hash_password(password: SecretString) -> anyhow::Result<String> {
    let _slot = HASH_SLOTS.acquire().await?;
    let hash = tokio::task::spawn_blocking(move || {
        argon2()
            .hash_password(password.expose_secret().as_bytes())
            .map(|hash| hash.to_string())
    });
    hash.await?
        .map_err(|error| anyhow!("hashing a password: {error}"))
}

/// Whether `password` has that hash. `None` stands for a user who does not exist, and takes as
/// long.
pub async fn is_password(password: SecretString, hash: Option<String>) -> anyhow::Result<bool> {
    let _slot = HASH_SLOTS.acquire().await?;
    let verified = tokio::task::spawn_blocking(move || {
        let exists = hash.is_some();
        let hash = hash.unwrap_or_else(|| DUMMY_HASH.clone());
        let hash = PasswordHash::new(&hash)
            .map_err(|error| anyhow!("a stored hash cannot be read: {error}"))?;
        let same = argon2()
            .verify_password(password.expose_secret().as_bytes(), &hash)
            .is_ok();
        Ok(exists && same)
    });
    verified.await?
}

/// Returns `length` random letters and digits, five bits each.
///
/// # Panics
///
/// If the system provides no random bytes.
pub fn random_text(length: usize) -> String {
    let mut bytes = vec![0; length];
    let filled = ring::rand::SystemRandom::new().fill(&mut bytes);
    assert!(filled.is_ok(), "the system provides no random bytes");
    bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect()
}

/// Returns bytes as hexadecimal digits.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
        hex.extend([digit(byte >> 4), digit(byte & 15)]);
        hex
    })
}

/// Returns the stored hash of a random token. A token has 256 random bits, so it needs no slow
/// hash.
pub fn hash_token(token: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, token.as_bytes())
        .as_ref()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_is_verified() {
        let hash = hash_password("correct horse".to_owned().into())
            .await
            .unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(
            is_password("correct horse".to_owned().into(), Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(
            !is_password("Correct horse".to_owned().into(), Some(hash))
                .await
                .unwrap()
        );
        assert!(
            !is_password("correct horse".to_owned().into(), None)
                .await
                .unwrap()
        );
        assert!(
            is_password("x".to_owned().into(), Some("not a hash".to_owned()))
                .await
                .is_err()
        );
    }

    #[test]
    fn random_texts_differ_and_contain_only_their_characters() {
        let (one, other) = (random_text(52), random_text(52));
        assert!(
            one != other && one.len() == 52 && one.bytes().all(|letter| LETTERS.contains(&letter))
        );
        assert_eq!(hash_token(&one).len(), 32);
    }

    #[test]
    fn bytes_are_written_with_two_digits_each() {
        assert_eq!(to_hex(&[0, 10, 255]), "000aff");
    }
}
