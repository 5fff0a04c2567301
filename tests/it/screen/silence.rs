//! Series that vanished: the panel says since when, and shows no number as if it were of now.

use covet_tui::app::{App, Event};
use covet_tui::domain::{Blind, BlindKind, Fact, Origin, Series};

use super::{SIZES, drawn, text, world};

/// The healthy world, whose requests or latencies have had no series for this many seconds.
fn silent(requests: Option<i64>, latency: Option<i64>) -> App {
    let mut app = world::healthy(world::options());
    let gone = |metric: &str, seconds: Option<i64>| {
        seconds.map(|seconds| Blind {
            kind: BlindKind::Broken,
            why: format!("{metric} has no series in covetpy"),
            repair: None,
            since: world::ago(seconds),
        })
    };
    let mut traffic = app.snapshot.traffic.clone();
    traffic.errors_unseen = gone("http_requests_total", requests);
    traffic.latency_unseen = gone("http_request_duration_seconds", latency);
    let seen = world::seen(Origin::Prometheus, Fact::Traffic(Box::new(traffic)));
    // A moment later, when it is time to judge again.
    app.update(Event::Observed(vec![seen]), world::ago(-2));
    app
}

#[test]
fn a_silence_is_told_with_its_beginning_and_without_the_last_numbers() {
    let healthy = text(&drawn(&world::healthy(world::options()), (120, 40)));
    assert!(healthy.contains("% 5xx") && healthy.contains("p50"), "{healthy}");
    for size in SIZES {
        let screen = text(&drawn(&silent(Some(271), Some(271)), size));
        assert!(screen.contains("no series since 03:08"), "{screen}");
        assert!(!screen.contains("% 5xx"), "{screen}");
    }
    let screen = text(&drawn(&silent(Some(271), None), (120, 40)));
    assert!(screen.contains("no series of requests since 03:08"), "{screen}");
    let screen = text(&drawn(&silent(Some(271), Some(271)), (120, 40)));
    assert!(!screen.contains("all calm"), "{screen}");
}

#[test]
fn where_nobody_asks_any_more_no_latency_of_before_stands_beside_it() {
    let mut app = world::healthy(world::options());
    let mut traffic = app.snapshot.traffic.clone();
    let until = |series: &Series| {
        Series::new(series.points().iter().copied().filter(|(at, _)| *at <= world::ago(130)))
    };
    for series in [&mut traffic.p50, &mut traffic.p95, &mut traffic.p99, &mut traffic.error_ratio] {
        *series = until(series);
        assert!(!series.is_empty());
    }
    traffic.rate = Series::new([(world::ago(145), 60.0), (world::ago(0), 0.0)]);
    let seen = world::seen(Origin::Prometheus, Fact::Traffic(Box::new(traffic)));
    app.update(Event::Observed(vec![seen]), world::ago(-2));
    for size in SIZES {
        let screen = text(&drawn(&app, size));
        assert!(!screen.contains("% 5xx") && !screen.contains("198 ms"), "{screen}");
    }
    let screen = text(&drawn(&app, (120, 40)));
    assert!(screen.contains("no requests since 03:10") && screen.contains(" 0/s"), "{screen}");
}
