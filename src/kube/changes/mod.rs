//! What changed: in an object, between two keyspaces, and from version to version of an object.

pub mod fields;
pub mod found;
pub mod history;
pub mod noise;
pub mod objects;
