//! What stands for an open file in a build without files (feature `fs` off): there is never one.

use std::path::Path;

use super::state::{Lock, Stamp};
use crate::words::cause::Cause;
use crate::words::error::{Corrupt, Error, Result};

#[derive(Debug)]
pub(super) enum InputFile {}

impl InputFile {
    pub(super) fn open(path: &Path) -> Result<InputFile> {
        Err(Error::unreadable(path, Cause::NoFiles))
    }

    pub(super) fn len(&self) -> u64 {
        match *self {}
    }

    pub(super) fn opened(&self) -> Stamp {
        match *self {}
    }

    pub(super) fn read_exact_at(&self, _: u64, _: &mut [u8]) -> Result<(), Box<Corrupt>> {
        match *self {}
    }

    pub(super) fn advise_sequential(&self) {
        match *self {}
    }

    pub(super) fn is_cached(&self, _: u64) -> bool {
        match *self {}
    }

    pub(super) fn flock(&self) -> Lock {
        match *self {}
    }

    pub(super) fn ofd_lock(&self) -> Lock {
        match *self {}
    }

    pub(super) fn record_lock(&self) -> Lock {
        match *self {}
    }

    pub(super) fn stamp(&self) -> Option<Stamp> {
        match *self {}
    }
}
