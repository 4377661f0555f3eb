//! What differs between two objects, field by field.
//!
//! Elements of a list are those that say so by their key, as Kubernetes merges lists (`patchMergeKey`,
//! `listMapKeys` of its types): containers by their name, conditions by their type. Where a key is missing, or is
//! there twice, elements are compared by their place.
//!
//! ```text
//! spec.template.spec.containers[0].image     a field; the place is that in the second object
//! metadata.labels["app.kubernetes.io/name"]  a name that is no word
//! ```

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::codec::go::go_quote;

/// By what the elements of a list are matched: the list's name, and the fields of the element. The first field must
/// be there.
const KEYS: [(&str, &[&str]); 15] = [
    ("addresses", &["type"]),
    ("conditions", &["type"]),
    ("hostAliases", &["ip"]),
    ("hostIPs", &["ip"]),
    ("managedFields", &["manager", "operation", "apiVersion", "subresource"]),
    ("ownerReferences", &["uid"]),
    ("podIPs", &["ip"]),
    ("ports", &["containerPort", "protocol"]),
    ("ports", &["port", "protocol"]),
    ("subjects", &["name", "kind", "namespace"]),
    ("taints", &["key", "effect"]),
    ("topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    ("volumeDevices", &["devicePath"]),
    ("volumeMounts", &["mountPath"]),
    // Any other list whose elements have names.
    ("", &["name"]),
];

/// One step of the way into an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathStep<'p> {
    /// Into a field of an object.
    Field(&'p str),
    /// Into an element of a list.
    Element(usize),
}

/// How one field differs.
///
/// Made of the first object one after the other, the differences give the second: elements of a list are first
/// removed, the last ones first, then brought into order, then added, and then changed at the places they have now.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldDelta<'v> {
    /// It is in the second only; an element at its place there.
    Added(&'v Value),
    /// It is in the first only; an element at its place there.
    Removed(&'v Value),
    /// It is in both.
    Changed(&'v Value, &'v Value),
    /// Elements that both lists have are in another order: for each its place among them before.
    Reordered(Vec<usize>),
}

/// The way as text.
#[must_use]
pub fn path_text(path: &[PathStep<'_>]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            PathStep::Element(at) => text.push_str(&format!("[{at}]")),
            PathStep::Field(name) if is_word(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(name);
            }
            PathStep::Field(name) => text.push_str(&format!("[{}]", go_quote(name.as_bytes()))),
        }
    }
    text
}

fn is_word(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'$'))
}

/// Hands out what differs, in order of the names; what is there on one side only is handed out as a whole.
///
/// ```
/// use coldbolt::kube::changes::fields::{FieldDelta, field_diff, path_text};
/// use serde_json::json;
///
/// let (a, b) = (json!({"spec": {"replicas": 1}}), json!({"spec": {"replicas": 2, "paused": true}}));
/// let mut found = Vec::new();
/// field_diff(a.as_object().unwrap(), b.as_object().unwrap(), &mut |path, delta| {
///     found.push((path_text(path), delta));
/// });
/// let (one, two, yes) = (json!(1), json!(2), json!(true));
/// assert_eq!(found, [
///     ("spec.paused".to_owned(), FieldDelta::Added(&yes)),
///     ("spec.replicas".to_owned(), FieldDelta::Changed(&one, &two)),
/// ]);
/// ```
pub fn field_diff<'v>(
    before: &'v Map<String, Value>,
    after: &'v Map<String, Value>,
    take: &mut dyn FnMut(&[PathStep<'v>], FieldDelta<'v>),
) {
    Walk { path: Vec::new(), take }.objects(before, after);
}

struct Walk<'w, 'v> {
    path: Vec<PathStep<'v>>,
    take: &'w mut dyn FnMut(&[PathStep<'v>], FieldDelta<'v>),
}

