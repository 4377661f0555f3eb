//! Roles, and who is bound to them.

use super::object::{field, inside, items, strings, text};
use super::rule::{Risk, RiskRule};
use crate::kube::decode::Object;

/// Who is bound to which roles in every cluster, by the name of the binding, which is that of the role: besides the
/// service account of each controller. Source: `plugin/pkg/auth/authorizer/rbac/bootstrappolicy` @ v1.24, v1.37.
const STOCK_BINDINGS: [(&str, &[&str]); 12] = [
    ("cluster-admin", &["Group system:masters"]),
    ("system:basic-user", &["Group system:authenticated"]),
    ("system:cluster-trust-bundle-discovery", &["Group system:serviceaccounts"]),
    ("system:discovery", &["Group system:authenticated"]),
    ("system:kube-controller-manager", &["User system:kube-controller-manager"]),
    ("system:kube-dns", &["ServiceAccount kube-system/kube-dns"]),
    ("system:kube-scheduler", &["User system:kube-scheduler"]),
    ("system:monitoring", &["Group system:monitoring"]),
    ("system:node-proxier", &["User system:kube-proxy"]),
    ("system:public-info-viewer", &["Group system:authenticated", "Group system:unauthenticated"]),
    ("system:service-account-issuer-discovery", &["Group system:serviceaccounts"]),
    ("system:volume-scheduler", &["User system:kube-scheduler"]),
];

/// What the controller `system:controller:NAME` and its like may do in every cluster, by rule.
const STOCK_ROLES: &[(&str, &[RiskRule])] = {
    use RiskRule as R;
    const ALL: &[RiskRule] = &[
        R::RbacAdmission,
        R::RbacCertificates,
        R::RbacEscalate,
        R::RbacEveryVerb,
        R::RbacExec,
        R::RbacGuards,
        R::RbacNodesProxy,
        R::RbacSecrets,
        R::RbacTokens,
        R::RbacVolumes,
        R::RbacWildcard,
        R::RbacWorkloads,
    ];
    const EDIT: &[RiskRule] = &[
        R::RbacAggregates,
        R::RbacEscalate,
        R::RbacExec,
        R::RbacGuards,
        R::RbacSecrets,
        R::RbacTokens,
        R::RbacWorkloads,
    ];
    const APPROVE: &[RiskRule] = &[R::RbacCertificates];
    const PODS: &[RiskRule] = &[R::RbacWorkloads];
    const VOLUMES: &[RiskRule] = &[R::RbacVolumes];
    const SECRETS: &[RiskRule] = &[R::RbacSecrets];
    &[
        ("admin", EDIT),
        ("cluster-admin", ALL),
        ("edit", EDIT),
        ("system:aggregate-to-admin", EDIT),
        ("system:aggregate-to-edit", EDIT),
        ("system:certificates.k8s.io:kube-apiserver-client-approver", APPROVE),
        ("system:certificates.k8s.io:kube-apiserver-client-kubelet-approver", APPROVE),
        ("system:certificates.k8s.io:kubelet-serving-approver", APPROVE),
        ("system:certificates.k8s.io:legacy-unknown-approver", APPROVE),
        ("system:controller:bootstrap-signer", SECRETS),
        ("system:controller:certificate-controller", APPROVE),
        ("system:controller:clusterrole-aggregation-controller", &[R::RbacEscalate]),
        ("system:controller:cronjob-controller", PODS),
        ("system:controller:daemon-set-controller", PODS),
        ("system:controller:deployment-controller", PODS),
        ("system:controller:expand-controller", &[R::RbacSecrets, R::RbacVolumes]),
        ("system:controller:generic-garbage-collector", ALL),
        ("system:controller:horizontal-pod-autoscaler", &[R::RbacWildcard]),
        ("system:controller:job-controller", PODS),
        ("system:controller:namespace-controller", ALL),
        ("system:controller:persistent-volume-binder", &[R::RbacVolumes, R::RbacWorkloads, R::RbacSecrets]),
        ("system:controller:pv-protection-controller", VOLUMES),
        ("system:controller:replicaset-controller", PODS),
        ("system:controller:replication-controller", PODS),
        ("system:controller:resourcequota-controller", &[R::RbacSecrets, R::RbacWildcard]),
        ("system:controller:statefulset-controller", PODS),
        ("system:controller:storage-version-migrator-controller", ALL),
        ("system:controller:token-cleaner", SECRETS),
        ("system:kube-controller-manager", &[R::RbacSecrets, R::RbacTokens, R::RbacWildcard]),
        ("system:kubelet-api-admin", &[R::RbacEveryVerb, R::RbacNodesProxy]),
        ("system:node", &[R::RbacSecrets, R::RbacTokens, R::RbacWorkloads]),
        ("system:persistent-volume-provisioner", VOLUMES),
        ("system:volume-scheduler", VOLUMES),
        ("view", &[R::RbacAggregates]),
    ]
};

