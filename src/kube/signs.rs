//! Whether a text looks like a secret.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::Value;

/// Why something is taken for a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// It begins as a private key does.
    PrivateKey,
    /// It is a signed token (JWT).
    SignedToken,
    /// It is of the form of the keys of a cloud or a service.
    ServiceKey,
    /// It is an address with a password in it.
    AddressWithPassword,
    /// It is a name and a password for a registry of images, as docker keeps them.
    DockerConfig,
    /// What it is called.
    Name,
}

impl Sign {
    /// As `private-key`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Sign::PrivateKey => "private-key",
            Sign::SignedToken => "signed-token",
            Sign::ServiceKey => "service-key",
            Sign::AddressWithPassword => "address-with-password",
            Sign::DockerConfig => "docker-config",
            Sign::Name => "name",
        }
    }
}

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
/// Headers that say who asks.
const HEADERS: [&str; 5] = ["authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-key"];
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
pub(in crate::kube) fn of_value(value: &str) -> Option<Sign> {
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
pub(in crate::kube) fn of_named(name: &str, value: &str) -> Option<Sign> {
    of_value(value).or_else(|| (is_called_secret(name) && may_be_secret(value)).then_some(Sign::Name))
}

/// What an annotation shows. Many are called like a secret that name one, or tell of it: by its name alone one is taken
/// for a secret only if it is long and of letters and digits.
pub(in crate::kube) fn of_annotation(name: &str, value: &str) -> Option<Sign> {
    let some = |is: fn(&char) -> bool| value.chars().any(|c| is(&c));
    let random = value.len() >= 16
        && some(char::is_ascii_digit)
        && some(char::is_ascii_alphabetic)
        && !value.contains(['/', ' ', ':', '{']);
    of_value(value).or_else(|| of_named(name, value).filter(|_| random))
}

/// What a header shows that a probe sends.
pub(in crate::kube) fn of_header(name: &str, value: &str) -> Option<Sign> {
    let is_named = HEADERS.contains(&name.to_lowercase().as_str()) && value.len() > 2;
    of_named(name, value).or_else(|| is_named.then_some(Sign::Name))
}

/// What a text shows that may be a configuration: JSON, or lines of names and values.
pub(in crate::kube) fn of_text(name: &str, text: &str) -> Option<Sign> {
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
        Value::String(text) if name == "auth" && is_name_and_password(text) => Some(Sign::DockerConfig),
        Value::String(text) => of_named(name, text),
        Value::Array(items) => items.iter().find_map(|item| of_json(name, item, below)),
        Value::Object(fields) => fields.iter().find_map(|(name, value)| of_json(name, value, below)),
        _ => None,
    }
}

/// `NAME:PASSWORD` in base64.
fn is_name_and_password(text: &str) -> bool {
    let plain = BASE64_STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    plain.is_some_and(|plain| {
        plain.split_once(':').is_some_and(|(name, password)| !name.is_empty() && !password.is_empty())
    })
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
            (
                "config.json",
                r#"{"auths": {"r.example": {"auth": "YTpodW50ZXIy"}}}"#,
                Some(Sign::DockerConfig),
            ),
            (
                ".dockercfg",
                "{\n  \"r.example\": {\n    \"auth\": \"YTpodW50ZXIy\"\n  }\n}\n",
                Some(Sign::DockerConfig),
            ),
            // Words for others, and what only tells of one.
            ("config.json", r#"{"proxy": {"auth": "basic"}}"#, None),
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

    #[test]
    fn an_annotation_is_a_secret_by_what_it_is_or_if_it_is_called_so_and_looks_random() {
        let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln";
        for (name, value, due) in [
            ("openshift.io/token-secret.value", token, Some(Sign::SignedToken)),
            ("example.com/anything", token, Some(Sign::SignedToken)),
            ("example.com/api-token", "9f8e7d6c5b4a39281706f5e4", Some(Sign::Name)),
            ("openshift.io/token-secret.name", "builder-token-4x7k2", None),
            ("openshift.io/internal-registry-auth-token.binding", "bound", None),
            ("vault.hashicorp.com/agent-inject-secret-db", "secret/data/db2/credentials", None),
            ("kubernetes.io/service-account.uid", "0b1c2d3e-0000-4000-8000-000000000001", None),
            ("checksum/config", "9f8e7d6c5b4a39281706f5e49f8e7d6c5b4a39281706f5e4", None),
        ] {
            assert_eq!(of_annotation(name, value), due, "{name} {value}");
        }
        for (name, value, due) in [
            ("Authorization", "Basic YTpodW50ZXIy", Some(Sign::Name)),
            ("authorization", &format!("Bearer {token}"), Some(Sign::SignedToken)),
            ("X-Api-Key", "hunter2", Some(Sign::Name)),
            ("Accept", "text/html", None),
        ] {
            assert_eq!(of_header(name, value), due, "{name} {value}");
        }
    }
}
