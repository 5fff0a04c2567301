//! The lab's Redis over RESP2 and RESP3: what a monitoring client asks, answered from the world's cache counters.
//! It stores no keys.

mod commands;
mod info;
mod resp;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::signals::Signals;
use commands::Session;
use resp::Next;

/// The largest request read; monitoring clients send a few bytes.
const MAX_REQUEST: usize = 1 << 20;
/// How often an open connection notices that the server "went down".
const LOOK: std::time::Duration = std::time::Duration::from_millis(200);

/// What all connections share.
pub(super) struct Shared {
    pub(super) signals: Signals,
    /// Clients connected to this very server, beside those of the world.
    pub(super) open: AtomicU64,
    next_id: AtomicU64,
    pub(super) port: u16,
}

/// Serves until dropped.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(listener: TcpListener, signals: Signals) -> io::Result<()> {
    let port = listener.local_addr()?.port();
    let shared = Arc::new(Shared { signals, open: AtomicU64::new(0), next_id: AtomicU64::new(1), port });
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await?;
        while connections.try_join_next().is_some() {}
        connections.spawn(connection(socket, Arc::clone(&shared)));
    }
}

async fn connection(socket: TcpStream, shared: Arc<Shared>) {
    if !is_up(&shared) {
        return;
    }
    shared.open.fetch_add(1, Ordering::Relaxed);
    let session = Session::new(Arc::clone(&shared), shared.next_id.fetch_add(1, Ordering::Relaxed));
    let went_down = async {
        while is_up(&shared) {
            tokio::time::sleep(LOOK).await;
        }
    };
    // A broken connection is the client's affair: like Redis, forget it.
    tokio::select! {
        _ = converse(socket, session) => {}
        () = went_down => {}
    }
    shared.open.fetch_sub(1, Ordering::Relaxed);
}

fn is_up(shared: &Shared) -> bool {
    shared.signals.read(|shown| shown.cache.up)
}

async fn converse(mut socket: TcpStream, mut session: Session) -> io::Result<()> {
    let mut pending = Vec::new();
    let mut answer = Vec::new();
    let mut chunk = vec![0; 4096];
    loop {
        let mut used = 0;
        loop {
            match resp::next(&pending[used..]) {
                Next::Command(command, length) => {
                    used += length;
                    let reply = session.run(&command);
                    reply.write(session.version(), &mut answer);
                    if session.quits() {
                        return socket.write_all(&answer).await;
                    }
                }
                Next::Incomplete => break,
                Next::Broken(why) => {
                    resp::Reply::error(format!("ERR Protocol error: {why}")).write(2, &mut answer);
                    return socket.write_all(&answer).await;
                }
            }
        }
        pending.drain(..used);
        socket.write_all(&answer).await?;
        answer.clear();
        let read = socket.read(&mut chunk).await?;
        if read == 0 || pending.len() > MAX_REQUEST {
            return Ok(());
        }
        pending.extend_from_slice(&chunk[..read]);
    }
}
