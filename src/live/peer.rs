//! One connection to a member, and what is asked by it: each step within a time.

use std::error::Error as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::client::Grpc;
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

use super::access::User;
use super::endpoint::Endpoint;
use super::messages::{AuthenticateRequest, AuthenticateResponse, SnapshotRequest, SnapshotResponse};
use crate::words::unanswered::Unanswered;

/// Bytes of the longest answer that is taken. A part of a snapshot has 32 KiB.
const LONGEST: usize = 1 << 20;
/// Bytes that may be under way before they are asked for; more than a network has on the way.
const WINDOW: u32 = 4 << 20;
/// Bytes of the longest headers that are taken.
const HEADERS: u32 = 16 << 10;

/// What a question comes to.
pub(super) type Answer<T> = std::result::Result<T, Unanswered>;

/// What is waited for, and how long.
pub(super) type Patience = (&'static str, Duration);

/// What bytes go through.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Gives the connection that is there already, once: there is no second one behind anybody's back.
struct Once(Arc<Mutex<Option<Box<dyn Io>>>>);

impl Once {
    fn new(io: Box<dyn Io>) -> Once {
        Once(Arc::new(Mutex::new(Some(io))))
    }
}

impl Service<Uri> for Once {
    type Response = TokioIo<Box<dyn Io>>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let io = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let broken = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        Box::pin(std::future::ready(io.map(TokioIo::new).ok_or_else(broken)))
    }
}

/// A member that is connected.
pub(super) struct Peer {
    grpc: Grpc<Channel>,
    token: Option<MetadataValue<Ascii>>,
}

/// A stream of a snapshot, and the connection that it comes by.
pub(super) struct Begun {
    pub stream: Streaming<SnapshotResponse>,
    /// Held as long as the stream.
    _grpc: Grpc<Channel>,
}

impl Peer {
    /// One who speaks by what is connected already.
    pub async fn over(io: Box<dyn Io>, endpoint: &Endpoint) -> Answer<Peer> {
        let uri: Uri = endpoint
            .to_string()
            .parse()
            .map_err(|error| Unanswered::NoConnection(format!("{endpoint} is no URI: {error}")))?;
        let grpc = tonic::transport::Endpoint::from(uri)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .http2_max_header_list_size(HEADERS);
        let channel = grpc.connect_with_connector(Once::new(io)).await.map_err(|error| not_etcd(&error))?;
        let grpc = Grpc::new(channel).max_decoding_message_size(LONGEST).max_encoding_message_size(LONGEST);
        Ok(Peer { grpc, token: None })
    }

    fn request<Q>(&self, message: Q) -> Request<Q> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("token", token.clone());
        }
        request
    }

    /// Asks one question.
    pub async fn unary<Q, A>(&mut self, path: &'static str, message: Q, patience: Patience) -> Answer<A>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let request = self.request(message);
        let answer = async {
            self.grpc.ready().await.map_err(|error| not_etcd(&error))?;
            let answer =
                self.grpc.unary(request, PathAndQuery::from_static(path), ProstCodec::<Q, A>::default());
            answer.await.map_err(|status| refused(&status, Unanswered::NotEtcd))
        };
        Ok(within(patience, answer).await?.into_inner())
    }

    /// Asks for a snapshot.
    pub async fn snapshot(&mut self, patience: Duration) -> Answer<Begun> {
        let request = self.request(SnapshotRequest {});
        let path = PathAndQuery::from_static("/etcdserverpb.Maintenance/Snapshot");
        let begun = async {
            self.grpc.ready().await.map_err(|error| not_etcd(&error))?;
            let begun = self.grpc.server_streaming(request, path, ProstCodec::default());
            begun.await.map_err(|status| lost(&status))
        };
        let stream = within(("the begin of its snapshot", patience), begun).await?.into_inner();
        Ok(Begun { stream, _grpc: self.grpc.clone() })
    }

    /// Logs in, where somebody has to.
    pub async fn log_in(&mut self, user: &User, patience: Duration) -> Answer<()> {
        let request = AuthenticateRequest { name: user.name.clone(), password: user.password.to_string() };
        let answer: Answer<AuthenticateResponse> =
            self.unary("/etcdserverpb.Auth/Authenticate", request, ("to log in", patience)).await;
        match answer {
            Ok(answer) => {
                let token = answer.token.parse::<MetadataValue<Ascii>>();
                let mut token = token.map_err(|_| Unanswered::Nonsense("its token is no text".to_owned()))?;
                token.set_sensitive(true);
                self.token = Some(token);
                Ok(())
            }
            // As clientv3 takes it: `client/v3/client.go getToken @ v3.6`.
            Err(Unanswered::Refused { message, .. }) if message.contains("authentication is not enabled") => {
                Ok(())
            }
            Err(why) => Err(why),
        }
    }
}

/// Gives work up after a time.
pub(super) async fn within<T>((what, waited): Patience, work: impl Future<Output = Answer<T>>) -> Answer<T> {
    tokio::time::timeout(waited, work).await.unwrap_or(Err(Unanswered::TimedOut { what, waited }))
}

/// All that an error says, from the outermost to its cause, each thing once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        if !said.contains(&more) {
            said = format!("{said}: {more}");
        }
        next = error.source();
    }
    said
}

/// A connection that came to nothing.
fn not_etcd(error: &tonic::transport::Error) -> Unanswered {
    of_chain(chain(error), Unanswered::NotEtcd)
}

/// The alerts of TLS come after the client takes it for agreed upon.
fn of_chain(told: String, otherwise: fn(String) -> Unanswered) -> Unanswered {
    if told.contains("received fatal alert") { Unanswered::Tls(told) } else { otherwise(told) }
}

/// What a status says: etcd's own answer, or what became of the connection.
fn refused(status: &Status, otherwise: fn(String) -> Unanswered) -> Unanswered {
    match status.source() {
        Some(source) => of_chain(chain(source), otherwise),
        None => {
            Unanswered::Refused { code: format!("{:?}", status.code()), message: status.message().to_owned() }
        }
    }
}

/// The same of one that had answered.
pub(super) fn lost(status: &Status) -> Unanswered {
    refused(status, Unanswered::Lost)
}
