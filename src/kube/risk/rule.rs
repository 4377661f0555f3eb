//! The rules, a row each: the variant, its name, how bad it is, what it means, whose guidance it is from, and what to
//! look at. A name is never reused and never changes its meaning.
//!
//! | Guidance | What it is |
//! |---|---|
//! | CIS | CIS Kubernetes Benchmark 1.10 |
//! | PSS | Pod Security Standards, level baseline: `kubernetes.io/docs/concepts/security/pod-security-standards` |
//! | RBAC | `kubernetes.io/docs/concepts/security/rbac-good-practices` |
//! | Threat matrix | Microsoft's Threat Matrix for Kubernetes |
//! | ATT&CK | MITRE ATT&CK, matrix Containers |

use std::fmt;

use serde::Serialize;

use crate::words::text::Told;

/// How much who finds it has to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RiskSeverity {
    /// Common in a cluster, and part of a way in.
    Low,
    /// More rights than most need.
    Medium,
    /// The cluster, or a node of it.
    High,
}

impl fmt::Display for RiskSeverity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            RiskSeverity::Low => "low",
            RiskSeverity::Medium => "medium",
            RiskSeverity::High => "high",
        })
    }
}

macro_rules! rules {
    ($(
        $variant:ident, $name:literal, $severity:ident, $meaning:literal, $guidance:literal, $look:literal;
    )*) => {
        /// The stable name of something that gives power over a cluster.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum RiskRule {
            $(#[doc = $meaning] $variant,)*
        }

        impl RiskRule {
            /// All of them, in the order of what they are about.
            pub const ALL: &'static [RiskRule] = &[$(RiskRule::$variant),*];

            /// The stable kebab-case name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(RiskRule::$variant => $name),* }
            }

            /// How bad it is.
            #[must_use]
            pub fn severity(self) -> RiskSeverity {
                match self { $(RiskRule::$variant => RiskSeverity::$severity),* }
            }

            /// One sentence: what it means.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(RiskRule::$variant => $meaning),* }
            }

            /// Whose guidance it is from.
            #[must_use]
            pub fn guidance(self) -> &'static str {
                match self { $(RiskRule::$variant => $guidance),* }
            }

            /// One sentence: what to look at.
            #[must_use]
            pub fn look(self) -> &'static str {
                match self { $(RiskRule::$variant => $look),* }
            }
        }
    };
}

