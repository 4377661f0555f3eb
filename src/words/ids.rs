//! The numbers by which etcd and raft name things, each a type of its own, so that one cannot be taken for another.
//!
//! | Type | On disk | `{}` | `{:#}` | In JSON |
//! |---|---|---|---|---|
//! | [`MemberId`], [`ClusterId`] | u64 | hex, as etcd logs them (`%x`) | 16 hex digits | 16 hex digits, a string |
//! | [`LeaseId`] | i64 | its 64 bits in hex, as etcd logs them (`%x`) | 16 hex digits | 16 hex digits, a string |
//! | [`RaftIndex`], [`Term`] | u64 | decimal | decimal | a number |
//!
//! JSON has a string for the ids because many readers lose the bits of a number past 2^53.
//!
//! ```
//! use coldbolt::{LeaseId, MemberId, RaftIndex};
//!
//! let member: MemberId = "8e9e05c52164694d".parse()?;
//! assert_eq!(member.get(), 0x8e9e_05c5_2164_694d);
//! assert_eq!((MemberId::new(10).to_string(), MemberId::new(10).padded()), ("a".into(), "000000000000000a".into()));
//! assert_eq!(LeaseId::new(-1).to_string(), "ffffffffffffffff");
//! assert_eq!(RaftIndex::new(9).next(), RaftIndex::new(10));
//! # Ok::<(), coldbolt::words::ids::NotAnId>(())
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A text that is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is up to 16 hex digits, as etcd prints it; this is none, nor is a name")]
pub struct NotAnId;

/// A newtype over a number, with what all of them have.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name($inner);

        impl $name {
            /// The one of that number.
            #[must_use]
            pub const fn new(number: $inner) -> $name {
                $name(number)
            }

            /// The number, as it is stored.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl From<$inner> for $name {
            fn from(number: $inner) -> $name {
                $name(number)
            }
        }
    };
}

/// An id: hex wherever a person sees it.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        number!($(#[$doc])* $name($inner));

        impl $name {
            /// All 16 digits, as `{:#}` prints them.
            #[must_use]
            pub fn padded(self) -> String {
                format!("{self:#}")
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                if f.alternate() { write!(f, "{:016x}", self.0) } else { fmt::LowerHex::fmt(&self.0, f) }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&format_args!("{self:#}"))
            }
        }
    };
}

/// A place in the log: decimal, and a number in JSON.
macro_rules! place {
    ($(#[$doc:meta])* $name:ident) => {
        number!($(#[$doc])* #[derive(Serialize)] #[serde(transparent)] $name(u64));

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A member of a cluster. 0 stands for no member, as in a vote that was not given.
    MemberId(u64)
);
id!(
    /// A cluster.
    ClusterId(u64)
);
id!(
    /// A lease. 0 stands for no lease; see [`LeaseId::is_none`].
    LeaseId(i64)
);
place!(
    /// A place in the raft log, from 1; 0 is before the first entry.
    RaftIndex
);
place!(
    /// A term of raft: how often a leader was to be elected.
    Term
);

/// Reads hex digits, at most 64 bits of them.
macro_rules! from_hex {
    ($name:ident) => {
        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<$name, NotAnId> {
                u64::from_str_radix(text, 16).map($name).map_err(|_| NotAnId)
            }
        }
    };
}
from_hex!(MemberId);
from_hex!(ClusterId);

impl LeaseId {
    /// What a key says that is attached to no lease.
    pub const NONE: LeaseId = LeaseId(0);

    /// Whether it stands for no lease.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl RaftIndex {
    /// The index after it. That after the greatest is itself: no log is that long.
    #[must_use]
    pub const fn next(self) -> RaftIndex {
        RaftIndex(self.0.saturating_add(1))
    }

    /// How many entries there are after `earlier` up to it; `None` if it comes before.
    #[must_use]
    pub const fn since(self, earlier: RaftIndex) -> Option<u64> {
        self.0.checked_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn an_id_is_read_back_from_either_form(number: u64) {
            let id = MemberId::new(number);
            proptest::prop_assert_eq!(id.to_string().parse(), Ok(id));
            proptest::prop_assert_eq!(format!("{id:#}").parse(), Ok(id));
        }
    }

    #[test]
    fn ids_print_as_etcd_prints_them_and_with_a_sharp_all_digits() {
        let cluster = ClusterId::new(0xc0ffee);
        assert_eq!(
            (format!("{cluster}"), format!("{cluster:#}")),
            ("c0ffee".into(), "0000000000c0ffee".into())
        );
        assert_eq!(format!("{:>4}|{:<4}|", MemberId::new(0xab), MemberId::new(0)), "  ab|0   |");
        let lease = LeaseId::new(i64::MIN);
        assert_eq!(
            (format!("{lease}"), format!("{lease:#}")),
            ("8000000000000000".into(), "8000000000000000".into())
        );
        assert_eq!(format!("{:>4}|{:04}", RaftIndex::new(12), Term::new(3)), "  12|0003");
    }

    #[test]
    fn ids_are_strings_in_json_and_places_are_numbers() {
        let answer =
            (MemberId::new(1), ClusterId::new(u64::MAX), LeaseId::new(-2), RaftIndex::new(7), Term::new(2));
        assert_eq!(
            serde_json::to_string(&answer).unwrap(),
            r#"["0000000000000001","ffffffffffffffff","fffffffffffffffe",7,2]"#
        );
    }

    #[test]
    fn what_is_not_hex_of_64_bits_is_no_id() {
        for bad in ["", "g", "0x1", " 1", "-1", "10000000000000000"] {
            assert!(bad.parse::<MemberId>().is_err() && bad.parse::<ClusterId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_index_knows_the_next_and_how_far_it_is() {
        let (one, nine) = (RaftIndex::new(1), RaftIndex::new(9));
        assert_eq!((nine.since(one), one.since(nine), one.since(one)), (Some(8), None, Some(0)));
        assert_eq!((one.next(), RaftIndex::new(u64::MAX).next().get()), (RaftIndex::new(2), u64::MAX));
        assert!(LeaseId::NONE.is_none() && LeaseId::default().is_none() && !LeaseId::new(1).is_none());
    }
}
