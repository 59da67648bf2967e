//! How a function logs in to the database: by a URL, by a secret of RDS, which is read again when the
//! server refuses its password, or by a token of IAM, which is signed for each connection.

use std::sync::Arc;

use anyhow::Context;
use chrono::Utc;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sqlx::{
    MySqlPool,
    mysql::{MySqlConnectOptions, MySqlSslMode},
};

use super::token::IamLogin;
use crate::platform::{
    config::{DatabaseAddress, DatabaseSecret, DatabaseSource, KeySource, MYSQL_PORT},
    refreshing::Refreshing,
};

/// The root certificates of RDS. Those of RDS Proxy are public ones, which the TLS library has.
const RDS_ROOTS: &[u8] = include_bytes!("rds.pem");
/// `ER_ACCESS_DENIED_ERROR`: the user does not exist, or the password is wrong.
const ACCESS_DENIED: u16 = 1045;

/// A secret of RDS. One that RDS manages itself has only the user and the password.
#[derive(Deserialize)]
struct RdsSecret {
    username: String,
    password: SecretString,
    host: Option<String>,
    port: Option<u16>,
    dbname: Option<String>,
}

fn parse(text: &str) -> anyhow::Result<RdsSecret> {
    // The message of the parser may quote the secret.
    serde_json::from_str(text)
        .ok()
        .context("expected JSON with username and password, and mostly host, port and dbname")
}

/// The login of a function.
#[derive(Clone)]
pub(super) enum Login {
    /// It does not change.
    Url(SecretString),
    /// It is in a secret.
    Secret(Arc<SecretLogin>),
    /// It is a token, which expires.
    Iam(Arc<IamLogin>),
}

/// The login that a secret holds.
pub(super) struct SecretLogin {
    secret: Refreshing<RdsSecret>,
    /// The address, if the secret lacks it.
    source: DatabaseSecret,
    options: Options,
}

/// Makes the options of a connection.
type Options = fn(&RdsSecret, &DatabaseSecret) -> anyhow::Result<MySqlConnectOptions>;

impl Login {
    /// Reads the login.
    pub(super) async fn open(source: &DatabaseSource) -> anyhow::Result<Self> {
        match source {
            DatabaseSource::Url(url) => Ok(Self::Url(url.clone())),
            DatabaseSource::Secret(source) => {
                let arn = KeySource::SecretArn(source.arn.clone());
                let secret = Refreshing::open(arn, parse).await;
                Ok(Self::Secret(Arc::new(SecretLogin {
                    secret: secret.context("the database's secret")?,
                    source: source.clone(),
                    options: rds_options,
                })))
            }
            DatabaseSource::Iam(address) => {
                Ok(Self::Iam(Arc::new(IamLogin::open(address.clone()).await?)))
            }
        }
    }

    /// Returns the options of a connection that is opened now.
    pub(super) async fn options(&self) -> anyhow::Result<MySqlConnectOptions> {
        match self {
            Self::Url(url) => url
                .expose_secret()
                .parse()
                .context("reading the database's URL"),
            Self::Secret(login) => (login.options)(&login.secret.current(), &login.source),
            Self::Iam(login) => login.options().await,
        }
    }

    /// Gives the pool a new token, if the login is one, before a connection is acquired: the pool
    /// opens a connection only then, so that it never uses one that has expired.
    pub(super) async fn prepare(&self, pool: &MySqlPool) -> anyhow::Result<()> {
        if let Self::Iam(login) = self {
            pool.set_connect_options(login.options().await?);
        }
        Ok(())
    }

    /// Reads the secret again, after the server has refused its password, and gives the pool what it
    /// contains now. Returns whether it has changed. It is read at most once per minute. A token that
    /// is refused was new: the user or the permission is missing, and another token would not help.
    pub(super) async fn renew(&self, pool: &MySqlPool) -> bool {
        let Self::Secret(login) = self else {
            return false;
        };
        let seen = login.secret.current();
        let Ok(Some(_)) = login.secret.newer_than(&seen, Utc::now()).await else {
            return false;
        };
        let Ok(options) = self.options().await else {
            return false;
        };
        tracing::info!("the database's secret has changed");
        pool.set_connect_options(options);
        true
    }
}

/// Whether the server has refused user and password.
pub(super) fn is_refused(error: &sqlx::Error) -> bool {
    super::number(error) == Some(ACCESS_DENIED)
}

/// Returns the options of a connection to RDS without a password. The server proves with its
/// certificate that it has this name: otherwise a password could go to another one.
pub(super) fn verified_options(address: &DatabaseAddress) -> MySqlConnectOptions {
    MySqlConnectOptions::new()
        .host(&address.host)
        .port(address.port)
        .username(&address.user)
        .database(&address.name)
        .ssl_mode(MySqlSslMode::VerifyIdentity)
        .ssl_ca_from_pem(RDS_ROOTS.to_vec())
}