impl<'v> Walk<'_, 'v> {
    fn tell(&mut self, step: PathStep<'v>, delta: FieldDelta<'v>) {
        self.path.push(step);
        (self.take)(&self.path, delta);
        self.path.pop();
    }

    fn inside(&mut self, step: PathStep<'v>, before: &'v Value, after: &'v Value) {
        match (before, after) {
            (Value::Object(a), Value::Object(b)) => {
                self.path.push(step);
                self.objects(a, b);
                self.path.pop();
            }
            (Value::Array(a), Value::Array(b)) => {
                self.path.push(step);
                self.lists(a, b);
                self.path.pop();
            }
            (a, b) if a != b => self.tell(step, FieldDelta::Changed(a, b)),
            _ => {}
        }
    }

    fn objects(&mut self, before: &'v Map<String, Value>, after: &'v Map<String, Value>) {
        let mut fields: BTreeMap<&str, (Option<&Value>, Option<&Value>)> = BTreeMap::new();
        before.iter().for_each(|(name, value)| fields.entry(name).or_default().0 = Some(value));
        after.iter().for_each(|(name, value)| fields.entry(name).or_default().1 = Some(value));
        for (name, pair) in fields {
            let step = PathStep::Field(name);
            match pair {
                (Some(a), Some(b)) => self.inside(step, a, b),
                (Some(a), None) => self.tell(step, FieldDelta::Removed(a)),
                (None, Some(b)) => self.tell(step, FieldDelta::Added(b)),
                (None, None) => {}
            }
        }
    }

    fn lists(&mut self, before: &'v [Value], after: &'v [Value]) {
        let name = self.path.iter().rev().find_map(|step| match step {
            PathStep::Field(name) => Some(*name),
            PathStep::Element(_) => None,
        });
        let of_list = KEYS.iter().filter(|(list, _)| list.is_empty() || Some(*list) == name);
        let keys = of_list
            .filter_map(|(_, fields)| Some((keyed(before, fields)?, keyed(after, fields)?)))
            .find(|(a, b)| !a.is_empty() || !b.is_empty());
        match keys {
            Some((a, b)) => self.by_key(before, after, &a, &b),
            None => self.by_place(before, after),
        }
    }

    fn by_place(&mut self, before: &'v [Value], after: &'v [Value]) {
        let both = before.len().min(after.len());
        for (at, a) in before.iter().enumerate().skip(both).rev() {
            self.tell(PathStep::Element(at), FieldDelta::Removed(a));
        }
        for (at, b) in after.iter().enumerate().skip(both) {
            self.tell(PathStep::Element(at), FieldDelta::Added(b));
        }
        for (at, (a, b)) in before.iter().zip(after).enumerate() {
            self.inside(PathStep::Element(at), a, b);
        }
    }

    fn by_key(&mut self, before: &'v [Value], after: &'v [Value], a: &Keyed, b: &Keyed) {
        for (at, value) in before.iter().enumerate().rev() {
            if !a.is_in(at, b) {
                self.tell(PathStep::Element(at), FieldDelta::Removed(value));
            }
        }
        // Where those that stay were, in the order they have now.
        let stay: Vec<usize> = b.keys.iter().filter_map(|key| a.places.get(key).copied()).collect();
        if !stay.is_sorted() {
            let mut sorted = stay.clone();
            sorted.sort_unstable();
            let order = stay.iter().filter_map(|at| sorted.binary_search(at).ok()).collect();
            (self.take)(&self.path, FieldDelta::Reordered(order));
        }
        for (at, value) in after.iter().enumerate() {
            if !b.is_in(at, a) {
                self.tell(PathStep::Element(at), FieldDelta::Added(value));
            }
        }
        for (at, (key, value)) in b.keys.iter().zip(after).enumerate() {
            if let Some(was) = a.places.get(key).and_then(|at| before.get(*at)) {
                self.inside(PathStep::Element(at), was, value);
            }
        }
    }
}

/// The keys of a list's elements, each of which is there once.
struct Keyed {
    keys: Vec<String>,
    places: BTreeMap<String, usize>,
}

impl Keyed {
    fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    fn is_in(&self, at: usize, other: &Keyed) -> bool {
        self.keys.get(at).is_some_and(|key| other.places.contains_key(key))
    }
}

fn keyed(items: &[Value], fields: &[&str]) -> Option<Keyed> {
    let (mut keys, mut places) = (Vec::new(), BTreeMap::new());
    for (at, item) in items.iter().enumerate() {
        let key = element_key(item, fields)?;
        if places.insert(key.clone(), at).is_some() {
            return None;
        }
        keys.push(key);
    }
    Some(Keyed { keys, places })
}

