//! Servers on 127.0.0.1 that are no etcd, or one that lies.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::{HeaderMap, Response};
use prost::Message;
use sha2::{Digest, Sha256};

/// What comes next in a stream.
#[derive(Clone)]
pub enum Part {
    /// A message of `SnapshotResponse`: how much remains, and a part.
    Blob(u64, Vec<u8>),
    /// Bytes where a message is due.
    Raw(Vec<u8>),
    /// The same part again and again.
    Forever(u64, Vec<u8>),
    /// So many bytes, one at a time, each as it is due and after a while.
    Drops(u64),
    /// Nothing, for longer than anybody waits.
    Silence,
    /// The stream is reset.
    Reset,
    /// It ends with that status of gRPC.
    Status(u32, &'static str),
}

/// How it answers.
#[derive(Clone)]
pub struct Fake {
    /// Instead of a `StatusResponse`.
    pub status: Vec<u8>,
    pub snapshot: Vec<Part>,
}

#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(uint64, tag = "1")]
    cluster: u64,
    #[prost(uint64, tag = "2")]
    member: u64,
    #[prost(int64, tag = "3")]
    revision: i64,
}

#[derive(Clone, PartialEq, Message)]
struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
    #[prost(string, tag = "2")]
    version: String,
    #[prost(uint64, tag = "4")]
    leader: u64,
    #[prost(string, repeated, tag = "8")]
    errors: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Blob {
    #[prost(uint64, tag = "2")]
    remaining: u64,
    #[prost(bytes = "vec", tag = "3")]
    blob: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RangeResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
}

/// A status of a member that leads.
pub fn status(revision: i64, version: &str, errors: &[&str]) -> Vec<u8> {
    let header = Header { cluster: 7, member: 1, revision };
    let errors = errors.iter().map(|error| (*error).to_owned()).collect();
    StatusResponse { header: Some(header), version: version.to_owned(), leader: 1, errors }.encode_to_vec()
}

/// A database without its trailer as etcd sends it.
pub fn sent(database: &[u8]) -> Vec<Part> {
    let mut left = database.len() as u64;
    let mut parts = Vec::new();
    for part in database.chunks(32 << 10) {
        left -= part.len() as u64;
        parts.push(Part::Blob(left, part.to_vec()));
    }
    parts.push(Part::Blob(0, Sha256::digest(database).to_vec()));
    parts
}

impl Fake {
    /// One that sends this.
    pub fn new(snapshot: Vec<Part>) -> Fake {
        Fake { status: status(1, "3.6.14", &[]), snapshot }
    }

    /// Starts it, and gives its endpoint. It goes on as long as the test program.
    pub fn start(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        listener.set_nonblocking(true).unwrap();
        let fake = Arc::new(self);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                loop {
                    let (io, _) = listener.accept().await.unwrap();
                    tokio::task::spawn_local(connection(Arc::clone(&fake), io));
                }
            });
        });
        endpoint
    }
}

async fn connection(fake: Arc<Fake>, io: tokio::net::TcpStream) {
    let Ok(mut connection) = h2::server::handshake(io).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let fake = Arc::clone(&fake);
        tokio::task::spawn_local(async move {
            let path = request.uri().path().to_owned();
            // Who goes away is not waited for.
            let _ = answer(&fake, &path, respond).await;
        });
    }
}

type Sent<T> = Result<T, h2::Error>;

async fn answer(fake: &Fake, path: &str, mut respond: SendResponse<Bytes>) -> Sent<()> {
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut stream = respond.send_response(head, false)?;
    let header = Header { cluster: 7, member: 1, revision: 1 };
    match path.rsplit('/').next().unwrap() {
        "Status" => send(&mut stream, framed(&fake.status)).await?,
        "Range" => send(&mut stream, framed(&RangeResponse { header: Some(header) }.encode_to_vec())).await?,
        "Snapshot" => {
            for part in &fake.snapshot {
                if !say(&mut stream, part).await? {
                    return Ok(());
                }
            }
        }
        _ => return end(&mut stream, 12, "unknown"),
    }
    end(&mut stream, 0, "")
}

/// Whether the stream goes on.
async fn say(stream: &mut SendStream<Bytes>, part: &Part) -> Sent<bool> {
    let blob = |remaining: u64, blob: &[u8]| framed(&Blob { remaining, blob: blob.to_vec() }.encode_to_vec());
    match part {
        Part::Blob(remaining, bytes) => send(stream, blob(*remaining, bytes)).await?,
        Part::Raw(bytes) => send(stream, bytes.clone()).await?,
        Part::Forever(remaining, bytes) => loop {
            send(stream, blob(*remaining, bytes)).await?;
            tokio::time::sleep(Duration::from_millis(1)).await;
        },
        Part::Drops(bytes) => {
            for left in (0..*bytes).rev() {
                send(stream, blob(left, &[0])).await?;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        Part::Silence => tokio::time::sleep(Duration::from_secs(3600)).await,
        Part::Reset => {
            stream.send_reset(Reason::CANCEL);
            return Ok(false);
        }
        Part::Status(code, message) => {
            end(stream, *code, message)?;
            return Ok(false);
        }
    }
    Ok(true)
}

fn framed(message: &[u8]) -> Vec<u8> {
    let len = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &len[..], message].concat()
}

/// Sends as much at a time as the other side has room for.
async fn send(stream: &mut SendStream<Bytes>, bytes: Vec<u8>) -> Sent<()> {
    let mut bytes = Bytes::from(bytes);
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let Some(room) = room.transpose()? else { return Ok(()) };
        stream.send_data(bytes.split_to(room.min(bytes.len())), false)?;
    }
    Ok(())
}

fn end(stream: &mut SendStream<Bytes>, code: u32, message: &str) -> Sent<()> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.to_string().parse().unwrap());
    trailers.insert("grpc-message", message.parse().unwrap());
    stream.send_trailers(trailers)
}

/// Something that listens, and says this to whoever says anything; with nothing to say it holds the connection.
pub fn something_else(says: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(1..) = client.read(&mut buffer) {
                    if !says.is_empty() {
                        let _ = client.write_all(says);
                        return;
                    }
                }
            });
        }
    });
    endpoint
}