/// Whether it is what every API server gives by itself: to those subjects, and of those rules. That it is called and
/// labelled so says nothing, as who writes it chooses both.
pub(super) fn is_own(object: &Object, risk: &Risk) -> bool {
    let labels = inside(field(object, "metadata"), "labels");
    if object.group() != "rbac.authorization.k8s.io"
        || text(labels, "kubernetes.io/bootstrapping") != "rbac-defaults"
    {
        return false;
    }
    let name = object.name();
    if !is_binding(object) {
        let role = STOCK_ROLES.iter().find(|(stock, _)| *stock == name);
        return role.is_some_and(|(_, rules)| rules.contains(&risk.rule));
    }
    let role = field(object, "roleRef");
    let detail = risk.detail.raw();
    let controller = name.strip_prefix("system:controller:");
    let controller = controller.map(|name| format!("ServiceAccount kube-system/{name}"));
    let stock = STOCK_BINDINGS.iter().find(|(stock, _)| *stock == name).map_or(&[][..], |(_, who)| who);
    let subject = stock.iter().copied().chain(controller.as_deref());
    text(role, "name") == name && subject.into_iter().any(|who| detail.starts_with(&format!("{who}: ")))
}

/// Whether it binds somebody to a role.
pub(super) fn is_binding(object: &Object) -> bool {
    object.group() == "rbac.authorization.k8s.io" && object.kind.ends_with("Binding")
}

/// The role that a binding gives: kind, namespace and name.
pub(super) fn role_of(object: &Object) -> (String, String, String) {
    let role = field(object, "roleRef");
    let (kind, name) = (text(role, "kind"), text(role, "name"));
    let namespace = if kind == "Role" { object.namespace() } else { "" };
    (kind.to_owned(), namespace.to_owned(), name.to_owned())
}

/// To whom a binding gives its role.
pub(super) fn subjects(object: &Object) -> impl Iterator<Item = (&str, &str, String)> {
    items(field(object, "subjects")).iter().map(|subject| {
        let (of, name) = (text(subject, "kind"), text(subject, "name"));
        let who = match text(subject, "namespace") {
            "" => format!("{of} {name}"),
            namespace => format!("{of} {namespace}/{name}"),
        };
        (of, name, who)
    })
}

/// Who is bound, and to what.
fn binding(object: &Object, found: &mut Vec<Risk>) {
    let role = field(object, "roleRef");
    let (kind, role) = (text(role, "kind"), text(role, "name"));
    let all = kind == "ClusterRole" && role == "cluster-admin";
    for (of, name, who) in subjects(object) {
        let mut add = |rule| found.push(Risk { rule, detail: format!("{who}: {kind} {role}").into() });
        if all {
            add(RiskRule::RbacClusterAdmin);
        }
        match (of, name) {
            ("Group", "system:masters") => add(RiskRule::RbacMasters),
            ("Group", "system:unauthenticated") | ("User", "system:anonymous") => {
                add(RiskRule::RbacAnonymous)
            }
            ("Group", "system:authenticated") => add(RiskRule::RbacEveryone),
            ("Group", group) if group == ACCOUNTS || group.starts_with(&format!("{ACCOUNTS}:")) => {
                add(RiskRule::RbacEveryone);
            }
            ("ServiceAccount", "default") => add(RiskRule::RbacDefaultAccount),
            // The name by which the API server knows a service account.
            ("User", user) if user.starts_with("system:serviceaccount:") && user.ends_with(":default") => {
                add(RiskRule::RbacDefaultAccount);
            }
            _ => {}
        }
    }
}

