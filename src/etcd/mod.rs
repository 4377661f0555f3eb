//! What etcd's files mean.

pub mod request;
