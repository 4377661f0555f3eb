//! A static-pod manifest of etcd, as kubeadm writes it to `/etc/kubernetes/manifests/etcd.yaml`: what a restore needs
//! to know of its member.
//!
//! Flags are found in the container's `command` and `args`, or as `ETCD_*` in its `env`; etcd prefers flags. A path
//! in the container is one on the host if a `hostPath` volume is mounted there. Source:
//! `cmd/kubeadm/app/phases/etcd/local.go getEtcdCommand`.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use coldbolt::etcd::schema::Minor;
use coldbolt::io::Source;
use coldbolt::words::cause::Cause;
use coldbolt::words::error::{Error, printable, show};
use serde::{Deserialize, Serialize};

/// Bytes of the longest manifest that is read. Kubernetes itself takes none over 1.5 MB.
const LIMIT: u64 = 1 << 20;

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

/// One thing that was taken from a manifest.
#[derive(Debug, Clone, Serialize)]
pub struct Taken {
    /// The flag of restore.
    pub flag: &'static str,
    /// Its value.
    pub value: String,
    /// Where in the manifest it was.
    pub from: String,
}

/// A manifest.
#[derive(Debug)]
pub struct Manifest {
    path: PathBuf,
    container: Container,
    volumes: Vec<Volume>,
    /// etcd's flags without their dashes, with their values and where they were found.
    flags: BTreeMap<String, (String, String)>,
}

impl Manifest {
    /// Reads a manifest.
    pub fn read(path: &Path) -> Result<Manifest, Error> {
        let source = Source::open(path)?;
        let bytes =
            source.read_all(LIMIT).map_err(|c| Error::unreadable(path, Cause::Content(c.detail.clone())))?;
        Manifest::parse(path, bytes)
    }

    /// The manifest that these bytes are; the path is for messages.
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Manifest, Error> {
        let wrong = |what: String| Error::unreadable(path, Cause::Content(what));
        let text = String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8: no manifest".to_owned()))?;
        let pod: Pod = serde_saphyr::from_str(&text).map_err(|error| {
            wrong(format!(
                "is not the manifest of a pod: {}",
                printable(&error.without_snippet().to_string())
            ))
        })?;
        if pod.kind != "Pod" {
            let kind = printable(&pod.kind);
            return Err(wrong(format!("is no manifest of a pod: its kind is {kind:?}")));
        }
        let Spec { containers, volumes } = pod.spec;
        let runs_etcd = |container: &Container| {
            container.name == "etcd"
                || container.command.first().is_some_and(|program| program.rsplit('/').next() == Some("etcd"))
        };
        let Some(container) = containers.into_iter().find(runs_etcd) else {
            return Err(wrong("has no container etcd".to_owned()));
        };
        let flags = flags(&container);
        Ok(Manifest { path: path.to_path_buf(), container, volumes, flags })
    }

    /// The value of a flag of etcd.
    fn flag(&self, flag: &'static str) -> Result<Option<Taken>, Error> {
        let Some((value, from)) = self.flags.get(flag) else { return Ok(None) };
        if value.contains("$(") {
            let what = format!(
                "--{flag} is {}, which the kubelet fills in; give the flag to restore",
                printable(value)
            );
            return Err(Error::unreadable(&self.path, Cause::Content(what)));
        }
        if value.chars().any(char::is_control) {
            let what = format!("--{flag} is {}: it holds control characters", printable(value));
            return Err(Error::unreadable(&self.path, Cause::Content(what)));
        }
        Ok(Some(Taken { flag, value: value.clone(), from: format!("{}: {from}", show(&self.path)) }))
    }

    /// The same, for what a restore cannot do without.
    pub fn needed(&self, flag: &'static str) -> Result<Taken, Error> {
        let missing = || {
            let what = format!("its container etcd has no --{flag}; give the flag to restore");
            Error::unreadable(&self.path, Cause::Content(what))
        };
        self.flag(flag)?.ok_or_else(missing)
    }

    /// The member's name; etcd's default where it is not given.
    pub fn name(&self) -> Result<Option<Taken>, Error> {
        self.flag("name")
    }

    /// The cluster's token, if one is given.
    pub fn token(&self) -> Result<Option<Taken>, Error> {
        self.flag("initial-cluster-token")
    }

    /// The directory on the host.
    pub fn data_dir(&self) -> Result<Taken, Error> {
        self.needed("data-dir").and_then(|taken| self.on_host(taken))
    }

    /// The directory of the log on the host, if it is kept apart.
    pub fn wal_dir(&self) -> Result<Option<Taken>, Error> {
        self.flag("wal-dir")?
            .filter(|taken| !taken.value.is_empty())
            .map(|taken| self.on_host(taken))
            .transpose()
    }

    /// The version of etcd, by the tag of its image.
    pub fn version(&self) -> Option<(Minor, Taken)> {
        let (_, tag) = self.container.image.split('@').next()?.rsplit_once(':')?;
        let minor = Minor::of(tag.trim_start_matches('v'))?;
        let from = format!("{}: image {}", show(&self.path), printable(&self.container.image));
        Some((minor, Taken { flag: "target-version", value: minor.name().to_owned(), from }))
    }

