//! The ways to a database: straight, through a pod by the API server's port-forward, or through a machine by
//! SSH. It knows streams of bytes; what is said on them is the session's.

use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Portforwarder};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::ConnectError;
use super::connect::whole;
use super::database_answer::PATIENCE;
use super::ssh::{Ssh, TunnelEnd, is_host};
use crate::domain::BlindKind;

/// How a database is reached.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum DatabaseWay {
    #[default]
    Direct,
    /// The pod carries the bytes to the database, or is the database.
    PortForward { namespace: String, pod: String, port: u16 },
    /// Through a machine that resolves and reaches the host in the URL.
    Ssh { ssh: Ssh, host: String },
}

/// A stream, and whatever has to live as long as it does.
pub(super) struct Stream {
    bytes: Box<dyn Bytes>,
    carrier: Carrier,
}

trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

enum Carrier {
    Forward { _it: Portforwarder },
    Tunnel(TunnelEnd),
}

/// Through a machine, the login comes first.
const TUNNEL_PATIENCE: Duration = Duration::from_secs(15);

const FORMS: &str =
    r#"[database] via = "direct", "port-forward:NAMESPACE/POD:PORT" or "ssh:[USER@]HOST[:PORT]""#;

impl DatabaseWay {
    /// `namespace` is that of a pod without one; `ssh` is read instead of `~/.ssh/config`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(
        text: &str,
        namespace: Option<&str>,
        ssh: Option<&Path>,
    ) -> Result<DatabaseWay, ConnectError> {
        let wrong = |what: &str| {
            ConnectError::new(BlindKind::Broken, format!("the way to the database: {what}"), FORMS)
        };
        match text.trim().split_once(':').unwrap_or((text.trim(), "")) {
            ("direct" | "", "") => Ok(DatabaseWay::Direct),
            ("port-forward", rest) => {
                let (pod, port) = rest.rsplit_once(':').ok_or_else(|| wrong("no port is given"))?;
                let (namespace, pod) = match pod.split_once('/') {
                    Some((namespace, pod)) => (Some(namespace), pod),
                    None => (namespace, pod),
                };
                let namespace = namespace.ok_or_else(|| wrong("no namespace is given"))?;
                let port = port.parse().map_err(|_| wrong(&format!("`{port}` is no port")))?;
                let name = |name: &str| {
                    !name.is_empty()
                        && name
                            .chars()
                            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c))
                };
                if !name(namespace) || !name(pod) {
                    return Err(wrong(&format!("`{namespace}/{pod}` is no pod")));
                }
                Ok(DatabaseWay::PortForward { namespace: namespace.into(), pod: pod.into(), port })
            }
            ("ssh", place) => {
                let (user, host, port) =
                    machine(place).ok_or_else(|| wrong(&format!("`{place}` is no host")))?;
                let config = ssh.map(Path::to_path_buf);
                Ok(DatabaseWay::Ssh { ssh: Ssh { user, port, config, ..Ssh::default() }, host })
            }
            ("exec" | "psql", _) => Err(wrong("exec of psql in a pod is not offered")),
            _ => Err(wrong(&format!("`{text}` is not known"))),
        }
    }

    /// A stream to the database; None when the client opens its own.
    pub(super) async fn stream(
        &self,
        cluster: Option<&kube::Client>,
        host: &str,
        port: u16,
    ) -> Result<Option<Stream>, ConnectError> {
        match self {
            DatabaseWay::Direct => Ok(None),
            DatabaseWay::PortForward { namespace, pod, port } => {
                let cluster = cluster.ok_or_else(|| {
                    let why = "the cluster that carries the port-forward is not reached";
                    ConnectError::new(BlindKind::Unreachable, why, "see the row of the API server")
                })?;
                forward(cluster, namespace, pod, *port).await.map(Some)
            }
            DatabaseWay::Ssh { ssh, host: machine } => {
                let target =
                    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
                let (bytes, end) = ssh.tunnel(machine, &target)?;
                Ok(Some(Stream { bytes: Box::new(bytes), carrier: Carrier::Tunnel(end) }))
            }
        }
    }

    /// How long a connection may take to be made.
    pub(super) fn patience(&self) -> Duration {
        if matches!(self, DatabaseWay::Ssh { .. }) { TUNNEL_PATIENCE } else { PATIENCE }
    }
}

