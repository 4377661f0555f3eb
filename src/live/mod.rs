//! Members that run: what they say of themselves, and their snapshots, by etcd's own protocol.
//!
//! ```text
//! TCP, TLS (rustls; the names in the certificate are checked, ALPN is h2)
//!   HTTP/2 (hyper, h2)
//!     gRPC (tonic)
//!       etcdserverpb.Auth/Authenticate     name and password -> a token, which goes with all that follows
//!       etcdserverpb.Maintenance/Status    how the member stands
//!       etcdserverpb.KV/Range              of no key, linearizable: answered when all that was acknowledged is applied
//!       etcdserverpb.Maintenance/HashKV    the hash of the keyspace at a revision
//!       etcdserverpb.Maintenance/Snapshot  a stream: parts of at most 32 KiB, each with how many bytes remain, then
//!                                          SHA-256 of them all
//! ```
//!
//! Nothing is asked for that writes to the cluster but `Authenticate`, which etcd brings through its log; alarms are
//! therefore read from the answer to `Status` (a list of them would be an entry of the log, too).
//! Source: `api/etcdserverpb/rpc.proto`, `server/etcdserver/api/v3rpc/maintenance.go @ v3.6`.

mod access;
pub mod choose;
mod cluster;
pub mod endpoint;
mod messages;
mod peer;
pub mod received;
mod snapshot;
pub mod standing;

pub use self::access::{Access, Pem, Tls, User};
pub use self::cluster::Cluster;
pub use self::endpoint::Endpoint;
pub use self::snapshot::Snapshot;
pub use self::standing::{Answered, HashOfKeys, Standing};
