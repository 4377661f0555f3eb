//! What OpenShift's `cluster-backup.sh` packs beside a snapshot: `static_kuberesources_TIME.tar.gz`, the manifests of
//! the static pods of a control plane, their certificates and keys.

use std::path::{Path, PathBuf};

use super::report::{InspectReport, ResourceKind, StaticResource};
use crate::etcd::within;
use crate::io::packed::Inside;
use crate::kube::certificate::first_end;
#[cfg(feature = "yaml")]
use crate::kube::manifest::{ManifestError, StaticPod};
use crate::words::error::{Result, show};

/// The folder that all of it lies in.
const FOLDER: &str = "static-pod-resources";
/// Bytes of a file that are looked at.
const LOOKED_AT: usize = 1 << 20;

fn kind_of(text: &str) -> ResourceKind {
    if text.contains("-----BEGIN CERTIFICATE-----") && !text.contains("kind: Config") {
        ResourceKind::Certificate
    } else if text.contains("PRIVATE KEY-----") {
        ResourceKind::PrivateKey
    } else if text.contains("EncryptionConfiguration") {
        ResourceKind::EncryptionConfig
    } else if text.contains("current-context") && text.contains("clusters") {
        ResourceKind::Kubeconfig
    } else {
        pod(text).unwrap_or(ResourceKind::Other)
    }
}

/// Whether it is the manifest of a pod, in YAML or JSON.
#[cfg(feature = "yaml")]
fn pod(text: &str) -> Option<ResourceKind> {
    match StaticPod::parse(text.as_bytes()) {
        Ok(_) => Some(ResourceKind::EtcdPod),
        Err(ManifestError::NoEtcd) => Some(ResourceKind::Pod),
        Err(_) => None,
    }
}

/// What cannot be told without a reader of YAML.
#[cfg(not(feature = "yaml"))]
fn pod(_: &str) -> Option<ResourceKind> {
    None
}

/// The report on such an archive; `None` for everything else.
///
/// # Errors
/// When a file in it cannot be had.
pub(super) fn resources(path: &Path) -> Result<Option<InspectReport>> {
    let Ok(Some(inside)) = Inside::of(path, &within::judge) else { return Ok(None) };
    let files = inside.files()?;
    if !files.iter().any(|(path, _)| path.components().any(|part| part.as_os_str() == FOLDER)) {
        return Ok(None);
    }
    let resource = |(file, bytes): (PathBuf, u64)| {
        let front = inside.front_of(&file, LOOKED_AT)?;
        let text = String::from_utf8_lossy(&front);
        let what = kind_of(&text);
        let ends = if what == ResourceKind::Certificate {
            first_end(&text).map(|end| end.to_string())
        } else {
            None
        };
        Ok(StaticResource { path: show(&inside.path_of(&file)), bytes, what, ends })
    };
    let mut resources = files.into_iter().map(resource).collect::<Result<Vec<_>>>()?;
    resources.sort_by(|a, b| (a.what, &a.path).cmp(&(b.what, &b.path)));
    Ok(Some(InspectReport {
        path: show(path),
        kind: "static pods of a control plane, as OpenShift keeps them beside a snapshot".to_owned(),
        resources,
        ..InspectReport::default()
    }))
}
