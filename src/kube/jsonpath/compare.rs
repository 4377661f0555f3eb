//! Comparisons of a filter. Source: `k8s.io/client-go/third_party/forked/golang/template/funcs.go`.

use std::cmp::Ordering;

use serde_json::Value;

use super::JsonPathError;
use super::eval::Found;

/// What can be compared at all.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
enum Basic<'v> {
    Bool(bool),
    Int(i64),
    Uint(u8),
    Float(f64),
    Text(&'v [u8]),
}

fn basic<'v>(found: &Found<'v>) -> Result<Basic<'v>, JsonPathError> {
    Ok(match found {
        Found::Json(Value::Bool(b)) => Basic::Bool(*b),
        Found::Json(Value::Number(n)) => match n.as_i64() {
            Some(n) => Basic::Int(n),
            None => Basic::Float(n.as_f64().unwrap_or_default()),
        },
        Found::Json(Value::String(text)) => Basic::Text(text.as_bytes()),
        Found::Text(text) => Basic::Text(text),
        Found::Int(n) => Basic::Int(*n),
        Found::Byte(n) => Basic::Uint(*n),
        Found::Float(n) => Basic::Float(*n),
        Found::Bool(b) => Basic::Bool(*b),
        Found::Json(_) | Found::Nothing => return Err(JsonPathError::new("invalid type for comparison")),
    })
}

/// How two values compare; `None` if they are of one kind and still in no order.
fn ordering(left: Basic<'_>, right: Basic<'_>) -> Result<Option<Ordering>, JsonPathError> {
    match (left, right) {
        (Basic::Int(a), Basic::Uint(b)) => Ok(Some(a.cmp(&b.into()))),
        (Basic::Uint(a), Basic::Int(b)) => Ok(Some(i64::from(a).cmp(&b))),
        (a, b) if std::mem::discriminant(&a) == std::mem::discriminant(&b) => Ok(a.partial_cmp(&b)),
        _ => Err(JsonPathError::new("incompatible types for comparison")),
    }
}

/// Whether the operator is true of both.
pub(super) fn compare(operator: &str, left: &Found<'_>, right: &Found<'_>) -> Result<bool, JsonPathError> {
    let (equality, ordered) = (matches!(operator, "==" | "!="), matches!(operator, "<" | ">" | "<=" | ">="));
    if !equality && !ordered {
        return Err(JsonPathError::new(format!("unrecognized filter operator {operator}")));
    }
    let (left, right) = (basic(left)?, basic(right)?);
    let order = ordering(left, right)?;
    if ordered && matches!(left, Basic::Bool(_)) {
        return Err(JsonPathError::new("invalid type for comparison"));
    }
    Ok(match operator {
        "==" => order == Some(Ordering::Equal),
        "!=" => order != Some(Ordering::Equal),
        "<" => order == Some(Ordering::Less),
        "<=" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        ">" => order == Some(Ordering::Greater),
        _ => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    })
}
