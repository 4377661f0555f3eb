//! What a verdict is the sum of: levels, findings, rules, inputs.

use serde::Serialize;

/// The verdict on one input, or on all. The order is the order of badness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All levels that ran passed.
    Good,
    /// What could be checked is good, something could not be checked.
    Inconclusive,
    /// It could not be read at all, or nothing of it was looked at.
    Unreadable,
    /// Damage, or a policy is broken.
    Bad,
}

impl Verdict {
    /// The same for who takes what could not be checked for bad.
    #[must_use]
    pub fn strictly(self) -> Verdict {
        if self == Verdict::Inconclusive { Verdict::Bad } else { self }
    }
}

/// The verdict on parts, added up in any order: the worst of theirs. A part that was not looked at has none and adds
/// nothing, so that a sum of nothing is not good.
///
/// ```
/// # use coldbolt::ops::verify::{Sum, Verdict};
/// let parts = [Some(Verdict::Good), None, Some(Verdict::Inconclusive)];
/// assert_eq!(parts.into_iter().collect::<Sum>().verdict(), Verdict::Inconclusive);
/// assert_eq!(Sum::default().verdict(), Verdict::Unreadable);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum(Option<Verdict>);

impl Sum {
    /// The sum with one part more.
    #[must_use]
    pub fn and(self, part: impl Into<Option<Verdict>>) -> Sum {
        Sum(self.0.max(part.into()))
    }

    /// What all parts amount to.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        self.0.unwrap_or(Verdict::Unreadable)
    }
}

impl FromIterator<Option<Verdict>> for Sum {
    fn from_iter<I: IntoIterator<Item = Option<Verdict>>>(parts: I) -> Sum {
        parts.into_iter().fold(Sum::default(), Sum::and)
    }
}
