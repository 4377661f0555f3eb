//! The values of a policy's rules, as people write them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ops::verify::evidence::{ObjectSelector, Selector};

/// A whole number of percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "u64")]
pub struct Percent(pub(super) u8);

impl TryFrom<u64> for Percent {
    type Error = &'static str;

    fn try_from(n: u64) -> Result<Percent, &'static str> {
        u8::try_from(n)
            .ok()
            .filter(|n| *n <= 100)
            .map(Percent)
            .ok_or("a percentage is a whole number from 0 to 100")
    }
}

impl FromStr for Percent {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Percent, &'static str> {
        Percent::try_from(text.trim_end_matches('%').parse::<u64>().unwrap_or(u64::MAX))
    }
}

/// A length of time in seconds, written as `26h`, `90m` or `1d12h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Age(pub(super) i64);

impl FromStr for Age {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Age, &'static str> {
        const HOW: &str =
            "a length of time is numbers and units, as 26h, 90m or 1d12h; the units are s, m, h, d and w";
        let (mut total, mut number) = (0i64, None::<i64>);
        for c in text.chars() {
            if let Some(digit) = c.to_digit(10) {
                number = Some(
                    number
                        .unwrap_or(0)
                        .checked_mul(10)
                        .and_then(|n| n.checked_add(digit.into()))
                        .ok_or(HOW)?,
                );
                continue;
            }
            let unit = match c {
                's' => 1,
                'm' => 60,
                'h' => 3600,
                'd' => 86_400,
                'w' => 604_800,
                _ => return Err(HOW),
            };
            total = number
                .take()
                .and_then(|n| n.checked_mul(unit))
                .and_then(|n| total.checked_add(n))
                .ok_or(HOW)?;
        }
        if number.is_some() || text.is_empty() { Err(HOW) } else { Ok(Age(total)) }
    }
}

impl TryFrom<String> for Age {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Age, &'static str> {
        text.parse()
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut rest, mut sep, mut left) = (self.0.unsigned_abs(), "", 2);
        for (unit, seconds) in [("d", 86_400u64), ("h", 3600), ("m", 60), ("s", 1)] {
            let n = rest.checked_div(seconds).unwrap_or(0);
            if left > 0 && (n > 0 || (seconds == 1 && sep.is_empty())) {
                write!(f, "{sep}{n}{unit}")?;
                sep = " ";
                left = i32::saturating_sub(left, 1);
            }
            rest = rest.checked_rem(seconds).unwrap_or(0);
        }
        Ok(())
    }
}

/// A storage version: major and minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Version(u32, u32);

impl FromStr for Version {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Version, &'static str> {
        let parts = text
            .split_once('.')
            .and_then(|(major, minor)| Some(Version(major.parse().ok()?, minor.parse().ok()?)));
        parts.ok_or("a storage version is major and minor, as \"3.5\"")
    }
}

impl TryFrom<String> for Version {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Version, &'static str> {
        text.parse()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// A 64-bit id, written in hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Id(pub(super) u64);

impl FromStr for Id {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Id, &'static str> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
        u64::from_str_radix(digits, 16)
            .ok()
            .filter(|_| plain)
            .map(Id)
            .ok_or("an id is 1 to 16 hex digits, as \"cdf818194e3a8c32\"")
    }
}

impl TryFrom<String> for Id {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Id, &'static str> {
        text.parse()
    }
}

/// Whether a file has to have a trailer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrailerRule {
    /// One without is bad.
    Required,
    /// One without is good, as far as the other levels go.
    Optional,
}

/// Providers of encryption: one, or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "OneOrMore")]
pub struct Providers(pub Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl From<OneOrMore> for Providers {
    fn from(providers: OneOrMore) -> Providers {
        match providers {
            OneOrMore::One(one) => Providers(vec![one]),
            OneOrMore::More(more) => Providers(more),
        }
    }
}

/// Keys that have to be there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RequiredKeys")]
pub struct Required {
    /// Which.
    pub keys: Selector,
    /// How many.
    pub at_least: u64,
}

/// Keys that must not be there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "ForbiddenKeys")]
pub struct Forbidden {
    /// Which.
    pub keys: Selector,
    /// How many there may be all the same.
    pub at_most: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RequiredKeys {
    prefix: Option<String>,
    key: Option<String>,
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    at_least: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ForbiddenKeys {
    prefix: Option<String>,
    key: Option<String>,
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    at_most: Option<u64>,
}

fn selector(
    keys: (Option<String>, Option<String>),
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
) -> Result<Selector, &'static str> {
    match (keys, kind) {
        ((None, None), Some(kind)) => Ok(Selector::Objects(ObjectSelector { kind, namespace, name })),
        _ if namespace.is_some() || name.is_some() => Err("`namespace` and `name` go with `kind`"),
        ((Some(prefix), None), None) => Ok(Selector::Prefix(prefix)),
        ((None, Some(key)), None) => Ok(Selector::Key(key)),
        _ => Err("either `prefix`, `key` or `kind` is due"),
    }
}

impl TryFrom<RequiredKeys> for Required {
    type Error = &'static str;

    fn try_from(raw: RequiredKeys) -> Result<Required, &'static str> {
        let keys = selector((raw.prefix, raw.key), raw.kind, raw.namespace, raw.name)?;
        Ok(Required { keys, at_least: raw.at_least.unwrap_or(1) })
    }
}

impl TryFrom<ForbiddenKeys> for Forbidden {
    type Error = &'static str;

    fn try_from(raw: ForbiddenKeys) -> Result<Forbidden, &'static str> {
        let keys = selector((raw.prefix, raw.key), raw.kind, raw.namespace, raw.name)?;
        Ok(Forbidden { keys, at_most: raw.at_most.unwrap_or(0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_and_shown() {
        for (text, seconds, shown) in [
            ("26h", 93_600, "1d 2h"),
            ("90m", 5400, "1h 30m"),
            ("1d12h", 129_600, "1d 12h"),
            ("0s", 0, "0s"),
            ("1w", 604_800, "7d"),
        ] {
            let age: Age = text.parse().unwrap();
            assert_eq!((age, age.to_string().as_str()), (Age(seconds), shown));
        }
        for text in ["", "26", "h", "1y", "1h2", "-1h", "99999999999999999999h", "9999999999999999w", "1 h"] {
            assert!(text.parse::<Age>().is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for text in ["101", "-1", "", "x"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
        for text in ["", "+1", "0x", "11112222333344445", "zz"] {
            assert!(text.parse::<Id>().is_err(), "{text}");
        }
        assert_eq!(("0xAb".parse(), "00ab".parse()), (Ok(Id(0xab)), Ok(Id(0xab))));
        assert_eq!(
            "3.10".parse::<Version>().unwrap().cmp(&"3.9".parse().unwrap()),
            std::cmp::Ordering::Greater
        );
    }
}
