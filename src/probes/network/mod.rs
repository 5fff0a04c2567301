//! Questions to the network, as any client outside would ask them.

mod http;

use super::answer::Answer;
use crate::domain::NetworkProbe;

pub(super) async fn read(probe: &NetworkProbe) -> Answer {
    match probe {
        NetworkProbe::HttpProbe { url, times } => http::probe(url, *times).await,
    }
}
