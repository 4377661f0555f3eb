//! How a restored member is started.

use std::path::Path;

use crate::etcd::identity::{NewCluster, NewMember};
use crate::words::error::show;

/// The command that starts a member. The flags of a new cluster are ignored when there is a log, but etcd wants them
/// to fit each other. `wal_dir` is that of a log outside of the data directory.
pub(super) fn command(
    member: &NewMember,
    data_dir: &Path,
    wal_dir: Option<&Path>,
    cluster: &NewCluster,
) -> String {
    let urls = member.peer_urls.join(",");
    let mut words = vec![
        "etcd".to_owned(),
        "--name".to_owned(),
        member.name.clone(),
        "--data-dir".to_owned(),
        show(data_dir),
    ];
    if let Some(wal_dir) = wal_dir {
        words.extend(["--wal-dir".to_owned(), show(wal_dir)]);
    }
    let (listen, token) =
        (member.peer_urls.iter().map(|url| listen(url)).collect::<Vec<_>>().join(","), cluster.token.clone());
    for (flag, value) in [
        ("--initial-advertise-peer-urls", urls),
        ("--listen-peer-urls", listen),
        ("--initial-cluster", cluster.to_text()),
        ("--initial-cluster-token", token),
    ] {
        words.extend([flag.to_owned(), value]);
    }
    let quote = |word: &String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+[]".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// etcd listens on addresses, not on names.
fn listen(url: &str) -> String {
    let Some((scheme @ ("http" | "https"), rest)) = url.split_once("://") else { return url.to_owned() };
    let Some((host, port)) = rest.rsplit_once(':') else { return url.to_owned() };
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let address = host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    let port = port.split(['?', '#']).next().unwrap_or(port);
    format!("{scheme}://{}:{port}", if address { host } else { "0.0.0.0" })
}
