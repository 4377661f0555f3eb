//! What an older Kubernetes prints otherwise, and what it would have answered in another version.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use coldbolt::kube::cluster::Cluster;
use coldbolt::kube::decode::{DecodeOptions, Encoding, NoObject, Object};
use coldbolt::kube::envelope::Form;
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
    options: DecodeOptions,
    /// What the file tells, once it was asked: that takes a walk.
    inferred: OnceLock<coldbolt::Result<Option<ServerVersion>>>,
    /// Whether something was printed as the inferred one does it.
    applied: AtomicBool,
    /// Objects by kind, stored version and answered version.
    converted: Mutex<BTreeMap<(String, String, String), u64>>,
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
            applied: AtomicBool::new(false),
            converted: Mutex::default(),
        }
    }

    /// The minor of the Kubernetes; none if it cannot be known, or not be asked for: [`Habits::say`] has the error.
    fn minor(&self) -> Option<u32> {
        self.given.or_else(|| {
            let inferred = self.inferred.get_or_init(|| self.cluster.server_version());
            inferred.as_ref().ok()?.as_ref().map(|version| version.minor)
        })
    }

    /// Decodes an object; whether as that Kubernetes has it already: once it was seen to matter, those for which it may
    /// are not decoded twice.
    pub fn decode<'v>(&self, value: &'v [u8]) -> Result<(Object, bool), NoObject<'v>> {
        let null_times = self.applied.load(Ordering::Relaxed)
            && matches!(Form::of(value), Ok(Form::Protobuf(envelope)) if has_templates(envelope.kind));
        let options = DecodeOptions { null_times, ..self.options };
        Object::decode_with(value, options).map(|object| (object, null_times))
    }

    /// The object as that Kubernetes has it, decoded again if need be.
    pub fn apply(&self, (object, done): (Object, bool), value: &[u8]) -> Object {
        let templates = object.encoding == Encoding::Protobuf && has_templates(object.kind.as_bytes());
        // Not one of the newest converts what is stored otherwise by an old one only.
        let old = answered_in(&object, u32::MAX).is_some();
        if !self.matter || !(templates || old) {
            return object;
        }
        let Some(minor) = self.minor() else { return object };
        if let Some(version) = answered_in(&object, minor) {
            let kind = (object.kind.clone(), object.api_version.clone(), version.to_owned());
            let mut converted = self.converted.lock().unwrap_or_else(PoisonError::into_inner);
            *converted.entry(kind).or_default() += 1;
        }
        if done || !templates || minor > LAST_WITH_NULL_TIMES {
            return object;
        }
        let Ok(with) = Object::decode_with(value, DecodeOptions { null_times: true, ..self.options }) else {
            return object;
        };
        self.applied.fetch_or(with != object, Ordering::Relaxed);
        with
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
        let converted = self.converted.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(version) = &inferred
            && (self.applied.into_inner() || !converted.is_empty())
        {
            monitor.say(&format!("as Kubernetes 1.{minor} prints it: {}", version.reasons.join("; ")));
        }
        for ((kind, stored, answered), objects) in &converted {
            let group = group_of(stored);
            monitor.say(&format!(
                "{objects} of kind {kind} are shown as {stored}, which is stored; a server of 1.{minor} answers in \
                 {group}/{answered}"
            ));
        }
        Ok(())
    }
}

fn has_templates(kind: &[u8]) -> bool {
    WITH_TEMPLATES.iter().any(|with| with.as_bytes() == kind)
}
