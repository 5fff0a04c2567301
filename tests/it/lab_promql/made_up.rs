//! Expressions put together at random, always the same ones.

pub fn made_up() -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(11);
    (0..120).map(|_| vector(&mut random, 3)).collect()
}

fn pick<'a>(random: &mut fastrand::Rng, among: &[&'a str]) -> &'a str {
    among[random.usize(0..among.len())]
}

fn vector(random: &mut fastrand::Rng, depth: u32) -> String {
    if depth == 0 {
        let offset = pick(random, &["", "", "", " offset 90s"]);
        return format!(
            "{}{offset}",
            pick(random, &["gauge", "rounded", "up", "gauge{job=\"app\"}", "counter_total"])
        );
    }
    let inner = vector(random, depth - 1);
    match random.u32(0..7) {
        0 => {
            let function = pick(
                random,
                &["rate", "increase", "delta", "changes", "avg_over_time", "max_over_time", "deriv"],
            );
            let metric = pick(random, &["gauge", "counter_total", "rounded", "sparse"]);
            format!("{function}({metric}[{}])", pick(random, &["2m", "5m", "11m", "1h"]))
        }
        1 => {
            let function =
                pick(random, &["max_over_time", "stddev_over_time", "delta", "quantile_over_time"]);
            let q = if function == "quantile_over_time" { "0.7, " } else { "" };
            format!(
                "{function}({q}({inner})[{}:{}])",
                pick(random, &["5m", "13m"]),
                pick(random, &["30s", "1m", "47s"])
            )
        }
        2 => {
            let aggregation = pick(random, &["sum", "avg", "min", "max", "count", "stddev"]);
            let by = pick(random, &["", " by (job)", " without (instance)", " by (instance, job)"]);
            format!("{aggregation}{by} ({inner})")
        }
        3 => format!("{}({inner})", pick(random, &["abs", "floor", "-", "round", "sgn", "sort"])),
        4 => {
            let operator = pick(random, &["+", "-", "*", "/", ">", "<= bool", "%", "=="]);
            format!("({inner}) {operator} {}", pick(random, &["2", "0.5", "scalar(up{job=\"db\"})", "-1"]))
        }
        5 => {
            let operator = pick(random, &["+", "*", ">", "and", "or", "unless", "/"]);
            format!("({inner}) {operator} ({})", vector(random, depth - 1))
        }
        _ => {
            let on =
                pick(random, &["on(job) group_left", "ignoring(instance) group_left", "on(job, instance)"]);
            let operator = pick(random, &["+", "*", ">", "- "]);
            format!("({inner}) {operator} {on} max by (job) (gauge)")
        }
    }
}
