//! Versions as etcd parses them where it keeps them in its database and its log: `X.Y.Z`, all three, and perhaps
//! `-pre-release` and `+metadata`. A value that is not so ends etcd with a panic.
//!
//! Source: `coreos/go-semver semver.go Version.Set`, which 3.4 to 3.7 use.

use std::fmt;

/// A version: three numbers; what stands behind them does not matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Semver {
    /// As 3 of 3.5.1.
    pub major: i64,
    /// As 5 of 3.5.1.
    pub minor: i64,
    /// As 1 of 3.5.1.
    pub patch: i64,
}

/// Why a text is no version, in etcd's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoVersion {
    /// There are not three numbers.
    NotThree,
    /// One of them is none, or too great.
    NotANumber,
    /// What stands behind them has other characters than letters, digits, dots and hyphens.
    Suffix,
}

impl fmt::Display for NoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoVersion::NotThree => "is not in dotted-tri format",
            NoVersion::NotANumber => "has a part that is no number",
            NoVersion::Suffix => "has a suffix that no version has",
        })
    }
}

impl fmt::Display for Semver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Semver {
    /// As [`Semver::parse`], of bytes; what is not UTF-8 is no number.
    ///
    /// # Errors
    /// Why etcd panics at it.
    pub fn of(bytes: &[u8]) -> Result<Semver, NoVersion> {
        std::str::from_utf8(bytes).map_err(|_| NoVersion::NotANumber).and_then(Semver::parse)
    }

    /// Parses a version as etcd 3.4 to 3.7 do; 3.8 takes two numbers as well.
    ///
    /// # Errors
    /// Why etcd panics at it.
    pub fn parse(text: &str) -> Result<Semver, NoVersion> {
        let (text, metadata) = text.split_once('+').unwrap_or((text, ""));
        let (text, pre_release) = text.split_once('-').unwrap_or((text, ""));
        let mut parts = text.splitn(3, '.');
        let (Some(major), Some(minor), Some(patch)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoVersion::NotThree);
        };
        if !is_identifier(pre_release) || !is_identifier(metadata) {
            return Err(NoVersion::Suffix);
        }
        Ok(Semver { major: number(major)?, minor: number(minor)?, patch: number(patch)? })
    }
}

fn number(text: &str) -> Result<i64, NoVersion> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(NoVersion::NotANumber)
}

fn is_identifier(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    text.is_empty() || text.split('.').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_parsed_as_etcd_does() {
        let of = |major, minor, patch| Ok(Semver { major, minor, patch });
        for (text, due) in [
            ("3.6.0", of(3, 6, 0)),
            ("3.6.14-rc.0+build-7", of(3, 6, 14)),
            ("03.6.0", of(3, 6, 0)),
            ("3.6", Err(NoVersion::NotThree)),
            ("", Err(NoVersion::NotThree)),
            ("-3.6.0", Err(NoVersion::NotThree)),
            ("3.7. ", Err(NoVersion::NotANumber)),
            ("3.7.0.1", Err(NoVersion::NotANumber)),
            ("3.x.0", Err(NoVersion::NotANumber)),
            ("3.6.9223372036854775808", Err(NoVersion::NotANumber)),
            ("3.6.0-rc_1", Err(NoVersion::Suffix)),
            ("3.6.0+a..b", Err(NoVersion::Suffix)),
        ] {
            assert_eq!(Semver::parse(text), due, "{text:?}");
        }
    }
}
