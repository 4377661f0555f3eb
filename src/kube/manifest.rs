//! A static-pod manifest of etcd, as kubeadm writes it to `/etc/kubernetes/manifests/etcd.yaml`: what it tells of its
//! member.
//!
//! Flags are found in the container's `command` and `args`, or as `ETCD_*` in its `env`; etcd prefers flags. A path
//! in the container is one on the host if a `hostPath` volume is mounted there. Source:
//! `cmd/kubeadm/app/phases/etcd/local.go getEtcdCommand`.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use serde::Deserialize;

use crate::etcd::schema::Minor;
use crate::words::error::printable;

/// Bytes of the longest manifest that is worth reading. Kubernetes itself takes none over 1.5 MB.
pub const LIMIT: u64 = 1 << 20;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pod {
    kind: String,
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    containers: Vec<Container>,
    volumes: Vec<Volume>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Container {
    name: String,
    image: String,
    command: Vec<String>,
    args: Vec<String>,
    env: Vec<Env>,
    volume_mounts: Vec<Mount>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Env {
    name: String,
    value: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Mount {
    name: String,
    mount_path: String,
    sub_path: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Volume {
    name: String,
    host_path: Option<HostPath>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HostPath {
    path: String,
}

/// What a flag of etcd is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The flag without its dashes.
    pub flag: String,
    /// Its value. Of a path on the host, that one.
    pub value: String,
    /// Where in the manifest it is.
    pub origin: Origin,
    /// The volume by which a path in the container became one on the host.
    pub volume: Option<String>,
}

/// Where in a manifest a flag of etcd is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In the arguments of the container.
    Argument,
    /// In this variable of its environment.
    Variable(String),
}

/// Why a manifest does not tell what it was asked. Texts from the manifest are as they are there, not made printable;
/// the messages are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is no text.
    #[error("is not UTF-8: no manifest")]
    NotUtf8,
    /// It is no YAML, or not of the shape of a pod: what stands there, or before it, is not.
    #[error("is not the manifest of a pod: it cannot be read as one at line {line}, column {column}")]
    NotPod {
        /// From 1 on.
        line: u64,
        /// From 1 on.
        column: u64,
    },
    /// It is of another kind.
    #[error("is no manifest of a pod: its kind is {:?}", printable(.0))]
    OtherKind(String),
    /// The pod has no container of etcd.
    #[error("has no container etcd")]
    NoEtcd,
    /// A flag that is needed is not set.
    #[error("its container etcd does not set {flag}")]
    Missing {
        /// The flag without its dashes.
        flag: String,
    },
    /// A flag's value is made by the kubelet when the container starts.
    #[error("{flag} is {}, which the kubelet fills in", printable(value))]
    FilledIn {
        /// The flag without its dashes.
        flag: String,
        /// Its value.
        value: String,
    },
    /// A flag's value holds control characters.
    #[error("{flag} is {}: it holds control characters", printable(value))]
    Control {
        /// The flag without its dashes.
        flag: String,
        /// Its value.
        value: String,
    },
    /// A flag's path is relative, or has `..` in it.
    #[error("{flag} is {}, which is not an absolute path", printable(value))]
    NotAbsolute {
        /// The flag without its dashes.
        flag: String,
        /// Its value.
        value: String,
    },
    /// A flag's path is not below a volume that is a directory of the host.
    #[error("{flag} is {}, which is on no volume of the host", printable(value))]
    NotOnHost {
        /// The flag without its dashes.
        flag: String,
        /// Its value.
        value: String,
    },
}

/// A manifest.
#[derive(Debug)]
pub struct StaticPod {
    container: Container,
    volumes: Vec<Volume>,
    /// etcd's flags without their dashes, with their values and where they are.
    flags: BTreeMap<String, (String, Origin)>,
}

impl StaticPod {
    /// The manifest that these bytes are. Nothing in it makes it slow or large: the YAML parser counts what aliases
    /// repeat and how deep it goes.
    ///
    /// # Errors
    /// [`ManifestError`] when it is no manifest of a pod with a container of etcd.
    pub fn parse(bytes: &[u8]) -> Result<StaticPod, ManifestError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ManifestError::NotUtf8)?;
        let pod: Pod = serde_saphyr::from_str(text).map_err(|error| {
            let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
            ManifestError::NotPod { line, column }
        })?;
        if pod.kind != "Pod" {
            return Err(ManifestError::OtherKind(pod.kind));
        }
        let Spec { containers, volumes } = pod.spec;
        let runs_etcd = |container: &Container| {
            container.name == "etcd"
                || container.command.first().is_some_and(|program| program.rsplit('/').next() == Some("etcd"))
        };
        let container = containers.into_iter().find(runs_etcd).ok_or(ManifestError::NoEtcd)?;
        let flags = flags(&container);
        Ok(StaticPod { container, volumes, flags })
    }

    /// What a flag of etcd, named without its dashes, is set to, if it is.
    ///
    /// # Errors
    /// [`ManifestError`] when the value is not known before the container starts, or not printable.
    pub fn setting(&self, flag: &str) -> Result<Option<Setting>, ManifestError> {
        let Some((value, origin)) = self.flags.get(flag) else { return Ok(None) };
        let (flag, value) = (flag.to_owned(), value.clone());
        if value.contains("$(") {
            return Err(ManifestError::FilledIn { flag, value });
        }
        if value.chars().any(char::is_control) {
            return Err(ManifestError::Control { flag, value });
        }
        Ok(Some(Setting { flag, value, origin: origin.clone(), volume: None }))
    }

    /// The same, for what cannot be done without.
    ///
    /// # Errors
    /// As [`setting`](Self::setting), and when it is not set.
    pub fn needed(&self, flag: &str) -> Result<Setting, ManifestError> {
        self.setting(flag)?.ok_or_else(|| ManifestError::Missing { flag: flag.to_owned() })
    }

    /// The data directory on the host.
    ///
    /// # Errors
    /// [`ManifestError`] when it is not set or not on the host.
    pub fn data_dir(&self) -> Result<Setting, ManifestError> {
        self.needed("data-dir").and_then(|setting| self.on_host(setting))
    }

    /// The directory of the log on the host, if it is kept apart.
    ///
    /// # Errors
    /// [`ManifestError`] when it is not on the host.
    pub fn wal_dir(&self) -> Result<Option<Setting>, ManifestError> {
        self.path("wal-dir")
    }

    /// The path on the host that a flag of etcd is set to, if it is.
    ///
    /// # Errors
    /// [`ManifestError`] when it is not on the host.
    pub fn path(&self, flag: &str) -> Result<Option<Setting>, ManifestError> {
        self.setting(flag)?
            .filter(|setting| !setting.value.is_empty())
            .map(|setting| self.on_host(setting))
            .transpose()
    }

    /// The version of etcd, by the tag of its image.
    #[must_use]
    pub fn version(&self) -> Option<Minor> {
        let (_, tag) = self.image().split('@').next()?.rsplit_once(':')?;
        Minor::of(tag.trim_start_matches('v'))
    }

    /// The image that the container of etcd runs.
    #[must_use]
    pub fn image(&self) -> &str {
        &self.container.image
    }

    /// Where a path in the container is on the host: below the deepest mount that holds it.
    fn on_host(&self, setting: Setting) -> Result<Setting, ManifestError> {
        let Setting { flag, value, origin, .. } = setting;
        let inside = Path::new(&value);
        if !inside.is_absolute() || climbs(inside) {
            return Err(ManifestError::NotAbsolute { flag, value });
        }
        match self.mounted(inside) {
            Some((path, volume)) => {
                Ok(Setting { flag, value: path, origin, volume: Some(volume.to_owned()) })
            }
            None => Err(ManifestError::NotOnHost { flag, value }),
        }
    }

    /// The path on the host of an absolute one in the container, and the volume it is on.
    fn mounted(&self, inside: &Path) -> Option<(String, &str)> {
        let mounts = self.container.volume_mounts.iter().filter(|mount| mount.mount_path.starts_with('/'));
        let mount = mounts
            .filter(|mount| inside.starts_with(&mount.mount_path))
            .max_by_key(|mount| mount.mount_path.len())?;
        let volume = self.volumes.iter().find(|volume| volume.name == mount.name)?;
        // The API server takes no volume with `..` either.
        let host = volume.host_path.as_ref().map(|host| Path::new(&host.path));
        let host = host.filter(|host| host.is_absolute() && !climbs(host))?;
        let mut path = host.to_path_buf();
        for below in
            [Path::new(&mount.sub_path), inside.strip_prefix(&mount.mount_path).unwrap_or(Path::new(""))]
        {
            if below.is_absolute() || climbs(below) {
                return None;
            }
            path.extend(below.components());
        }
        Some((path.into_os_string().into_string().ok()?, &mount.name))
    }
}

