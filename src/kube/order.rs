//! In which order objects come that are sorted by a field.
//!
//! Those that do not have it come first. Texts that are quantities both (`100Mi`, `2`) compare as such. Source:
//! `k8s.io/kubectl/pkg/cmd/get/sorter.go`, `k8s.io/apimachinery/pkg/api/resource`.

use std::cmp::Ordering;

use serde_json::Value;

use super::jsonpath::{Found, JsonPath, JsonPathError, relaxed};

/// A field to sort by.
#[derive(Debug, Clone, PartialEq)]
pub struct SortField {
    template: String,
    path: JsonPath,
}

/// What objects are sorted by.
#[derive(Debug, Clone, PartialEq)]
pub enum SortKey {
    /// The field is not there, or null.
    None,
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// A text.
    Text(String),
    /// What has no order, with the name of its type in Go.
    Unsortable(&'static str),
}

impl SortField {
    /// Reads a path: `.metadata.name`, `{.metadata.name}`, `metadata.name`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<SortField, JsonPathError> {
        let template = relaxed(text)?;
        Ok(SortField { path: JsonPath::parse(&template)?, template })
    }

    /// The template that it stands for.
    #[must_use]
    pub fn template(&self) -> &str {
        &self.template
    }

    /// What an object is sorted by; and whether it has the field.
    ///
    /// # Errors
    /// If the object is none for this path.
    pub fn key(&self, object: &Value) -> Result<(SortKey, bool), JsonPathError> {
        let found = self.path.find(object)?;
        let Some(first) = found.first().and_then(|found| found.first()) else {
            return Ok((SortKey::None, false));
        };
        let key = match first {
            Found::Json(Value::Null) | Found::Nothing => SortKey::None,
            Found::Json(Value::String(text)) => SortKey::Text(text.clone()),
            Found::Json(Value::Number(n)) => match n.as_i64() {
                Some(n) => SortKey::Int(n),
                None => SortKey::Float(n.as_f64().unwrap_or_default()),
            },
            Found::Text(text) => SortKey::Text(String::from_utf8_lossy(text).into_owned()),
            Found::Int(n) => SortKey::Int(*n),
            Found::Byte(n) => SortKey::Int((*n).into()),
            Found::Float(n) => SortKey::Float(*n),
            Found::Bool(_) | Found::Json(Value::Bool(_)) => SortKey::Unsortable("bool"),
            Found::Json(Value::Array(_)) => SortKey::Unsortable("[]interface {}"),
            Found::Json(Value::Object(_)) => SortKey::Unsortable("map[string]interface {}"),
        };
        Ok((key, true))
    }
}

impl SortKey {
    /// The order of two; `None` if they have none.
    #[must_use]
    pub fn order(&self, other: &SortKey) -> Option<Ordering> {
        match (self, other) {
            (SortKey::None, SortKey::None) => Some(Ordering::Equal),
            (SortKey::None, _) => Some(Ordering::Less),
            (_, SortKey::None) => Some(Ordering::Greater),
            (SortKey::Int(a), SortKey::Int(b)) => Some(a.cmp(b)),
            (SortKey::Float(a), SortKey::Float(b)) => Some(a.total_cmp(b)),
            (SortKey::Text(a), SortKey::Text(b)) => Some(match (quantity(a), quantity(b)) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => a.cmp(b),
            }),
            _ => None,
        }
    }
}

/// A quantity in billionths, rounded up as Kubernetes does; larger ones than it can hold are the largest.
fn quantity(text: &str) -> Option<i128> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at_checked(end)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if part.contains('.') || whole.is_empty() && part.is_empty() {
        return None;
    }
    let (base, exponent): (i128, i32) = match suffix {
        "n" => (10, -9),
        "u" => (10, -6),
        "m" => (10, -3),
        "" => (10, 0),
        "k" => (10, 3),
        "M" => (10, 6),
        "G" => (10, 9),
        "T" => (10, 12),
        "P" => (10, 15),
        "E" => (10, 18),
        "Ki" => (2, 10),
        "Mi" => (2, 20),
        "Gi" => (2, 30),
        "Ti" => (2, 40),
        "Pi" => (2, 50),
        "Ei" => (2, 60),
        other => (10, other.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    let digits = format!("{whole}{part}");
    let digits = digits.trim_start_matches('0');
    let value: Option<i128> = if digits.is_empty() { Some(0) } else { digits.parse().ok() };
    let scale = i32::try_from(part.len()).ok()?;
    let tens = if base == 10 { exponent } else { 0 }.saturating_add(9).saturating_sub(scale);
    let scaled = value.and_then(|value| {
        let value =
            if base == 2 { value.checked_mul(2i128.checked_pow(exponent.try_into().ok()?)?)? } else { value };
        match u32::try_from(tens) {
            _ if value == 0 => Some(0),
            Ok(tens) => value.checked_mul(10i128.checked_pow(tens)?),
            Err(_) => {
                let by = 10i128.checked_pow(tens.unsigned_abs());
                // Less than a billionth of anything is a billionth.
                by.map_or(Some(1), |by| {
                    Some(value.checked_div(by)?.saturating_add((value.checked_rem(by)? != 0).into()))
                })
            }
        }
    });
    let magnitude = scaled.unwrap_or(i128::MAX);
    Some(if text.starts_with('-') { magnitude.saturating_neg() } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_compare_by_what_they_are_worth_and_other_texts_by_their_bytes() {
        let text = |text: &str| SortKey::Text(text.to_owned());
        for (less, more) in [
            ("9", "10"),
            ("100Mi", "1Gi"),
            ("999M", "1Gi"),
            ("-1", "1m"),
            ("1e3", "1001"),
            ("0.1", "101m"),
            ("10a", "9a"),
            ("2026-11-28T06:34:49Z", "2026-11-28T06:34:50Z"),
        ] {
            assert_eq!(text(less).order(&text(more)), Some(Ordering::Less), "{less} {more}");
            assert_eq!(text(more).order(&text(less)), Some(Ordering::Greater), "{less} {more}");
        }
        assert_eq!(text("1000m").order(&text("1")), Some(Ordering::Equal));
        assert_eq!(SortKey::Int(1).order(&SortKey::Float(1.0)), None);
        assert_eq!(quantity("1..2").or(quantity("")).or(quantity("Ki")).or(quantity("1e")), None);
    }
}
