//! Kinds of long ago: objects of each kind that older Kubernetes and OpenShift had, made with the Go types of that time.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use coldbolt::kube::decode::{DecodeOptions, Object};
use coldbolt::kube::json::{self, Layout};
use support::compared::Compared;
use support::fixture;
use support::packed::lines;

const AS_STORED: Layout = Layout { indent: false, sorted: false };

/// What the types have come to print otherwise, where the bytes do not tell which ones wrote them.
const CHANGED: [&str; 5] = [
    // The parameters had no scope, and a group that is null where it is not set.
    "1.20 networking.k8s.io/v1 IngressClass",
    "1.20 networking.k8s.io/v1beta1 IngressClass",
    // Lists and pointers that were null where they are not set.
    "1.26 admissionregistration.k8s.io/v1alpha1 ValidatingAdmissionPolicy",
    "1.26 batch/v1beta1 CronJob",
    "1.26 batch/v1beta1 JobTemplate",
];

#[test]
fn kinds_that_are_gone_decode_as_the_types_of_their_time_decode_them() {
    let (mut compared, mut changed, mut gone) = (Compared::default(), Vec::new(), Vec::new());
    for release in ["1.17", "1.20", "1.26"] {
        for line in lines(&fixture(&format!("kube/old-{release}.ndjson.gz"))) {
            let value = BASE64_STANDARD.decode(line["value"].as_str().unwrap()).unwrap();
            let text = |name: &str| line[name].as_str().unwrap();
            let name = format!("{release} {} {}", text("apiVersion"), text("kind"));
            let object =
                Object::decode_with(&value, DecodeOptions { null_times: true, ..DecodeOptions::default() })
                    .unwrap();
            assert!(object.known && object.remarks.is_empty(), "{name}: {:?}", object.remarks);
            if !object.unknown.is_empty() {
                gone.extend(object.unknown.iter().map(|field| format!("{name}: {}", field.path)));
                continue;
            }
            // An address that older types leave out if it is empty, which no real one is, and newer ones do not.
            let ours = json::object_text(&object.json, AS_STORED);
            let ours =
                ours.replace(r#"{"ip":""}"#, "{}").replace(r#"{"ip":"","hostnames""#, r#"{"hostnames""#);
            let due = json::text(&line["json"], AS_STORED);
            if CHANGED.contains(&&*name) && ours != due {
                changed.push(name);
                continue;
            }
            compared.take(&name, &ours, &due);
        }
    }
    assert_eq!(changed, CHANGED);
    // Claims of devices in a claim of a volume: the field was taken back before it meant anything.
    assert!(gone.iter().all(|field| field.contains("StatefulSet: spec.volumeClaimTemplates[")), "{gone:?}");
    compared.judge("old kinds", 370);
}

#[test]
fn kinds_of_long_ago_are_among_them() {
    for (release, kind) in [
        ("1.17", "policy/v1beta1 PodSecurityPolicy"),
        ("1.17", "extensions/v1beta1 Deployment"),
        ("1.17", "extensions/v1beta1 Ingress"),
        ("1.17", "settings.k8s.io/v1alpha1 PodPreset"),
        ("1.17", "auditregistration.k8s.io/v1alpha1 AuditSink"),
        ("1.17", "batch/v2alpha1 CronJob"),
        ("1.17", "autoscaling/v2beta2 HorizontalPodAutoscaler"),
        ("1.17", "route.openshift.io/v1 Route"),
        ("1.17", "apps.openshift.io/v1 DeploymentConfig"),
        ("1.20", "discovery.k8s.io/v1alpha1 EndpointSlice"),
        ("1.20", "flowcontrol.apiserver.k8s.io/v1alpha1 FlowSchema"),
        ("1.26", "resource.k8s.io/v1alpha1 ResourceClaim"),
        ("1.26", "networking.k8s.io/v1alpha1 ClusterCIDR"),
    ] {
        let lines = lines(&fixture(&format!("kube/old-{release}.ndjson.gz")));
        let name = |line: &serde_json::Value| {
            [&line["apiVersion"], &line["kind"]].map(|part| part.as_str().unwrap()).join(" ")
        };
        assert!(lines.iter().any(|line| name(line) == kind), "{release} {kind}");
    }
}
