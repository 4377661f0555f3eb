//! The simple JSON paths that printer columns of custom resources have: `.spec.replicas`, `.spec.ports[0].name`,
//! `.status.conditions[?(@.type=="Ready")].status`, `.metadata.labels['a.b/c']`.

use serde_json::Value;

/// The first value at the path; `None` if there is none, or the path is of another form.
pub(super) fn find<'j>(root: &'j Value, path: &str) -> Option<&'j Value> {
    let (mut value, mut rest) = (root, path);
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (step, after) = bracket(inside)?;
            value = indexed(value, step)?;
            rest = after;
        } else {
            let name = rest.strip_prefix('.')?;
            let end = name.find(['.', '[']).unwrap_or(name.len());
            let (name, after) = name.split_at_checked(end)?;
            value = value.get(name)?;
            rest = after;
        }
    }
    Some(value)
}

/// What is inside a bracket that is open, and what is behind it; a quoted text may have brackets in it.
fn bracket(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, ']') => return Some((text.get(..at)?, text.get(at.checked_add(1)?..)?)),
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

fn indexed<'j>(value: &'j Value, step: &str) -> Option<&'j Value> {
    if let Some(test) = step.strip_prefix("?(@").and_then(|test| test.strip_suffix(')')) {
        let (path, due) = test.split_once("==")?;
        let due = unquoted(due.trim())?;
        return value
            .as_array()?
            .iter()
            .find(|item| find(item, path.trim()).and_then(Value::as_str) == Some(due));
    }
    match unquoted(step) {
        Some(name) => value.get(name),
        None if step == "*" => value.as_array()?.first(),
        None => value.get(step.parse::<usize>().ok()?),
    }
}

fn unquoted(text: &str) -> Option<&str> {
    let single = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    single.or_else(|| text.strip_prefix('"')?.strip_suffix('"'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_of_columns_lead_to_their_values_and_others_nowhere() {
        let root = json!({
            "spec": {"n": 3, "ports": [{"name": "a"}, {"name": "b"}]},
            "metadata": {"labels": {"a.b/c": "x", "q]": "y"}},
            "status": {"conditions": [{"type": "A", "status": "1"}, {"type": "Ready", "status": "True"}]},
        });
        for (path, due) in [
            (".spec.n", Some(json!(3))),
            (".spec.ports[1].name", Some(json!("b"))),
            (".spec.ports[*].name", Some(json!("a"))),
            (".metadata.labels['a.b/c']", Some(json!("x"))),
            (".metadata.labels['q]']", Some(json!("y"))),
            (r#".status.conditions[?(@.type=="Ready")].status"#, Some(json!("True"))),
            (r#".status.conditions[?(@.type=='None')].status"#, None),
            (".spec.ports[2]", None),
            (".spec.ports[", None),
            (".spec.ports[x]", None),
            ("spec", None),
            (".", None),
            (".spec..n", None),
        ] {
            assert_eq!(find(&root, path), due.as_ref(), "{path}");
        }
    }
}
