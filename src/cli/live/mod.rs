//! Members that run, as arguments: where they are, how they are known, who asks. What etcdctl takes from its
//! environment is taken from there, too; a password comes from a file or the environment, and never from an argument,
//! which every process of the machine can read.

mod compare;
mod manifest;
mod status;

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use coldbolt::live::{Access, Cluster, Endpoint, Pem, Tls, User};
use coldbolt::words::cause::Cause;
use coldbolt::words::error::{Error, printable};
use zeroize::Zeroizing;

pub use self::compare::compare;
use self::manifest::Found;
pub use self::status::status;
use super::context::Fail;
use super::keys_given::{read, read_public};
use super::out::labelled;
use super::progress::Terminal;

/// Said in every answer of a server that was not verified.
pub const UNVERIFIED: &str =
    "no server's certificate was verified (--insecure-skip-tls-verify): anyone may have answered";

/// Members that run.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Members that run")]
pub struct Members {
    /// Where members listen for their clients: https://HOST:PORT, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "URL")]
    endpoints: Vec<String>,
    /// Take endpoint, CA, certificate and key from the static-pod manifest of etcd on this node, as kubeadm writes it;
    /// what is given as a flag counts more.
    #[arg(long, value_name = "etcd.yaml")]
    from_manifest: Option<PathBuf>,
    /// Who signs the certificates of the servers, in PEM.
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// The certificate to show to the servers, in PEM.
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Its key, in PEM.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The user of etcd's to log in as; the password is in --password-file or ETCDCTL_PASSWORD.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The password, the one line of this file.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Take any certificate of a server: whoever is on the way may read and change everything.
    #[arg(long)]
    insecure_skip_tls_verify: bool,
    /// The longest to wait for a connection, an answer, or the next 32 KiB of a snapshot.
    #[arg(long, default_value_t = 10, value_parser = seconds(), value_name = "SECONDS")]
    timeout: u64,
}

impl Members {
    /// Whether any were named: not by the environment, so that it never makes a command ask the network that would
    /// not have.
    pub fn named(&self) -> bool {
        !self.endpoints.is_empty() || self.from_manifest.is_some()
    }

    /// Whether each of these was known by its certificate.
    pub fn verified<'e>(&self, endpoints: impl IntoIterator<Item = &'e Endpoint>) -> bool {
        !self.insecure_skip_tls_verify && endpoints.into_iter().all(Endpoint::is_tls)
    }

    /// Says so at the end of an answer.
    pub fn warn(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.insecure_skip_tls_verify { writeln!(out, "{}", labelled("TLS", UNVERIFIED)) } else { Ok(()) }
    }

    /// Members to be asked. Nothing is asked yet.
    pub fn cluster(&self, monitor: &Terminal) -> Result<Cluster, Fail> {
        let manifest = self.from_manifest.as_deref().map(Found::read).transpose()?.unwrap_or_default();
        let of = |flag: &Option<PathBuf>, found: Option<PathBuf>, variable| {
            flag.clone()
                .or(found)
                .or_else(|| env::var_os(variable).filter(|v| !v.is_empty()).map(PathBuf::from))
        };
        let ca = of(&self.cacert, manifest.ca, "ETCDCTL_CACERT");
        // A certificate goes with its own key.
        let (cert, key) = match (&self.cert, &self.key) {
            (None, None) => manifest.identity.unzip(),
            _ => (None, None),
        };
        let cert = of(&self.cert, cert, "ETCDCTL_CERT");
        let key = of(&self.key, key, "ETCDCTL_KEY");
        let identity = match (cert, key) {
            (Some(cert), Some(key)) => Some((public(&cert)?, Pem { bytes: read(&key, monitor)?, name: key })),
            (None, None) => None,
            _ => {
                return Err(Fail::Usage(
                    "--cert and --key go together: a certificate and its own key".to_owned(),
                ));
            }
        };
        let ca = ca.as_deref().map(public).transpose()?;
        let tls_is_meant = ca.is_some() || identity.is_some() || self.insecure_skip_tls_verify;
        let mut endpoints = self.endpoints.clone();
        if endpoints.is_empty() {
            endpoints.extend(manifest.endpoint);
        }
        if endpoints.is_empty() {
            let given = variable("ETCDCTL_ENDPOINTS").unwrap_or_default();
            endpoints.extend(given.split(',').filter(|one| !one.is_empty()).map(str::to_owned));
        }
        let endpoints = self::endpoints(&endpoints, tls_is_meant)?;
        let user = self.user(monitor)?;
        if user.is_some() && endpoints.iter().any(|endpoint| !endpoint.is_tls()) {
            monitor.warn("the password goes over the network in the clear: an endpoint is http, not https");
        }
        let tls = Tls { ca, identity, unverified: self.insecure_skip_tls_verify };
        Ok(Cluster::new(endpoints, Access { tls, user, patience: Duration::from_secs(self.timeout) })?)
    }

    /// Who logs in, if somebody does.
    fn user(&self, monitor: &Terminal) -> Result<Option<User>, Fail> {
        if self.user.as_ref().is_some_and(|user| user.contains(':')) {
            let what = "--user takes a name alone: the password, behind a colon, would be read by every process of \
                        this machine; put it into --password-file";
            return Err(Fail::Usage(what.to_owned()));
        }
        let of_environment = variable("ETCDCTL_USER");
        let given = self.user.clone().or_else(|| of_environment.map(|user| user.to_string()));
        let Some(given) = given else {
            let lone = self.password_file.is_some();
            let what = "--password-file goes with --user".to_owned();
            return if lone { Err(Fail::Usage(what)) } else { Ok(None) };
        };
        let (name, beside) = match given.split_once(':') {
            Some((name, password)) => (name.to_owned(), Some(Zeroizing::new(password.to_owned()))),
            None => (given, None),
        };
        let password = match &self.password_file {
            Some(path) => Some(password(path, monitor)?),
            None => beside.or_else(|| variable("ETCDCTL_PASSWORD")),
        };
        let Some(password) = password else {
            let what = "the password of --user is missing: give --password-file, or set ETCDCTL_PASSWORD";
            return Err(Fail::Usage(what.to_owned()));
        };
        Ok(Some(User { name, password }))
    }
}

