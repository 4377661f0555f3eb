//! What coldbolt does, without the real programs: one test program, so that it is linked once. A module is a subject;
//! `tests/support` has what they share with those of `tests/interop` and `tests/hostile`.

mod apply;
mod attacks;
mod bolt_views;
mod cli;
mod copy;
mod copy_log;
mod copy_rules;
mod crash;
mod defrag;
mod disaster;
mod fixtures;
mod golden;
mod keyspace;
mod keyspace_fold;
mod keyspace_model;
mod model;
mod outputs;
mod rank;
mod recorded;
mod replay_time;
mod restore;
mod restore_model;
mod restore_parts;
mod unsteady;
mod verify;
mod wal;