rules! {
    // ---- who may do what -----------------------------------------------------------------------------------------
    RbacClusterAdmin, "rbac-cluster-admin", High,
        "A binding gives the role cluster-admin, which is every right there is.",
        "CIS 5.1.1; Threat matrix: Cluster-admin binding",
        "Who made the binding, and whether its subject needs more than a role of its own.";
    RbacMasters, "rbac-masters", High,
        "A binding names the group system:masters, which no authorizer ever refuses.",
        "CIS 5.1.7; RBAC: Privileged group",
        "Who holds certificates of the group; they cannot be revoked.";
    RbacAnonymous, "rbac-anonymous", High,
        "A binding gives rights to who does not log in: system:anonymous or system:unauthenticated.",
        "RBAC: Least privilege; Threat matrix: Exposed sensitive interfaces",
        "Which role, and whether the API server is reached from outside.";
    RbacEveryone, "rbac-everyone", Medium,
        "A binding gives rights to everyone who logs in, or to every service account of the cluster.",
        "RBAC: Least privilege",
        "Which role, and whether all of them need it.";
    RbacDefaultAccount, "rbac-default-account", Medium,
        "A binding gives rights to a default service account, which pods have that name no other.",
        "CIS 5.1.5",
        "Which pods of the namespace use it without being meant.";
    RbacBound, "rbac-bound", Medium,
        "A binding gives a role that allows one of the things below.",
        "CIS 5.1; RBAC: Least privilege",
        "Whether its subject needs that, and who made the binding.";
    RbacBindingNew, "rbac-binding-new", Low,
        "Somebody is bound to a role who was not before.",
        "RBAC: Periodic review; ATT&CK T1098",
        "Who made the binding, and what the role allows.";
    RbacWildcard, "rbac-wildcard", High,
        "A role allows something on every resource, by `*`.",
        "CIS 5.1.3; RBAC: Least privilege",
        "Who is bound to it.";
    RbacEveryVerb, "rbac-every-verb", Low,
        "A role allows every verb on a resource, by `*`: those too that are yet to come.",
        "CIS 5.1.3; RBAC: Least privilege",
        "Who is bound to it.";
    RbacEscalate, "rbac-escalate", High,
        "A role allows to escalate or bind roles, or to impersonate users, and so to have every right.",
        "CIS 5.1.8; RBAC: Escalate, Bind and Impersonate verbs",
        "Who is bound to it.";
    RbacNodesProxy, "rbac-nodes-proxy", High,
        "A role allows nodes/proxy: the kubelet's own API, which runs commands in every pod of a node, past audit and admission.",
        "CIS 5.1.10; RBAC: Access to proxy subresource of Nodes",
        "Who is bound to it.";
    RbacTokens, "rbac-tokens", High,
        "A role allows to make tokens of service accounts, and so to be each of them.",
        "CIS 5.1.13; RBAC: Token request",
        "Who is bound to it, and in which namespaces.";
    RbacCertificates, "rbac-certificates", High,
        "A role allows to approve or sign certificates, and so to make users.",
        "CIS 5.1.11; RBAC: CSRs and certificate issuing",
        "Who is bound to it, and which certificates were issued.";
    RbacAdmission, "rbac-admission", High,
        "A role allows to write webhooks or policies of admission, definitions or API services, which see and change requests.",
        "CIS 5.1.12; RBAC: Control admission webhooks",
        "Who is bound to it.";
    RbacSecrets, "rbac-secrets", Medium,
        "A role allows to read Secrets, or to make one that a token is put into.",
        "CIS 5.1.2; RBAC: Listing secrets, Workload creation",
        "Who is bound to it, and whether in one namespace or in all.";
    RbacWorkloads, "rbac-workloads", Medium,
        "A role allows to make pods, or what makes pods: with each Secret and service account of the namespace.",
        "CIS 5.1.4; RBAC: Workload creation",
        "Who is bound to it, and what keeps privileged pods out.";
    RbacExec, "rbac-exec", Medium,
        "A role allows to run commands in pods, to attach to them, or to reach their ports.",
        "Threat matrix: Exec into container; ATT&CK T1609",
        "Who is bound to it.";
    RbacVolumes, "rbac-volumes", Medium,
        "A role allows to make persistent volumes, which may be any directory of a node.",
        "CIS 5.1.9; RBAC: Persistent volume creation",
        "Who is bound to it.";
    RbacAggregates, "rbac-aggregates", Low,
        "A role takes in what every role with certain labels allows: whoever may write one of those widens it.",
        "RBAC: Escalate, Bind and Impersonate verbs; kubernetes.io/docs/reference/access-authn-authz/rbac (Aggregated ClusterRoles)",
        "Which roles have the labels, and who is bound to this one.";
    RbacGuards, "rbac-guards", Medium,
        "A role allows to change what guards a namespace: its labels, or network policies.",
        "RBAC: Namespace modification; ATT&CK T1562",
        "Who is bound to it.";
    // ---- what runs -----------------------------------------------------------------------------------------------
    PodPrivileged, "pod-privileged", High,
        "A container is privileged: it is root on its node.",
        "CIS 5.2.2; PSS: Privileged Containers; Threat matrix: Privileged container",
        "Who made it, and what its image is.";
    PodHostNamespace, "pod-host-namespace", High,
        "A pod shares processes, memory or network with its node.",
        "CIS 5.2.3 to 5.2.5; PSS: Host Namespaces; ATT&CK T1611",
        "Who made it, and what its image is.";
    PodHostRoot, "pod-host-root", High,
        "A pod mounts a directory of its node that is the node itself: all of it, its keys, its processes, or the socket of its runtime.",
        "CIS 5.2.12; PSS: HostPath Volumes; Threat matrix: Writable hostPath mount",
        "Who made it, and what its image is; to read is enough for keys and sockets.";
    PodHostPath, "pod-host-path", Medium,
        "A pod mounts a directory of its node.",
        "CIS 5.2.12; PSS: HostPath Volumes; Threat matrix: Writable hostPath mount",
        "Which directory, and whether it is writable.";
    VolumeHostPath, "volume-host-path", Medium,
        "A persistent volume is a directory of a node.",
        "RBAC: Persistent volume creation; Threat matrix: Writable hostPath mount",
        "Which directory, and who claims it.";
    PodEscapes, "pod-escapes", High,
        "A container has a capability that leads out of it.",
        "CIS 5.2.9; PSS: Capabilities; ATT&CK T1611",
        "Who made it, and what its image is.";
    PodCapabilities, "pod-capabilities", Medium,
        "A container has capabilities that the baseline does not allow.",
        "CIS 5.2.9; PSS: Capabilities",
        "Which, and what for.";
    PodUnconfined, "pod-unconfined", Low,
        "A container asks for less than the usual walls: no seccomp or AppArmor, all of /proc, a type of SELinux or a sysctl that the baseline does not allow.",
        "PSS: Seccomp, AppArmor, SELinux, Sysctls, /proc Mount Type",
        "Who made it.";
    PodHostPort, "pod-host-port", Low,
        "A container listens on a port of its node.",
        "CIS 5.2.13; PSS: Host Ports",
        "Which port, and who reaches the node.";
    PodStatic, "pod-static", Low,
        "A pod was started by a file on a node, not by the API server, and no admission saw it.",
        "Threat matrix: Static pods",
        "Whether the node's manifest directory holds that file, and who wrote it.";
    ImageRegistry, "image-registry-new", Medium,
        "An image comes from a registry that nothing ran from before.",
        "Threat matrix: Backdoor container; ATT&CK T1525",
        "Whose registry it is.";
    WorkloadNew, "workload-new", Medium,
        "A CronJob or a DaemonSet was added: what runs again and again, or on every node.",
        "Threat matrix: Kubernetes CronJob; ATT&CK T1053.007, T1543.005",
        "Who made it, and what its image is.";
    WorkloadChanged, "workload-changed", Medium,
        "What is root on its node, by one of the rules of high severity, runs another image or command than before.",
        "Threat matrix: Backdoor container; ATT&CK T1525",
        "Whose image it is, and who wrote it.";
    // ---- what sees and changes requests --------------------------------------------------------------------------
    WebhookOutside, "webhook-outside", High,
        "A webhook is called at an address, which may be outside of the cluster, and not at a service in it.",
        "Threat matrix: Malicious admission controller",
        "Whose address it is: what it is called for is sent there, Secrets too.";
    WebhookChanged, "webhook-changed", High,
        "A webhook of admission or a policy that changes objects is new, or calls another than before, or for something else.",
        "Threat matrix: Malicious admission controller",
        "Who wrote it, and what it is called for.";
    CrdConversion, "crd-conversion-webhook", Low,
        "All objects of a custom resource go through a webhook when they are read.",
        "Threat matrix: Malicious admission controller",
        "Whose service it is.";
    ApiServiceInsecure, "apiservice-insecure", Medium,
        "A part of the API is answered by a service whose certificate is not verified.",
        "kubernetes.io/docs/reference/kubernetes-api/cluster-resources/api-service-v1",
        "Whose service it is: it gets the names of users and their rights.";
    ApiServiceChanged, "apiservice-changed", High,
        "A part of the API is answered by a service that did not answer it before, or by another certificate authority's.",
        "Threat matrix: Malicious admission controller; kubernetes.io/docs/reference/kubernetes-api/cluster-resources/api-service-v1",
        "Whose service it is: requests for that part, and the names and rights of who asks, go there.";
    GuardRemoved, "guard-removed", High,
        "Something that kept others from doing harm is gone: a webhook or policy of admission, a network policy, what a namespace enforces.",
        "ATT&CK T1562; Threat matrix: Defense evasion",
        "Who removed it, and what came after.";
    GuardChanged, "guard-changed", Medium,
        "Something that keeps others from doing harm is another than before.",
        "ATT&CK T1562; Threat matrix: Defense evasion",
        "Whether it lets through more than before.";
    NamespacePrivileged, "namespace-privileged", Low,
        "A namespace is labelled to let through privileged pods.",
        "CIS 5.2.1; kubernetes.io/docs/concepts/security/pod-security-admission",
        "What runs in it.";
    // ---- who gets in ---------------------------------------------------------------------------------------------
    TokenSecret, "token-secret", Medium,
        "A Secret holds a token of a service account that never ends.",
        "Threat matrix: Access container service account; kubernetes.io/docs/concepts/security/service-accounts",
        "Who reads it, and what its account may do.";
    BootstrapToken, "bootstrap-token", Medium,
        "A token lets new nodes join.",
        "kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens",
        "When it ends, and who asked for it.";
    CertificateApproved, "csr-approved", High,
        "A certificate of a user was approved: it logs in until it ends, and cannot be revoked.",
        "RBAC: CSRs and certificate issuing; ATT&CK T1136",
        "Whose name is in it, and who asked for it and approved it.";
    ServiceExternalIp, "service-external-ip", Medium,
        "A service takes the traffic of an address that it names itself, which may be another's.",
        "CVE-2020-8554",
        "Whose address it is.";
    ServiceOutside, "service-external-name", Low,
        "A service is another name for a host outside: who calls it in the cluster is sent there.",
        "kubernetes.io/docs/concepts/services-networking/service (ExternalName); Threat matrix: CoreDNS poisoning",
        "Whose host it is, and who calls the service.";
    DnsChanged, "dns-changed", Medium,
        "The configuration of the cluster's DNS is another than before.",
        "Threat matrix: CoreDNS poisoning",
        "Which names are answered otherwise.";
    LoginChanged, "login-changed", High,
        "Who is let in is another than before: the map of a cloud's users, what authenticates in front of the API server, or what new nodes trust.",
        "Threat matrix: Using cloud credentials; ATT&CK T1098",
        "Which users, groups or authorities were added.";
    EtcdAuthChanged, "etcd-auth-changed", High,
        "Users or roles of etcd itself are others than before, or its authentication was turned off.",
        "CIS 2; etcd.io/docs: Role-based access control",
        "Who reaches etcd: past the API server every object can be read and written.";
}

impl RiskRule {
    /// The rule of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<RiskRule> {
        RiskRule::ALL.iter().copied().find(|rule| rule.name() == name)
    }
}

impl fmt::Display for RiskRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for RiskRule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Something that an object gives power by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Risk {
    /// What.
    pub rule: RiskRule,
    /// To whom, or in which part.
    pub detail: Told,
}
