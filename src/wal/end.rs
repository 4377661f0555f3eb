//! How the records of a segment end, and what etcd does with such an end.

use super::frame::MAX_RECORD_BEFORE_3_5_5;
use crate::words::error::Corrupt;

/// How the records of a segment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The file ends where a frame would begin: a finished segment.
    CleanEof,
    /// A length word of zero: the preallocated rest of a segment in use.
    ZeroWord,
    /// The last write of the log was cut off. Only the last segment ends so.
    Torn(Torn),
    /// What follows is not a record that etcd wrote.
    Damaged(Box<Corrupt>),
}

/// A record that was cut off while it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// Where its frame begins: the end of what is good.
    pub offset: u64,
    /// How it shows.
    pub reason: TornReason,
}

/// How a cut-off record shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TornReason {
    /// Fewer than the 8 bytes of a length word are left.
    LengthWord {
        /// Bytes that are left.
        left: u64,
    },
    /// The length is more than the file has left.
    LengthBeyondEnd {
        /// The record's length by its length word.
        record: u64,
        /// The padding by its length word.
        padding: u64,
        /// Bytes left in the file, from the length word on, less the padding: etcd's limit.
        limit: u64,
        /// The length of the file.
        file: u64,
    },
    /// The record fits, but not with its length word and padding.
    Short {
        /// Bytes wanted after the length word.
        wanted: u64,
        /// Bytes that are left there.
        left: u64,
    },
    /// A 512-byte sector of it is all zeros, and it does not decode.
    ZeroSectorUndecodable,
    /// A 512-byte sector of it is all zeros, and its checksum is wrong.
    ZeroSectorChecksum {
        /// The checksum in the record.
        stored: u32,
        /// The checksum the chain gives.
        computed: u32,
    },
}

/// What etcd does at boot with the end of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtBoot {
    /// Starts.
    Starts,
    /// Copies the segment to `.broken`, cuts it at the last whole record, starts.
    Repairs,
    /// Does not start.
    Refuses,
}

impl Torn {
    /// What etcd does with it, by version.
    #[must_use]
    pub fn at_boot(&self) -> &'static [(&'static str, AtBoot)] {
        match self.reason {
            TornReason::LengthBeyondEnd { record, padding, .. }
                if record >= MAX_RECORD_BEFORE_3_5_5.saturating_sub(padding) =>
            {
                &[("3.4.0 to 3.5.6", AtBoot::Refuses), ("3.5.7 and newer", AtBoot::Repairs)]
            }
            TornReason::LengthBeyondEnd { .. } => &[
                ("3.4.0 to 3.5.4", AtBoot::Repairs),
                ("3.5.5 and 3.5.6", AtBoot::Refuses),
                ("3.5.7 and newer", AtBoot::Repairs),
            ],
            _ => &[("every version", AtBoot::Repairs)],
        }
    }
}

impl std::fmt::Display for Torn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.reason {
            TornReason::LengthWord { left } => {
                write!(f, "the last record is cut off: {left} of the 8 bytes of its length are there")
            }
            TornReason::LengthBeyondEnd { record, limit, .. } => {
                write!(
                    f,
                    "the last record is cut off: {record} bytes long, {limit} bytes are left in the file"
                )
            }
            TornReason::Short { wanted, left } => {
                write!(f, "the last record is cut off: {left} of its {wanted} bytes are there")
            }
            TornReason::ZeroSectorUndecodable => {
                write!(
                    f,
                    "the last record was only partly written: a 512-byte sector of it is zeros, it does not decode"
                )
            }
            TornReason::ZeroSectorChecksum { stored, computed } => write!(
                f,
                "the last record was only partly written: a 512-byte sector of it is zeros, checksum {computed:08x} instead of {stored:08x}"
            ),
        }
    }
}

impl End {
    /// What etcd does with a log that ends so, by version.
    #[must_use]
    pub fn at_boot(&self) -> &'static [(&'static str, AtBoot)] {
        match self {
            End::CleanEof | End::ZeroWord => &[("every version", AtBoot::Starts)],
            End::Torn(torn) => torn.at_boot(),
            End::Damaged(_) => &[("every version", AtBoot::Refuses)],
        }
    }
}
