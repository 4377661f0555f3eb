//! coldbolt and the real programs, both ways: what they write is read, what it writes they take, and both answer
//! alike. Each test says `skipped` and passes where its programs are not installed, unless `COLDBOLT_INTEROP=required`.

mod age;
mod answers;
mod bolt;
mod bolt_writer;
mod check;
mod cluster;
mod copy;
mod corners;
mod defrag;
mod histories;
mod judge;
mod keyspace;
mod kube_edit;
mod kube_encrypted;
mod kube_objects;
mod kube_print;
mod kube_schema;
mod live;
mod load;
mod model;
mod rank;
mod reports;
mod restore;
mod restore_parts;
mod stories;
