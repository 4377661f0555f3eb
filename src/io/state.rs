//! What is known of an input besides its bytes: whether somebody holds its lock, and which state of it was read.

/// Whether some process holds a file's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lock {
    /// Nobody holds it.
    Free,
    /// A process holds it: etcd is running on this file.
    Held,
    /// The file system does not tell.
    Unknown,
}

/// What identifies one state of a file: if it differs afterwards, the file changed under us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Device and inode, or what is instead of them.
    pub(super) identity: (u64, u64),
    /// Length in bytes.
    pub len: u64,
    /// Modification time: seconds since 1970 and nanoseconds.
    pub modified: (i64, i64),
}