/// The group of all service accounts; with a colon and a namespace behind it, of those there.
const ACCOUNTS: &str = "system:serviceaccounts";

/// What a rule of a role allows: any of the verbs on any of the resources, which are of one group.
struct Allows {
    rule: RiskRule,
    group: &'static str,
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
}

const WRITE: &[&str] = &["create", "update", "patch"];
const CHANGE: &[&str] = &["create", "update", "patch", "delete", "deletecollection"];

const ALLOWS: &[Allows] = &[
    Allows {
        rule: RiskRule::RbacEscalate,
        group: "rbac.authorization.k8s.io",
        resources: &["roles", "clusterroles"],
        verbs: &["escalate", "bind"],
    },
    Allows {
        rule: RiskRule::RbacEscalate,
        group: "",
        resources: &["users", "groups", "serviceaccounts"],
        verbs: &["impersonate"],
    },
    Allows {
        rule: RiskRule::RbacEscalate,
        group: "authentication.k8s.io",
        resources: &["users", "groups", "serviceaccounts", "uids", "nodes"],
        verbs: &[
            "impersonate",
            "impersonate:user-info",
            "impersonate:serviceaccount",
            "impersonate:arbitrary-node",
            "impersonate:associated-node",
        ],
    },
    Allows {
        rule: RiskRule::RbacNodesProxy,
        group: "",
        resources: &["nodes/proxy"],
        verbs: &["get", "create", "update", "patch", "delete"],
    },
    Allows {
        rule: RiskRule::RbacTokens,
        group: "",
        resources: &["serviceaccounts/token"],
        verbs: &["create"],
    },
    Allows {
        rule: RiskRule::RbacCertificates,
        group: "certificates.k8s.io",
        resources: &["certificatesigningrequests/approval", "certificatesigningrequests/status"],
        verbs: &["update", "patch"],
    },
    Allows {
        rule: RiskRule::RbacCertificates,
        group: "certificates.k8s.io",
        resources: &["signers"],
        verbs: &["approve", "sign"],
    },
    Allows {
        rule: RiskRule::RbacAdmission,
        group: "admissionregistration.k8s.io",
        resources: &[
            "mutatingwebhookconfigurations",
            "validatingwebhookconfigurations",
            "mutatingadmissionpolicies",
            "mutatingadmissionpolicybindings",
            "validatingadmissionpolicies",
            "validatingadmissionpolicybindings",
        ],
        verbs: CHANGE,
    },
    Allows {
        rule: RiskRule::RbacAdmission,
        group: "apiextensions.k8s.io",
        resources: &["customresourcedefinitions"],
        verbs: WRITE,
    },
    Allows {
        rule: RiskRule::RbacAdmission,
        group: "apiregistration.k8s.io",
        resources: &["apiservices"],
        verbs: WRITE,
    },
    Allows { rule: RiskRule::RbacGuards, group: "", resources: &["namespaces"], verbs: &["update", "patch"] },
    Allows {
        rule: RiskRule::RbacGuards,
        group: "networking.k8s.io",
        resources: &["networkpolicies"],
        verbs: CHANGE,
    },
    Allows {
        rule: RiskRule::RbacSecrets,
        group: "",
        resources: &["secrets"],
        verbs: &["get", "list", "watch", "create", "update", "patch"],
    },
    Allows {
        rule: RiskRule::RbacWorkloads,
        group: "",
        resources: &["pods", "replicationcontrollers"],
        verbs: WRITE,
    },
    Allows {
        rule: RiskRule::RbacWorkloads,
        group: "apps",
        resources: &["deployments", "daemonsets", "replicasets", "statefulsets"],
        verbs: WRITE,
    },
    Allows { rule: RiskRule::RbacWorkloads, group: "batch", resources: &["jobs", "cronjobs"], verbs: WRITE },
    Allows {
        rule: RiskRule::RbacExec,
        group: "",
        resources: &["pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "services/proxy"],
        verbs: &["get", "create"],
    },
    Allows {
        rule: RiskRule::RbacExec,
        group: "",
        resources: &["pods/ephemeralcontainers"],
        verbs: &["update", "patch"],
    },
    Allows { rule: RiskRule::RbacVolumes, group: "", resources: &["persistentvolumes"], verbs: WRITE },
];

/// What a role allows.
fn role(object: &Object, found: &mut Vec<Risk>) {
    for selector in items(inside(field(object, "aggregationRule"), "clusterRoleSelectors")) {
        let labels = inside(selector, "matchLabels").as_object().into_iter().flatten();
        let labels = labels.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
        let by = items(inside(selector, "matchExpressions")).iter().map(|one| text(one, "key").to_owned());
        let detail = labels.chain(by).collect::<Vec<_>>().join(", ");
        found.push(Risk { rule: RiskRule::RbacAggregates, detail: detail.into() });
    }
    for rule in items(field(object, "rules")) {
        let [groups, resources, verbs, names] =
            ["apiGroups", "resources", "verbs", "resourceNames"].map(|name| strings(rule, name));
        let only = match names.is_empty() {
            true => String::new(),
            false => format!(" ({} only)", names.join(", ")),
        };
        let everything = [&resources, &verbs].map(|words| words.contains(&"*"));
        let urls = strings(rule, "nonResourceURLs");
        if everything.contains(&true) || urls.contains(&"*") {
            let on: Vec<&str> = resources.iter().chain(&urls).copied().collect();
            let groups = groups.iter().map(|group| if group.is_empty() { "core" } else { group });
            let groups = match groups.collect::<Vec<_>>().join(", ") {
                groups if groups.is_empty() => groups,
                groups => format!(" of {groups}"),
            };
            let detail = format!("{}: {}{groups}{only}", verbs.join(", "), on.join(", "));
            let every_resource = resources.contains(&"*") || urls.contains(&"*");
            let rule = if every_resource { RiskRule::RbacWildcard } else { RiskRule::RbacEveryVerb };
            found.push(Risk { rule, detail: detail.into() });
        }
        // All of it was told.
        if everything == [true, true] && groups.contains(&"*") {
            continue;
        }
        for allows in ALLOWS {
            let verbs = held(&verbs, allows.verbs);
            let on = resources_of(&resources, allows.resources);
            let group = groups.contains(&"*") || groups.contains(&allows.group);
            if group && !verbs.is_empty() && !on.is_empty() {
                let detail = format!("{}: {}{only}", verbs.join(", "), on.join(", "));
                found.push(Risk { rule: allows.rule, detail: detail.into() });
            }
        }
    }
}

/// Which of them a rule has, or its `*`.
fn held<'r>(has: &[&'r str], wanted: &[&str]) -> Vec<&'r str> {
    has.iter().copied().filter(|word| *word == "*" || wanted.contains(word)).collect()
}

/// The same of resources: `*/scale` are those of all resources.
fn resources_of<'r>(has: &[&'r str], wanted: &[&str]) -> Vec<&'r str> {
    let all_of = |word: &str| {
        let below = word.strip_prefix("*/");
        below.is_some_and(|below| wanted.iter().any(|w| w.split_once('/').is_some_and(|(_, b)| b == below)))
    };
    has.iter().copied().filter(|word| *word == "*" || wanted.contains(word) || all_of(word)).collect()
}

/// What is said of a binding or a role.
pub(super) fn of(object: &Object, found: &mut Vec<Risk>) {
    if object.kind.ends_with("Binding") { binding(object, found) } else { role(object, found) }
}
