//! Members of a cluster: a connection is made anew for each thing that is asked.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsConnector;
use tonic::Code;

use super::access::{Access, User, lacks};
use super::endpoint::Endpoint;
use super::messages::{
    HashKvRequest, HashKvResponse, RangeRequest, RangeResponse, StatusRequest, StatusResponse,
};
use super::peer::{Answer, Io, Peer, within};
use super::snapshot::Snapshot;
use super::standing::{Answered, HashOfKeys, Standing, revision};
use crate::words::error::{Error, Result};
use crate::words::unanswered::Unanswered;

/// Endpoints that are asked at most.
const MOST: usize = 64;

/// Members, and what they are asked with.
#[derive(Debug)]
pub struct Cluster {
    /// Gone only while it is dropped: a name that is still being looked up is not waited for.
    runtime: Option<Runtime>,
    asking: Arc<Asking>,
    endpoints: Vec<Endpoint>,
}

/// What every question needs.
#[derive(Debug)]
struct Asking {
    tls: Option<Arc<ClientConfig>>,
    user: Option<User>,
    patience: Duration,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Cluster {
    /// Members at these endpoints. Nothing is asked yet.
    ///
    /// # Errors
    /// [`Error::Unreadable`] for certificates that cannot be used, for an endpoint of TLS where nothing says how to
    /// know its server, for no endpoint and for too many.
    pub fn new(endpoints: Vec<Endpoint>, access: Access) -> Result<Cluster> {
        let first = endpoints.first().map(Endpoint::to_string).unwrap_or_default();
        let unusable = |why: Unanswered| Error::unreadable(Path::new(&first), why);
        if endpoints.is_empty() || endpoints.len() > MOST {
            let told = format!("{} endpoints, where 1 to {MOST} are asked", endpoints.len());
            return Err(unusable(Unanswered::NoConnection(told)));
        }
        let wants_tls = endpoints.iter().any(Endpoint::is_tls);
        if let Some(feature) = lacks().filter(|_| wants_tls) {
            let told =
                format!("this processor lacks {feature}, which the cryptography needs that is built in");
            return Err(unusable(Unanswered::Tls(told)));
        }
        let tls = if wants_tls { access.tls.config()? } else { None };
        if wants_tls && tls.is_none() {
            let told = "there is no CA to know the server by".to_owned();
            return Err(unusable(Unanswered::Tls(told)));
        }
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| unusable(Unanswered::NoConnection(error.to_string())))?;
        let asking = Arc::new(Asking { tls, user: access.user, patience: access.patience });
        Ok(Cluster { runtime: Some(runtime), asking, endpoints })
    }

    /// The endpoints, as given.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Asks each how it stands, all at once.
    #[must_use]
    pub fn standings(&self) -> Vec<Standing> {
        let Some(runtime) = &self.runtime else { return Vec::new() };
        let ask = |endpoint: &Endpoint| {
            let (asking, endpoint) = (Arc::clone(&self.asking), endpoint.clone());
            runtime.spawn(async move {
                let began = Instant::now();
                let answer = asking.standing(&endpoint).await;
                Standing { endpoint, answer, took: began.elapsed() }
            })
        };
        let asked: Vec<_> = self.endpoints.iter().map(|endpoint| (endpoint, ask(endpoint))).collect();
        runtime.block_on(async {
            let mut standings = Vec::new();
            for (endpoint, asked) in asked {
                standings.push(asked.await.unwrap_or_else(|error| Standing {
                    endpoint: endpoint.clone(),
                    answer: Err(Unanswered::Lost(error.to_string())),
                    took: Duration::ZERO,
                }));
            }
            standings
        })
    }

    /// Waits until a member has applied all that the cluster has acknowledged, and gives the revision it is at then.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when there is no quorum, or the member does not answer.
    pub fn catch_up(&self, endpoint: &Endpoint) -> Result<i64> {
        self.ask(endpoint, self.asking.catch_up(endpoint))
    }

    /// The hash of a member's keyspace at a revision.
    ///
    /// # Errors
    /// [`Error::Unreadable`], also when the revision is compacted or still to come.
    pub fn hashkv(&self, endpoint: &Endpoint, revision: i64) -> Result<HashOfKeys> {
        self.ask(endpoint, self.asking.hashkv(endpoint, revision))
    }

