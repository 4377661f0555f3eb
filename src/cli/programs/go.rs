//! What Go's standard library makes of words, and how it words what the system says.

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use coldbolt::io::os;

/// Bytes of a word as a word.
pub fn os_string(bytes: &[u8]) -> OsString {
    os::name_of(bytes).into_owned()
}

/// `strconv.ParseBool`.
pub fn bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

/// `strconv.ParseInt` with base 0.
pub fn int(text: &str) -> Result<i64, String> {
    let wrong = |what: &str| format!("strconv.ParseInt: parsing {text:?}: {what}");
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let number = i128::from(digits_of(digits).map_err(wrong)?);
    i64::try_from(if negative { -number } else { number }).map_err(|_| wrong("value out of range"))
}

/// `strconv.ParseUint` with base 0.
pub fn uint(text: &str) -> Result<u64, String> {
    digits_of(text).map_err(|what| format!("strconv.ParseUint: parsing {text:?}: {what}"))
}

/// The same with 32 bits.
pub fn uint32(text: &str) -> Result<u32, String> {
    u32::try_from(uint(text)?).map_err(|_| format!("strconv.ParseUint: parsing {text:?}: value out of range"))
}

/// A number in the base that its beginning tells.
fn digits_of(text: &str) -> Result<u64, &'static str> {
    let lower = text.to_ascii_lowercase();
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    // An underscore may stand between digits where the base is told.
    let told = base != 10 && !digits.ends_with('_') && !digits.contains("__");
    let digits = if told { digits.replace('_', "") } else { digits.to_owned() };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return Err("invalid syntax");
    }
    u64::from_str_radix(&digits, base).map_err(|_| "value out of range")
}

/// `time.ParseDuration`; what is negative is none.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut seconds = 0f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let letters = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        seconds += number
            * match unit {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "" => return Err(format!("time: missing unit in duration {text:?}")),
                _ => return Err(format!("time: unknown unit {unit:?} in duration {text:?}")),
            };
        rest = after;
    }
    if negative {
        return Ok(Duration::ZERO);
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

/// What the system says, in Go's words: lower case, and no number.
pub fn said(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error ").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_strconv_with_base_0() {
        assert_eq!(["10", "-10", "0x10", "010", "0b11", "1_0"].map(|text| int(text).ok()), {
            [Some(10), Some(-10), Some(16), Some(8), Some(3), None]
        });
        assert_eq!(int("x").unwrap_err(), "strconv.ParseInt: parsing \"x\": invalid syntax");
        assert_eq!(uint("-1").unwrap_err(), "strconv.ParseUint: parsing \"-1\": invalid syntax");
        let long = "99999999999999999999";
        assert_eq!(int(long).unwrap_err(), format!("strconv.ParseInt: parsing {long:?}: value out of range"));
        assert_eq!((int(&i64::MIN.to_string()), uint("0x_f")), (Ok(i64::MIN), Ok(15)));
    }

    #[test]
    fn durations_are_those_of_time() {
        assert_eq!(duration("1m1.5s"), Ok(Duration::from_millis(61_500)));
        assert_eq!((duration("0"), duration("-3s")), (Ok(Duration::ZERO), Ok(Duration::ZERO)));
        assert_eq!(duration("5x").unwrap_err(), "time: unknown unit \"x\" in duration \"5x\"");
        assert_eq!(duration("5").unwrap_err(), "time: missing unit in duration \"5\"");
        assert_eq!(duration("").unwrap_err(), "time: invalid duration \"\"");
    }

    #[test]
    fn the_system_speaks_as_in_go() {
        assert_eq!(said(&io::Error::from_raw_os_error(2)), "no such file or directory");
        assert_eq!(said(&io::Error::from_raw_os_error(21)), "is a directory");
    }
}
