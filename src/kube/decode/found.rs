//! What is told of an object beside its fields, and how it may be decoded.

/// A field that no message is known to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownField {
    /// The message it is in, as `spec.containers[0]`, or `data["a"]` for a value in a map and `data{"a"}` for what has
    /// its key and the value; empty for the object itself.
    pub path: String,
    /// Its number.
    pub number: u32,
    /// Its wire type: 0 a varint, 1 eight bytes, 2 bytes, 3 a group, 5 four bytes.
    pub wire: u8,
    /// Its value: of a varint 8 bytes, little-endian.
    pub bytes: Vec<u8>,
}

impl UnknownField {
    /// Whether it is as good as none: Go's types of some other version write each of their fields, be it empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.iter().all(|byte| *byte == 0) && (self.wire != 2 || self.bytes.is_empty())
    }
}

/// Something in an object that could not be shown as what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Where.
    pub path: String,
    /// What it is, and how it is shown.
    pub what: &'static str,
}

/// Options of decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DecodeOptions {
    /// Print what Go's types print up to Kubernetes 1.33: a creation time that is not set is null.
    pub null_times: bool,
    /// Leave out who manages which fields, half of many an object, as
    /// [`hide_managed_fields`](crate::kube::serve::hide_managed_fields) does: of protobuf, where it saves time.
    pub without_managed_fields: bool,
}
