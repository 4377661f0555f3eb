//! Whether a text looks like a secret.

use serde_json::Value;

use super::named::Sign;

/// What parts of a name make it that of a secret, without what stands between words.
const WORDS: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "encryptionkey",
    "signingkey",
    "clientkeydata",
    "credential",
    "authkey",
    "connectionstring",
];
/// How names go on that tell of a secret and hold none.
const ABOUT: [&str; 12] =
    ["file", "path", "dir", "name", "ref", "enabled", "ttl", "type", "policy", "url", "endpoint", "issuer"];
/// How the keys of some services begin, and how long they are at least.
const SERVICES: [(&str, usize); 12] = [
    ("AKIA", 20),
    ("ASIA", 20),
    ("AIza", 39),
    ("ghp_", 36),
    ("gho_", 36),
    ("ghs_", 36),
    ("github_pat_", 40),
    ("glpat-", 20),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("sk_live_", 20),
    ("hvs.", 24),
];
/// Values inside values inside values that are looked at.
const DEEPEST: usize = 64;

/// Whether something is called like a secret.
fn is_called_secret(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    WORDS.iter().any(|word| plain.contains(word)) && !ABOUT.iter().any(|end| plain.ends_with(end))
}

/// Whether a value may be a secret at all: not one that is empty, a switch, a number, or a word for another one.
fn may_be_secret(value: &str) -> bool {
    let switch = ["true", "false", "null", "none", "yes", "no"].contains(&value.to_lowercase().as_str());
    let number = value.chars().all(|c| c.is_ascii_digit() || c == '.');
    let stands_for = ["$", "{{", "/", "<", "%"].iter().any(|start| value.starts_with(start));
    value.len() > 2 && !switch && !number && !stands_for
}

/// What a value shows by itself.
pub(super) fn of_value(value: &str) -> Option<Sign> {
    if value.contains("PRIVATE KEY-----") && value.contains("-----BEGIN ") {
        return Some(Sign::PrivateKey);
    }
    value.split(|c: char| c.is_whitespace() || "\"',;=()".contains(c)).find_map(of_word)
}

/// What one word shows.
fn of_word(word: &str) -> Option<Sign> {
    let base64 = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let mut parts = word.split('.');
    if let (Some(head), Some(body), Some(sign), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
        && head.starts_with("eyJ")
        && body.starts_with("eyJ")
        && [head, body, sign].iter().all(|part| part.chars().all(base64))
    {
        return Some(Sign::SignedToken);
    }
    let of_service = |(start, len): &(&str, usize)| {
        word.starts_with(start) && word.len() >= *len && word.chars().all(|c| base64(c) || c == '.')
    };
    if SERVICES.iter().any(of_service) {
        return Some(Sign::ServiceKey);
    }
    let (user, _) = word.split_once("://")?.1.split('/').next()?.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    may_be_secret(password).then_some(Sign::AddressWithPassword)
}

/// What a value shows that has a name.
pub(super) fn of_named(name: &str, value: &str) -> Option<Sign> {
    of_value(value).or_else(|| (is_called_secret(name) && may_be_secret(value)).then_some(Sign::Name))
}

/// What a text shows that may be a configuration: JSON, or lines of names and values.
pub(super) fn of_text(name: &str, text: &str) -> Option<Sign> {
    let lines = text.lines().count();
    if lines <= 1
        && let Some(sign) = of_named(name, text.trim())
    {
        return Some(sign);
    }
    if text.trim_start().starts_with(['{', '['])
        && let Ok(json) = serde_json::from_str::<Value>(text)
    {
        return of_json("", &json, 0);
    }
    of_value(text).or_else(|| text.lines().find_map(of_line))
}

/// A line as `password: x`, `PASSWORD=x` or `"password": "x",`.
fn of_line(line: &str) -> Option<Sign> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let (name, value) = line.split_once([':', '='])?;
    let quotes = |c: char| c.is_whitespace() || "\"',-".contains(c);
    let (name, value) = (name.trim_matches(quotes), value.trim_matches(|c| c == ',' || quotes(c)));
    // A sentence is no name.
    (!name.trim_start_matches("export ").contains(' ') && !value.contains(' '))
        .then(|| of_named(name, value))
        .flatten()
}

fn of_json(name: &str, value: &Value, depth: usize) -> Option<Sign> {
    let below = depth.saturating_add(1);
    match value {
        _ if depth > DEEPEST => None,
        Value::String(text) => of_named(name, text),
        Value::Array(items) => items.iter().find_map(|item| of_json(name, item, below)),
        Value::Object(fields) => fields.iter().find_map(|(name, value)| of_json(name, value, below)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_passwords_are_told_by_what_they_are_or_what_they_are_called() {
        let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln";
        for (name, text, due) in [
            (
                "key.pem",
                "-----BEGIN EC PRIVATE KEY-----\nx\n-----END EC PRIVATE KEY-----\n",
                Some(Sign::PrivateKey),
            ),
            ("x", token, Some(Sign::SignedToken)),
            (
                "x",
                "curl -H 'Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln'",
                Some(Sign::SignedToken),
            ),
            ("x", "AKIAIOSFODNN7EXAMPLE", Some(Sign::ServiceKey)),
            ("x", "postgres://app:hunter2@db:5432/shop", Some(Sign::AddressWithPassword)),
            ("DB_PASSWORD", "hunter2", Some(Sign::Name)),
            ("application.properties", "a=b\nspring.datasource.password = hunter2\n", Some(Sign::Name)),
            ("config.yaml", "db:\n  - apiKey: \"hunter2\"\n", Some(Sign::Name)),
            ("config.json", r#"{"db": [{"user": "a", "secret_key_token": "hunter2"}]}"#, Some(Sign::Name)),
            // Words for others, and what only tells of one.
            ("DB_PASSWORD", "$(OTHER)", None),
            ("DB_PASSWORD_FILE", "/run/secrets/db", None),
            ("MAX_TOKENS", "4096", None),
            ("tokenAuth", "false", None),
            ("x", "postgres://app@db/shop", None),
            ("x", "http://a:80/b@c", None),
            ("notes", "# password: hunter2\nthe password: is elsewhere\n", None),
            ("ca.crt", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", None),
            ("x", "", None),
        ] {
            assert_eq!(of_text(name, text), due, "{name} {text}");
        }
    }
}
