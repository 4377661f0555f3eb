//! Fixtures that are kept packed.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::{Input, fixture};

/// What is in a `.gz`.
#[must_use]
pub fn unpacked(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

/// The lines of a `.ndjson.gz`.
#[must_use]
pub fn lines(path: &Path) -> Vec<Value> {
    let text = String::from_utf8(unpacked(path)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The snapshot of a recorded Kubernetes cluster, as `plain-1.37`.
#[must_use]
pub fn snapshot(dir: &Path, name: &str) -> Input {
    let packed = fixture(&format!("kube/{name}/snapshot.db.gz"));
    Input::write(dir, &format!("{name}.db"), &unpacked(&packed))
}
