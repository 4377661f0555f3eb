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
    pub(super) device: u64,
    pub(super) inode: u64,
    /// Length in bytes.
    pub len: u64,
    /// Modification time: seconds since 1970 and nanoseconds.
    pub modified: (i64, i64),
}

#[cfg(feature = "fs")]
impl Stamp {
    pub(super) fn of(m: &std::fs::Metadata) -> Stamp {
        use std::os::unix::fs::MetadataExt;
        Stamp { device: m.dev(), inode: m.ino(), len: m.len(), modified: (m.mtime(), m.mtime_nsec()) }
    }
}
