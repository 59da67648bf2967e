//! The table of all variables in `docs/configuration.md` is what the functions read.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{collections::BTreeMap, fmt::Write, path::Path};

use shared::platform::config::{Env, Setting};

const BEGIN: &str = "<!-- variables: begin -->";
const END: &str = "<!-- variables: end -->";
/// Environments that make a function read what it otherwise does not: the login of a carrier, the
/// details of an OpenID provider. A login at the database by IAM makes it read no other variables.
const ENVIRONMENTS: [&[(&str, &str)]; 3] = [
    &[],
    &[("DATABASE_LOGIN", "iam")],
    &[
        ("CARRIER_ADAPTER", "alaris"),
        ("OIDC_AUDIENCE", "sms"),
        ("OIDC_ISSUER", "https://id.example.com"),
    ],
];

/// Reads the configuration of a function.
type Read = fn(&mut Env);

const FUNCTIONS: [(&str, Read); 6] = [
    ("api", |env| drop(api::config::Config::read(env))),
    ("dispatch", |env| drop(dispatch::config::Config::read(env))),
    ("send", |env| drop(send::config::Config::read(env))),
    ("recheck", |env| drop(recheck::config::Config::read(env))),
    ("notify", |env| drop(notify::config::Config::read(env))),
    ("migrate", |env| {
        migrate::config::is_pre_traffic(env);
        drop(migrate::config::Config::read(env));
        env.app_database();
    }),
];

#[derive(Default)]
struct Line {
    functions: Vec<&'static str>,
    settings: Vec<Setting>,
}

fn lines() -> BTreeMap<String, Line> {
    let mut lines: BTreeMap<String, Line> = BTreeMap::new();
    for (function, read) in FUNCTIONS {
        for variables in ENVIRONMENTS {
            let mut env = Env::from_pairs(variables.iter().copied());
            read(&mut env);
            for (name, setting) in env.settings() {
                let line = lines.entry(name.clone()).or_default();
                if !line.functions.contains(&function) {
                    line.functions.push(function);
                }
                if !line.settings.contains(setting) {
                    line.settings.push(setting.clone());
                }
            }
        }
    }
    lines
}

fn table() -> String {
    let mut table = "| variable | read by | expected | default |\n|---|---|---|---|\n".to_owned();
    for (
        name,
        Line {
            functions,
            settings,
        },
    ) in lines()
    {
        // All functions expect the same of a variable.
        let [Setting { expected, default }] = &settings[..] else {
            panic!("functions expect different values of {name}: {settings:?}");
        };
        let functions = functions.join(", ");
        let default = default.as_deref().map(|default| format!("`{default}`"));
        let default = default.unwrap_or_default();
        writeln!(table, "| `{name}` | {functions} | {expected} | {default} |").unwrap();
    }
    table
}

#[test]
fn the_committed_table_is_what_the_functions_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (committed, after) = rest.split_once(END).unwrap();
    let table = format!("\n\n{}\n", table());
    if std::env::var_os("RENEW_CONFIGURATION").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert!(
        committed == table,
        "docs/configuration.md is not what the functions read: run `make configuration`"
    );
}
