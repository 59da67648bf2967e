//! The configuration of migrate, from environment variables.

use shared::platform::config::{DatabaseSource, Env};

/// The configuration.
pub struct Config {
    /// The database, with the user that may change tables.
    pub database: DatabaseSource,
    /// The other functions' user, who gets grants; `None`: nobody.
    pub app_user: Option<String>,
}

impl Config {
    /// Reads the configuration; [`Env::finish`] returns what is wrong.
    pub fn read(env: &mut Env) -> Self {
        Self {
            database: env.database("MIGRATION_DATABASE_URL", "MIGRATION_SECRET_ARN"),
            app_user: env.optional("APP_USER", "a database user; missing: no grants"),
        }
    }
}

/// Reads whether this is the hook of CodeDeploy ([`crate::pre_traffic`]).
pub fn is_pre_traffic(env: &mut Env) -> bool {
    env.flag("PRE_TRAFFIC")
}