fn seconds() -> impl clap::builder::TypedValueParser<Value = u64> {
    clap::value_parser!(u64).range(1..=3600)
}

/// The endpoints that these texts name, each once.
fn endpoints(given: &[String], tls: bool) -> Result<Vec<Endpoint>, Fail> {
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for text in given {
        // What stands before an @ may be a password.
        let shown = text.rsplit_once('@').map_or(text.as_str(), |(_, host)| host);
        let endpoint = Endpoint::parse(text.trim(), tls)
            .map_err(|error| Fail::Usage(format!("endpoint {}: {error}", printable(shown))))?;
        if !endpoints.contains(&endpoint) {
            endpoints.push(endpoint);
        }
    }
    if endpoints.is_empty() {
        let what = "no endpoint: give --endpoints or --from-manifest, or set ETCDCTL_ENDPOINTS";
        return Err(Fail::Usage(what.to_owned()));
    }
    Ok(endpoints)
}

/// What the environment says, if that is a text.
fn variable(name: &str) -> Option<Zeroizing<String>> {
    env::var(name).ok().filter(|value| !value.is_empty()).map(Zeroizing::new)
}

fn public(path: &Path) -> Result<Pem, Fail> {
    Ok(Pem { bytes: read_public(path)?, name: path.to_path_buf() })
}

/// The one line of a file.
fn password(path: &Path, monitor: &Terminal) -> Result<Zeroizing<String>, Fail> {
    let bytes = read(path, monitor)?;
    let text = std::str::from_utf8(&bytes).unwrap_or("");
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() || line.contains('\n') {
        let what = "is no file with one line of text, which is the password".to_owned();
        return Err(Error::unreadable(path, Cause::Content(what)).into());
    }
    Ok(Zeroizing::new(line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(given: &[&str]) -> String {
        let given: Vec<String> = given.iter().map(|text| (*text).to_owned()).collect();
        match endpoints(&given, false) {
            Ok(endpoints) => endpoints.iter().map(|e| format!("{e} ")).collect(),
            Err(Fail::Usage(what)) => what,
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_endpoint_is_asked_once_and_a_wrong_one_is_named_without_what_may_be_a_password() {
        assert_eq!(said(&["a:1", "http://A:1", " b"]), "http://a:1 http://b:2379 ");
        let wrong = said(&["https://root:hush@a:1"]);
        assert!(wrong.contains("endpoint a:1: ") && !wrong.contains("hush"), "{wrong}");
        assert!(said(&[]).contains("--from-manifest"));
    }
}
