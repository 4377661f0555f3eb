//! `kube security` and `kube diff --security`: each rule on an object that breaks it, and silent on one that does not.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use coldbolt::kube::risk::RiskRule;
use serde_json::{Value, json};
use support::backup::Backup;
use support::buckets::Buckets;
use support::packed::snapshot;
use support::{Input, Run, coldbolt, coldbolt_in};

/// Of CN=mallory, O=system:masters, made by openssl.
const REQUEST: &str = "\
-----BEGIN CERTIFICATE REQUEST-----\n\
MIHlMIGNAgEAMCsxFzAVBgNVBAoMDnN5c3RlbTptYXN0ZXJzMRAwDgYDVQQDDAdt\n\
YWxsb3J5MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEcfCp7ksu9BYbOpdFeicl\n\
X+wOTojZW6D/0vr6xFeBQg1eASk6Zi3A4BYhsRUoChPHtvkDp66y5jfzxBGoZavy\n\
Y6AAMAoGCCqGSM49BAMCA0cAMEQCIDqUcU7p9syyPVzB2EAFtzRb5pxZ+VnF1zLM\n\
0TTCvWBXAiA9dhX2aHBuajaJOUZHoVpj640lv3dUQfwKJUtYix5zKA==\n\
-----END CERTIFICATE REQUEST-----\n\
";

fn key(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap();
    let (group, plural) = match kind {
        "NetworkPolicy" => ("", "networkpolicies".to_owned()),
        "ValidatingAdmissionPolicy" => ("", "validatingadmissionpolicies".to_owned()),
        "CustomResourceDefinition" => ("apiextensions.k8s.io/", "customresourcedefinitions".to_owned()),
        "APIService" => ("apiregistration.k8s.io/", "apiservices".to_owned()),
        "Service" => ("", "services/specs".to_owned()),
        kind => ("", format!("{}s", kind.to_lowercase())),
    };
    let namespace = object["metadata"]["namespace"].as_str().map_or(String::new(), |n| format!("{n}/"));
    format!("/registry/{group}{plural}/{namespace}{}", object["metadata"]["name"].as_str().unwrap())
}

fn file(dir: &Path, name: &str, objects: &[Value]) -> Input {
    let mut backup = Backup::of(0);
    let namespace = (
        "/registry/namespaces/default".to_owned(),
        br#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"default"}}"#.to_vec(),
    );
    let keys = objects.iter().map(|object| (key(object), object.to_string().into_bytes()));
    backup.keys = std::iter::once(namespace).chain(keys).collect();
    Input::new(backup.write(&dir.join(name)))
}

fn object(api_version: &str, kind: &str, name: &str, more: Value) -> Value {
    let mut object =
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "n"}});
    let cluster = ["Cluster", "Namespace", "Mutating", "Validating", "Certificate", "Custom", "APIService"];
    if cluster.iter().any(|start| kind.starts_with(start)) {
        object["metadata"] = json!({"name": name});
    }
    for (field, value) in more.as_object().unwrap() {
        if field == "metadata" {
            object["metadata"].as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        } else {
            object[field] = value.clone();
        }
    }
    object
}

fn role(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Value {
    let rules = json!([{"apiGroups": groups, "resources": resources, "verbs": verbs}]);
    object("rbac.authorization.k8s.io/v1", "ClusterRole", "r", json!({"rules": rules}))
}

fn binding(role: &str, subject: Value) -> Value {
    let body = json!({"roleRef": {"kind": "ClusterRole", "name": role}, "subjects": [subject]});
    object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "b", body)
}

fn pod(more: Value) -> Value {
    let mut spec = json!({"containers": [{"name": "c", "image": "nginx"}]});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object("v1", "Pod", "p", json!({"spec": spec}))
}

fn contained(context: Value) -> Value {
    pod(json!({"containers": [{"name": "c", "image": "nginx", "securityContext": context}]}))
}

const ADMISSION: &str = "admissionregistration.k8s.io/v1";

