//! How a function reaches its database, and how it logs in: with a password, which is in a URL or in
//! a secret, or with a token of IAM.

use secrecy::SecretString;
use url::Url;

use super::Env;

/// The port of a MySQL server, unless another one is given.
pub const MYSQL_PORT: u16 = 3306;

/// The address of the database, and the account that connects.
pub enum DatabaseSource {
    /// `mysql://user:password@host:port/database`
    Url(SecretString),
    /// A secret in the format of RDS, read when the function starts and after a rotation.
    Secret(DatabaseSecret),
    /// A token of IAM, which the function signs for each connection.
    Iam(DatabaseAddress),
}

/// A secret in the format of RDS, and what one that RDS manages itself does not contain.
#[derive(Clone, Debug)]
pub struct DatabaseSecret {
    /// Its ARN.
    pub arn: String,
    /// The server, if the secret has no `host`.
    pub host: Option<String>,
    /// Its port, if the secret has no `port`.
    pub port: Option<u16>,
    /// The database, if the secret has no `dbname`.
    pub name: Option<String>,
}

/// A server, a database on it, and a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseAddress {
    /// The name of the server, as in its certificate.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database on it.
    pub name: String,
    /// The user.
    pub user: String,
}

/// The variables that are read beside those of a URL or a secret.
#[derive(Default)]
struct Parts {
    host: Option<String>,
    port: Option<u16>,
    name: Option<String>,
}

impl Env {
    /// Returns the database of all functions but migrate. By `DATABASE_LOGIN` they log in with a
    /// password, from `DATABASE_URL` or `DATABASE_SECRET_ARN`, or as `DATABASE_USER` with a token of
    /// IAM.
    pub fn app_database(&mut self) -> DatabaseSource {
        const URL: &str = "DATABASE_URL";
        const ARN: &str = "DATABASE_SECRET_ARN";
        let login = self.choice("DATABASE_LOGIN", &["password", "iam"]);
        let user = self.optional(
            "DATABASE_USER",
            "the user that a token of IAM is for, if DATABASE_LOGIN is iam",
        );
        if login == "password" {
            return self.database(URL, ARN);
        }
        self.note_source(URL, ARN);
        for name in [URL, ARN] {
            if self.given(name).is_some() {
                // A URL could also allow a server that does not prove its identity.
                let problem = "is set, and DATABASE_LOGIN is iam: a token is sent over verified TLS \
                               only, to DATABASE_HOST, and needs no password";
                self.report::<()>(name, problem);
            }
        }
        let Parts { host, port, name } = self.database_parts();
        let mut required = |variable: &str, value: Option<String>| {
            let problem = "is missing; expected it, because DATABASE_LOGIN is iam";
            value.unwrap_or_else(|| self.report(variable, problem).unwrap_or_default())
        };
        DatabaseSource::Iam(DatabaseAddress {
            host: required("DATABASE_HOST", host),
            port: port.unwrap_or(MYSQL_PORT),
            name: required("DATABASE_NAME", name),
            user: required("DATABASE_USER", user),
        })
    }

    /// Returns the database, from exactly one of a URL and the ARN of a secret; beside a secret,
    /// `DATABASE_HOST`, `DATABASE_PORT` and `DATABASE_NAME` say what it may lack.
    pub fn database(&mut self, url: &str, arn: &str) -> DatabaseSource {
        self.note_source(url, arn);
        let Parts { host, port, name } = self.database_parts();
        match (self.given(url), self.given(arn)) {
            (Some(value), None)
                if Url::parse(&value)
                    .is_ok_and(|u| u.scheme() == "mysql" && u.path().len() > 1) =>
            {
                DatabaseSource::Url(value.into())
            }
            (None, Some(arn)) if arn.starts_with("arn:") => {
                DatabaseSource::Secret(DatabaseSecret {
                    arn,
                    host,
                    port,
                    name,
                })
            }
            (given_url, given_arn) => {
                // The value is not shown: it contains a password.
                let problem = match (given_url, given_arn) {
                    (Some(_), None) => {
                        "is not of the form mysql://user:password@host:port/database".to_owned()
                    }
                    (None, Some(_)) => format!("is missing, and {arn} is not an ARN"),
                    (Some(_), Some(_)) => format!("and {arn} are both set; expected one of them"),
                    (None, None) => format!("is missing; expected it, or {arn}"),
                };
                self.report::<()>(url, problem);
                DatabaseSource::Url(String::new().into())
            }
        }
    }

    fn note_source(&mut self, url: &str, arn: &str) {
        let expected = format!("mysql://user:password@host:port/database, or {arn}");
        self.note(url, expected, None);
        let expected = format!("the ARN of a secret in the format of RDS, or {url}");
        self.note(arn, expected, None);
    }

    /// Reads the variables of the address.
    fn database_parts(&mut self) -> Parts {
        let host = "the server, if the secret has no host or DATABASE_LOGIN is iam";
        let name = "the database, if the secret has no dbname or DATABASE_LOGIN is iam";
        let port = "its port, if the secret has none";
        let parts = Parts {
            host: self.optional("DATABASE_HOST", host),
            name: self.optional("DATABASE_NAME", name),
            port: self
                .given("DATABASE_PORT")
                .is_some()
                .then(|| self.number("DATABASE_PORT", 1..=65_535, None) as u16),
        };
        self.note("DATABASE_PORT", port, None);
        parts
    }
}
