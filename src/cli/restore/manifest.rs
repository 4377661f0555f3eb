//! What a restore takes from the static-pod manifest of its member, in the words of the command line.

use std::path::{Path, PathBuf};

use coldbolt::etcd::schema::Minor;
use coldbolt::io::packed::Inside;
use coldbolt::io::{Source, tree};
use coldbolt::kube::manifest::{self, ManifestError, Origin, Setting};
use coldbolt::words::cause::Cause;
use coldbolt::words::error::{Error, printable, show};
use serde::Serialize;

/// One thing that was taken from a manifest.
#[derive(Debug, Clone, Serialize)]
pub struct Taken {
    /// The flag of restore.
    pub flag: String,
    /// Its value.
    pub value: String,
    /// Where in the manifest it was.
    pub from: String,
}

/// A manifest and its name.
#[derive(Debug)]
pub struct StaticPod {
    path: PathBuf,
    manifest: manifest::StaticPod,
}

/// What the manifest of a pod of etcd's is called: by kubeadm, and by OpenShift.
const NAMES: [&str; 2] = ["etcd.yaml", "etcd-pod.yaml"];

/// The manifest of a pod of etcd's in a file, or in an archive that has one.
pub fn static_pod(path: &Path) -> Result<manifest::StaticPod, Error> {
    let file = tree::open(path)?;
    let source = match Inside::of_source(&file, &|_| Ok(None))? {
        Some(inside) => inside.content().map_or_else(|| in_archive(&inside), Ok)?,
        None => file,
    };
    let bytes = source
        .read_all(manifest::LIMIT)
        .map_err(|corrupt| Error::unreadable(source.path(), Cause::Content(corrupt.detail.clone())))?;
    manifest::StaticPod::parse(&bytes)
        .map_err(|error| Error::unreadable(source.path(), Cause::Content(words(&error))))
}

fn in_archive(archive: &Inside) -> Result<Source, Error> {
    let mut files = archive.files()?;
    let all = files.len();
    files.retain(|(file, _)| NAMES.iter().any(|name| file.ends_with(name)));
    let told = match files.as_slice() {
        [(one, _)] => return archive.open_file(one),
        [] => {
            let names = NAMES.join(" or ");
            format!("none of the {all} files in it is called {names}: name the manifest, as ARCHIVE:PATH")
        }
        several => {
            let names: Vec<_> = several.iter().map(|(file, _)| show(&archive.path_of(file))).collect();
            format!("holds {} manifests of etcd's; name one of them: {}", names.len(), names.join(", "))
        }
    };
    Err(Error::unreadable(archive.name(), Cause::lacks(told)))
}

impl StaticPod {
    /// Reads a manifest.
    pub fn read(path: &Path) -> Result<StaticPod, Error> {
        Ok(StaticPod { path: path.to_path_buf(), manifest: static_pod(path)? })
    }

    /// What a restore cannot do without.
    pub fn needed(&self, flag: &str) -> Result<Taken, Error> {
        self.taken(self.manifest.needed(flag))
    }

    /// The member's name; etcd's default where it is not given.
    pub fn name(&self) -> Result<Option<Taken>, Error> {
        self.taken_if(self.manifest.setting("name"))
    }

    /// The cluster's token, if one is given.
    pub fn token(&self) -> Result<Option<Taken>, Error> {
        self.taken_if(self.manifest.setting("initial-cluster-token"))
    }

    /// The directory on the host.
    pub fn data_dir(&self) -> Result<Taken, Error> {
        self.taken(self.manifest.data_dir())
    }

    /// The directory of the log on the host, if it is kept apart.
    pub fn wal_dir(&self) -> Result<Option<Taken>, Error> {
        self.taken_if(self.manifest.wal_dir())
    }

    /// The version of etcd, by the tag of its image.
    pub fn version(&self) -> Option<(Minor, Taken)> {
        let minor = self.manifest.version()?;
        let from = format!("{}: image {}", show(&self.path), printable(self.manifest.image()));
        let flag = "target-version".to_owned();
        Some((minor, Taken { flag, value: minor.name().to_owned(), from }))
    }