/// For each rule that looks at one file: what breaks it, what is told, and what is nearly the same and does not.
fn held() -> Vec<(RiskRule, Value, &'static str, Value)> {
    let user = json!({"kind": "User", "name": "ann"});
    let group = |name: &str| json!({"kind": "Group", "name": name});
    let account = |name: &str| json!({"kind": "ServiceAccount", "name": name, "namespace": "n"});
    let rbac = |resource: &'static str, group: &'static str, verb: &'static str| {
        role(&[group], &[resource], &[verb])
    };
    let mount = |path: &str, read_only: bool| {
        pod(json!({
            "containers": [{"name": "c", "image": "i",
                "volumeMounts": [{"name": "v", "mountPath": "/x", "readOnly": read_only}]}],
            "volumes": [{"name": "v", "hostPath": {"path": path}}],
        }))
    };
    let hook = |client: Value| {
        let webhooks = json!([{"name": "w.example.com", "clientConfig": client}]);
        object(ADMISSION, "MutatingWebhookConfiguration", "h", json!({"webhooks": webhooks}))
    };
    let secret = |kind: &str, data: Value| {
        object(
            "v1",
            "Secret",
            "s",
            json!({"type": kind, "data": data, "metadata": {"annotations":
            {"kubernetes.io/service-account.name": "robot"}}}),
        )
    };
    let request = |signer: &str, kind: &str| {
        let request = BASE64_STANDARD.encode(REQUEST);
        let spec = json!({"signerName": signer, "username": "eve", "request": request});
        let status = json!({"conditions": [{"type": kind}]});
        let body = json!({"spec": spec, "status": status});
        object("certificates.k8s.io/v1", "CertificateSigningRequest", "c", body)
    };
    let definition = |strategy: &str| {
        let client = json!({"service": {"namespace": "n", "name": "convert"}});
        let spec = json!({"conversion": {"strategy": strategy, "webhook": {"clientConfig": client}}});
        object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "xs.example.com", json!({"spec": spec}))
    };
    let api = |insecure: bool| {
        let service = json!({"namespace": "n", "name": "metrics"});
        let spec = json!({"service": service, "insecureSkipTLSVerify": insecure});
        object("apiregistration.k8s.io/v1", "APIService", "v1.metrics", json!({"spec": spec}))
    };
    let enforce = |level: &str| {
        let labels = json!({"pod-security.kubernetes.io/enforce": level});
        object("v1", "Namespace", "loose", json!({"metadata": {"labels": labels}}))
    };
    let ports =
        |port: u32| pod(json!({"containers": [{"name": "c", "image": "i", "ports": [{"hostPort": port}]}]}));
    let mirror = |name: &str| {
        object("v1", "Pod", "p", json!({"metadata": {"annotations": {name: "f00d"}}, "spec": {}}))
    };
    let aggregated = |rule: Value| {
        object(
            "rbac.authorization.k8s.io/v1",
            "ClusterRole",
            "ops",
            json!({"aggregationRule": rule, "rules": []}),
        )
    };
    let service = |name: &str| object("v1", "Service", "s", json!({"spec": {name: ["203.0.113.7"]}}));
    vec![
        (
            RiskRule::RbacClusterAdmin,
            binding("cluster-admin", user.clone()),
            "User ann: ClusterRole cluster-admin",
            binding("view", user.clone()),
        ),
        (
            RiskRule::RbacMasters,
            binding("view", group("system:masters")),
            "Group system:masters: ClusterRole view",
            binding("view", group("masters")),
        ),
        (
            RiskRule::RbacAnonymous,
            binding("view", json!({"kind": "User", "name": "system:anonymous"})),
            "User system:anonymous: ClusterRole view",
            binding("view", json!({"kind": "ServiceAccount", "name": "system:anonymous"})),
        ),
        (
            RiskRule::RbacEveryone,
            binding("view", group("system:authenticated")),
            "Group system:authenticated: ClusterRole view",
            binding("view", group("serviceaccounts")),
        ),
        (
            RiskRule::RbacDefaultAccount,
            binding("view", account("default")),
            "ServiceAccount n/default: ClusterRole view",
            binding("view", account("robot")),
        ),
        (
            RiskRule::RbacWildcard,
            role(&["*"], &["*"], &["*"]),
            "*: * of *",
            role(&["*"], &["widgets"], &["get"]),
        ),
        (
            RiskRule::RbacEscalate,
            rbac("clusterroles", "rbac.authorization.k8s.io", "bind"),
            "bind: clusterroles",
            rbac("clusterroles", "rbac.authorization.k8s.io", "get"),
        ),
        (
            RiskRule::RbacNodesProxy,
            rbac("nodes/proxy", "", "get"),
            "get: nodes/proxy",
            rbac("nodes", "", "get"),
        ),
        (
            RiskRule::RbacTokens,
            rbac("serviceaccounts/token", "", "create"),
            "create: serviceaccounts/token",
            rbac("serviceaccounts", "", "create"),
        ),
        (
            RiskRule::RbacCertificates,
            rbac("signers", "certificates.k8s.io", "approve"),
            "approve: signers",
            rbac("signers", "", "approve"),
        ),
        (
            RiskRule::RbacAdmission,
            rbac("mutatingwebhookconfigurations", "admissionregistration.k8s.io", "patch"),
            "patch: mutatingwebhookconfigurations",
            rbac("mutatingwebhookconfigurations", "admissionregistration.k8s.io", "list"),
        ),
        (RiskRule::RbacSecrets, rbac("secrets", "", "list"), "list: secrets", rbac("secrets", "", "delete")),
        (
            RiskRule::RbacWorkloads,
            rbac("daemonsets", "apps", "create"),
            "create: daemonsets",
            rbac("daemonsets", "apps", "delete"),
        ),
        (RiskRule::RbacExec, rbac("*/exec", "", "create"), "create: */exec", rbac("*/scale", "", "create")),
        (
            RiskRule::RbacVolumes,
            rbac("persistentvolumes", "", "create"),
            "create: persistentvolumes",
            rbac("persistentvolumeclaims", "", "create"),
        ),
        (
            RiskRule::PodPrivileged,
            contained(json!({"privileged": true})),
            "container c",
            contained(json!({"privileged": false})),
        ),
        (
            RiskRule::PodHostNamespace,
            pod(json!({"hostPID": true})),
            "hostPID",
            pod(json!({"hostUsers": true})),
        ),
        (
            RiskRule::PodHostPath,
            mount("/data", false),
            "/data, written by c",
            pod(json!({"volumes": [{"name": "v", "emptyDir": {}}]})),
        ),
        (RiskRule::PodHostRoot, mount("/etc/", true), "/etc/, to read", mount("/data", true)),
        (RiskRule::PodHostRoot, mount("/run/x.sock", false), "/run/x.sock, written by c", pod(json!({}))),
        (
            RiskRule::VolumeHostPath,
            object("v1", "PersistentVolume", "v", json!({"spec": {"local": {"path": "/etc/kubernetes"}}})),
            "/etc/kubernetes",
            object("v1", "PersistentVolume", "v", json!({"spec": {"nfs": {"path": "/etc/kubernetes"}}})),
        ),
        (
            RiskRule::RbacEveryVerb,
            rbac("widgets", "example.com", "*"),
            "*: widgets of example.com",
            rbac("widgets", "example.com", "get"),
        ),
        (
            RiskRule::RbacGuards,
            rbac("networkpolicies", "networking.k8s.io", "delete"),
            "delete: networkpolicies",
            rbac("networkpolicies", "networking.k8s.io", "get"),
        ),
        (
            RiskRule::PodEscapes,
            contained(json!({"capabilities": {"add": ["cap_sys_admin", "CHOWN"]}})),
            "container c: SYS_ADMIN",
            contained(json!({"capabilities": {"add": ["CHOWN"], "drop": ["SYS_ADMIN"]}})),
        ),
        (
            RiskRule::PodCapabilities,
            contained(json!({"capabilities": {"add": ["CAP_NET_ADMIN", "CHOWN"]}})),
            "container c: NET_ADMIN",
            contained(json!({"capabilities": {"add": ["CHOWN"], "drop": ["NET_ADMIN"]}})),
        ),
        (
            RiskRule::PodUnconfined,
            pod(json!({"securityContext": {"sysctls": [{"name": "kernel.core_pattern", "value": "x"}]}})),
            "the pod: sysctl kernel.core_pattern",
            pod(json!({"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]}})),
        ),
        (
            RiskRule::PodUnconfined,
            contained(json!({"seLinuxOptions": {"type": "spc_t"}})),
            "container c: SELinux type spc_t",
            contained(json!({"seLinuxOptions": {"type": "container_t"}})),
        ),
        (
            RiskRule::PodUnconfined,
            contained(json!({"seccompProfile": {"type": "Unconfined"}})),
            "container c: seccomp",
            contained(json!({"seccompProfile": {"type": "RuntimeDefault"}})),
        ),
        (RiskRule::PodHostPort, ports(22), "container c: 22", ports(0)),
        (
            RiskRule::PodStatic,
            mirror("kubernetes.io/config.mirror"),
            "the hash of its file is f00d",
            mirror("kubernetes.io/config.source"),
        ),
        (
            RiskRule::WebhookOutside,
            hook(json!({"url": "https://u:p@evil.example/x?t=1"})),
            "w.example.com: evil.example",
            hook(json!({"service": {"namespace": "n", "name": "hook"}})),
        ),
        (RiskRule::CrdConversion, definition("Webhook"), "service n/convert", definition("None")),
        (RiskRule::ApiServiceInsecure, api(true), "service n/metrics", api(false)),
        (
            RiskRule::NamespacePrivileged,
            enforce("privileged"),
            "pod-security.kubernetes.io/enforce=privileged",
            enforce("baseline"),
        ),
        (
            RiskRule::TokenSecret,
            secret("kubernetes.io/service-account-token", json!({"token": "dA=="})),
            "of service account robot",
            secret("Opaque", json!({})),
        ),
        (
            RiskRule::BootstrapToken,
            secret(
                "bootstrap.kubernetes.io/token",
                json!({"expiration": BASE64_STANDARD.encode("2030-01-01T00:00:00Z")}),
            ),
            "it ends 2030-01-01T00:00:00Z",
            secret("Opaque", json!({"expiration": BASE64_STANDARD.encode("2030-01-01T00:00:00Z")})),
        ),
        (
            RiskRule::CertificateApproved,
            request("kubernetes.io/kube-apiserver-client", "Approved"),
            "CN=mallory,O=system:masters, by kubernetes.io/kube-apiserver-client, asked for by eve",
            request("kubernetes.io/kube-apiserver-client", "Denied"),
        ),
        (
            RiskRule::ServiceOutside,
            object(
                "v1",
                "Service",
                "s",
                json!({"spec": {"type": "ExternalName", "externalName": "evil.example"}}),
            ),
            "evil.example",
            object("v1", "Service", "s", json!({"spec": {"type": "ClusterIP"}})),
        ),
        (
            RiskRule::RbacAggregates,
            aggregated(json!({"clusterRoleSelectors": [{"matchLabels": {"to-ops": "true"}}]})),
            "to-ops=true",
            aggregated(json!({"clusterRoleSelectors": []})),
        ),
        (RiskRule::ServiceExternalIp, service("externalIPs"), "203.0.113.7", service("clusterIPs")),
    ]
}

/// For each rule about what changed: before, after, and what is told.
fn changed() -> Vec<(RiskRule, Vec<Value>, Vec<Value>, &'static str)> {
    let image = |name: &str, image: &str| {
        object("v1", "Pod", name, json!({"spec": {"containers": [{"name": "c", "image": image}]}}))
    };
    let job = json!({"spec": {"jobTemplate": {"spec": {"template": {"spec":
        {"containers": [{"name": "c", "image": "miner"}]}}}}}});
    let hook = |resource: &str| {
        let client = json!({"service": {"namespace": "n", "name": "hook"}});
        let webhooks = json!([{"name": "w", "clientConfig": client, "rules": [{"resources": [resource]}]}]);
        object(ADMISSION, "ValidatingWebhookConfiguration", "h", json!({"webhooks": webhooks}))
    };
    let policy =
        |value: &str| object(ADMISSION, "ValidatingAdmissionPolicy", "p", json!({"spec": {"a": value}}));
    let network = object("networking.k8s.io/v1", "NetworkPolicy", "deny", json!({"spec": {}}));
    let enforce = |level: &str| {
        let labels = json!({"pod-security.kubernetes.io/enforce": level});
        object("v1", "Namespace", "tight", json!({"metadata": {"labels": labels}}))
    };
    let root = |image: &str, command: &str| {
        let one = json!({"name": "c", "image": image, "command": [command]});
        object("v1", "Pod", "p", json!({"spec": {"hostPID": true, "containers": [one]}}))
    };
    let answered = |service: Value, authority: &str| {
        let spec = json!({"service": service, "caBundle": authority});
        object("apiregistration.k8s.io/v1", "APIService", "v1.metrics", json!({"spec": spec}))
    };
    let map = |name: &str, value: &str| {
        let metadata = json!({"namespace": "kube-system"});
        object("v1", "ConfigMap", name, json!({"metadata": metadata, "data": {"x": value}}))
    };
    vec![
        (
            RiskRule::ImageRegistry,
            vec![image("a", "nginx")],
            vec![image("a", "nginx"), image("b", "evil.example/nginx"), image("c", "library/redis")],
            "evil.example",
        ),
        (
            RiskRule::WorkloadNew,
            vec![image("a", "nginx")],
            vec![image("a", "nginx"), object("batch/v1", "CronJob", "again", job)],
            "miner",
        ),
        (
            RiskRule::WebhookChanged,
            vec![hook("pods")],
            vec![hook("secrets")],
            "w calls service n/hook for secrets (another rules)",
        ),
        (RiskRule::WebhookChanged, vec![], vec![hook("pods")], "w calls service n/hook for pods (new)"),
        (RiskRule::WorkloadChanged, vec![root("nginx", "a")], vec![root("nginx", "b")], "nginx"),
        (
            RiskRule::RbacBindingNew,
            vec![binding("view", json!({"kind": "User", "name": "ann"}))],
            vec![binding("view", json!({"kind": "User", "name": "eve"}))],
            "User eve: ClusterRole view",
        ),
        (
            RiskRule::ApiServiceChanged,
            vec![answered(json!(null), "")],
            vec![answered(json!({"namespace": "n", "name": "m"}), "Y2E=")],
            "service n/m (another before)",
        ),
        (
            RiskRule::ApiServiceChanged,
            vec![answered(json!({"namespace": "n", "name": "m"}), "Y2E=")],
            vec![answered(json!({"namespace": "n", "name": "m"}), "Y2I=")],
            "service n/m (another certificate authority)",
        ),
        (
            RiskRule::ApiServiceChanged,
            vec![],
            vec![answered(json!({"namespace": "n", "name": "m"}), "Y2E=")],
            "service n/m (new)",
        ),
        (RiskRule::GuardRemoved, vec![network], vec![], "it was removed"),
        (RiskRule::GuardRemoved, vec![hook("pods")], vec![], "it was removed"),
        (
            RiskRule::GuardRemoved,
            vec![enforce("restricted")],
            vec![enforce("baseline")],
            "it enforced restricted on pods, and now baseline",
        ),
        (RiskRule::GuardChanged, vec![policy("a")], vec![policy("b")], "spec is another"),
        (RiskRule::DnsChanged, vec![map("coredns", "a")], vec![map("coredns", "b")], "its data is another"),
        (RiskRule::LoginChanged, vec![], vec![map("aws-auth", "b")], "its data is another"),
    ]
}

fn risks(run: &Run) -> Vec<(String, String)> {
    let text = |risk: &Value, name: &str| risk[name].as_str().unwrap().to_owned();
    let risks = run.json()["risks"].as_array().unwrap().clone();
    risks.iter().map(|risk| (text(risk, "rule"), text(risk, "detail"))).collect()
}

#[test]
fn each_rule_speaks_of_what_breaks_it_and_not_of_what_is_nearly_the_same() {
    let dir = tempfile::tempdir().unwrap();
    for (at, (rule, broken, detail, kept)) in held().into_iter().enumerate() {
        let both = [("broken", broken), ("kept", kept)].map(|(name, object)| {
            let input = file(dir.path(), &format!("{at}-{name}.db"), &[object]);
            let run = coldbolt(["kube", "security", input.name(), "-w", "json"]);
            assert_eq!(run.code, 0, "{rule}: {run}");
            input.unchanged();
            (input, risks(&run))
        });
        let [(broken, told), (kept, silent)] = &both;
        assert!(told.contains(&(rule.name().to_owned(), detail.to_owned())), "{rule}: {told:?}");
        assert!(silent.iter().all(|(name, _)| name != rule.name()), "{rule}: {silent:?}");
        // Of the two the one that breaks it is worse, and the other is not.
        let diff =
            |a: &Input, b: &Input| coldbolt(["kube", "diff", "--security", a.name(), b.name(), "-w", "json"]);
        let (worse, better) = (diff(kept, broken), diff(broken, kept));
        assert_eq!(worse.code, 1, "{rule}: {worse}");
        assert!(risks(&worse).contains(&(rule.name().to_owned(), detail.to_owned())), "{rule}: {worse}");
        assert!(risks(&better).iter().all(|(name, _)| name != rule.name()), "{rule}: {better}");
    }
}

#[test]
fn what_changed_is_told_by_its_rule_and_what_did_not_is_not() {
    let dir = tempfile::tempdir().unwrap();
    for (at, (rule, before, after, detail)) in changed().into_iter().enumerate() {
        let before = file(dir.path(), &format!("{at}-before.db"), &before);
        let after = file(dir.path(), &format!("{at}-after.db"), &after);
        let diff =
            |a: &Input, b: &Input| coldbolt(["kube", "diff", "--security", a.name(), b.name(), "-w", "json"]);
        let run = diff(&before, &after);
        assert_eq!((run.code, risks(&run)), (1, vec![(rule.name().to_owned(), detail.to_owned())]), "{run}");
        let same = diff(&after, &after);
        assert_eq!((same.code, risks(&same)), (0, vec![]), "{same}");
    }
}

#[test]
fn users_and_roles_of_etcd_that_are_new_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let with = |name: &str, users: &[(&str, &[&str])]| {
        let mut all = Buckets::good();
        users.iter().for_each(|(user, roles)| all.user(user, roles));
        let path = dir.path().join(name);
        fs::write(&path, all.file().bytes).unwrap();
        Input::new(path)
    };
    let before = with("a.db", &[("ann", &[]), ("old", &[])]);
    let after = with("b.db", &[("ann", &["root"]), ("eve", &["root"])]);
    let run = coldbolt(["kube", "diff", "--security", before.name(), after.name(), "-w", "json"]);
    let told: Vec<String> = risks(&run).into_iter().map(|(_, detail)| detail).collect();
    let due =
        ["user ann was given the role root", "user eve was added, of roles root", "user old was removed"];
    for due in due {
        assert!(told.iter().any(|detail| detail == due), "{due}: {told:?}");
    }
    assert_eq!(run.code, 1);
}

#[test]
fn every_rule_has_a_case_here() {
    let held = held().into_iter().map(|(rule, ..)| rule);
    let here: BTreeSet<_> = held.chain(changed().into_iter().map(|(rule, ..)| rule)).collect();
    let missing: Vec<_> = RiskRule::ALL.iter().filter(|rule| !here.contains(rule)).collect();
    // These have tests of their own.
    assert_eq!(missing, [&RiskRule::RbacBound, &RiskRule::EtcdAuthChanged]);
}

#[test]
fn what_a_pod_has_of_its_owner_is_told_once_and_what_it_has_of_its_own_is_not_hidden() {
    let dir = tempfile::tempdir().unwrap();
    let spec = json!({"hostPID": true, "containers": [{"name": "c", "image": "i"}]});
    let deployment = object("apps/v1", "Deployment", "web", json!({"spec": {"template": {"spec": spec}}}));
    let owner = |kind: &str, name: &str| json!([{"kind": kind, "name": name, "controller": true}]);
    let set = object(
        "apps/v1",
        "ReplicaSet",
        "web-1",
        json!({"metadata": {"ownerReferences": owner("Deployment", "web")}, "spec": {"template": {"spec": spec}}}),
    );
    let of_set = json!({"ownerReferences": owner("ReplicaSet", "web-1")});
    let pod = object("v1", "Pod", "web-1-a", json!({"metadata": of_set, "spec": spec}));
    let mut other = pod.clone();
    other["metadata"]["name"] = "web-1-b".into();
    other["spec"]["hostNetwork"] = true.into();
    let input = file(dir.path(), "a.db", &[deployment, set, pod, other]);
    let run = coldbolt(["kube", "security", input.name(), "-w", "ndjson"]);
    let told: Vec<Value> = run.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = told.iter().filter(|line| line["rule"].is_string()).collect();
    let told: Vec<_> =
        told.iter().map(|risk| (risk["name"].as_str().unwrap(), risk["detail"].as_str().unwrap())).collect();
    assert_eq!(told, [("web", "hostPID"), ("web-1-b", "hostNetwork")]);
}

/// Who makes a pod chooses whom it calls its owner.
#[test]
fn a_pod_that_only_says_whose_it_is_is_not_hidden() {
    let dir = tempfile::tempdir().unwrap();
    let spec = |image: &str| json!({"hostPID": true, "containers": [{"name": "c", "image": image}]});
    let template = json!({"spec": {"template": {"spec": spec("i")}}, "metadata": {"uid": "u-1"}});
    let set = object("apps/v1", "DaemonSet", "proxy", template);
    let pod = |name: &str, uid: &str, image: &str| {
        let owner = json!([{"kind": "DaemonSet", "name": "proxy", "uid": uid, "controller": true}]);
        object("v1", "Pod", name, json!({"metadata": {"ownerReferences": owner}, "spec": spec(image)}))
    };
    let objects =
        [set, pod("own", "u-1", "i"), pod("another-uid", "u-2", "i"), pod("another-image", "u-1", "evil")];
    let input = file(dir.path(), "a.db", &objects);
    let run = coldbolt(["kube", "security", input.name(), "-w", "json"]);
    let risks = run.json()["risks"].as_array().unwrap().clone();
    let names: Vec<_> = risks.iter().map(|risk| risk["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["proxy", "another-image", "another-uid"]);
}

#[test]
fn what_is_only_called_and_labelled_as_the_api_servers_own_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let labels = json!({"labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}});
    let rbac = |kind: &str, name: &str, more: Value| {
        let mut object = object("rbac.authorization.k8s.io/v1", kind, name, more);
        object["metadata"]["labels"] = labels["labels"].clone();
        object
    };
    let bound = |name: &str, role: &str, subjects: Value| {
        let role = json!({"kind": "ClusterRole", "name": role});
        rbac("ClusterRoleBinding", name, json!({"roleRef": role, "subjects": subjects}))
    };
    let everything = json!({"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]});
    let masters = json!({"kind": "Group", "name": "system:masters"});
    let eve = json!({"kind": "User", "name": "eve"});
    let objects = [
        rbac("ClusterRole", "cluster-admin", everything.clone()),
        rbac("ClusterRole", "view", everything.clone()),
        rbac("ClusterRole", "system:own", everything),
        bound("cluster-admin", "cluster-admin", json!([masters, eve])),
        bound("system:own", "system:own", json!([eve])),
    ];
    let input = file(dir.path(), "a.db", &objects);
    let run = coldbolt(["kube", "security", input.name(), "-w", "json"]);
    let risks = run.json()["risks"].as_array().unwrap().clone();
    let told = |risk: &Value, name: &str| risk[name].as_str().unwrap().to_owned();
    let mut told: Vec<_> =
        risks.iter().map(|risk| (told(risk, "rule"), told(risk, "name"), told(risk, "detail"))).collect();
    told.sort();
    let due = [
        ("rbac-bound", "system:own", "User eve: ClusterRole system:own (rbac-wildcard)"),
        ("rbac-cluster-admin", "cluster-admin", "User eve: ClusterRole cluster-admin"),
        ("rbac-wildcard", "system:own", "*: * of *"),
        ("rbac-wildcard", "view", "*: * of *"),
    ];
    let due = due.map(|(rule, name, detail)| (rule.to_owned(), name.to_owned(), detail.to_owned()));
    assert_eq!(told, due);
    // Masters, twice, and the role.
    assert_eq!(run.json()["report"]["own"], 3);
}

#[test]
fn a_namespace_that_is_nowhere_is_said_and_the_exit_code_is_4() {
    let dir = tempfile::tempdir().unwrap();
    let input = file(dir.path(), "a.db", &[pod(json!({}))]);
    for (namespace, code) in [("nosuch", 4), ("n", 0), ("default", 0)] {
        let one = coldbolt(["kube", "security", input.name(), "-n", namespace]);
        let two = coldbolt(["kube", "diff", "--security", input.name(), input.name(), "-n", namespace]);
        assert_eq!((one.code, two.code), (code, code), "{one} {two}");
    }
}

#[test]
fn of_a_real_cluster_only_what_was_made_in_it_is_told_and_all_on_demand() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let run = coldbolt(["kube", "security", input.name(), "-w", "json"]);
    assert_eq!(run.code, 0, "{run}");
    let answer = run.json();
    assert!(answer["report"]["own"].as_u64().unwrap() > 50, "{}", answer["report"]);
    assert!(answer["risks"].as_array().unwrap().iter().all(|risk| risk["own"] == false));
    let all = coldbolt(["kube", "security", input.name(), "--all", "-w", "json"]);
    let named = |run: &Run, name: &str| {
        let risks = run.json()["risks"].as_array().unwrap().clone();
        risks.iter().filter(|risk| risk["kind"] == "ClusterRoleBinding" && risk["name"] == name).count()
    };
    // Of these two, which give the same to the same, the API server made one.
    assert_eq!((named(&run, "cluster-admin"), named(&run, "crb-lotus")), (0, 2), "{run}");
    assert_eq!((named(&all, "cluster-admin"), named(&all, "crb-lotus")), (2, 2), "{all}");
    assert_eq!(all.json()["report"]["own"], 0);
    input.unchanged();
}

#[test]
fn sarif_names_the_rules_that_spoke_and_explain_knows_each() {
    let dir = tempfile::tempdir().unwrap();
    let input = file(dir.path(), "a.db", &[pod(json!({"hostPID": true}))]);
    let run = coldbolt(["kube", "security", input.name(), "-w", "sarif"]);
    let log = run.json();
    assert_eq!(log["version"], "2.1.0");
    assert_eq!(log["runs"][0]["tool"]["driver"]["rules"][0]["id"], "pod-host-namespace");
    let result = &log["runs"][0]["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&json!("pod-host-namespace"), &json!("error")));
    let place = &result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"];
    assert_eq!(place, "n/Pod/p");
    for rule in RiskRule::ALL {
        let told = coldbolt(["explain", rule.name()]);
        assert_eq!(told.code, 0, "{told}");
        assert!(told.text().contains(rule.guidance()), "{told}");
    }
}

#[test]
fn what_cannot_be_looked_into_is_said_and_the_exit_code_is_4() {
    let dir = tempfile::tempdir().unwrap();
    let mut backup = Backup::of(0);
    backup.keys = vec![
        ("/registry/namespaces/default".to_owned(), br#"{"apiVersion":"v1","kind":"Namespace"}"#.to_vec()),
        ("/registry/secrets/n/closed".to_owned(), b"k8s:enc:aescbc:v1:key1:canary".to_vec()),
    ];
    let input = Input::new(backup.write(&dir.path().join("a.db")));
    let run = coldbolt(["kube", "security", input.name()]);
    assert_eq!(run.code, 4, "{run}");
    assert!(run.err.contains("values that were not looked into: 1 encrypted"), "{run}");
    let usage = coldbolt_in(dir.path(), ["kube", "diff", "a.db", "a.db", "-w", "sarif"]);
    assert_eq!(usage.code, 2, "{usage}");
    assert!(usage.err.contains("--security"), "{usage}");
}
