//! Whether a URL answers, several times in a row, as a client outside would see it.

use std::time::Duration;

use reqwest::redirect::Policy;
use tokio::time::Instant;

use crate::config::{connect, tls};
use crate::domain::{Tone, text};
use crate::probes::answer::Answer;

/// One request.
const REQUEST: Duration = Duration::from_secs(5);
/// Between two requests.
const PAUSE: Duration = Duration::from_millis(200);
/// Most requests of one probe.
const MOST: u32 = 50;

pub(super) async fn probe(url: &str, times: u32) -> Answer {
    let shown = text::redact(&text::clean(url));
    let Ok(url) = reqwest::Url::parse(url) else {
        return Answer::failed(&format!("{shown} is no URL"));
    };
    let client = match client() {
        Ok(client) => client,
        Err(why) => return Answer::failed(&why),
    };
    let times = times.clamp(1, MOST);
    let mut answer = Answer::new();
    let (mut good, mut slowest, mut last) = (0, Duration::ZERO, String::new());
    for round in 0..times {
        if round > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let started = Instant::now();
        let sent = client.get(url.clone()).send().await;
        let took = started.elapsed();
        let (tone, says) = match sent {
            Ok(response) if response.status().is_success() => {
                good += 1;
                slowest = slowest.max(took);
                (Tone::Good, format!("{} in {}", response.status(), text::span(took)))
            }
            Ok(response) => (Tone::Bad, format!("{} in {}", response.status(), text::span(took))),
            Err(error) => (Tone::Bad, connect::whole(&error.without_url())),
        };
        if tone == Tone::Bad {
            last.clone_from(&says);
        }
        answer.line(tone, says);
    }
    answer.bind("http_good", good.to_string());
    if good == times {
        answer.summary(format!(
            "{shown} answered well {good} of {times} times, slowest {}",
            text::span(slowest)
        ));
    } else {
        answer.not_ok();
        answer.summary(format!("{shown} answered well {good} of {times} times: {last}"));
    }
    answer
}

fn client() -> Result<reqwest::Client, String> {
    let roots = tls::roots(None).map_err(|error| error.why)?;
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls::verifying(roots))
        .user_agent(connect::USER_AGENT)
        // A redirect to a login page is not health.
        .redirect(Policy::none())
        .timeout(REQUEST)
        .build()
        .map_err(|error| connect::whole(&error))
}
