//! What the columns have in common: how values of an object are looked up and written.

use jiff::Timestamp;
use serde_json::{Map, Value};

pub(super) type Json = Map<String, Value>;

/// What kubectl writes for nothing.
pub(super) const NONE: &str = "<none>";
pub(super) const UNSET: &str = "<unset>";
pub(super) const UNKNOWN: &str = "<unknown>";

/// The value at a path, as `spec.type`; `null` is none.
pub(super) fn at<'j>(json: &'j Json, path: &str) -> Option<&'j Value> {
    let mut steps = path.split('.');
    let first = json.get(steps.next()?)?;
    steps.try_fold(first, |value, step| value.get(step)).filter(|value| !value.is_null())
}

/// The text at a path; empty if there is none.
pub(super) fn text<'j>(json: &'j Json, path: &str) -> &'j str {
    at(json, path).and_then(Value::as_str).unwrap_or_default()
}

/// The same of a value inside.
pub(super) fn text_in<'j>(value: &'j Value, name: &str) -> &'j str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The number at a path; 0 if there is none.
pub(super) fn number(json: &Json, path: &str) -> i64 {
    at(json, path).and_then(Value::as_i64).unwrap_or_default()
}

/// The list at a path; empty if there is none.
pub(super) fn list<'j>(json: &'j Json, path: &str) -> &'j [Value] {
    at(json, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The same of a value inside.
pub(super) fn list_in<'j>(value: &'j Value, name: &str) -> &'j [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// How many entries the object or list at a path has.
pub(super) fn entries(json: &Json, path: &str) -> usize {
    match at(json, path) {
        Some(Value::Object(map)) => map.len(),
        Some(Value::Array(items)) => items.len(),
        _ => 0,
    }
}

/// Of the conditions in its status, the one of that type.
pub(super) fn condition<'j>(json: &'j Json, kind: &str) -> Option<&'j Value> {
    list(json, "status.conditions").iter().find(|condition| text_in(condition, "type") == kind)
}

/// Whether it is there, and true.
pub(super) fn is_true(json: &Json, kind: &str) -> bool {
    condition(json, kind).is_some_and(|condition| text_in(condition, "status") == "True")
}

/// A text, or what stands for none.
pub(super) fn or(text: &str, none: &str) -> String {
    if text.is_empty() { none.to_owned() } else { text.to_owned() }
}

/// Labels as `a=b,c=d`.
pub(super) fn labels(labels: Option<&Value>) -> String {
    let Some(Value::Object(map)) = labels else { return NONE.to_owned() };
    let mut pairs: Vec<_> =
        map.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    pairs.sort();
    or(&pairs.join(","), NONE)
}

/// A label selector as `kubectl` writes it: `a=b,c in (d,e),!f`.
pub(super) fn selector(selector: Option<&Value>) -> String {
    let Some(selector) = selector else { return NONE.to_owned() };
    let mut parts: Vec<(String, String)> = Vec::new();
    if let Some(Value::Object(map)) = selector.get("matchLabels") {
        for (key, value) in map {
            parts.push((key.clone(), format!("{key}={}", value.as_str().unwrap_or_default())));
        }
    }
    for expression in list_in(selector, "matchExpressions") {
        let key = text_in(expression, "key");
        let mut values: Vec<&str> = list_in(expression, "values").iter().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let values = values.join(",");
        let text = match text_in(expression, "operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        };
        parts.push((key.to_owned(), text));
    }
    parts.sort_by(|a, b| a.0.cmp(&b.0));
    let parts: Vec<_> = parts.into_iter().map(|(_, text)| text).collect();
    or(&parts.join(","), NONE)
}

/// The first three, and how many more there are.
pub(super) fn at_most_three(all: impl Iterator<Item = String>, none: &str) -> String {
    let all: Vec<String> = all.collect();
    match all.split_at_checked(3) {
        Some((shown, more)) if !more.is_empty() => format!("{} + {} more...", shown.join(","), more.len()),
        _ => or(&all.join(","), none),
    }
}

/// The time at a path.
pub(super) fn time(json: &Json, path: &str) -> Option<Timestamp> {
    text(json, path).parse().ok()
}

/// How long before `now` that was.
pub(super) fn since(then: Option<Timestamp>, now: Timestamp) -> String {
    then.map_or_else(|| UNKNOWN.to_owned(), |then| human(now.duration_since(then).as_secs()))
}

/// A duration as `k8s.io/apimachinery/pkg/util/duration.HumanDuration` writes it.
pub(super) fn human(seconds: i64) -> String {
    let by = |n: i64, unit: i64| {
        (n.checked_div(unit).unwrap_or_default(), n.checked_rem(unit).unwrap_or_default())
    };
    let with = |(whole, rest): (i64, i64), unit: &str, lesser: &str| {
        if rest == 0 { format!("{whole}{unit}") } else { format!("{whole}{unit}{rest}{lesser}") }
    };
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    if seconds < 0 {
        return "0s".to_owned();
    }
    let (minutes, hours) = (by(seconds, 60).0, by(seconds, 3600).0);
    let days = by(hours, 24).0;
    match (seconds, minutes, hours) {
        (..120, ..) => format!("{seconds}s"),
        (_, ..10, _) => with(by(seconds, 60), "m", "s"),
        (_, ..180, _) => format!("{minutes}m"),
        (_, _, ..8) => with(by(minutes, 60), "h", "m"),
        (_, _, ..48) => format!("{hours}h"),
        (_, _, ..192) => with(by(hours, 24), "d", "h"),
        _ if days < 365 * 2 => format!("{days}d"),
        _ if days < 365 * 8 => with(by(days, 365), "y", "d"),
        _ => format!("{}y", by(days, 365).0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_as_coarse_as_kubectl_has_them() {
        for (seconds, due) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (119, "119s"),
            (120, "2m"),
            (136, "2m16s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (10_860, "3h1m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (176_400, "2d1h"),
            (691_200, "8d"),
            (63_072_000, "2y"),
            (63_158_400, "2y1d"),
            (252_288_000, "8y"),
        ] {
            assert_eq!(human(seconds), due);
        }
    }
}
