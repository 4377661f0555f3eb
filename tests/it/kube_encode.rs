//! Objects back into the bytes that real API servers stored for them.
//!
//! `fixtures/kube` has a pick. `COLDBOLT_KUBE` names a directory with more, as `kube_recorded` has it.

use std::ops::ControlFlow;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use coldbolt::kube::decode::{NoObject, Object};
use coldbolt::kube::encode::{Like, encode};
use coldbolt::store::EventKind;
use support::fixture;
use support::packed::lines;

use super::kube_recorded::{clusters, store, synthetic};

/// What was encoded, and what differs.
#[derive(Default)]
struct Tried {
    equal: usize,
    /// Of kinds that no known Kubernetes has.
    unknown: usize,
    encrypted: usize,
    other: usize,
    differ: Vec<String>,
}

impl Tried {
    fn take(&mut self, name: &str, value: &[u8], like: bool) {
        let object = match Object::decode(value) {
            Ok(object) if !object.known => return self.unknown += 1,
            Ok(object) => object,
            Err(NoObject::Encrypted(_)) => return self.encrypted += 1,
            Err(_) => return self.other += 1,
        };
        let like = if like { Like::of(value) } else { Like::newest() };
        match encode(&object, &like) {
            Ok(ours) if ours == value => self.equal += 1,
            Ok(ours) => {
                let at = ours.iter().zip(value).take_while(|(a, b)| a == b).count();
                let around = |bytes: &[u8]| {
                    let range = at.saturating_sub(40).min(bytes.len())..(at + 40).min(bytes.len());
                    bytes[range].escape_ascii().to_string()
                };
                let (ours, due) = (around(&ours), around(value));
                self.differ.push(format!("{name} at byte {at}:\n  ours {ours}\n  due  {due}"));
            }
            Err(error) => self.differ.push(format!("{name}: {error}")),
        }
    }

    fn told(&self, what: &str) {
        let Tried { equal, unknown, encrypted, other, differ } = self;
        eprintln!(
            "{what}: {equal} byte for byte, {} differ, {encrypted} encrypted, {unknown} of unknown kinds, {other} no \
             objects",
            differ.len()
        );
    }
}

/// Goes through every stored version of every key.
fn every(dir: &Path, like: bool) -> Tried {
    let mut tried = Tried::default();
    store(dir)
        .events(None, None, None, &mut |event| {
            if event.kind == EventKind::Put {
                let name = format!("{} at {}", event.kv.key.escape_ascii(), event.revision.main);
                tried.take(&name, event.kv.value, like);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    tried
}

#[test]
fn every_stored_object_is_encoded_to_the_bytes_that_it_was() {
    let clusters = clusters();
    assert!(clusters.len() >= 2);
    for dir in clusters {
        let tried = every(&dir, true);
        tried.told(&format!("{}: like it was", dir.display()));
        assert!(tried.differ.is_empty(), "{} differ:\n{}", tried.differ.len(), tried.differ.join("\n"));
        assert!(tried.equal > 200 && tried.unknown == 0);
    }
}

#[test]
fn what_kubernetes_1_37_stored_is_what_is_written_of_its_objects_alone() {
    for dir in ["plain-1.37", "encrypted-1.37"].map(|name| fixture(&format!("kube/{name}"))) {
        let tried = every(&dir, false);
        tried.told(&format!("{}: as the newest writes it", dir.display()));
        // The JSON that is embedded in it was stored as kubectl had sent it, on several lines.
        let spaced = "/registry/controllerrevisions/every-kind/k-crs3 at 609 ";
        let others: Vec<_> = tried.differ.iter().filter(|name| !name.starts_with(spaced)).collect();
        assert!(others.is_empty(), "{} differ:\n{others:#?}", others.len());
        assert!(tried.equal > 200);
    }
}

#[test]
fn objects_of_every_kind_are_encoded_as_gos_own_types_encode_them() {
    for (name, path) in synthetic() {
        let mut tried = Tried::default();
        for line in lines(&path) {
            let value = BASE64_STANDARD.decode(line["value"].as_str().unwrap()).unwrap();
            tried.take(&format!("{} {}", line["apiVersion"], line["kind"]), &value, true);
        }
        tried.told(&name);
        // Bytes that are empty and not nil, and alternatives that are nil: Go's JSON tells neither. No API server
        // stores these kinds as protobuf.
        let text = ["CustomResourceDefinition", "APIService"];
        let corner = |name: &&String| !text.iter().any(|kind| name.split('"').nth(3) == Some(kind));
        let others: Vec<_> = tried.differ.iter().filter(corner).collect();
        assert!(others.is_empty(), "{} differ:\n{others:#?}", others.len());
        assert!(tried.equal > 100 && tried.differ.len() < 8, "{}", tried.differ.len());
    }
}

#[test]
fn what_is_encoded_of_any_bytes_is_decoded_and_encoded_to_the_same() {
    let mut tried = 0;
    for line in lines(&fixture("kube/synthetic-1.37.ndjson.gz")) {
        let value = BASE64_STANDARD.decode(line["value"].as_str().unwrap()).unwrap();
        for at in (8..value.len()).step_by(41) {
            let mut changed = value.clone();
            changed[at] ^= 1 << (at % 8);
            let Ok(object) = Object::decode(&changed) else { continue };
            let Ok(once) = encode(&object, &Like::of(&changed)) else { continue };
            let again = Object::decode(&once).unwrap_or_else(|why| panic!("{line} byte {at}: {why:?}"));
            let twice =
                encode(&again, &Like::of(&once)).unwrap_or_else(|why| panic!("{line} byte {at}: {why}"));
            assert!(twice == once, "{} {} byte {at}", line["apiVersion"], line["kind"]);
            tried += 1;
        }
    }
    assert!(tried > 500, "{tried}");
}
