//! `login` and `logout`.

use std::io::{self, BufRead, Write};

use serde_json::json;

use crate::{
    client::{Call, Client},
    credentials::{Credentials, Store},
    failure::Failure,
    options::{Access, Login},
    output::Output,
};

/// Logs in, or stores a key. A login of before on this device spares it the delays after failed ones.
pub async fn log_in(access: &Access, login: &Login, output: Output) -> Result<u8, Failure> {
    let store = Store::of_user()?;
    let stored = store.read()?.unwrap_or_default();
    let url = access.url.clone().unwrap_or_else(|| stored.url.clone());
    let url = url.trim_end_matches('/').to_owned();
    if url.is_empty() {
        return Err(Failure::Usage(
            "expected the address of the API: --url".to_owned(),
        ));
    }
    let mut credentials = Credentials {
        url: url.clone(),
        ..Credentials::default()
    };
    if let Some(key) = &access.key {
        credentials.key = Some(key.clone());
    } else {
        credentials.device_token = stored.device_token.filter(|_| stored.url == url);
        let mut client = Client::without_login(&url)?;
        let answer = exchange(&mut client, login, credentials.device_token.as_deref()).await?;
        credentials.accept(&answer);
    }
    // A wrong key, or an address that is not that of the API, is not stored.
    let mut client = Client::with(credentials.clone())?;
    let caller = client.json(Call::get("/v1/auth/me")).await?;
    store.write(&credentials)?;
    output.answer(&caller, || {
        format!(
            "logged in at {url} as {}",
            caller["name"].as_str().unwrap_or("?")
        )
    });
    Ok(0)
}

/// Problems of a login that a further member of the body solves: the problem, the member, and what the
/// person is asked.
const ASKED: [(&str, &str, &str); 2] = [
    ("second-factor-required", "code", "Code: "),
    (
        "password-change-required",
        "new_password",
        "The password is temporary. New password: ",
    ),
];

async fn exchange(
    client: &mut Client,
    login: &Login,
    device: Option<&str>,
) -> Result<serde_json::Value, Failure> {
    let username = match &login.username {
        Some(username) => username.clone(),
        None if login.password_stdin => {
            return Err(Failure::Usage(
                "expected --username with --password-stdin".to_owned(),
            ));
        }
        None => ask("Username: ")?,
    };
    let password = secret(login, "Password: ")?;
    let mut body = json!({"username": username, "password": password});
    if let Some(device) = device {
        body["device_token"] = json!(device);
    }
    loop {
        let call = Call::post_once("/v1/auth/login").json(&body);
        let problem = match client.json(call).await {
            Err(Failure::Refused(problem)) => problem,
            answer => return answer,
        };
        let asked = ASKED.iter().find(|(slug, ..)| problem.is(slug));
        let Some((_, member, prompt)) = asked.filter(|(_, member, _)| body.get(member).is_none())
        else {
            return Err(Failure::Refused(problem));
        };
        body[*member] = json!(secret(login, prompt)?);
    }
}

/// Ends the session, and forgets it.
pub async fn log_out(access: &Access) -> Result<u8, Failure> {
    let store = Store::of_user()?;
    let Some(stored) = store.read()? else {
        return Ok(0);
    };
    if stored.access_token.is_some() {
        let access = Access {
            url: access.url.clone(),
            key: None,
        };
        let ended = Client::open(&access)?
            .text(Call::post_once("/v1/auth/logout"))
            .await;
        // A session that has ended already is what is wanted.
        if let Err(failure) = ended
            && failure.code() != 1
        {
            return Err(failure);
        }
    }
    store.remove()?;
    Ok(0)
}

fn ask(prompt: &str) -> Result<String, Failure> {
    eprint!("{prompt}");
    io::stderr()
        .flush()
        .map_err(|error| Failure::file("-", &error))?;
    line()
}

fn secret(login: &Login, prompt: &str) -> Result<String, Failure> {
    if login.password_stdin {
        return line();
    }
    rpassword::prompt_password(prompt).map_err(|error| Failure::file("reading a password", &error))
}

fn line() -> Result<String, Failure> {
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    read.map_err(|error| Failure::file("-", &error))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
