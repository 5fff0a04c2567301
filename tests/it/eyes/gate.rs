//! A gate before a server: lets connections through, freezes them, or is closed and opened again on the same port.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub struct Gate {
    pub address: SocketAddr,
    behind: SocketAddr,
    frozen: Arc<watch::Sender<bool>>,
    keeper: Option<JoinHandle<()>>,
}

impl Gate {
    pub async fn before(behind: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut gate = Self {
            address: listener.local_addr().unwrap(),
            behind,
            frozen: Arc::new(watch::channel(false).0),
            keeper: None,
        };
        gate.keep(listener);
        gate
    }

    fn keep(&mut self, listener: TcpListener) {
        let (behind, frozen) = (self.behind, self.frozen.clone());
        self.keeper = Some(tokio::spawn(async move {
            let mut pairs = tokio::task::JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let frozen = frozen.subscribe();
                pairs.spawn(async move {
                    let Ok(far) = TcpStream::connect(behind).await else { return };
                    let (near_in, near_out) = near.into_split();
                    let (far_in, far_out) = far.into_split();
                    tokio::join!(carry(near_in, far_out, frozen.clone()), carry(far_in, near_out, frozen));
                });
            }
        }));
    }

    /// Connections stay open, and nothing passes any more.
    pub fn freeze(&self) {
        self.frozen.send_replace(true);
    }

    pub fn thaw(&self) {
        self.frozen.send_replace(false);
    }

    /// Every connection breaks, and new ones are refused.
    pub async fn close(&mut self) {
        let keeper = self.keeper.take().unwrap();
        keeper.abort();
        let _ = keeper.await;
    }

    /// On the same port as before.
    pub fn open(&mut self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        self.keep(socket.listen(64).unwrap());
    }

    /// The kubeconfig with the gate's port instead of the server's.
    pub fn kubeconfig(&self, of: &Path, folder: &Path) -> PathBuf {
        let text = std::fs::read_to_string(of).unwrap();
        let path = folder.join("kubeconfig");
        let moved = text.replace(&format!(":{}", self.behind.port()), &format!(":{}", self.address.port()));
        assert_ne!(moved, text, "the kubeconfig names another port");
        std::fs::write(&path, moved).unwrap();
        path
    }
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut frozen: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if frozen.wait_for(|frozen| !frozen).await.is_err() || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
