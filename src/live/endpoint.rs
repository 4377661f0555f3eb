//! Where a member listens for its clients, as text: `https://10.0.0.1:2379`, `[::1]:2379`, `etcd-0.etcd`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// etcd's own port for clients.
const PORT: u16 = 2379;
/// Bytes of the longest name that there is in DNS.
const LONGEST: usize = 253;

/// Where a member listens for its clients.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    tls: bool,
    /// A name, or an address without brackets.
    host: String,
    port: u16,
}

/// Why a text is no endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoEndpoint {
    /// Neither http nor https.
    #[error(
        "its scheme is neither http nor https: sockets of Unix and names that resolve to services are not known here"
    )]
    Scheme,
    /// There is more in it than scheme, host and port.
    #[error("is not of the form https://HOST:PORT: no user, no path and no query belong to it")]
    More,
    /// No name and no address.
    #[error("names no host: a name of DNS, an IPv4 address, or an IPv6 address in brackets")]
    Host,
    /// No number of a port.
    #[error("its port is no number from 1 to 65535")]
    Port,
}

impl Endpoint {
    /// Reads one. Without a scheme it is one of TLS if `tls` says so, as in etcdctl; without a port it has etcd's.
    ///
    /// # Errors
    /// [`NoEndpoint`].
    pub fn parse(text: &str, tls: bool) -> Result<Endpoint, NoEndpoint> {
        let (tls, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            Some(_) => return Err(NoEndpoint::Scheme),
            None => (tls, text),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '@', '?', '#']) {
            return Err(NoEndpoint::More);
        }
        let (host, port) = match rest.strip_prefix('[') {
            Some(inside) => {
                let (host, after) = inside.split_once(']').ok_or(NoEndpoint::Host)?;
                host.parse::<Ipv6Addr>().map_err(|_| NoEndpoint::Host)?;
                match (after, after.strip_prefix(':')) {
                    ("", _) => (host, None),
                    (_, Some(port)) => (host, Some(port)),
                    (_, None) => return Err(NoEndpoint::Host),
                }
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let port = port.map_or(Some(PORT), port_of).ok_or(NoEndpoint::Port)?;
        let host = host.to_ascii_lowercase();
        if host.parse::<IpAddr>().is_err() && !is_name(&host) {
            return Err(NoEndpoint::Host);
        }
        Ok(Endpoint { tls, host, port })
    }

    /// Whether it is one of TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The name or the address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port, as they stand in a URL.
    #[must_use]
    pub fn authority(&self) -> String {
        let Endpoint { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

impl serde::Serialize for Endpoint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn port_of(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0 && text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_name(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    host.len() <= LONGEST && host.strip_suffix('.').unwrap_or(host).split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_as_etcdctl_reads_them_and_said_in_full() {
        for (text, tls, due) in [
            ("https://10.0.0.1:2379", false, "https://10.0.0.1:2379"),
            ("http://a.b:1/", true, "http://a.b:1"),
            ("127.0.0.1:2379", false, "http://127.0.0.1:2379"),
            ("127.0.0.1:2379", true, "https://127.0.0.1:2379"),
            ("[::1]:7", false, "http://[::1]:7"),
            ("https://[fe80::1]", false, "https://[fe80::1]:2379"),
            ("Etcd-0.etcd", false, "http://etcd-0.etcd:2379"),
        ] {
            let endpoint = Endpoint::parse(text, tls).unwrap();
            assert_eq!(endpoint.to_string(), due);
            assert_eq!(Endpoint::parse(due, !tls), Ok(endpoint));
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused_for_what_it_is() {
        for (text, why) in [
            ("unix:///run/etcd.sock", NoEndpoint::Scheme),
            ("HTTPS://a", NoEndpoint::Scheme),
            ("https://user:secret@a:1", NoEndpoint::More),
            ("a:1/path", NoEndpoint::More),
            ("", NoEndpoint::Host),
            ("https://", NoEndpoint::Host),
            ("[::1", NoEndpoint::Host),
            ("[::1]x", NoEndpoint::Host),
            ("a..b", NoEndpoint::Host),
            ("a b", NoEndpoint::Host),
            ("a\n", NoEndpoint::Host),
            ("a:0", NoEndpoint::Port),
            ("a:+1", NoEndpoint::Port),
            ("a:65536", NoEndpoint::Port),
            ("::1", NoEndpoint::Port),
        ] {
            assert_eq!(Endpoint::parse(text, false), Err(why), "{text:?}");
        }
        assert_eq!(Endpoint::parse(&"a".repeat(254), false), Err(NoEndpoint::Host));
    }
}
