//! Kubernetes objects, as its API server stores them.

pub mod times;
