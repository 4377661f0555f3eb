//! Why a member that runs does not give what it was asked for.

use std::time::Duration;

use crate::words::hint::Hint;
use crate::words::text::printable;

/// Why a member did not give what it was asked for. Its text follows the name of the endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unanswered {
    /// There is no connection; what the operating system said.
    #[error("no connection: {}", printable(.0))]
    NoConnection(String),
    /// TLS was not agreed upon, or one side refuses the certificate of the other.
    #[error("TLS: {}", printable(.0))]
    Tls(String),
    /// Nothing came for that long.
    #[error("{what} took longer than {} s", waited.as_secs_f64())]
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// How long.
        waited: Duration,
    },
    /// The connection was there, and is not any more.
    #[error("the connection broke off: {}", printable(.0))]
    Lost(String),
    /// What listens there does not speak as etcd does to its clients.
    #[error("did not answer as etcd does to its clients: {}", printable(.0))]
    NotEtcd(String),
    /// etcd answers that it does not do it.
    #[error("answers {}: {}", code, printable(message))]
    Refused {
        /// gRPC's name of the reason.
        code: String,
        /// etcd's words.
        message: String,
    },
    /// The stream of a snapshot ended before its end.
    #[error("the snapshot broke off after {received} of {due} bytes: {}", printable(told))]
    BrokenOff {
        /// Bytes that came.
        received: u64,
        /// Bytes that were due.
        due: u64,
        /// What was seen.
        told: String,
    },
    /// It answered what no etcd answers.
    #[error("{}", printable(.0))]
    Nonsense(String),
}

impl Unanswered {
    /// What may be done about it.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Unanswered::Tls(told) if told.contains("UnknownIssuer") || told.contains("no CA") => {
                Some(Hint::TrustCa)
            }
            Unanswered::Tls(told) if told.contains("received fatal alert") && of_certificate(told) => {
                Some(Hint::ClientCertificate)
            }
            Unanswered::NotEtcd(told) if told.contains("server of TLS") => Some(Hint::ClientCertificate),
            Unanswered::Refused { message, .. } if message.contains("user name is empty") => {
                Some(Hint::LogIn)
            }
            _ => None,
        }
    }
}

/// Whether an alert is about the certificate of the client: etcd's Go has said it in these ways.
fn of_certificate(told: &str) -> bool {
    ["CertificateRequired", "BadCertificate", "UnknownCA", "CertificateUnknown", "CertificateExpired"]
        .iter()
        .any(|alert| told.contains(alert))
}