impl Stream {
    /// Asks the tunnel, if there is one, why the stream ended.
    pub(super) fn end(&self) -> Option<TunnelEnd> {
        match &self.carrier {
            Carrier::Tunnel(end) => Some(end.clone()),
            Carrier::Forward { .. } => None,
        }
    }
}

/// `[user@]host[:port]`; an IPv6 address with a port stands in brackets.
fn machine(place: &str) -> Option<(Option<String>, String, Option<u16>)> {
    let (user, place) = match place.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, place),
    };
    let (host, port) = match (place.strip_prefix('['), place.matches(':').count()) {
        (Some(inside), _) => {
            let (host, rest) = inside.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        (None, 1) => place.split_once(':').map(|(host, port)| (host, Some(port)))?,
        (None, _) => (place, None),
    };
    let port = port.map(str::parse).transpose().ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let fine = |user: &str| !user.is_empty() && !user.starts_with('-') && user.chars().all(plain);
    (is_host(host) && user.is_none_or(fine)).then(|| (user.map(str::to_owned), host.to_owned(), port))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the port-forward that the settings ask for; what is said on it is a session's"
)]
async fn forward(
    cluster: &kube::Client,
    namespace: &str,
    pod: &str,
    port: u16,
) -> Result<Stream, ConnectError> {
    let pods: Api<Pod> = Api::namespaced(cluster.clone(), namespace);
    let mut forwarder = pods.portforward(pod, &[port]).await.map_err(|error| {
        let (code, said) = match error {
            kube::Error::Api(status) => (status.code, status.message.clone()),
            other => (0, whole(&other)),
        };
        let (kind, repair) = if code == 403 || said.contains("403") || said.contains("orbidden") {
            (BlindKind::Refused, "ask for create on pods/portforward in that namespace")
        } else {
            (BlindKind::Unreachable, "check that the pod runs and that its node answers: [database] via")
        };
        ConnectError::new(kind, format!("no port-forward to {namespace}/{pod}: {said}"), repair)
    })?;
    let bytes = forwarder.take_stream(port).ok_or_else(|| {
        ConnectError::new(BlindKind::Broken, format!("the port-forward to {pod} has no port {port}"), "")
    })?;
    Ok(Stream { bytes: Box::new(bytes), carrier: Carrier::Forward { _it: forwarder } })
}

impl fmt::Display for DatabaseWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatabaseWay::Direct => f.write_str("direct"),
            DatabaseWay::PortForward { namespace, pod, port } => {
                write!(f, "by port-forward to {namespace}/{pod}:{port}")
            }
            DatabaseWay::Ssh { ssh, host } => {
                let user = ssh.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
                let port = ssh.port.map(|port| format!(":{port}")).unwrap_or_default();
                write!(f, "by SSH through {user}{host}{port}")
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.bytes).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_written_in_one_word() {
        let way = |text: &str| DatabaseWay::parse(text, Some("shop"), None);
        assert_eq!(way("direct"), Ok(DatabaseWay::Direct));
        let forward = |namespace: &str| DatabaseWay::PortForward {
            namespace: namespace.into(),
            pod: "pg-0".into(),
            port: 5432,
        };
        assert_eq!(way("port-forward:pg-0:5432"), Ok(forward("shop")));
        assert_eq!(way("port-forward:tools/pg-0:5432"), Ok(forward("tools")));
        for (text, host, says) in [
            ("ssh:bastion", "bastion", "bastion"),
            ("ssh:ops@bastion:2222", "bastion", "ops@bastion:2222"),
            ("ssh:fd00::7", "fd00::7", "fd00::7"),
            ("ssh:ops@[fd00::7]:22", "fd00::7", "ops@fd00::7:22"),
        ] {
            let way = way(text).unwrap();
            assert!(matches!(&way, DatabaseWay::Ssh { host: found, .. } if found == host), "{way:?}");
            assert_eq!(way.to_string(), format!("by SSH through {says}"));
        }
        for wrong in [
            "tunnel:x",
            "port-forward:pg-0",
            "port-forward:pg 0:5432",
            "ssh:",
            "ssh:-oProxyCommand=x",
            "ssh:-l@bastion",
            "ssh:bastion:ssh",
            "ssh:bastion -v",
            "exec:shop/pg-0",
        ] {
            assert!(way(wrong).is_err_and(|error| error.repair.is_some()), "{wrong}");
        }
        assert!(DatabaseWay::parse("port-forward:pg-0:5432", None, None).is_err());
    }
}