    /// Where a path in the container is on the host: below the deepest mount that holds it.
    fn on_host(&self, taken: Taken) -> Result<Taken, Error> {
        let inside = Path::new(&taken.value);
        let wrong = |what: String| {
            let what = format!("--{} is {}, {what}", taken.flag, printable(&taken.value));
            Error::unreadable(&self.path, Cause::Content(what))
        };
        let up = |path: &Path| path.components().any(|part| part == Component::ParentDir);
        if !inside.is_absolute() || up(inside) {
            return Err(wrong("which is not an absolute path".to_owned()));
        }
        let mounts = self.container.volume_mounts.iter().filter(|mount| mount.mount_path.starts_with('/'));
        let mount = mounts
            .filter(|mount| inside.starts_with(&mount.mount_path))
            .max_by_key(|mount| mount.mount_path.len());
        let gone = || wrong(format!("which is on no volume of the host; give --{} to restore", taken.flag));
        let mount = mount.ok_or_else(gone)?;
        let host = self
            .volumes
            .iter()
            .find(|volume| volume.name == mount.name)
            .and_then(|volume| volume.host_path.as_ref());
        // The API server takes no such volume either.
        let host =
            host.filter(|host| host.path.starts_with('/') && !up(Path::new(&host.path))).ok_or_else(gone)?;
        let mut path = PathBuf::from(&host.path);
        for below in
            [Path::new(&mount.sub_path), inside.strip_prefix(&mount.mount_path).unwrap_or(Path::new(""))]
        {
            if below.is_absolute() || up(below) {
                return Err(gone());
            }
            path.extend(below.components());
        }
        let value = path.into_os_string().into_string().map_err(|_| gone())?;
        let from = format!("{}, on the host by volume {}", taken.from, printable(&mount.name));
        Ok(Taken { value, from, ..taken })
    }
}

/// What etcd is told: by its environment, and by its arguments, which count more.
fn flags(container: &Container) -> BTreeMap<String, (String, String)> {
    let mut flags = BTreeMap::new();
    for env in &container.env {
        if let (Some(name), Some(value)) = (env.name.strip_prefix("ETCD_"), &env.value) {
            flags.insert(
                name.to_ascii_lowercase().replace('_', "-"),
                (value.clone(), format!("env {}", printable(&env.name))),
            );
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
            flags.insert(name.to_owned(), (value, format!("flag --{}", printable(name))));
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(yaml: &str) -> Result<Manifest, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("etcd.yaml");
        std::fs::write(&path, yaml).unwrap();
        Manifest::read(&path).map_err(|error| error.to_string())
    }

    const HEAD: &str =
        "kind: Pod\nspec:\n  containers:\n  - name: etcd\n    image: registry:5000/etcd:v3.6.4-0@sha256:00\n";

    #[test]
    fn flags_are_read_in_every_way_they_are_written() {
        let yaml = format!(
            "{HEAD}    command: [etcd, --name=a, --data-dir, /var/lib/etcd/x]\n    args: ['-initial-cluster=a=http://a:1,b=http://b:1']\n    env:\n    - {{name: ETCD_NAME, value: other}}\n    - {{name: ETCD_INITIAL_CLUSTER_TOKEN, value: t}}\n    - {{name: ETCD_WAL_DIR, valueFrom: {{}}}}\n    volumeMounts:\n    - {{name: all, mountPath: /var}}\n    - {{name: data, mountPath: /var/lib/etcd, subPath: sub}}\n  volumes:\n  - {{name: data, hostPath: {{path: /mnt/disk}}}}\n  - {{name: all, hostPath: {{path: /no}}}}\n"
        );
        let manifest = manifest(&yaml).unwrap();
        assert_eq!(manifest.name().unwrap().unwrap().value, "a");
        assert_eq!(manifest.needed("initial-cluster").unwrap().value, "a=http://a:1,b=http://b:1");
        let token = manifest.token().unwrap().unwrap();
        assert!(
            token.value == "t" && token.from.ends_with("etcd.yaml: env ETCD_INITIAL_CLUSTER_TOKEN"),
            "{token:?}"
        );
        let data = manifest.data_dir().unwrap();
        assert_eq!(data.value, "/mnt/disk/sub/x");
        assert!(data.from.ends_with("flag --data-dir, on the host by volume data"), "{data:?}");
        assert!(manifest.wal_dir().unwrap().is_none());
        assert_eq!(manifest.version().unwrap().0, Minor::V36);
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
            manifest(&yaml).unwrap().data_dir().map(|taken| taken.value).map_err(|error| error.to_string())
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
        let long = format!("kind: Pod\n# {}", "x".repeat(2 << 20));
        for yaml in [bomb, deep, long, "kind: &k *k\n".to_owned()] {
            let begun = std::time::Instant::now();
            manifest(&yaml).unwrap_err();
            assert!(begun.elapsed() < std::time::Duration::from_secs(10));
        }
    }
}
