//! Protobuf messages of which a table tells the fields.

pub mod message;
