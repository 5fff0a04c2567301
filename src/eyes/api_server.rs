//! The API server's heartbeat, and the one session all Kubernetes eyes share: it is built, replaced when the
//! credentials expire, and announced again when the server comes back, so that every watch returns at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep_until, timeout};

use super::tell::{Backoff, Tell, Unheard};
use super::trouble::Trouble;
use crate::config::{self, ConnectError, Connected, Settings};
use crate::domain::{BlindKind, Fact, Origin, Timestamp, between, text};

/// Together less than five seconds: so soon must a hung server be named.
const BEAT: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_millis(2_500);
const _: () = assert!(BEAT.as_millis() + PATIENCE.as_millis() < 5_000);
/// Credentials are renewed this long before they end.
const EARLY: SignedDuration = SignedDuration::from_secs(60);
/// Connecting takes no time, unless a credential plugin takes it; after this long a person is told.
const SOON: Duration = Duration::from_secs(4);
/// A credential plugin that failed after this long waited for somebody (a browser, a prompt) …
const ASKED: Duration = Duration::from_secs(20);
/// … and is left alone for this long.
const ASK_AGAIN: Duration = Duration::from_mins(5);

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

/// How connecting last went: what probes and hands share with the eyes, so that a credential plugin runs once.
pub type Clients = watch::Receiver<Option<Result<kube::Client, ConnectError>>>;

/// Whom the keeper tells about clients.
pub(super) struct Announce {
    pub sessions: watch::Sender<Option<Session>>,
    pub clients: watch::Sender<Option<Result<kube::Client, ConnectError>>>,
}

/// Connects, announces, listens to the heart, reconnects: for ever.
pub(super) async fn keep(settings: Settings, tell: Tell, announce: Announce) {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(15));
    loop {
        let began = Instant::now();
        let Ok(built) = connect(&settings, &tell).await else { return };
        // One that took long asked a person for something, and must not ask again and again.
        let asked_somebody = built.is_err() && began.elapsed() >= ASKED;
        let ended = match built {
            Ok(Connected { client, expires }) => {
                announce.clients.send_replace(Some(Ok(client.clone())));
                let session = Session { client, expired: Arc::new(Notify::new()) };
                announce.sessions.send_replace(Some(session.clone()));
                let renew = expires.map(|at| until(at, tell.now()));
                listen(&settings, &session, renew, &tell, &announce.sessions, &mut backoff).await
            }
            Err(error) => {
                announce.clients.send_replace(Some(Err(error.clone())));
                tell.blind(Origin::ApiServer, error).await
            }
        };
        if ended.is_err() {
            return;
        }
        tell.rest(if asked_somebody { ASK_AGAIN } else { backoff.next() }).await;
    }
}

/// Connects, and says so when it takes long.
async fn connect(settings: &Settings, tell: &Tell) -> Result<Result<Connected, ConnectError>, Unheard> {
    let mut connecting = std::pin::pin!(config::connect(settings));
    let began = Instant::now();
    loop {
        if let Ok(built) = timeout(SOON, &mut connecting).await {
            return Ok(built);
        }
        let why = format!("waiting for the credential plugin ({})", text::span(began.elapsed()));
        let repair = "it may want you to log in: look at your browser, or run kubectl in another window";
        tell.blind(Origin::ApiServer, ConnectError::new(BlindKind::Unreachable, why, repair)).await?;
    }
}

/// How long until credentials that end then are renewed; not at once, however short their life.
fn until(ends: Timestamp, now: Timestamp) -> Duration {
    let left = ends.duration_since(now) - EARLY;
    Duration::try_from(left).unwrap_or_default().max(Duration::from_secs(15))
}

/// Beats until the credentials are refused, or have to be renewed.
async fn listen(
    settings: &Settings,
    session: &Session,
    renew: Option<Duration>,
    tell: &Tell,
    announce: &watch::Sender<Option<Session>>,
    backoff: &mut Backoff,
) -> Result<(), Unheard> {
    let ends = renew.map(|renew| tokio::time::Instant::now() + renew);
    let mut ticks = tell.beat(BEAT);
    let mut path = "/readyz";
    let mut was_away = false;
    loop {
        tokio::select! {
            () = ticks.tick() => {}
            () = session.expired.notified() => return Ok(()),
            () = async { match ends {
                Some(ends) => sleep_until(ends).await,
                None => std::future::pending().await,
            } } => return Ok(()),
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
                let error = expired(settings, tell.now()).unwrap_or_else(|| trouble.explain());
                tell.blind(Origin::ApiServer, error).await?;
                return Ok(());
            }
            Err(trouble) => {
                was_away = true;
                tell.blind(Origin::ApiServer, explain(&trouble)).await?;
            }
        }
    }
}

/// A 401 that the kubeconfig explains by itself.
fn expired(settings: &Settings, now: Timestamp) -> Option<ConnectError> {
    let since = config::connect::expired_certificate(settings, now)?;
    let why = format!(
        "the client certificate in the kubeconfig expired {} ago (401)",
        text::span(between(since, now))
    );
    let repair = "get a new kubeconfig, or renew it: kubeadm certs renew admin.conf";
    Some(ConnectError::new(BlindKind::Refused, why, repair))
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
