//! What an older Kubernetes prints otherwise, and what it would have answered in another version.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use coldbolt::kube::cluster::Cluster;
use coldbolt::kube::decode::{DecodeOptions, Encoding, Object};
use coldbolt::kube::type_meta::group_of;
use coldbolt::kube::version::{LAST_WITH_NULL_TIMES, ServerVersion, answered_in};

use super::super::context::Fail;
use super::super::progress::Terminal;
use super::args::{Args, Output};

/// Kinds with metadata inside that has no creation time.
const WITH_TEMPLATES: [&str; 11] = [
    "CronJob",
    "DaemonSet",
    "Deployment",
    "DeploymentConfig",
    "Job",
    "Pod",
    "PodTemplate",
    "ReplicaSet",
    "ReplicationController",
    "ResourceClaimTemplate",
    "StatefulSet",
];

/// The Kubernetes that is to be printed like.
pub struct Habits<'h> {
    cluster: &'h Cluster<'h>,
    /// Whether objects are printed with their fields.
    matter: bool,
    given: Option<u32>,
    /// How an object is decoded that is printed as the newest does it.
    pub options: DecodeOptions,
    /// What the file tells, once it was asked: that takes a walk.
    inferred: OnceLock<coldbolt::Result<Option<ServerVersion>>>,
    did: Mutex<Did>,
}

/// What was printed otherwise.
#[derive(Default)]
struct Did {
    /// Whether something was printed as the inferred one does it.
    applied: bool,
    /// Objects by kind, stored version and answered version.
    converted: BTreeMap<(String, String, String), u64>,
}

impl<'h> Habits<'h> {
    pub fn new(args: &Args, cluster: &'h Cluster<'h>) -> Habits<'h> {
        let matter = args.output.has_fields();
        // What a template or an order asks for is not known.
        let needed = args.show_managed_fields || args.as_stored || args.sort_by.is_some();
        let without_managed_fields = !needed && !matches!(args.output, Output::Template(..));
        Habits {
            cluster,
            matter,
            given: args.like,
            options: DecodeOptions { without_managed_fields, ..DecodeOptions::default() },
            inferred: OnceLock::new(),
            did: Mutex::default(),
        }
    }

    /// The minor of the Kubernetes; none if it cannot be known, or not be asked for: [`Habits::say`] has the error.
    fn minor(&self) -> Option<u32> {
        self.given.or_else(|| {
            let inferred = self.inferred.get_or_init(|| self.cluster.server_version());
            inferred.as_ref().ok()?.as_ref().map(|version| version.minor)
        })
    }

    /// The object as that Kubernetes has it, decoded again if need be.
    pub fn apply(&self, object: Object, value: &[u8]) -> Object {
        let templates = object.encoding == Encoding::Protobuf && WITH_TEMPLATES.contains(&&*object.kind);
        // Not one of the newest converts what is stored otherwise by an old one only.
        let old = answered_in(&object, u32::MAX).is_some();
        if !self.matter || !(templates || old) {
            return object;
        }
        let Some(minor) = self.minor() else { return object };
        let mut with = None;
        if templates && minor <= LAST_WITH_NULL_TIMES {
            with = Object::decode_with(value, DecodeOptions { null_times: true, ..self.options }).ok();
        }
        let answered = answered_in(&object, minor);
        if with.is_some() || answered.is_some() {
            let mut did = self.did.lock().unwrap_or_else(PoisonError::into_inner);
            did.applied |= with.as_ref().is_some_and(|with| *with != object);
            if let Some(version) = answered {
                let kind = (object.kind.clone(), object.api_version.clone(), version.to_owned());
                *did.converted.entry(kind).or_default() += 1;
            }
        }
        with.unwrap_or(object)
    }

    /// Says what was done.
    ///
    /// # Errors
    /// Why the file could not be asked which Kubernetes wrote it.
    pub fn say(self, monitor: &Terminal) -> Result<(), Fail> {
        let inferred = self.inferred.into_inner().transpose()?.flatten();
        let Some(minor) = self.given.or(inferred.as_ref().map(|version| version.minor)) else {
            return Ok(());
        };
        let did = self.did.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(version) = &inferred
            && (did.applied || !did.converted.is_empty())
        {
            monitor.say(&format!("as Kubernetes 1.{minor} prints it: {}", version.reasons.join("; ")));
        }
        for ((kind, stored, answered), objects) in &did.converted {
            let group = group_of(stored);
            monitor.say(&format!(
                "{objects} of kind {kind} are shown as {stored}, which is stored; a server of 1.{minor} answers in \
                 {group}/{answered}"
            ));
        }
        Ok(())
    }
}
