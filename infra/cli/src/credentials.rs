//! The stored login: `sms/credentials.json` in the user's configuration folder, readable by the user
//! alone.

use std::{
    env,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// A stored login.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The address of the API that gave it. It is sent to no other.
    pub url: String,
    /// An API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The token of a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<String>,
    /// What the next token is exchanged for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// What spares this device the delays after failed logins of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_token: Option<String>,
}

/// Where the login is stored.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// Finds the user's configuration folder.
    pub fn of_user() -> Result<Self, Failure> {
        let folder = |name| env::var_os(name).filter(|folder| !folder.is_empty());
        let folder = folder("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| {
            if cfg!(windows) {
                folder("APPDATA").map(PathBuf::from)
            } else {
                folder("HOME").map(|home| Path::new(&home).join(".config"))
            }
        });
        let folder = folder.ok_or_else(|| {
            Failure::Usage("expected HOME or XDG_CONFIG_HOME, where the login is stored".to_owned())
        })?;
        Ok(Self {
            path: folder.join("sms").join("credentials.json"),
        })
    }

    /// Reads the login; `None` if there is none.
    pub fn read(&self) -> Result<Option<Credentials>, Failure> {
        match fs::read(&self.path) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|error| Failure::Usage(format!("{}: {error}", self.path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Replaces the login, so that a reader sees the old one or the new one.
    pub fn write(&self, credentials: &Credentials) -> Result<(), Failure> {
        let text = serde_json::to_vec(credentials).map_err(|error| self.failed(&error.into()))?;
        self.replace(&text).map_err(|error| self.failed(&error))
    }

    fn replace(&self, text: &[u8]) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let temporary = self.path.with_extension(format!("{}", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&temporary)?.write_all(text)?;
        fs::rename(temporary, &self.path)
    }

    /// Removes the login.
    pub fn remove(&self) -> Result<(), Failure> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed(&error)),
            _ => Ok(()),
        }
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::file(&self.path.display().to_string(), error)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Returns a store in a new folder.
    pub fn temporary() -> Store {
        let folder = env::temp_dir().join(format!("sms-{}", uuid::Uuid::new_v4()));
        Store {
            path: folder.join("sms").join("credentials.json"),
        }
    }

    #[test]
    fn a_login_is_stored_for_its_user_alone() {
        let store = temporary();
        assert!(store.read().unwrap().is_none());
        for key in ["a", "b"] {
            let stored = Credentials {
                url: "u".to_owned(),
                key: Some(key.to_owned()),
                ..Credentials::default()
            };
            store.write(&stored).unwrap();
            assert!(store.read().unwrap() == Some(stored));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&store.path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let files = fs::read_dir(store.path.parent().unwrap()).unwrap().count();
        assert_eq!(files, 1);
        store.remove().unwrap();
        store.remove().unwrap();
        assert!(store.read().unwrap().is_none());
        fs::remove_dir_all(store.path.parent().unwrap().parent().unwrap()).unwrap();
    }
}
