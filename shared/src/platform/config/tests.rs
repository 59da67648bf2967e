//! Reading variables: right, wrong and missing ones.

use super::*;

#[test]
fn all_wrong_variables_are_reported_together() {
    let mut env = Env::from_pairs([
        ("A_URL", "not a url"),
        ("N", "17x"),
        ("BIG", "901"),
        ("DELAYS", "5,,7"),
        ("FORM", "soap"),
        ("EMPTY", " "),
        ("DATABASE_URL", "mysql://u:secret@h/"),
    ]);
    env.url("A_URL");
    env.number("N", 1..=100, Some(5));
    env.number("BIG", 0..=900, None);
    env.seconds_list("DELAYS");
    env.choice("FORM", &["bare", "alaris"]);
    env.text("EMPTY");
    env.database("DATABASE_URL", "DATABASE_SECRET_ARN");
    let message = env.finish(()).unwrap_err().to_string();
    for name in [
        "A_URL",
        "N is `17x`",
        "BIG is `901`",
        "DELAYS",
        "FORM",
        "EMPTY is missing",
        "DATABASE_URL",
    ] {
        assert!(message.contains(name), "{name} is not in: {message}");
    }
    assert!(
        !message.contains("secret@"),
        "a password is shown: {message}"
    );
}

#[test]
fn right_values_are_read() {
    let mut env = Env::from_pairs([
        ("U", "http://127.0.0.1:1/api"),
        ("D", "1, 2,900"),
        ("DATABASE_URL", "mysql://u:p@h:1/sms"),
    ]);
    assert_eq!(env.url("U"), "http://127.0.0.1:1/api");
    assert_eq!(env.seconds_list("D"), [1, 2, 900].map(Duration::from_secs));
    assert_eq!(env.number("MISSING", 1..=9, Some(3)), 3);
    assert!(!env.flag("MISSING"));
    assert!(matches!(
        env.database("DATABASE_URL", "DATABASE_SECRET_ARN"),
        DatabaseSource::Url(_)
    ));
    env.finish(()).unwrap();
}

#[test]
fn a_database_needs_exactly_one_source() {
    for pairs in [
        vec![],
        vec![
            ("DATABASE_URL", "mysql://u@h/d"),
            ("DATABASE_SECRET_ARN", "arn:aws:x"),
        ],
        vec![("DATABASE_SECRET_ARN", "x")],
    ] {
        let mut env = Env::from_pairs(pairs);
        env.database("DATABASE_URL", "DATABASE_SECRET_ARN");
        assert!(env.finish(()).is_err());
    }
}

#[test]
fn a_token_needs_the_address_and_the_user_and_no_password() {
    let address = [
        ("DATABASE_LOGIN", "iam"),
        ("DATABASE_HOST", "h.example"),
        ("DATABASE_NAME", "sms"),
        ("DATABASE_USER", "sms_app"),
    ];
    let read = |pairs: &[(&str, &str)]| {
        let mut env = Env::from_pairs(pairs.iter().copied());
        let source = env.app_database();
        env.finish(source)
    };
    let Ok(DatabaseSource::Iam(found)) = read(&address) else {
        panic!("the login is by a token");
    };
    let expected = DatabaseAddress {
        host: "h.example".to_owned(),
        port: 3306,
        name: "sms".to_owned(),
        user: "sms_app".to_owned(),
    };
    assert_eq!(found, expected);
    for left_out in 1..address.len() {
        let mut given = address.to_vec();
        let (name, _) = given.remove(left_out);
        let problem = read(&given).err().unwrap().to_string();
        assert!(
            problem.contains(&format!("{name} is missing")),
            "{name}: {problem}"
        );
    }
    for (name, value) in [
        ("DATABASE_URL", "mysql://u:hunter2@h/d?ssl-mode=REQUIRED"),
        ("DATABASE_SECRET_ARN", "arn:aws:x"),
    ] {
        let problem = read(&[&address[..], &[(name, value)]].concat());
        let problem = problem.err().unwrap().to_string();
        assert!(problem.contains("over verified TLS only"), "{problem}");
        assert!(!problem.contains("hunter2"), "{problem}");
    }
    let problem = read(&[("DATABASE_LOGIN", "IAM")]).err().unwrap();
    assert!(problem.to_string().contains("one of: password, iam"));
    // The default is a password.
    let url = [("DATABASE_URL", "mysql://u:p@h:1/sms")];
    assert!(matches!(read(&url), Ok(DatabaseSource::Url(_))));
}
