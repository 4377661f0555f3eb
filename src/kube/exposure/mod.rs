//! Where secrets lie in a file: what must be changed in the cluster if the file gets into other hands. Places and names
//! are told, and never a value.
//!
//! | What is looked for | Where |
//! |---|---|
//! | the data of Secrets, by their type | `data`, and the copy that `kubectl apply` leaves in an annotation |
//! | keys and passwords | ConfigMaps; environment variables, arguments and probes of containers in every kind |
//! | tokens | annotations |
//! | certificates of authorities | webhooks, API services, custom resources; they are public, their end is told |
//!
//! What looks like a key is told by signs: what a private key, a token or an address with a password begins with, and
//! names like `password` before a value. It is a list to go through: a secret under an innocent name is not found.

mod look;
mod named;
mod report;

pub use self::named::{Exposed, ExposedField};
pub use self::report::{Exposure, ExposureOptions, ExposureReport, exposures};
pub use super::signs::Sign;
