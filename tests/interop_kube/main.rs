//! coldbolt and the real programs of Kubernetes: a kube-apiserver is fed by kubectl, its etcd is saved, and what
//! coldbolt prints of the file is what kubectl prints of the server. Each test says `skipped` and passes where the
//! programs are not installed, unless `COLDBOLT_INTEROP=required`.

mod back;
mod encrypted;
mod fed;
mod printed;
mod timeline;
