//! Kubernetes objects, as its API server stores them, and what else Kubernetes knows of an etcd.
//!
//! | File | Holds |
//! |---|---|
//! | [`envelope`] | what a value is; what is around an object that is stored as protobuf |
//! | [`decode`], [`cbor`] | a value to the object it is |
//! | [`encryption`] | values that an API server encrypted, opened with its keys (feature `encryption`) |
//! | [`encode`] | an object to the value that an API server stores |
//! | [`json`], [`yaml`] | an object as kubectl prints it |
//! | [`extract`] | objects one by one, as they were or for another cluster |
//! | [`cluster`], [`kinds`], [`resource`] | the objects of a keyspace; how many of each kind; what kinds are called and where they lie |
//! | [`key`], [`places`], [`key_names`] | the key that an object is stored under; where objects lie in a keyspace; what keys hold |
//! | [`selector`], [`fields`], [`secret`] | which labels and fields are wanted; what is not shown of a Secret |
//! | [`jsonpath`], [`custom`], [`order`] | templates, columns and the order of objects that a user asks for |
//! | [`rows`] | objects as columns of what is exported |
//! | [`serve`] | what an API server changes in an object before it answers |
//! | [`version`] | which Kubernetes wrote a keyspace, and in what version it answers |
//! | [`sizes`] | what the bytes of a cluster are |
//! | [`changes`] | what differs between objects, keyspaces and versions |
//! | [`type_meta`] | the parts of an `apiVersion`; a kind with its group |
//! | [`table`] | objects as the lines of a table, as kubectl prints them |
//! | [`schema`] | the fields of every message, and which kind is which message |
//! | [`times`] | when an object was written at the earliest, and when a Lease was renewed, as its value tells |
//! | [`exposure`] | where secrets lie: what is known to who has the file |
//! | [`versions`] | every version of every object that a file holds, also in free pages |
//! | [`protection`] | which values are plain, and what encrypted the others |
//! | [`risk`] | what gives power over a cluster, and what of it is new |
//! | [`manifest`] | the static-pod manifest of an etcd (feature `yaml`) |
//!
//! A value is told by its first bytes, and never by bytes inside it:
//!
//! ```text
//! 6b 38 73 00             k8s\0      protobuf: an envelope, the built-in kinds
//! 7b                      {         JSON: custom resources and their definitions, API services
//! d9 d9 f7                          CBOR, tag 55799: custom resources, if turned on (alpha since 1.32)
//! 6b 38 73 3a 65 6e 63 3a k8s:enc:  encrypted: provider, version and name of the key in text, then bytes
//! ```
//!
//! The envelope, `runtime.Unknown`; its last two fields are empty, but always written:
//!
//! ```text
//! k8s\0 | 0a len typeMeta { 0a len apiVersion | 12 len kind } | 12 len raw | 1a 00 | 22 00
//! ```
//!
//! Source: `k8s.io/apimachinery/pkg/runtime/serializer/{protobuf,cbor}`, `k8s.io/apiserver/pkg/storage/value`.

pub mod audit;
pub mod cbor;
pub mod certificate;
pub mod changes;
pub mod cluster;
pub mod custom;
pub mod decode;
pub mod encode;
#[cfg(feature = "encryption")]
pub mod encryption;
pub mod envelope;
pub mod exposure;
pub mod extract;
pub mod fields;
pub mod json;
pub mod jsonpath;
pub mod k3s;
pub mod key;
pub mod key_names;
pub mod kinds;
mod kms;
#[cfg(feature = "yaml")]
pub mod manifest;
pub mod order;
pub mod places;
pub mod protection;
pub mod resource;
pub mod risk;
pub mod rows;
pub mod schema;
pub mod secret;
pub mod selector;
pub mod serve;
mod signs;
pub mod sizes;
pub mod table;
pub mod times;
pub mod type_meta;
pub mod version;
pub mod versions;
pub mod yaml;
