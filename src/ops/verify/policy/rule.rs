//! The rules of a policy, and how one ended for one file.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ops::verify::verdict::Verdict;

/// A rule's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is the part of the policy of that name")]
pub enum Rule {
    MinRevision,
    MaxRevision,
    RevisionNotBelowPrevious,
    KeysNotFewerThan,
    MaxAgeContent,
    MaxAgeFile,
    Required,
    Forbidden,
    MinStorageVersion,
    MaxStorageVersion,
    Trailer,
    ClusterId,
    Members,
    MaxFragmentation,
    NoAlarms,
    NoPendingCompaction,
    Encrypted,
    EncryptionProvider,
    NoPlaintextResidue,
}

impl Rule {
    /// All of them.
    pub const ALL: [Rule; 19] = [
        Rule::MinRevision,
        Rule::MaxRevision,
        Rule::RevisionNotBelowPrevious,
        Rule::KeysNotFewerThan,
        Rule::MaxAgeContent,
        Rule::MaxAgeFile,
        Rule::Required,
        Rule::Forbidden,
        Rule::MinStorageVersion,
        Rule::MaxStorageVersion,
        Rule::Trailer,
        Rule::ClusterId,
        Rule::Members,
        Rule::MaxFragmentation,
        Rule::NoAlarms,
        Rule::NoPendingCompaction,
        Rule::Encrypted,
        Rule::EncryptionProvider,
        Rule::NoPlaintextResidue,
    ];

    /// Its stable kebab-case name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Rule::MinRevision => "min-revision",
            Rule::MaxRevision => "max-revision",
            Rule::RevisionNotBelowPrevious => "revision-not-below-previous",
            Rule::KeysNotFewerThan => "keys-not-fewer-than",
            Rule::MaxAgeContent => "max-age-content",
            Rule::MaxAgeFile => "max-age-file",
            Rule::Required => "required",
            Rule::Forbidden => "forbidden",
            Rule::MinStorageVersion => "min-storage-version",
            Rule::MaxStorageVersion => "max-storage-version",
            Rule::Trailer => "trailer",
            Rule::ClusterId => "cluster-id",
            Rule::Members => "members",
            Rule::MaxFragmentation => "max-fragmentation",
            Rule::NoAlarms => "no-alarms",
            Rule::NoPendingCompaction => "no-pending-compaction",
            Rule::Encrypted => "encrypted",
            Rule::EncryptionProvider => "encryption-provider",
            Rule::NoPlaintextResidue => "no-plaintext-residue",
        }
    }

    /// One sentence: what it asks for.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Rule::MinRevision => "The last revision is at least this.",
            Rule::MaxRevision => "The last revision is at most this.",
            Rule::RevisionNotBelowPrevious => "The last revision is not below that of the previous snapshot.",
            Rule::KeysNotFewerThan => {
                "There are at least this many percent of the previous snapshot's live keys."
            }
            Rule::MaxAgeContent => {
                "The newest time that something inside the file tells is at most this long ago."
            }
            Rule::MaxAgeFile => "The file's modification time is at most this long ago.",
            Rule::Required => "At least so many live keys are there.",
            Rule::Forbidden => "At most so many live keys are there.",
            Rule::MinStorageVersion => "The storage version is at least this.",
            Rule::MaxStorageVersion => "The storage version is at most this.",
            Rule::Trailer => "The file ends with a SHA-256 of what is before it.",
            Rule::ClusterId => "The files are of this cluster.",
            Rule::Members => "The cluster has exactly these members.",
            Rule::MaxFragmentation => "At most this part of the database is free pages.",
            Rule::NoAlarms => "No alarm is raised.",
            Rule::NoPendingCompaction => "No compaction was left unfinished.",
            Rule::Encrypted => "All live values of these Kubernetes resources are encrypted.",
            Rule::EncryptionProvider => {
                "All live values of the encrypted resources are by one of these providers."
            }
            Rule::NoPlaintextResidue => {
                "Neither history nor free pages hold a plain value of the resources that are to be encrypted."
            }
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a broken rule does to the verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleSeverity {
    /// Nothing: it is reported only.
    Warning,
    /// The verdict is bad, or inconclusive where the value cannot be measured.
    #[default]
    Error,
}

impl fmt::Display for RuleSeverity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            RuleSeverity::Warning => "warning",
            RuleSeverity::Error => "error",
        })
    }
}

/// How one rule ended for one file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleResult {
    /// Which rule.
    pub id: Rule,
    /// What a breach means.
    pub severity: RuleSeverity,
    /// Which keys it is about, of the rules about keys, escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<String>,
    /// Whether it is kept; `None` when that could not be measured.
    pub passed: Option<bool>,
    /// What was measured: ages in seconds.
    pub measured: Value,
    /// What it was held against.
    pub limit: Value,
    /// Both in words, or why nothing was measured.
    pub message: String,
}

impl RuleResult {
    /// What the rule adds to the verdict. One that is kept adds nothing: it makes no input good that was not looked at.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        match (self.severity, self.passed) {
            (RuleSeverity::Warning, _) | (RuleSeverity::Error, Some(true)) => None,
            (RuleSeverity::Error, Some(false)) => Some(Verdict::Bad),
            (RuleSeverity::Error, None) => Some(Verdict::Inconclusive),
        }
    }

    /// The rule's name, and the keys it is about.
    #[must_use]
    pub fn title(&self) -> String {
        self.keys.as_ref().map_or_else(|| self.id.to_string(), |keys| format!("{} {keys}", self.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_called_what_the_file_calls_them() {
        for rule in Rule::ALL {
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.name());
        }
    }
}
