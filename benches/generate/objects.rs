//! Objects of Kubernetes as a real API server stored them, under any number of names.

use std::fs::File;
use std::io::Read;

use coldbolt::etcd::KeyRange;
use coldbolt::io::Source;
use coldbolt::store::{Store, StoreOptions};
use coldbolt::words::monitor::Quiet;
use flate2::read::GzDecoder;

use super::Failure;

/// What most of a cluster is made of: pods and secrets more than all else, custom resources with their managed fields.
const RESOURCES: [&str; 12] = [
    "pods/",
    "pods/",
    "secrets/",
    "configmaps/",
    "deployments/",
    "replicasets/",
    "events/",
    "leases/",
    "services/specs/",
    "endpointslices/",
    "birch.example.com/widgets/",
    "serviceaccounts/",
];

/// So much of a name's end is another one in each copy.
const DIGITS: usize = 6;

/// An object, and where its name stands in its value.
struct Template {
    key: Vec<u8>,
    value: Vec<u8>,
    places: Vec<usize>,
}

/// Objects to make others of.
pub struct Templates(Vec<Vec<Template>>);

impl Templates {
    /// Those of the cluster in the fixtures.
    pub fn read() -> Result<Templates, Failure> {
        let packed = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/kube/plain-1.37/snapshot.db.gz");
        let mut bytes = Vec::new();
        GzDecoder::new(File::open(packed)?).read_to_end(&mut bytes)?;
        let source = Source::from_bytes("snapshot.db", bytes);
        let store = Store::open(&source, &StoreOptions::default(), &Quiet)?;
        let mut templates = Vec::new();
        for resource in RESOURCES {
            let mut of_resource = Vec::new();
            for kv in store.at(None)?.items(KeyRange::prefix(format!("/registry/{resource}").as_bytes())) {
                let kv = kv?;
                of_resource.extend(Template::of(kv.key.to_vec(), kv.value.to_vec()));
            }
            if of_resource.is_empty() {
                return Err(format!("no {resource} in {packed}").into());
            }
            templates.push(of_resource);
        }
        Ok(Templates(templates))
    }

    /// Puts the object of that number into `key` and `value`.
    pub fn object(&self, number: u64, key: &mut Vec<u8>, value: &mut Vec<u8>) {
        let of_resource = &self.0[(number % self.0.len() as u64) as usize];
        let template = &of_resource[(number / self.0.len() as u64) as usize % of_resource.len()];
        let mut rest = number;
        let digits: [u8; DIGITS] = std::array::from_fn(|_| {
            let digit = b"0123456789abcdefghijklmnopqrstuvwxyz"[(rest % 36) as usize];
            rest /= 36;
            digit
        });
        key.clear();
        key.extend_from_slice(&template.key);
        let end = key.len();
        key[end - DIGITS..].copy_from_slice(&digits);
        value.clear();
        value.extend_from_slice(&template.value);
        for end in &template.places {
            value[end - DIGITS..*end].copy_from_slice(&digits);
        }
    }
}

impl Template {
    /// `None` if its name is too short to be another one.
    fn of(key: Vec<u8>, value: Vec<u8>) -> Option<Template> {
        let name = key.rsplit(|byte| *byte == b'/').next()?.to_vec();
        if name.len() < DIGITS {
            return None;
        }
        let ends = value.windows(name.len()).enumerate().filter(|(_, window)| *window == name);
        let places = ends.map(|(at, _)| at + name.len()).collect();
        Some(Template { key, value, places })
    }
}
