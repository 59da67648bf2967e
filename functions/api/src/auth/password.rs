//! Hashes of passwords, and passwords that are too easy to guess.

use secrecy::SecretString;
use shared::platform::secret::hash_password;
use zxcvbn::{Score, zxcvbn};

use crate::http::error::ApiError;

/// Returns the hash of a new password.
pub async fn hash(password: SecretString) -> Result<String, ApiError> {
    hash_password(password)
        .await
        .map_err(|error| ApiError::Internal(format!("{error:#}")))
}

/// Characters that a password needs besides the username in it.
const OWN_CHARACTERS: usize = 8;

/// Returns whether a password is common, or follows from the username: whether little is left without
/// it, or zxcvbn, which knows
/// lists of common passwords, names, words, keyboard patterns, dates and repetitions, estimates that it
/// is found in fewer than 10^8 guesses.
pub fn is_guessable(password: &str, username: &str) -> bool {
    let (written, name) = (password.to_lowercase(), username.to_lowercase());
    let rest = written.replace(&name, "");
    if rest != written && rest.chars().count() < OWN_CHARACTERS {
        return true;
    }
    let parts = username.split(|letter: char| !letter.is_alphanumeric());
    let known: Vec<_> = parts
        .chain([username])
        .filter(|part| part.len() >= 3)
        .collect();
    zxcvbn(password, &known).score() < Score::Three
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_passwords_and_those_of_the_username_are_guessable() {
        for password in [
            "qwerty123456",
            "password1234",
            "111111111111",
            "1q2w3e4r5t6y",
            "123123123123",
            "qwertyqwerty",
            "administrator",
            "P4ssw0rd2026",
            "Maria.Example2026",
        ] {
            assert!(is_guessable(password, "maria.example"), "{password}");
        }
        for password in ["correct horse battery staple", "k7m2p4q6r8s3t5v7"] {
            assert!(!is_guessable(password, "maria.example"), "{password}");
        }
    }

    #[test]
    fn a_long_password_that_only_repeats_is_guessable() {
        assert!(is_guessable(&"a".repeat(256), "ana"));
        assert!(is_guessable(&"qwerty".repeat(40), "ana"));
    }
}
