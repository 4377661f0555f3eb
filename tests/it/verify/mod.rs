//! `verify`: each rule broken alone, one flipped bit, policies, and how the answer is written.

mod corruption;
mod flip;
mod manifests;
mod many;
mod objects;
mod outputs;
mod policy;
mod sums;