    fn taken_if(&self, setting: Result<Option<Setting>, ManifestError>) -> Result<Option<Taken>, Error> {
        setting.transpose().map(|setting| self.taken(setting)).transpose()
    }

    fn taken(&self, setting: Result<Setting, ManifestError>) -> Result<Taken, Error> {
        let Setting { flag, value, origin, volume } =
            setting.map_err(|error| Error::unreadable(&self.path, Cause::Content(words(&error))))?;
        let place = match origin {
            Origin::Argument => format!("flag --{}", printable(&flag)),
            Origin::Variable(name) => format!("env {}", printable(&name)),
        };
        let by = volume
            .map_or_else(String::new, |volume| format!(", on the host by volume {}", printable(&volume)));
        Ok(Taken { flag, value, from: format!("{}: {place}{by}", show(&self.path)) })
    }
}

/// The error, and which flag of restore helps.
fn words(error: &ManifestError) -> String {
    match error {
        ManifestError::Missing { flag } => {
            format!("its container etcd has no --{flag}; give the flag to restore")
        }
        ManifestError::FilledIn { .. } => format!("--{error}; give the flag to restore"),
        ManifestError::NotOnHost { flag, .. } => format!("--{error}; give --{flag} to restore"),
        ManifestError::Control { .. } | ManifestError::NotAbsolute { .. } => format!("--{error}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<StaticPod, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("etcd.yaml");
        std::fs::write(&path, yaml).unwrap();
        let shown = format!("{}: ", show(&path));
        StaticPod::read(&path).map_err(|error| error.to_string().replace(&shown, ""))
    }

    #[test]
    fn what_is_taken_says_where_it_was() {
        let yaml = "kind: Pod\nspec:\n  containers:\n  - name: etcd\n    image: r:5000/etcd:v3.6.4-0\n    \
                    command: [etcd, --data-dir, /var/lib/etcd]\n    env:\n    - {name: ETCD_NAME, value: a}\n    \
                    volumeMounts:\n    - {name: data, mountPath: /var/lib}\n  volumes:\n  \
                    - {name: data, hostPath: {path: /mnt}}\n";
        let manifest = read(yaml).unwrap();
        let (name, data) = (manifest.name().unwrap().unwrap(), manifest.data_dir().unwrap());
        assert!(name.from.ends_with("etcd.yaml: env ETCD_NAME"), "{name:?}");
        assert!(data.from.ends_with("etcd.yaml: flag --data-dir, on the host by volume data"), "{data:?}");
        let (version, image) = manifest.version().unwrap();
        assert!(version == Minor::V36 && image.from.ends_with("image r:5000/etcd:v3.6.4-0"), "{image:?}");
    }

    #[test]
    fn what_cannot_be_taken_names_the_flag_that_helps() {
        let of = |data: &str| {
            let command = format!("command: [etcd, '--data-dir={data}']");
            let yaml = format!("kind: Pod\nspec:\n  containers:\n  - name: etcd\n    {command}\n");
            let error = read(&yaml).unwrap().data_dir().unwrap_err().to_string();
            error.split_once("etcd.yaml: ").unwrap().1.to_owned()
        };
        assert_eq!(
            of("/d"),
            "--data-dir is /d, which is on no volume of the host; give --data-dir to restore"
        );
        assert_eq!(of("d"), "--data-dir is d, which is not an absolute path");
        assert_eq!(of("$(D)"), "--data-dir is $(D), which the kubelet fills in; give the flag to restore");
        let none = read("kind: Pod\nspec: {containers: [{name: etcd}]}\n").unwrap().data_dir().unwrap_err();
        assert!(none.to_string().ends_with("its container etcd has no --data-dir; give the flag to restore"));
        let long = format!("kind: Pod\n# {}", "x".repeat(2 << 20));
        assert!(read(&long).is_err());
    }
}
