//! What an older Kubernetes prints otherwise, and what it would have answered in another version.

use std::collections::BTreeMap;

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
    inferred: Option<Option<ServerVersion>>,
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
            inferred: None,
            applied: false,
            converted: BTreeMap::new(),
        }
    }

    fn minor(&mut self) -> Result<Option<u32>, Fail> {
        if self.given.is_some() {
            return Ok(self.given);
        }
        if self.inferred.is_none() {
            self.inferred = Some(self.cluster.server_version()?);
        }
        Ok(self.inferred.iter().flatten().next().map(|version| version.minor))
    }

    /// The object as that Kubernetes has it, decoded again if need be.
    pub fn apply(&mut self, object: Object, value: &[u8]) -> Result<Object, Fail> {
        let templates = object.encoding == Encoding::Protobuf && WITH_TEMPLATES.contains(&&*object.kind);
        // Not one of the newest converts what is stored otherwise by an old one only.
        let old = answered_in(&object, u32::MAX).is_some();
        if !self.matter || !(templates || old) {
            return Ok(object);
        }
        let Some(minor) = self.minor()? else { return Ok(object) };
        if let Some(version) = answered_in(&object, minor) {
            let kind = (object.kind.clone(), object.api_version.clone(), version.to_owned());
            *self.converted.entry(kind).or_default() += 1;
        }
        if !templates || minor > LAST_WITH_NULL_TIMES {
            return Ok(object);
        }
        let Ok(with) = Object::decode_with(value, DecodeOptions { null_times: true, ..self.options }) else {
            return Ok(object);
        };
        self.applied |= with != object;
        Ok(with)
    }

    /// Says what was done.
    pub fn say(&self, monitor: &Terminal) {
        let minor = self.given.or(self.inferred.iter().flatten().next().map(|version| version.minor));
        let Some(minor) = minor else { return };
        if let Some(Some(version)) = &self.inferred
            && (self.applied || !self.converted.is_empty())
        {
            monitor.say(&format!("as Kubernetes 1.{minor} prints it: {}", version.reasons.join("; ")));
        }
        for ((kind, stored, answered), objects) in &self.converted {
            let group = group_of(stored);
            monitor.say(&format!(
                "{objects} of kind {kind} are shown as {stored}, which is stored; a server of 1.{minor} answers in \
                 {group}/{answered}"
            ));
        }
    }
}
