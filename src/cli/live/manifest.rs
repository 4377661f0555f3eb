//! What the static-pod manifest of etcd tells of how its member is asked.

use std::path::{Path, PathBuf};

use coldbolt::kube::manifest::Setting;
use coldbolt::words::cause::Cause;
use coldbolt::words::error::Error;

use super::super::restore::static_pod;

/// The certificate that kubeadm makes for who asks etcd whether it is well, beside that of the server. The server's own
/// is taken where that is not: kubeadm makes it for both ends.
const CLIENT: &str = "healthcheck-client";

/// How the member is asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub endpoint: Option<String>,
    pub ca: Option<PathBuf>,
    /// A certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Found {
    /// Reads a manifest.
    pub fn read(path: &Path) -> Result<Found, Error> {
        let pod = static_pod(path)?;
        let told = |error: coldbolt::kube::manifest::ManifestError| {
            let what = format!("{error}; give --endpoints, --cacert, --cert and --key");
            Error::unreadable(path, Cause::Content(what))
        };
        let urls =
            |flag: &str| pod.setting(flag).map_err(told).map(|setting| setting.map(|found| found.value));
        // The one that clients are told is the one in the certificate.
        let endpoint = match urls("advertise-client-urls")?.as_deref().and_then(first) {
            Some(url) => Some(url),
            None => urls("listen-client-urls")?.as_deref().and_then(first),
        };
        let missing = || Error::unreadable(path, Cause::Content(NO_URL.to_owned()));
        let endpoint = endpoint.ok_or_else(missing)?;
        if !endpoint.starts_with("https://") {
            return Ok(Found { endpoint: Some(endpoint), ..Found::default() });
        }
        let on_host = |flag: &str| pod.path(flag).map_err(told).map(|setting| setting.map(path_of));
        Ok(Found {
            endpoint: Some(endpoint),
            ca: on_host("trusted-ca-file")?,
            identity: identity(on_host("cert-file")?, on_host("key-file")?),
        })
    }
}

const NO_URL: &str = "tells no URL of etcd's for clients; give --endpoints";

fn path_of(setting: Setting) -> PathBuf {
    PathBuf::from(setting.value)
}

/// The first URL that names a host.
fn first(urls: &str) -> Option<String> {
    let anywhere = |url: &&str| !url.contains("://0.0.0.0") && !url.contains("://[::]");
    urls.split(',').map(str::trim).filter(|url| !url.is_empty()).find(anywhere).map(str::to_owned)
}

fn identity(cert: Option<PathBuf>, key: Option<PathBuf>) -> Option<(PathBuf, PathBuf)> {
    let (cert, key) = cert.zip(key)?;
    let client = [cert.with_file_name(format!("{CLIENT}.crt")), key.with_file_name(format!("{CLIENT}.key"))];
    let [client_cert, client_key] = client;
    let both = client_cert.is_file() && client_key.is_file();
    Some(if both { (client_cert, client_key) } else { (cert, key) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(dir: &Path, flags: &str) -> Result<Found, String> {
        let path = dir.join("etcd.yaml");
        let yaml = format!(
            "kind: Pod\nspec:\n  containers:\n  - name: etcd\n    command: [etcd, {flags}]\n    volumeMounts:\n    \
             - {{name: pki, mountPath: /pki}}\n  volumes:\n  - {{name: pki, hostPath: {{path: {}}}}}\n",
            dir.display()
        );
        std::fs::write(&path, yaml).unwrap();
        Found::read(&path).map_err(|error| error.to_string())
    }

    const TLS: &str = "--advertise-client-urls=https://10.0.0.5:2379, --trusted-ca-file=/pki/ca.crt, \
                       --cert-file=/pki/server.crt, --key-file=/pki/server.key";

    #[test]
    fn the_client_certificate_of_kubeadm_is_preferred_to_that_of_the_server() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let servers = found(dir.path(), TLS).unwrap();
        assert_eq!(servers.endpoint.as_deref(), Some("https://10.0.0.5:2379"));
        assert_eq!(servers.ca, Some(at("ca.crt")));
        assert_eq!(servers.identity, Some((at("server.crt"), at("server.key"))));
        std::fs::write(at("healthcheck-client.crt"), "").unwrap();
        assert_eq!(found(dir.path(), TLS).unwrap(), servers);
        std::fs::write(at("healthcheck-client.key"), "").unwrap();
        let own = found(dir.path(), TLS).unwrap().identity;
        assert_eq!(own, Some((at("healthcheck-client.crt"), at("healthcheck-client.key"))));
    }

    #[test]
    fn what_the_manifest_does_not_tell_names_the_flags_that_help() {
        let dir = tempfile::tempdir().unwrap();
        let wrong = |flags: &str| found(dir.path(), flags).unwrap_err();
        assert!(wrong("--name=a").contains("give --endpoints"));
        assert!(wrong("--listen-client-urls=https://0.0.0.0:2379").contains("give --endpoints"));
        assert!(
            wrong("--listen-client-urls=https://$(IP):1").contains("the kubelet fills in; give --endpoints")
        );
        let elsewhere = TLS.replace("/pki/ca", "/etc/ca");
        assert!(wrong(&elsewhere).contains("on no volume of the host; give --endpoints"));
        let plain =
            found(dir.path(), "'--listen-client-urls=http://0.0.0.0:1,http://127.0.0.1:2379'").unwrap();
        assert_eq!(plain.endpoint.as_deref(), Some("http://127.0.0.1:2379"));
    }
}
