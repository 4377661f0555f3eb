//! Which etcd's rules a log is applied by. Some depend on the patch version, which no file names.

use std::fmt;
use std::str::FromStr;

use crate::etcd::schema::Minor;

/// A version of etcd: the minor, and the patch if it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// As 3.5.
    pub minor: Minor,
    /// As 1 of 3.5.1.
    pub patch: Option<u16>,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.minor.name())?;
        self.patch.map_or(Ok(()), |patch| write!(f, ".{patch}"))
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Version, String> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let wrong = || format!("{text:?} is no version from 3.4 to 3.8, as 3.5 or 3.5.1");
        let mut parts = text.split('.');
        let minor = parts.by_ref().take(2).collect::<Vec<_>>().join(".");
        let minor = Minor::ALL.into_iter().find(|known| known.name() == minor).ok_or_else(wrong)?;
        let patch = parts.next().map(|patch| patch.parse().map_err(|_| wrong())).transpose()?;
        if parts.next().is_some() { Err(wrong()) } else { Ok(Version { minor, patch }) }
    }
}

/// Whether a rule holds in a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    Yes,
    No,
    /// Since this patch of the minor version; which patch it is is not known. It is taken for a newer one.
    Since(u16),
}

impl Holds {
    /// Whether it holds, of an unknown patch version for all that is known.
    pub(crate) fn newest(self) -> bool {
        self != Holds::No
    }
}

impl Version {
    /// Whether a rule that came with these patches holds; in a minor version that is not listed it holds from the
    /// last listed one on.
    fn since(self, patches: &[(Minor, u16)]) -> Holds {
        let Some((_, first)) = patches.iter().find(|(minor, _)| *minor == self.minor) else {
            return if patches.iter().any(|(minor, _)| *minor < self.minor) { Holds::Yes } else { Holds::No };
        };
        match self.patch {
            _ if *first == 0 => Holds::Yes,
            Some(patch) if patch >= *first => Holds::Yes,
            Some(_) => Holds::No,
            None => Holds::Since(*first),
        }
    }

    /// Whether puts in nested transactions count when the space is used up (`costTxnReq`).
    pub(super) fn nested_puts_cost(self) -> Holds {
        self.since(&[(Minor::V35, 33), (Minor::V36, 14), (Minor::V37, 1)])
    }

    /// Whether permissions are asked for the operations of nested transactions too (`checkTxnReqsPermission`).
    pub(super) fn nested_operations_are_checked(self) -> Holds {
        self.since(&[(Minor::V34, 42), (Minor::V35, 28), (Minor::V36, 9), (Minor::V37, 0)])
    }

    /// Whether a put in a transaction is asked all that a put alone is: also for its lease's other keys, and for
    /// reading what was before.
    pub(super) fn puts_in_transactions_are_checked_as_alone(self) -> Holds {
        self.since(&[(Minor::V34, 44), (Minor::V35, 30), (Minor::V36, 11), (Minor::V37, 0)])
    }

    /// Whether root is not asked for each key of a lease, even if its login is older than the last change to users
    /// (`checkLeasePutsKeys`).
    pub(super) fn root_owns_leases(self) -> Holds {
        self.since(&[(Minor::V34, 27), (Minor::V35, 10), (Minor::V36, 0)])
    }

    /// Whether a permission of no key, or of a range that ends before it begins, is refused (`isValidPermissionRange`).
    pub(super) fn permission_ranges_are_checked(self) -> Holds {
        self.since(&[(Minor::V34, 25), (Minor::V35, 8), (Minor::V36, 0)])
    }

    /// Whether a compaction that was asked for raises the revision at boot, even if all keys up to it are gone.
    pub(super) fn scheduled_compaction_is_a_revision(self) -> Holds {
        self.since(&[(Minor::V34, 32), (Minor::V35, 14), (Minor::V36, 0)])
    }

    /// Whether the remaining time of leases can be kept in the database: by a flag, and from cluster version 3.6 on
    /// always.
    pub(super) fn checkpoints_are_kept(self) -> Holds {
        self.since(&[(Minor::V34, 20), (Minor::V35, 2), (Minor::V36, 0)])
    }

    /// Whether what is known of a member is not changed once it is in the database (a fault of 3.5.1 to 3.5.19);
    /// `None` where the patch version is not known.
    pub(super) fn members_stay_as_they_were(self) -> Option<bool> {
        if self.minor == Minor::V35 { Some((1..=19).contains(&self.patch?)) } else { Some(false) }
    }

    /// Whether a learner whose peer URLs change learns still; before, all that raft keeps of it was replaced.
    pub(crate) fn moved_learners_learn(self) -> Holds {
        self.since(&[(Minor::V35, 31), (Minor::V36, 12), (Minor::V37, 0)])
    }

    /// Whether reads in a transaction are passed over before it is checked, when nobody waits for the answer
    /// (`removeNeedlessRangeReqs`).
    pub(super) fn reads_are_passed_over(self) -> bool {
        self.minor < Minor::V37
    }

    /// Whether an alarm that is raised while the server runs puts the checks of users aside until it is started again.
    pub(super) fn alarms_put_auth_aside(self) -> bool {
        self.minor < Minor::V36
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_printed() {
        for text in ["3.4", "3.5.1", "3.7.10", "3.8"] {
            assert_eq!(text.parse::<Version>().unwrap().to_string(), text);
        }
        assert_eq!("v3.6.14".parse::<Version>().unwrap().to_string(), "3.6.14");
        for text in ["", "3", "3.3", "3.9", "4.5", "3.5.x", "3.5.1.2", "3.5.-1"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_rule_holds_from_its_patch_on() {
        let nested = |text: &str| text.parse::<Version>().unwrap().nested_puts_cost();
        assert_eq!(["3.4.45", "3.5.32", "3.5.33", "3.6.13", "3.7.0", "3.7.1"].map(nested), {
            use Holds::{No, Yes};
            [No, No, Yes, No, No, Yes]
        });
        assert_eq!(["3.4", "3.5", "3.6"].map(nested), [Holds::No, Holds::Since(33), Holds::Since(14)]);
        let checked = |text: &str| text.parse::<Version>().unwrap().permission_ranges_are_checked();
        assert_eq!(
            ["3.4.24", "3.4.25", "3.6", "3.7"].map(checked),
            [Holds::No, Holds::Yes, Holds::Yes, Holds::Yes]
        );
    }
}