fn climbs(path: &Path) -> bool {
    path.components().any(|part| part == Component::ParentDir)
}

/// What etcd is told: by its environment, and by its arguments, which count more.
fn flags(container: &Container) -> BTreeMap<String, (String, Origin)> {
    let mut flags = BTreeMap::new();
    for env in &container.env {
        if let (Some(name), Some(value)) = (env.name.strip_prefix("ETCD_"), &env.value) {
            let flag = name.to_ascii_lowercase().replace('_', "-");
            flags.insert(flag, (value.clone(), Origin::Variable(env.name.clone())));
        }
    }
    let mut words = container.command.iter().chain(&container.args).peekable();
    while let Some(word) = words.next() {
        let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else { continue };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            // Go takes the next word for the value, whatever it is, unless the flag is a switch.
            None => (flag, words.next_if(|next| !next.starts_with('-')).cloned()),
        };
        if let Some(value) = value {
            flags.insert(name.to_owned(), (value, Origin::Argument));
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(yaml: &str) -> Result<StaticPod, String> {
        StaticPod::parse(yaml.as_bytes()).map_err(|error| error.to_string())
    }

    const HEAD: &str =
        "kind: Pod\nspec:\n  containers:\n  - name: etcd\n    image: registry:5000/etcd:v3.6.4-0@sha256:00\n";

    #[test]
    fn flags_are_read_in_every_way_they_are_written() {
        let yaml = format!(
            "{HEAD}    command: [etcd, --name=a, --data-dir, /var/lib/etcd/x]\n    args: ['-initial-cluster=a=http://a:1,b=http://b:1']\n    env:\n    - {{name: ETCD_NAME, value: other}}\n    - {{name: ETCD_INITIAL_CLUSTER_TOKEN, value: t}}\n    - {{name: ETCD_WAL_DIR, valueFrom: {{}}}}\n    volumeMounts:\n    - {{name: all, mountPath: /var}}\n    - {{name: data, mountPath: /var/lib/etcd, subPath: sub}}\n  volumes:\n  - {{name: data, hostPath: {{path: /mnt/disk}}}}\n  - {{name: all, hostPath: {{path: /no}}}}\n"
        );
        let manifest = manifest(&yaml).unwrap();
        assert_eq!(manifest.needed("name").unwrap().value, "a");
        assert_eq!(manifest.needed("initial-cluster").unwrap().value, "a=http://a:1,b=http://b:1");
        let token = manifest.setting("initial-cluster-token").unwrap().unwrap();
        let variable = Origin::Variable("ETCD_INITIAL_CLUSTER_TOKEN".to_owned());
        assert_eq!((token.value.as_str(), token.origin), ("t", variable));
        let data = manifest.data_dir().unwrap();
        assert_eq!(data.value, "/mnt/disk/sub/x");
        assert_eq!((data.origin, data.volume.as_deref()), (Origin::Argument, Some("data")));
        assert!(manifest.wal_dir().unwrap().is_none());
        assert_eq!(manifest.version(), Some(Minor::V36));
    }

    #[test]
    fn what_is_no_manifest_of_etcd_is_told() {
        for (yaml, why) in [
            ("", "is"),
            ("kind: ConfigMap\n", "its kind is \"ConfigMap\""),
            ("kind: Pod\nspec: {containers: [{name: kube-apiserver}]}\n", "has no container etcd"),
            ("kind: Pod\nspec: [\n", "is not the manifest of a pod"),
            ("kind: Pod\nspec: {containers: 7}\n", "is not the manifest of a pod"),
        ] {
            let error = manifest(yaml).unwrap_err();
            assert!(error.contains(why) && !error.contains('\n'), "{yaml:?}: {error}");
        }
    }

    #[test]
    fn a_path_that_is_not_on_the_host_is_refused() {
        let on = |data: &str, mounts: &str| {
            let yaml = format!(
                "{HEAD}    command: [etcd, '--data-dir={data}']\n    volumeMounts: {mounts}\n  volumes:\n  - {{name: v, emptyDir: {{}}}}\n  - {{name: h, hostPath: {{path: /h}}}}\n  - {{name: u, hostPath: {{path: /h/..}}}}\n"
            );
            manifest(&yaml).unwrap().data_dir().map(|data| data.value).map_err(|error| error.to_string())
        };
        assert_eq!(on("/d", "[{name: h, mountPath: /d}]").unwrap(), "/h");
        for (data, mounts, why) in [
            ("/d", "[{name: v, mountPath: /d}]", "on no volume of the host"),
            ("/d", "[{name: h, mountPath: /dd}]", "on no volume of the host"),
            ("/d/x", "[{name: u, mountPath: /d}]", "on no volume of the host"),
            ("/d", "[{name: h, mountPath: /d, subPath: ../../etc}]", "on no volume of the host"),
            ("/d/../etc", "[{name: h, mountPath: /d}]", "not an absolute path"),
            ("default.etcd", "[{name: h, mountPath: /d}]", "not an absolute path"),
            ("$(DIR)", "[]", "which the kubelet fills in"),
            ("/d\u{85}", "[]", "control characters"),
        ] {
            let error = on(data, mounts).unwrap_err();
            assert!(error.contains(why), "{data} {mounts}: {error}");
        }
    }

    /// Lists of lists of lists by reference: a gigabyte, if anyone followed them.
    #[test]
    fn a_manifest_that_is_meant_to_do_harm_is_refused_at_once() {
        let mut bomb = String::from("kind: Pod\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for i in 1..30 {
            bomb.push_str(&format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(",")));
        }
        bomb.push_str("spec: {containers: [{name: etcd, command: *a29}]}\n");
        let deep = format!("kind: Pod\nspec: {}", "[".repeat(200_000));
        for yaml in [bomb, deep, "kind: &k *k\n".to_owned()] {
            let begun = std::time::Instant::now();
            manifest(&yaml).unwrap_err();
            assert!(begun.elapsed() < std::time::Duration::from_secs(10));
        }
    }
}
