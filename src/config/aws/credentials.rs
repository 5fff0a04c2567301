//! Credentials, kept until shortly before they end: a `credential_process` or an SSO exchange must not run before
//! every call.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use tokio::sync::Mutex;

use crate::domain::Timestamp;

/// Renewed this long before their end.
const BEFORE: Duration = Duration::from_mins(5);
/// Those that never end are looked up again after this: a file may have new ones.
const AGAIN: Duration = Duration::from_mins(10);

#[derive(Clone, Debug)]
pub(super) struct Kept {
    from: SharedCredentialsProvider,
    clock: fn() -> Timestamp,
    kept: Arc<Mutex<Option<(Credentials, Timestamp)>>>,
}

impl Kept {
    pub(super) fn new(from: SharedCredentialsProvider, clock: fn() -> Timestamp) -> Self {
        Self { from, clock, kept: Arc::new(Mutex::new(None)) }
    }
}

impl ProvideCredentials for Kept {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            // Held while asking: many callers at once ask once.
            let mut kept = self.kept.lock().await;
            let now = (self.clock)();
            if let Some((credentials, until)) = kept.as_ref()
                && *until > now
            {
                return Ok(credentials.clone());
            }
            let fresh = self.from.provide_credentials().await?;
            let again = now + AGAIN;
            let end = fresh.expiry().and_then(|end| Timestamp::try_from(end).ok());
            let until = end.and_then(|end| end.checked_sub(BEFORE).ok()).unwrap_or(again).min(again);
            *kept = Some((fresh.clone(), until));
            Ok(fresh)
        })
    }
}
