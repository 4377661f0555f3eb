//! What gives power over a cluster or a node of it: rules over objects, and over what of it is new between two
//! keyspaces. A list to go through: most of it is meant, in most clusters.
//!
//! | What is looked at | Rules |
//! |---|---|
//! | roles and bindings | `rbac-*` |
//! | pods, and what makes them | `pod-*`, and if new: `workload-new`, `image-registry-new` |
//! | webhooks, policies, definitions, API services, namespaces | `webhook-*`, `guard-*`, ... |
//! | Secrets, requests for certificates, services, some ConfigMaps, etcd's own users | who gets in |
//!
//! What a pod has of its owner is said of its owner, if the owner is there and has it too.

mod access;
mod changes;
mod found;
mod object;
mod pods;
mod rbac;
mod rule;

pub use self::found::{NewRisk, RiskFound, RiskOptions, RiskReport, new_risks, risks, risks_of};
pub use self::rule::{Risk, RiskRule, RiskSeverity};
