//! Secrets that people and machines hold: passwords, and random tokens of which only a hash is kept.

use std::sync::LazyLock;

use anyhow::anyhow;
use argon2::{
    Algorithm, Argon2, Params, PasswordVerifier, Version,
    password_hash::{PasswordHasher, phc::PasswordHash},
};
use ring::{digest, rand::SecureRandom};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

/// Letters that nobody confuses; 32 of them, so that a byte's five bits pick one without favour.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// OWASP's second choice for argon2id: 19 MiB, two passes, one lane. About 50 ms of an optimised build on a full CPU.
const MEMORY_KIB: u32 = 19 * 1024;
/// Hashes at once in a process, 19 MiB each.
static ROOM: Semaphore = Semaphore::const_new(2);

fn argon2() -> Argon2<'static> {
    // These constants are within every bound; were they not, the library's own, which are the same, would do.
    let params = Params::new(MEMORY_KIB, 2, 1, None).unwrap_or(Params::DEFAULT);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// What a user who does not exist has for a password, so that finding that out takes as long as a wrong password.
static NOBODY: LazyLock<String> = LazyLock::new(|| {
    argon2()
        .hash_password(random_text(40).as_bytes())
        .map(|hash| hash.to_string())
        .unwrap_or_default()
});

/// Hashes a password, as a PHC string.
pub async fn hash_password(password: SecretString) -> anyhow::Result<String> {
    let _room = ROOM.acquire().await?;
    let hash = tokio::task::spawn_blocking(move || {
        argon2()
            .hash_password(password.expose_secret().as_bytes())
            .map(|hash| hash.to_string())
    });
    hash.await?
        .map_err(|error| anyhow!("hashing a password: {error}"))
}

/// Whether it is the password of that hash; `None`: of a user that does not exist, which takes as long.
pub async fn is_password(password: SecretString, hash: Option<String>) -> anyhow::Result<bool> {
    let _room = ROOM.acquire().await?;
    let verified = tokio::task::spawn_blocking(move || {
        let exists = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODY.clone());
        let hash = PasswordHash::new(&hash)
            .map_err(|error| anyhow!("a stored hash can't be read: {error}"))?;
        let same = argon2()
            .verify_password(password.expose_secret().as_bytes(), &hash)
            .is_ok();
        Ok(exists && same)
    });
    verified.await?
}

/// A text of so many random letters and digits, five bits each.
///
/// # Panics
///
/// Where the system gives no random bytes: nothing to go on with.
pub fn random_text(length: usize) -> String {
    let mut bytes = vec![0; length];
    let filled = ring::rand::SystemRandom::new().fill(&mut bytes);
    assert!(filled.is_ok(), "the system gives no random bytes");
    bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect()
}

/// What is kept of a random token: it has 256 bits of its own, so it needs no slow hash.
pub fn hash_token(token: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, token.as_bytes())
        .as_ref()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_verified_and_nothing_else_is() {
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
    fn random_texts_differ_and_have_their_letters_only() {
        let (one, other) = (random_text(52), random_text(52));
        assert!(
            one != other && one.len() == 52 && one.bytes().all(|letter| LETTERS.contains(&letter))
        );
        assert_eq!(hash_token(&one).len(), 32);
    }
}