    /// Begins to receive a snapshot of a member.
    ///
    /// # Errors
    /// [`Error::Unreadable`].
    pub fn snapshot<'c>(&'c self, endpoint: &Endpoint) -> Result<Snapshot<'c>> {
        let begun = self.ask(endpoint, async {
            let mut peer = self.asking.connect(endpoint).await?;
            peer.snapshot(self.asking.patience).await
        })?;
        let runtime = self.runtime.as_ref().ok_or_else(|| gone(endpoint))?;
        Ok(Snapshot::new(runtime, begun, endpoint.clone(), self.asking.patience))
    }

    fn ask<T>(&self, endpoint: &Endpoint, question: impl Future<Output = Answer<T>>) -> Result<T> {
        let runtime = self.runtime.as_ref().ok_or_else(|| gone(endpoint))?;
        runtime.block_on(question).map_err(|why| Error::unreadable(Path::new(&endpoint.to_string()), why))
    }
}

fn gone(endpoint: &Endpoint) -> Error {
    let told = "the runtime is gone".to_owned();
    Error::unreadable(Path::new(&endpoint.to_string()), Unanswered::NoConnection(told))
}

impl Asking {
    async fn standing(&self, endpoint: &Endpoint) -> Answer<Answered> {
        let mut peer = self.connect(endpoint).await?;
        let answer: StatusResponse = peer
            .unary("/etcdserverpb.Maintenance/Status", StatusRequest {}, ("its status", self.patience))
            .await
            .map_err(|why| at_first(endpoint, why))?;
        if answer.header.is_none() {
            return Err(Unanswered::NotEtcd("its status names no member".to_owned()));
        }
        Ok(Answered::of(answer))
    }

    async fn catch_up(&self, endpoint: &Endpoint) -> Answer<i64> {
        let mut peer = self.connect(endpoint).await?;
        // Whoever may not read the key is told so after the waiting, and has no need of it.
        let request = RangeRequest { key: b"health".to_vec(), count_only: true };
        let answer: Answer<RangeResponse> =
            peer.unary("/etcdserverpb.KV/Range", request, ("a read through the quorum", self.patience)).await;
        match answer {
            Ok(answer) => Ok(revision(answer.header)),
            Err(Unanswered::Refused { code, .. }) if code == format!("{:?}", Code::PermissionDenied) => Ok(0),
            Err(why) => Err(why),
        }
    }

    async fn hashkv(&self, endpoint: &Endpoint, revision: i64) -> Answer<HashOfKeys> {
        let mut peer = self.connect(endpoint).await?;
        // All keys are hashed for it.
        let patience = self.patience.saturating_mul(10);
        let path = "/etcdserverpb.Maintenance/HashKV";
        let answer: HashKvResponse =
            peer.unary(path, HashKvRequest { revision }, ("its HashKV", patience)).await?;
        Ok(HashOfKeys { hash: answer.hash, compact_revision: answer.compact_revision })
    }

    /// A connection, and a token if somebody is to log in.
    async fn connect(&self, endpoint: &Endpoint) -> Answer<Peer> {
        let peer = async { Peer::over(self.stream(endpoint).await?, endpoint).await };
        let mut peer = within(("a connection", self.patience), peer).await?;
        if let Some(user) = &self.user {
            peer.log_in(user, self.patience).await.map_err(|why| at_first(endpoint, why))?;
        }
        Ok(peer)
    }

    async fn stream(&self, endpoint: &Endpoint) -> Answer<Box<dyn Io>> {
        let tcp = TcpStream::connect((endpoint.host(), endpoint.port())).await;
        let tcp = tcp.map_err(|error| Unanswered::NoConnection(error.to_string()))?;
        // Small questions are sent at once.
        tcp.set_nodelay(true).map_err(|error| Unanswered::NoConnection(error.to_string()))?;
        if !endpoint.is_tls() {
            return Ok(Box::new(tcp));
        }
        let config = self.tls.clone().ok_or_else(|| Unanswered::Tls("there is no certificate".to_owned()))?;
        let name = ServerName::try_from(endpoint.host().to_owned());
        let name = name.map_err(|error| Unanswered::Tls(error.to_string()))?;
        let tls = TlsConnector::from(config).connect(name, tcp).await;
        let tls = tls.map_err(|error| Unanswered::Tls(error.to_string()))?;
        if tls.get_ref().1.alpn_protocol().is_none() {
            return Err(Unanswered::NotEtcd("it agrees to TLS, but not to HTTP/2 (ALPN h2)".to_owned()));
        }
        Ok(Box::new(tls))
    }
}

/// What a first question came to: a server of TLS takes or refuses a certificate only when the client takes TLS for
/// agreed upon, and the connection may be gone before its reason arrives.
fn at_first(endpoint: &Endpoint, why: Unanswered) -> Unanswered {
    match why {
        Unanswered::NotEtcd(told) if endpoint.is_tls() => Unanswered::NotEtcd(format!("{told} ({REFUSES})")),
        other => other,
    }
}

const REFUSES: &str =
    "so ends a server of TLS that accepts no certificate it is shown, or wants to be shown one";
