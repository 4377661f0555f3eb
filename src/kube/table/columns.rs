//! What a column is.

use jiff::Timestamp;

use super::values::{Json, since, text, time};

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
pub(super) const AGE: Column = column("AGE", age);

fn age(json: &Json, around: Around) -> String {
    since(time(json, "metadata.creationTimestamp"), around.now)
}

/// When it was created.
pub(super) const CREATED_AT: Column =
    column("CREATED AT", |json, _| text(json, "metadata.creationTimestamp").to_owned());
