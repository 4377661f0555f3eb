//! Label selectors, as kubectl's `-l` takes them: `app=web,tier!=db,env in (a,b),!legacy,tries>3`.
//!
//! Source: `k8s.io/apimachinery/pkg/labels/selector.go`.

use serde_json::Value;

/// What labels must be like: all of these.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    /// Also true of what has no such label.
    NotIn(Vec<String>),
    Exists,
    Absent,
    /// True of what is a whole number and more.
    More(i64),
    Less(i64),
}

impl LabelSelector {
    /// Reads a selector; an empty one is true of everything.
    ///
    /// # Errors
    /// The part that is none.
    pub fn parse(text: &str) -> Result<LabelSelector, &str> {
        let mut requirements = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            // A comma inside brackets separates values.
            let bracket = rest.find('(').filter(|open| rest.find(',').is_none_or(|comma| *open < comma));
            let from =
                bracket.map_or(Some(0), |open| rest.get(open..)?.find(')')?.checked_add(open)).ok_or(rest)?;
            let end = rest
                .get(from..)
                .and_then(|tail| tail.find(','))
                .map_or(rest.len(), |at| at.saturating_add(from));
            let (part, tail) = rest.split_at_checked(end).ok_or(rest)?;
            requirements.push(Requirement::parse(part.trim()).ok_or(part)?);
            rest = tail.strip_prefix(',').unwrap_or_default();
            if rest.is_empty() && !tail.is_empty() {
                return Err(tail);
            }
        }
        Ok(LabelSelector { requirements })
    }

    /// Whether it is true of an object's `metadata.labels`.
    #[must_use]
    pub fn matches(&self, labels: Option<&Value>) -> bool {
        self.requirements.iter().all(|requirement| {
            let label = labels.and_then(|labels| labels.get(&requirement.key)?.as_str());
            let among =
                |values: &[String]| label.is_some_and(|label| values.iter().any(|value| value == label));
            match &requirement.test {
                Test::In(values) => among(values),
                Test::NotIn(values) => !among(values),
                Test::Exists => label.is_some(),
                Test::Absent => label.is_none(),
                Test::More(than) => number(label).is_some_and(|label| label > *than),
                Test::Less(than) => number(label).is_some_and(|label| label < *than),
            }
        })
    }
}

fn number(label: Option<&str>) -> Option<i64> {
    label?.parse().ok()
}

/// As long as the name of a label, or its value, may be; and the domain before a name.
const MAX_NAME: usize = 63;
const MAX_DOMAIN: usize = 253;

/// A name that begins and ends with a letter or a digit.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let ends = |c: char| c.is_ascii_alphanumeric();
    name.len() <= MAX_NAME && name.starts_with(ends) && name.ends_with(ends) && name.chars().all(plain)
}

/// The name of a label, with a domain before it or without.
fn is_key(key: &str) -> bool {
    let Some((domain, name)) = key.split_once('/') else { return is_name(key) };
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let part = |part: &str| {
        part.starts_with(ends) && part.ends_with(ends) && part.chars().all(|c| ends(c) || c == '-')
    };
    domain.len() <= MAX_DOMAIN && domain.split('.').all(part) && is_name(name)
}

impl Requirement {
    fn parse(part: &str) -> Option<Requirement> {
        let key = |key: &str| is_key(key).then(|| key.to_owned());
        let value = |value: &str| (value.is_empty() || is_name(value)).then(|| value.to_owned());
        if let Some(absent) = part.strip_prefix('!') {
            return Some(Requirement { key: key(absent.trim())?, test: Test::Absent });
        }
        if let Some((head, list)) = part.split_once('(') {
            let values = list.trim_end().strip_suffix(')')?.split(',').map(|item| value(item.trim()));
            let values = values.collect::<Option<Vec<_>>>()?;
            let (name, word) = head.trim_end().rsplit_once(char::is_whitespace)?;
            let test = match word {
                "in" => Test::In(values),
                "notin" => Test::NotIn(values),
                _ => return None,
            };
            return Some(Requirement { key: key(name.trim())?, test });
        }
        let equal = |(name, text): (&str, &str), test: fn(Vec<String>) -> Test| {
            Some(Requirement { key: key(name.trim())?, test: test(vec![value(text.trim())?]) })
        };
        if let Some(parts) = part.split_once("!=") {
            return equal(parts, Test::NotIn);
        }
        if let Some(at) = part.find(['>', '<']) {
            let (name, rest) = part.split_at_checked(at)?;
            let than = value(rest.get(1..)?.trim())?.parse().ok()?;
            let test = if rest.starts_with('>') { Test::More(than) } else { Test::Less(than) };
            return Some(Requirement { key: key(name.trim())?, test });
        }
        match part.split_once("==").or_else(|| part.split_once('=')) {
            Some(parts) => equal(parts, Test::In),
            None => Some(Requirement { key: key(part)?, test: Test::Exists }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_selector_is_true_of_what_kubectl_selects_with_it() {
        let labels = json!({"app": "web", "tier": "db", "empty": "", "a.b/c": "1"});
        for (selector, due) in [
            ("", true),
            ("app=web", true),
            ("app==web", true),
            ("app=db", false),
            ("app!=db", true),
            ("none!=db", true),
            ("app", true),
            ("none", false),
            ("!none", true),
            ("! app", false),
            ("app in (web, db),tier in (db)", true),
            ("app notin (web)", false),
            ("none notin (web)", true),
            ("empty=", true),
            ("empty in ()", true),
            ("a.b/c=1,app,tier!=x", true),
            ("app=web,tier=x", false),
        ] {
            assert_eq!(LabelSelector::parse(selector).unwrap().matches(Some(&labels)), due, "{selector}");
        }
        assert!(!LabelSelector::parse("app").unwrap().matches(None));
    }

    #[test]
    fn what_is_no_selector_is_named() {
        for (text, part) in [
            ("a=b,", ","),
            ("a=b,=c", "=c"),
            ("a in b", "a in b"),
            ("a in (b", "a in (b"),
            ("a (b)", "a (b)"),
            (",", ""),
            ("a=b c", "a=b c"),
        ] {
            assert_eq!(LabelSelector::parse(text), Err(part), "{text}");
        }
    }
}
