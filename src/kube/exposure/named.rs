//! What is told of a place.

use jiff::Timestamp;
use serde::Serialize;

use crate::kube::signs::Sign;
use crate::words::text::Told;

/// What lies somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exposed {
    /// A Secret of type `kubernetes.io/service-account-token`.
    ServiceAccountToken,
    /// A Secret of type `bootstrap.kubernetes.io/token`: whoever has it may join a node.
    BootstrapToken,
    /// A Secret of type `kubernetes.io/tls`.
    TlsKey,
    /// A Secret of type `kubernetes.io/dockercfg` or `kubernetes.io/dockerconfigjson`.
    DockerConfig,
    /// A Secret of type `kubernetes.io/basic-auth`.
    BasicAuth,
    /// A Secret of type `kubernetes.io/ssh-auth`.
    SshKey,
    /// A Secret of Helm: a release with the values that it was given.
    HelmRelease,
    /// Another Secret.
    Secret,
    /// A Secret that is encrypted: it is as safe as the key.
    EncryptedSecret,
    /// Something in another object that looks like a key or a password.
    LooksSecret,
    /// The certificate of an authority; the key that made it is not here.
    CaBundle,
    /// What servers of k3s or rke2 share: the keys of the cluster's authorities, encrypted with the server's token.
    K3sBootstrap,
    /// A user of etcd's own, and the hash of the password.
    EtcdUser,
}

impl Exposed {
    /// As `tls-key`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Exposed::ServiceAccountToken => "service-account-token",
            Exposed::BootstrapToken => "bootstrap-token",
            Exposed::TlsKey => "tls-key",
            Exposed::DockerConfig => "docker-config",
            Exposed::BasicAuth => "basic-auth",
            Exposed::SshKey => "ssh-key",
            Exposed::HelmRelease => "helm-release",
            Exposed::Secret => "secret",
            Exposed::EncryptedSecret => "encrypted-secret",
            Exposed::LooksSecret => "looks-secret",
            Exposed::CaBundle => "ca-bundle",
            Exposed::K3sBootstrap => "k3s-bootstrap",
            Exposed::EtcdUser => "etcd-user",
        }
    }

    /// That of a Secret of that type.
    #[must_use]
    pub fn of_type(of: &str) -> Exposed {
        match of {
            "kubernetes.io/service-account-token" => Exposed::ServiceAccountToken,
            "bootstrap.kubernetes.io/token" => Exposed::BootstrapToken,
            "kubernetes.io/tls" => Exposed::TlsKey,
            "kubernetes.io/dockercfg" | "kubernetes.io/dockerconfigjson" => Exposed::DockerConfig,
            "kubernetes.io/basic-auth" => Exposed::BasicAuth,
            "kubernetes.io/ssh-auth" => Exposed::SshKey,
            "helm.sh/release.v1" => Exposed::HelmRelease,
            _ => Exposed::Secret,
        }
    }
}

/// A field with a secret in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ExposedField {
    /// Where it is in the object, as `data.password`.
    pub path: Told,
    /// Why it is taken for one; in Secrets everything is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign: Option<Sign>,
}

/// What one version of an object shows.
pub(super) struct Look {
    pub what: Exposed,
    pub kind_of_secret: String,
    pub fields: Vec<ExposedField>,
    /// When the first of its certificates, or what it is, ends.
    pub ends: Option<Timestamp>,
}

impl Look {
    pub(super) fn of(what: Exposed) -> Look {
        Look { what, kind_of_secret: String::new(), fields: Vec::new(), ends: None }
    }
}
