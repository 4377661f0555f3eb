//! Protobuf messages of which a table tells the fields: read once, then printed as text or as JSON.
//!
//! | File | Holds |
//! |---|---|
//! | [`message`] | the tables: messages, fields, kinds, labels |
//! | [`tree`] | a message that was read: its fields, those of the messages in it |
//! | [`decode`] | bytes to a tree by a table, for bytes that anyone may have made |
//! | [`text`] | the compact text of golang/protobuf, which etcd's tools print |
//! | [`json`] | JSON by the names of protobuf's JSON mapping |
//!
//! Nothing here knows etcd or Kubernetes: how a field is shown beyond its type is an attribute in its table.

pub mod decode;
pub mod json;
pub mod message;
pub mod text;
pub mod tree;

#[cfg(test)]
mod tests;