/// The key of an element: its fields as text, one after the other.
fn element_key(item: &Value, fields: &[&str]) -> Option<String> {
    let mut key = String::new();
    for (n, field) in fields.iter().enumerate() {
        match item.get(field) {
            Some(Value::String(text)) => key.push_str(text),
            Some(Value::Number(number)) => key.push_str(&number.to_string()),
            None if n > 0 => {}
            _ => return None,
        }
        key.push('\0');
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(before: &Value, after: &Value) -> Vec<String> {
        let mut lines = Vec::new();
        field_diff(before.as_object().unwrap(), after.as_object().unwrap(), &mut |path, delta| {
            let path = path_text(path);
            lines.push(match delta {
                FieldDelta::Added(b) => format!("+ {path} {b}"),
                FieldDelta::Removed(a) => format!("- {path} {a}"),
                FieldDelta::Changed(a, b) => format!("~ {path} {a} {b}"),
                FieldDelta::Reordered(order) => format!("% {path} {order:?}"),
            });
        });
        lines
    }

    #[test]
    fn elements_are_matched_by_the_key_that_kubernetes_merges_their_list_by() {
        for (list, before, after, due) in [
            (
                "containers",
                json!([{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]),
                json!([{"name": "c"}, {"name": "b", "image": "2"}]),
                &[
                    "- containers[0] {\"name\":\"a\",\"image\":\"1\"}",
                    "+ containers[0] {\"name\":\"c\"}",
                    "~ containers[1].image \"1\" \"2\"",
                ][..],
            ),
            (
                "ports",
                json!([{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}]),
                json!([{"containerPort": 53, "protocol": "TCP", "name": "dns"}]),
                &["- ports[0] {\"containerPort\":53,\"protocol\":\"UDP\"}", "+ ports[0].name \"dns\""],
            ),
            (
                "conditions",
                json!([{"type": "A", "status": "True"}]),
                json!([{"type": "B", "status": "True"}, {"type": "A", "status": "False"}]),
                &[
                    "+ conditions[0] {\"type\":\"B\",\"status\":\"True\"}",
                    "~ conditions[1].status \"True\" \"False\"",
                ],
            ),
            (
                "ownerReferences",
                json!([{"uid": "1", "name": "x"}, {"uid": "2", "name": "x"}]),
                json!([{"uid": "2", "name": "x"}]),
                &["- ownerReferences[0] {\"uid\":\"1\",\"name\":\"x\"}"],
            ),
        ] {
            assert_eq!(lines(&json!({ list: before }), &json!({ list: after })), due, "{list}");
        }
    }

    #[test]
    fn elements_without_a_key_or_with_one_twice_are_compared_by_their_place() {
        for (before, after, due) in [
            (json!(["a", "b"]), json!(["b"]), &["- x[1] \"b\"", "~ x[0] \"a\" \"b\""][..]),
            (json!(["a"]), json!(["a", 1, {}]), &["+ x[1] 1", "+ x[2] {}"]),
            (
                json!([{"name": "a", "v": 1}, {"name": "a", "v": 2}]),
                json!([{"name": "a", "v": 2}]),
                &["- x[1] {\"name\":\"a\",\"v\":2}", "~ x[0].v 1 2"],
            ),
            (json!([[1]]), json!([[2]]), &["~ x[0][0] 1 2"]),
            (json!([{}]), json!([[]]), &["~ x[0] {} []"]),
        ] {
            assert_eq!(lines(&json!({ "x": before }), &json!({ "x": after })), due);
        }
    }

    #[test]
    fn another_order_of_the_same_elements_is_told_as_one() {
        let list =
            |names: &[&str]| json!({"env": names.iter().map(|n| json!({"name": n})).collect::<Vec<_>>()});
        assert_eq!(lines(&list(&["a", "b", "c"]), &list(&["c", "a", "b"])), ["% env [2, 0, 1]"]);
        let due = ["- env[1] {\"name\":\"b\"}", "% env [1, 0]", "+ env[1] {\"name\":\"d\"}"];
        assert_eq!(lines(&list(&["a", "b", "c"]), &list(&["c", "d", "a"])), due);
    }

    #[test]
    fn a_name_that_is_no_word_is_quoted() {
        let after =
            json!({"metadata": {"labels": {"a.b/c": "1", "d": "2", "": "3", "e\u{1b}]\"": "4"}}, "[0]": 1});
        let due = [
            r#"+ ["[0]"] 1"#,
            r#"+ metadata.labels[""] "3""#,
            r#"+ metadata.labels["a.b/c"] "1""#,
            r#"+ metadata.labels.d "2""#,
            r#"+ metadata.labels["e\x1b]\""] "4""#,
        ];
        assert_eq!(lines(&json!({"metadata": {"labels": {}}}), &after), due);
    }
}
