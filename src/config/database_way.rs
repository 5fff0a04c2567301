//! The ways to a database: straight, through a pod by the API server's port-forward, or through a machine by
//! SSH. It knows streams of bytes; what is said on them is the session's.

use std::fmt;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Portforwarder};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::process::{Child, Command};

use super::ConnectError;
use super::connect::whole;
use crate::domain::BlindKind;

/// How a database is reached.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum DatabaseWay {
    #[default]
    Direct,
    /// The pod carries the bytes to the database, or is the database.
    PortForward { namespace: String, pod: String, port: u16 },
    /// `ssh -W`: the host in the URL is resolved by that machine.
    Ssh { host: String },
}

/// A stream, and whatever has to live as long as it does.
pub(super) struct Stream {
    bytes: Box<dyn Bytes>,
    _carrier: Carrier,
}

trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

enum Carrier {
    Forward { _it: Portforwarder },
    Process { _it: Child },
}

const FORMS: &str = r#"[database] via = "direct", "port-forward:NAMESPACE/POD:PORT" or "ssh:HOST""#;

impl DatabaseWay {
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, namespace: Option<&str>) -> Result<DatabaseWay, ConnectError> {
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
            ("ssh", host) => {
                let fine = |c: char| c.is_ascii_alphanumeric() || "-._@:[]%".contains(c);
                if host.is_empty() || host.starts_with('-') || !host.chars().all(fine) {
                    return Err(wrong(&format!("`{host}` is no host")));
                }
                Ok(DatabaseWay::Ssh { host: host.into() })
            }
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
            DatabaseWay::Ssh { host: machine } => tunnel(machine, host, port).map(Some),
        }
    }
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
        let said = whole(&error);
        let (kind, repair) = if said.contains("403") || said.contains("orbidden") {
            (BlindKind::Refused, "ask for create on pods/portforward in that namespace")
        } else {
            (BlindKind::Unreachable, "check the pod's name and that it runs: [database] via")
        };
        ConnectError::new(kind, format!("no port-forward to {namespace}/{pod}: {said}"), repair)
    })?;
    let bytes = forwarder.take_stream(port).ok_or_else(|| {
        ConnectError::new(BlindKind::Broken, format!("the port-forward to {pod} has no port {port}"), "")
    })?;
    Ok(Stream { bytes: Box::new(bytes), _carrier: Carrier::Forward { _it: forwarder } })
}

/// The system's own ssh, so that its configuration, agents and known hosts hold.
fn tunnel(machine: &str, host: &str, port: u16) -> Result<Stream, ConnectError> {
    let mut command = Command::new("ssh");
    command.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-W"]);
    command.arg(format!("{host}:{port}")).arg("--").arg(machine);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let failed = |why: String| {
        let repair = "try it by hand: ssh HOST true";
        ConnectError::new(BlindKind::Unreachable, format!("no SSH tunnel by {machine}: {why}"), repair)
    };
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let (Some(output), Some(input)) = (child.stdout.take(), child.stdin.take()) else {
        return Err(failed("its pipes are missing".into()));
    };
    Ok(Stream { bytes: Box::new(tokio::io::join(output, input)), _carrier: Carrier::Process { _it: child } })
}

impl fmt::Display for DatabaseWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatabaseWay::Direct => f.write_str("direct"),
            DatabaseWay::PortForward { namespace, pod, port } => {
                write!(f, "by port-forward to {namespace}/{pod}:{port}")
            }
            DatabaseWay::Ssh { host } => write!(f, "by SSH through {host}"),
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
        let way = |text: &str| DatabaseWay::parse(text, Some("shop"));
        assert_eq!(way("direct"), Ok(DatabaseWay::Direct));
        let forward = |namespace: &str| DatabaseWay::PortForward {
            namespace: namespace.into(),
            pod: "pg-0".into(),
            port: 5432,
        };
        assert_eq!(way("port-forward:pg-0:5432"), Ok(forward("shop")));
        assert_eq!(way("port-forward:tools/pg-0:5432"), Ok(forward("tools")));
        assert_eq!(way("ssh:ops@bastion"), Ok(DatabaseWay::Ssh { host: "ops@bastion".into() }));
        for wrong in
            ["tunnel:x", "port-forward:pg-0", "port-forward:pg 0:5432", "ssh:", "ssh:-oProxyCommand=x"]
        {
            assert!(way(wrong).is_err_and(|error| error.repair.is_some()), "{wrong}");
        }
        assert!(DatabaseWay::parse("port-forward:pg-0:5432", None).is_err());
    }
}
