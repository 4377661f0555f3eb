//! A template and an object to what is found. Source: `k8s.io/client-go/util/jsonpath/jsonpath.go`.

use serde_json::Value;

use super::compare::compare;
use super::found::{Found, JsonPathError};
use super::parse::{Filter, Node, Param};
use crate::codec::to_u64;

/// Ranges within ranges. Go has no bound.
const MAX_RANGES: usize = 64;

/// Steps that any template may take, or a path for a cell of a table, and how many more for each value of the object.
pub(super) const STEPS: u64 = 1_000_000;
pub(super) const STEPS_FOR_A_CELL: u64 = 10_000;
const STEPS_EACH: u64 = 64;

/// As much of a value as an error shows.
const SHOWN: usize = 1000;

type Values<'j> = Vec<Found<'j>>;
type Walked<'j> = Result<Values<'j>, Stop<'j>>;

/// Why a walk ended.
struct Stop<'j> {
    why: JsonPathError,
    /// What it had come to. A filter that asks whether there is something takes these for an answer; `None` if it is
    /// one of our own bounds, which end everything.
    values: Option<Values<'j>>,
}

impl From<Stop<'_>> for JsonPathError {
    fn from(stop: Stop<'_>) -> JsonPathError {
        stop.why
    }
}

fn stop<'j, T>(what: impl Into<String>, values: &[Found<'j>]) -> Result<T, Stop<'j>> {
    Err(Stop { why: JsonPathError::new(what), values: Some(values.to_vec()) })
}

fn bound<'j, T>(what: impl Into<String>) -> Result<T, Stop<'j>> {
    Err(Stop { why: JsonPathError::new(what), values: None })
}

pub(super) struct Evaluation<'j> {
    nodes: &'j [Node],
    allow_missing: bool,
    /// Ranges that begin with the node that is looked at.
    begins: usize,
    /// Ranges that it is in.
    ranges: usize,
    /// Ranges that end with it.
    ends: usize,
    /// Where the last one ended.
    last_end: Option<usize>,
    steps: u64,
}

impl<'j> Evaluation<'j> {
    pub(super) fn new(nodes: &'j [Node], allow_missing: bool, object: &Value, steps: u64) -> Evaluation<'j> {
        let steps = steps.saturating_add(size(object).saturating_mul(STEPS_EACH));
        Evaluation { nodes, allow_missing, begins: 0, ranges: 0, ends: 0, last_end: None, steps }
    }

    pub(super) fn run(mut self, root: Found<'j>) -> Result<Vec<Values<'j>>, JsonPathError> {
        let mut found = Vec::new();
        self.from(0, root, &mut found)?;
        Ok(found)
    }

    fn spend(&mut self, steps: usize) -> Result<(), Stop<'j>> {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        match self.steps.checked_sub(steps) {
            Some(left) => self.steps = left,
            None => return bound("the template takes too many steps for an object of this size"),
        }
        Ok(())
    }

