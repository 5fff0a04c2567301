//! Connections: TLS, HTTP/1.1 and HTTP/2, one task each, until told to stop.
//! It knows sockets; requests are answered by `route`.
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{Api, Audit, Settings, collect, list, route};

const HANDSHAKE: Duration = Duration::from_secs(10);

/// A server that answers until [`Running::stop`] (or until it is dropped).
pub struct Running {
    pub addr: SocketAddr,
    pub audit: Audit,
    stopping: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

/// Listens on `listen` (port 0 chooses one) and answers over TLS.
pub async fn serve(settings: Settings, tls: Arc<ServerConfig>, listen: SocketAddr) -> io::Result<Running> {
    let listener = TcpListener::bind(listen).await?;
    let addr = listener.local_addr()?;
    let stopping = CancellationToken::new();
    let audit = Audit::default();
    let api = Arc::new(Api {
        store: settings.store,
        logs: settings.logs,
        tokens: settings.tokens,
        routes: settings.routes,
        clock: settings.clock,
        audit: audit.clone(),
        pages: list::Pages::default(),
        stopping: stopping.clone(),
    });
    let collecting = tokio::spawn(collect::run(api.clone()));
    let accepting = tokio::spawn(accept(api, listener, TlsAcceptor::from(tls)));
    Ok(Running { addr, audit, stopping, tasks: vec![collecting, accepting] })
}

impl Running {
    /// Closes the listener and every connection.
    pub async fn stop(mut self) {
        self.stopping.cancel();
        for task in self.tasks.drain(..) {
            let _ = task.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

async fn accept(api: Arc<Api>, listener: TcpListener, acceptor: TlsAcceptor) {
    loop {
        let accepted = tokio::select! {
            () = api.stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        if let Ok((socket, _)) = accepted {
            tokio::spawn(connection(api.clone(), socket, acceptor.clone()));
        } else {
            // out of descriptors, most likely: others may close some meanwhile
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn connection(api: Arc<Api>, socket: TcpStream, acceptor: TlsAcceptor) {
    let _ = socket.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await else { return };
    let stopping = api.stopping.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let api = api.clone();
        async move { Ok::<_, Infallible>(route::answer(&api, request.map(Body::new)).await) }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::select! {
        () = stopping.cancelled() => {}
        _ = serving => {}
    }
}