fn rds_options(secret: &RdsSecret, source: &DatabaseSecret) -> anyhow::Result<MySqlConnectOptions> {
    let host = secret.host.as_ref().or(source.host.as_ref());
    let host = host.context("the database's secret lacks host, and DATABASE_HOST is missing")?;
    let name = secret.dbname.as_ref().or(source.name.as_ref());
    let name = name.context("the database's secret lacks dbname, and DATABASE_NAME is missing")?;
    let address = DatabaseAddress {
        host: host.clone(),
        port: secret.port.or(source.port).unwrap_or(MYSQL_PORT),
        name: name.clone(),
        user: secret.username.clone(),
    };
    Ok(verified_options(&address).password(secret.password.expose_secret()))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use rustls::pki_types::{CertificateDer, pem::PemObject};
    use serde_json::json;

    use super::*;
    use crate::platform::{
        db::{Db, StatementLimit},
        refreshing::ReadSecret,
    };

    fn source(host: Option<&str>) -> DatabaseSecret {
        DatabaseSecret {
            arn: "arn:x".to_owned(),
            host: host.map(str::to_owned),
            port: None,
            name: host.map(|_| "sms".to_owned()),
        }
    }

    #[test]
    fn both_forms_of_a_secret_are_read() {
        let whole = r#"{"username":"a","password":"p","host":"h.example","port":3307,"dbname":"d","engine":"mysql"}"#;
        let managed = r#"{"username":"a","password":"p"}"#;
        let read = |text, host| rds_options(&parse(text).unwrap(), &source(host));
        for (text, host, expected) in [
            (whole, None, Ok(("h.example", 3307, "d"))),
            (whole, Some("other.example"), Ok(("h.example", 3307, "d"))),
            (managed, Some("i.example"), Ok(("i.example", 3306, "sms"))),
            (managed, None, Err("DATABASE_HOST")),
        ] {
            let read = read(text, host).map_err(|error| error.to_string());
            match (&read, expected) {
                (Ok(options), Ok(expected)) => {
                    let database = options.get_database().unwrap();
                    assert_eq!((options.get_host(), options.get_port(), database), expected);
                    assert!(matches!(
                        options.get_ssl_mode(),
                        MySqlSslMode::VerifyIdentity
                    ));
                }
                (Err(error), Err(name)) => assert!(error.contains(name), "{error}"),
                _ => panic!("{text} {host:?}: {read:?}"),
            }
        }
        let error = parse("hunter2").err().unwrap().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn each_root_certificate_of_rds_is_usable() {
        let mut store = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(RDS_ROOTS) {
            store.add(certificate.unwrap()).unwrap();
        }
        assert_eq!(store.len(), 87);
        let text = std::str::from_utf8(RDS_ROOTS).unwrap();
        for region in ["ap-southeast-1", "eu-central-1", "us-east-1"] {
            let named = format!("# Amazon RDS {region} Root CA RSA2048 G1, until ");
            assert!(text.contains(&named), "{region}");
        }
    }

    #[tokio::test]
    async fn a_server_without_a_certificate_of_rds_is_refused() {
        // The database of the tests has a certificate of its own, or none.
        let url = std::env::var("DATABASE_URL").unwrap();
        let known: MySqlConnectOptions = url.parse().unwrap();
        // The server is there, and takes connections that do not ask for its identity.
        sqlx::ConnectOptions::connect(&known).await.unwrap();
        let secret = RdsSecret {
            username: known.get_username().to_owned(),
            password: "wrong".to_owned().into(),
            host: Some(known.get_host().to_owned()),
            port: Some(known.get_port()),
            dbname: Some("sms".to_owned()),
        };
        let options = rds_options(&secret, &source(None)).unwrap();
        let error = sqlx::ConnectOptions::connect(&options).await.err().unwrap();
        assert!(
            matches!(error, sqlx::Error::Tls(_) | sqlx::Error::Io(_)),
            "{error}: the password was sent"
        );
    }

    /// The server of the tests has no certificate of RDS.
    fn options_without_tls(
        secret: &RdsSecret,
        source: &DatabaseSecret,
    ) -> anyhow::Result<MySqlConnectOptions> {
        Ok(rds_options(secret, source)?.ssl_mode(MySqlSslMode::Disabled))
    }

    async fn execute(pool: &MySqlPool, sql: String) {
        sqlx::raw_sql(&sql).execute(pool).await.unwrap();
    }

    #[sqlx::test(migrations = false)]
    async fn a_rotated_password_is_read_again_and_used(pool: MySqlPool) {
        let known = pool.connect_options();
        let user = format!("r{}", uuid::Uuid::now_v7().simple());
        let user = &user[..30];
        execute(
            &pool,
            format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'old'"),
        )
        .await;
        execute(&pool, format!("GRANT ALL ON *.* TO '{user}'@'%'")).await;
        let password = Arc::new(Mutex::new("old"));
        let (name, current) = (user.to_owned(), Arc::clone(&password));
        let read_secret: ReadSecret = Box::new(move |_| {
            let password = *current.lock().unwrap();
            let text = json!({"username": name, "password": password}).to_string();
            Box::pin(async move { Ok(text) })
        });
        let arn = KeySource::SecretArn("arn:x".to_owned());
        let login = Login::Secret(Arc::new(SecretLogin {
            secret: Refreshing::open_with(arn, parse, read_secret)
                .await
                .unwrap(),
            source: DatabaseSecret {
                port: Some(known.get_port()),
                name: known.get_database().map(str::to_owned),
                ..source(Some(known.get_host()))
            },
            options: options_without_tls,
        }));
        let db = Db::with_login(login, StatementLimit::Worker).await.unwrap();
        db.ping().await.unwrap();
        execute(
            &pool,
            format!("ALTER USER '{user}'@'%' IDENTIFIED BY 'new'"),
        )
        .await;
        *password.lock().unwrap() = "new";
        let id: u64 = sqlx::query_scalar("SELECT CONNECTION_ID()")
            .fetch_one(&db)
            .await
            .unwrap();
        execute(&pool, format!("KILL {id}")).await;
        let _ = db.ping().await;
        db.ping().await.unwrap();
        execute(&pool, format!("DROP USER '{user}'@'%'")).await;
    }
}
