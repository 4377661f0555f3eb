//! Which columns a kind has.

use jiff::Timestamp;

use super::values::{Json, since, text, time};
use super::{control, network, others, storage, workloads};

/// What a cell is made with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around {
    /// What ages are counted to.
    pub now: Timestamp,
}

/// A column: its name, whether only the wide table has it, and its cell.
pub(super) struct Column {
    pub name: &'static str,
    pub wide: bool,
    pub value: Cell,
}

pub(super) type Cell = fn(&Json, Around) -> String;

pub(super) const fn column(name: &'static str, value: Cell) -> Column {
    Column { name, wide: false, value }
}

pub(super) const fn wide(name: &'static str, value: Cell) -> Column {
    Column { name, wide: true, value }
}

/// How old it is.
pub(super) const AGE: Column = column("AGE", |json, around| age(json, around));

fn age(json: &Json, around: Around) -> String {
    since(time(json, "metadata.creationTimestamp"), around.now)
}

/// When it was created.
pub(super) const CREATED_AT: Column =
    column("CREATED AT", |json, _| text(json, "metadata.creationTimestamp").to_owned());

const ONLY_AGE: &[Column] = &[AGE];

/// The columns of a kind, behind its name.
pub(super) fn of_kind(group: &str, kind: &str) -> &'static [Column] {
    let found = [workloads::of_kind, network::of_kind, storage::of_kind, control::of_kind, others::of_kind];
    found.iter().find_map(|of_kind| of_kind(group, kind)).unwrap_or(ONLY_AGE)
}
