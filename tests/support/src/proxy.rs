//! A way to a server that can be cut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Passes everything on, until one connection has brought so many bytes from the server.
pub struct Proxy {
    pub endpoint: String,
    /// Connections that were cut.
    pub cut: Arc<AtomicUsize>,
    closed: Arc<AtomicBool>,
    clients: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// Before `http://HOST:PORT`; `then` is done when it cuts.
    pub fn new(server: &str, after: u64, then: impl Fn() + Send + Sync + 'static) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = server.trim_start_matches("http://").to_owned();
        let cut = Arc::new(AtomicUsize::new(0));
        let (closed, clients) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<TcpStream>>>::default());
        let known = Arc::clone(&clients);
        let (counted, then, refuses) = (Arc::clone(&cut), Arc::new(then), Arc::clone(&closed));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if refuses.load(Ordering::Relaxed) {
                    continue;
                }
                known.lock().unwrap().extend(client.try_clone());
                let Ok(server) = TcpStream::connect(&server) else { continue };
                let (cut, then) = (Arc::clone(&counted), Arc::clone(&then));
                std::thread::spawn(move || pass(client, server, after, (&cut, &*then)));
            }
        });
        Proxy { endpoint, cut, closed, clients }
    }

    /// Ends all connections; new ones are let through.
    pub fn interrupt(&self) {
        for client in self.clients.lock().unwrap().drain(..) {
            let _ = client.shutdown(Shutdown::Both);
        }
    }

    /// Lets nobody new through; who is through already stays.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

fn pass(client: TcpStream, server: TcpStream, after: u64, (cut, then): (&AtomicUsize, &dyn Fn())) {
    let left = AtomicU64::new(after);
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let questions = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (server, client);
    let mut buffer = vec![0; 16 << 10];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        let n = n as u64;
        let may = n.min(left.load(Ordering::Relaxed));
        if to.write_all(&buffer[..may as usize]).is_err() {
            break;
        }
        left.fetch_sub(may, Ordering::Relaxed);
        if may < n {
            cut.fetch_add(1, Ordering::Relaxed);
            then();
            break;
        }
    }
    let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
    let _ = questions.join();
}
