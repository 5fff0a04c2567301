//! The API server's heartbeat, and the one session all Kubernetes eyes share: it is built, replaced when the
//! credentials expire, and announced again when the server comes back, so that every watch returns at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::tell::{Backoff, Tell, Unheard};
use super::trouble::Trouble;
use crate::config::{self, ConnectError, Settings};
use crate::domain::{BlindKind, Fact, Origin};

/// Together less than five seconds: so soon must a hung server be named.
const BEAT: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_millis(2_500);
const _: () = assert!(BEAT.as_millis() + PATIENCE.as_millis() < 5_000);
/// A credential plugin may open a browser; longer than this it hangs.
const PLUGIN_PATIENCE: Duration = Duration::from_mins(1);

/// A way to the API server, good until the next is announced.
#[derive(Clone)]
pub(super) struct Session {
    pub client: kube::Client,
    /// Rung by whoever gets a 401: the credentials have to be read again.
    pub expired: Arc<Notify>,
}

pub(super) type Sessions = watch::Receiver<Option<Session>>;

/// The session there is, or the first there will be. None when the eyes are closing.
pub(super) async fn session(sessions: &mut Sessions) -> Option<Session> {
    let found = sessions.wait_for(Option::is_some).await.ok()?;
    found.clone()
}

/// The same for what is looked for in the cluster: meanwhile it says that it isn't found yet, and why.
pub(super) async fn session_for(
    origin: Origin,
    repair: &str,
    sessions: &mut Sessions,
    tell: &Tell,
) -> Option<Session> {
    if let Ok(found) = timeout(BEAT, session(sessions)).await {
        return found;
    }
    let why = "no URL was given, and there is no cluster to look in yet";
    tell.not_configured(origin, why, repair).await.ok()?;
    session(sessions).await
}

/// Connects, announces, listens to the heart, reconnects: for ever.
pub(super) async fn keep(settings: Settings, tell: Tell, announce: watch::Sender<Option<Session>>) {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(15));
    loop {
        let built = timeout(PLUGIN_PATIENCE, config::client(&settings)).await.unwrap_or_else(|_| {
            let why = "the credential plugin does not answer";
            Err(ConnectError::new(BlindKind::Refused, why, "run it by hand: kubectl get --raw /version"))
        });
        let ended = match built {
            Ok(client) => {
                let session = Session { client, expired: Arc::new(Notify::new()) };
                announce.send_replace(Some(session.clone()));
                listen(&session, &tell, &announce, &mut backoff).await
            }
            Err(error) => tell.blind(Origin::ApiServer, error).await,
        };
        if ended.is_err() {
            return;
        }
        tell.rest(backoff.next()).await;
    }
}

/// Beats until the credentials are refused.
async fn listen(
    session: &Session,
    tell: &Tell,
    announce: &watch::Sender<Option<Session>>,
    backoff: &mut Backoff,
) -> Result<(), Unheard> {
    let mut ticks = tell.beat(BEAT);
    let mut path = "/readyz";
    let mut was_away = false;
    loop {
        tokio::select! {
            () = ticks.tick() => {}
            () = session.expired.notified() => return Ok(()),
        }
        let began = Instant::now();
        match beat(&session.client, path).await {
            Ok(()) => {
                backoff.reset();
                tell.fact(Origin::ApiServer, Fact::Answered(began.elapsed())).await?;
                if std::mem::take(&mut was_away) {
                    announce.send_replace(Some(session.clone()));
                }
            }
            Err(Trouble::Forbidden(_) | Trouble::Absent) if path == "/readyz" => path = "/version",
            Err(trouble @ Trouble::Unauthorized(_)) => {
                tell.blind(Origin::ApiServer, trouble.explain()).await?;
                return Ok(());
            }
            Err(trouble) => {
                was_away = true;
                tell.blind(Origin::ApiServer, explain(&trouble)).await?;
            }
        }
    }
}

async fn beat(client: &kube::Client, path: &str) -> Result<(), Trouble> {
    let request =
        http::Request::get(path).body(Vec::new()).map_err(|error| Trouble::Undecodable(error.to_string()))?;
    match timeout(PATIENCE, client.request_text(request)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(Trouble::TimedOut(PATIENCE)),
    }
}

/// `/readyz` says which of its checks fail: `[-]etcd failed`.
fn explain(trouble: &Trouble) -> ConnectError {
    match trouble {
        Trouble::Answered(_, message) if message.contains("[-]") => {
            let failing: Vec<&str> =
                message.split("[-]").skip(1).filter_map(|check| check.split_whitespace().next()).collect();
            let why = format!("the API server is not ready: {} failed", failing.join(", "));
            ConnectError::new(BlindKind::Broken, why, "look at the control plane's own logs")
        }
        other => other.explain(),
    }
}