    /// Evaluates the nodes from one on, to the end of the range that they are in.
    fn from(&mut self, first: usize, value: Found<'j>, found: &mut Vec<Values<'j>>) -> Result<(), Stop<'j>> {
        let nodes = self.nodes;
        let mut at = first;
        while let Some(node) = nodes.get(at) {
            let results = self.walk(vec![value], node)?;
            if self.ends > 0 && self.ends <= self.ranges {
                self.ends = self.ends.saturating_sub(1);
                self.last_end = Some(at);
                break;
            }
            let next = at.saturating_add(1);
            if self.begins == 0 {
                found.push(results);
                at = next;
                continue;
            }
            self.begins = self.begins.saturating_sub(1);
            self.ranges = self.ranges.saturating_add(1);
            if self.ranges > MAX_RANGES {
                return bound(format!("ranges within ranges are more than {MAX_RANGES} deep"));
            }
            if results.is_empty() {
                // To know where the range ends.
                self.from(next, Found::Nothing, &mut Vec::new())?;
            }
            for result in results {
                let value = if result.is_null() { Found::Nothing } else { result };
                self.from(next, value, found)?;
            }
            self.ranges = self.ranges.saturating_sub(1);
            // A range that has no end: what is behind its begin is evaluated once more.
            at = self.last_end.filter(|end| *end >= next).map_or(next, |end| end.saturating_add(1));
        }
        Ok(())
    }

    fn walk(&mut self, input: Values<'j>, node: &'j Node) -> Walked<'j> {
        self.spend(input.len().saturating_add(1))?;
        let each = |value| input.iter().map(|_| value).collect();
        Ok(match node {
            Node::List(nodes) => return self.list(input, nodes),
            Node::Text(text) => vec![Found::Text(text)],
            Node::Field(name) => return self.field(&input, name),
            Node::Array(params) => return array(&input, params),
            Node::Filter(filter) => return self.filter(&input, filter),
            Node::Int(n) => each(Found::Int(*n)),
            Node::Float(n) => each(Found::Float(*n)),
            Node::Bool(b) => each(Found::Bool(*b)),
            Node::Wildcard => input.iter().flat_map(Found::inside).collect(),
            Node::Recursive => return self.recursive(&input),
            Node::Union(lists) => {
                let mut all = Vec::new();
                for nodes in lists {
                    match self.list(input.clone(), nodes) {
                        Ok(found) => all.extend(found),
                        Err(stop) => return Err(stop.at(&input)),
                    }
                }
                all
            }
            Node::Identifier(name) => match &**name {
                "range" => {
                    self.begins = self.begins.saturating_add(1);
                    input
                }
                "end" if self.ranges > 0 => {
                    self.ends = self.ends.saturating_add(1);
                    Vec::new()
                }
                "end" => return stop("not in range, nothing to end", &[]),
                other => return stop(format!("unrecognized identifier {other}"), &input),
            },
        })
    }

    fn list(&mut self, mut values: Values<'j>, nodes: &'j [Node]) -> Walked<'j> {
        for node in nodes {
            values = self.walk(values, node)?;
        }
        Ok(values)
    }

    fn field(&self, input: &[Found<'j>], name: &str) -> Walked<'j> {
        let of = |value: &Found<'j>| match value {
            Found::Json(Value::Object(map)) => map.get(name).map(Found::Json),
            _ => None,
        };
        let found: Values<'j> = input.iter().filter_map(of).collect();
        match found.is_empty() && !input.is_empty() && !self.allow_missing {
            true => stop(format!("{name} is not found"), &[]),
            false => Ok(found),
        }
    }

    /// All that has something inside, each before what is in it.
    fn recursive(&mut self, input: &[Found<'j>]) -> Walked<'j> {
        let mut found = Vec::new();
        for value in input {
            let inside = value.inside();
            if !inside.is_empty() {
                self.spend(inside.len().saturating_add(1))?;
                found.push(*value);
                found.extend(self.recursive(&inside)?);
            }
        }
        Ok(found)
    }

    fn filter(&mut self, input: &[Found<'j>], filter: &'j Filter) -> Walked<'j> {
        let mut found = Vec::new();
        for value in input {
            let Found::Json(Value::Array(items)) = value else {
                let shown = match value {
                    Found::Nothing => "<invalid reflect.Value>".to_owned(),
                    other => String::from_utf8_lossy(&other.go_text()).chars().take(SHOWN).collect(),
                };
                return stop(format!("{shown} is not array or slice and cannot be filtered"), input);
            };
            for item in items {
                let item = Found::Json(item);
                match self.operands(item, filter).map_err(|stop| stop.at(input))? {
                    Operands::None => {}
                    Operands::Exist => found.push(item),
                    Operands::Two(left, right) => match compare(&filter.operator, &left, &right) {
                        Ok(true) => found.push(item),
                        Ok(false) => {}
                        Err(why) => return Err(Stop { why, values: Some(found) }),
                    },
                }
            }
        }
        Ok(found)
    }

    fn operands(&mut self, item: Found<'j>, filter: &'j Filter) -> Result<Operands<'j>, Stop<'j>> {
        self.spend(1)?;
        let lefts = self.list(vec![item], &filter.left);
        if filter.operator == "exists" {
            let lefts = match lefts {
                Ok(lefts) | Err(Stop { values: Some(lefts), .. }) => lefts,
                Err(bound) => return Err(bound),
            };
            return Ok(if lefts.is_empty() { Operands::None } else { Operands::Exist });
        }
        let single = |values: Values<'j>| match *values {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            _ => stop("can only compare one element at a time", &[]),
        };
        let Some(left) = single(lefts?)? else { return Ok(Operands::None) };
        let rights = self.list(vec![item], &filter.right)?;
        Ok(single(rights)?.map_or(Operands::None, |right| Operands::Two(left, right)))
    }
}

/// What a filter has of an item.
enum Operands<'j> {
    None,
    Exist,
    Two(Found<'j>, Found<'j>),
}

impl<'j> Stop<'j> {
    /// The same, of a walk that ends with these values.
    fn at(self, values: &[Found<'j>]) -> Stop<'j> {
        Stop { values: self.values.map(|_| values.to_vec()), ..self }
    }
}

fn array<'j>(input: &[Found<'j>], params: &[Param; 3]) -> Walked<'j> {
    let mut found = Vec::new();
    for value in input.iter().filter(|value| !value.is_null()) {
        let Found::Json(Value::Array(items)) = value else {
            return stop(format!("{} is not array or slice", value.type_name()), input);
        };
        let len = i64::try_from(items.len()).unwrap_or(i64::MAX);
        let [from, to, step] = params;
        let from = match from {
            Param { known: false, .. } => 0,
            Param { value, .. } if *value < 0 => value.wrapping_add(len),
            Param { value, .. } => *value,
        };
        let to = match to {
            Param { known: false, .. } => len,
            Param { value, derived, .. } if *value < 0 || *value == 0 && *derived => value.wrapping_add(len),
            Param { value, .. } => *value,
        };
        if from == to {
            // What other lists have is lost here too.
            return Ok(found);
        }
        if from >= len || from < 0 {
            return stop(format!("array index out of bounds: index {from}, length {len}"), input);
        }
        if to > len || to < 0 {
            return stop(
                format!("array index out of bounds: index {}, length {len}", to.wrapping_sub(1)),
                input,
            );
        }
        if from > to {
            return stop(format!("starting index {from} is greater than ending index {to}"), input);
        }
        if step.known && step.value <= 0 {
            return stop("step must be > 0", input);
        }
        let step = if step.known { usize::try_from(step.value).unwrap_or(usize::MAX) } else { 1 };
        let (from, to) = (usize::try_from(from).unwrap_or(0), usize::try_from(to).unwrap_or(0));
        found.extend(items.get(from..to).unwrap_or_default().iter().step_by(step).map(Found::Json));
    }
    Ok(found)
}

/// How many values there are, and bytes of texts and names.
pub(super) fn size(value: &Value) -> u64 {
    let bytes = |text: &str| to_u64(text.len());
    let inside = match value {
        Value::Array(items) => items.iter().map(size).fold(0, u64::saturating_add),
        Value::Object(map) => {
            let sizes = map.iter().map(|(name, value)| bytes(name).saturating_add(size(value)));
            sizes.fold(0, u64::saturating_add)
        }
        Value::String(text) => bytes(text),
        _ => 0,
    };
    inside.saturating_add(1)
}
