//! Whether a text that is not quoted is read as a text.

/// What is a boolean, null or a float by its name.
const WORDS: [&str; 37] = [
    "", "~", "null", "Null", "NULL", "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON",
    "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", ".nan", ".NaN", ".NAN",
    ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "-.inf", "-.Inf",
];

/// Whether `resolve` takes it for a string, and it is no number in base 60.
pub(super) fn is_text(text: &str) -> bool {
    if WORDS.contains(&text) || matches!(text, "+.INF" | "-.INF") {
        return false;
    }
    match text.bytes().next() {
        Some(b'.') => !is_point_float(text),
        Some(b'+' | b'-' | b'0'..=b'9') => {
            let plain: String = text.chars().filter(|c| *c != '_').collect();
            !(is_timestamp(text) || is_integer(&plain) || is_float(&plain) || is_base_60(text))
        }
        _ => true,
    }
}

/// `strconv.ParseInt` or `ParseUint` with base 0, or a prefix `0b` of go-yaml's own.
fn is_integer(text: &str) -> bool {
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, text.get(1..).unwrap_or_default()),
        [b'+', ..] => (false, text.get(1..).unwrap_or_default()),
        _ => (false, text),
    };
    let signed = text.len() != digits.len();
    let lower = digits.get(..2).unwrap_or_default().to_ascii_lowercase();
    let (radix, body) = match lower.as_str() {
        "0x" => (16, digits.get(2..)),
        "0b" => (2, digits.get(2..)),
        "0o" => (8, digits.get(2..)),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, digits.get(1..)),
        _ => (10, Some(digits)),
    };
    let body = body.unwrap_or_default();
    if body.is_empty() || !body.chars().all(|c| c.is_digit(radix)) {
        return false;
    }
    let Ok(n) = u64::from_str_radix(body, radix) else { return false };
    let most = i64::MAX.unsigned_abs();
    match (negative, signed) {
        (true, _) => n <= most.saturating_add(1),
        // ParseUint takes no sign.
        (false, true) => n <= most,
        (false, false) => true,
    }
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`, if it is no more than a float64 can be.
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && digits(fraction),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    mantissa_fits && exponent_fits && is_finite(text)
}

fn is_finite(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// A float that begins with its point, as `strconv.ParseFloat` takes it: an underscore may stand between two digits.
fn is_point_float(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let between = |at: usize| digit(at.checked_sub(1)) && digit(at.checked_add(1));
    let underscores = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'_');
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    underscores.map(|(at, _)| at).all(between) && is_float(&plain)
}

/// `^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$`
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut parts = unsigned.split(':');
    let first = parts.next().unwrap_or_default();
    let digit_or_underscore = |byte: u8| byte.is_ascii_digit() || byte == b'_';
    if !first.starts_with(|c: char| c.is_ascii_digit()) || !first.bytes().all(digit_or_underscore) {
        return false;
    }
    let sixty = |part: &str| match part.as_bytes() {
        [one] => one.is_ascii_digit(),
        [ten, one] => (b'0'..=b'5').contains(ten) && one.is_ascii_digit(),
        _ => false,
    };
    let mut rest: Vec<&str> = parts.collect();
    let Some(last) = rest.pop() else { return false };
    let last_fits = match last.split_once('.') {
        Some((part, fraction)) => sixty(part) && fraction.bytes().all(digit_or_underscore),
        None => sixty(last),
    };
    last_fits && rest.into_iter().all(sixty)
}

/// What Go's `time.Parse` takes by one of go-yaml's formats: a date of four digits and one or two twice; with a time
/// behind `T` or `t` and a zone, or behind a space and without one.
fn is_timestamp(text: &str) -> bool {
    let mut reader = Reader { rest: text };
    let date = reader.digits(4, 4).and_then(|year| {
        let month = reader.after('-', 1, 2).filter(|month| (1..=12).contains(month))?;
        let day = reader.after('-', 1, 2)?;
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        (1..=days).contains(&day).then_some(())
    });
    if date.is_none() {
        return false;
    }
    let zoned = match reader.next() {
        None => return true,
        Some('T' | 't') => true,
        Some(' ') => false,
        Some(_) => return false,
    };
    reader.clock().is_some() && (!zoned || reader.zone().is_some()) && reader.rest.is_empty()
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    /// From `least` to `most` digits; more are left.
    fn digits(&mut self, least: usize, most: usize) -> Option<u32> {
        let len = self.rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at_checked(len).filter(|_| len >= least)?;
        self.rest = rest;
        digits.parse().ok()
    }

    fn after(&mut self, separator: char, least: usize, most: usize) -> Option<u32> {
        self.rest = self.rest.strip_prefix(separator)?;
        self.digits(least, most)
    }

    /// `15:4:5.999999999`. Go's hour has two digits; a fraction may follow a comma too.
    fn clock(&mut self) -> Option<()> {
        let hour = self.digits(1, 2)?;
        let minute = self.after(':', 1, 2)?;
        let second = self.after(':', 1, 2)?;
        if let Some(fraction) = self.rest.strip_prefix(['.', ','])
            && fraction.starts_with(|c: char| c.is_ascii_digit())
        {
            self.rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        (hour < 24 && minute < 60 && second < 60).then_some(())
    }

    /// `Z`, or hours and minutes behind a sign.
    fn zone(&mut self) -> Option<()> {
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Some(());
        }
        self.rest = self.rest.strip_prefix(['+', '-'])?;
        let hour = self.digits(2, 2)?;
        let minute = self.after(':', 2, 2)?;
        (hour <= 24 && minute <= 60).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_read_as_something_else_is_no_text() {
        for text in [
            "",
            "~",
            "y",
            "No",
            "OFF",
            "null",
            "1",
            "-1",
            "+1",
            "0x1f",
            "0b11",
            "0o17",
            "017",
            "1_000",
            "1e3",
            "1.",
            ".5",
            "-.5",
            ".5e3",
            ".1_0",
            "18446744073709551615",
            "-9223372036854775808",
            "1e308",
            "190:20:30",
            "12:30:45",
            "1:2.5",
            "2001-01-01",
            "2001-1-1",
            "2026-11-28T06:34:58Z",
            "2026-11-28t06:34:58.123+01:00",
            "2001-12-14 21:59:43.10",
            ".nan",
            "-.INF",
            "+.inf",
            "0",
            "00",
            "0_",
        ] {
            assert!(!is_text(text), "{text:?}");
        }
        for text in [
            "a",
            "yess",
            "nil",
            "1a",
            "0xg",
            "1e",
            "1e400",
            "-",
            "+",
            ".",
            "..",
            "1.2.3",
            "10.0.0.1",
            ".5_",
            "._5",
            "2001-13-01",
            "2001-02-29",
            "2026-11-28T06:34:58",
            "2001-12-14 21:59:43 Z",
            "20010-01-01",
            "1:60",
            "1:2:",
            "18446744073709551616a",
            "<<",
            "=",
            "0b12",
            "-0x",
            "1 000",
            "24:00x",
            "--1",
        ] {
            assert!(is_text(text), "{text:?}");
        }
        // No octal number, but a float.
        assert!(!is_text("08"));
        // Past a uint64 it still is a float.
        assert!(!is_text("18446744073709551616"));
    }
}
