//! A report for people: incidents first, then anomalies with what speaks for them, then what is blind.

use std::fmt::Write as _;

use super::{Report, Verdict};
use crate::domain::{Timestamp, between, text};

impl Report {
    /// As printed.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let age = |at: Timestamp| text::span(between(at, self.at));
        for incident in &self.incidents {
            let _ = writeln!(out, "{:<8}  {}", incident.severity.as_str().to_uppercase(), incident.title);
            for change in &incident.changes {
                let _ = writeln!(
                    out,
                    "          changed {} ago: {} {}",
                    age(change.at),
                    change.object,
                    change.says
                );
            }
        }
        for anomaly in &self.anomalies {
            let _ = writeln!(
                out,
                "\n{:<8}  {}  {}\n          {}, since {}",
                anomaly.severity.as_str(),
                anomaly.rule,
                anomaly.subject,
                anomaly.title,
                age(anomaly.onset)
            );
            for cause in &anomaly.causes {
                let _ = writeln!(out, "          cause    {} ({:.0} %)", cause.says, cause.weight * 100.0);
            }
            for evidence in &anomaly.evidence {
                let _ = writeln!(out, "          seen     {}", evidence.says);
            }
            if let Some(next) = &anomaly.suggested {
                let _ = writeln!(out, "          next     {} ({})", next.title, next.step);
                let _ = writeln!(out, "          why      {}", next.why);
                if let Some(blocked) = &next.blocked {
                    let _ = writeln!(out, "          blocked  {blocked}: somebody else has to do it");
                }
                if let Some(command) = &next.command {
                    let _ = writeln!(out, "          by hand  {command}");
                }
            }
        }
        for blind in &self.blind {
            let repair = blind.repair.as_ref().map(|repair| format!(" ({repair})")).unwrap_or_default();
            let _ = writeln!(out, "{:<8}  {}: {}{repair}", "blind", blind.rule, blind.why);
        }
        let _ = match self.verdict {
            Verdict::Clear => writeln!(out, "all clear: every rule sees, none fires"),
            Verdict::Firing => writeln!(
                out,
                "\n{}, {}, {} blind",
                text::count(self.incidents.len(), "incident"),
                text::count(self.anomalies.len(), "anomaly").replace("anomalys", "anomalies"),
                text::count(self.blind.len(), "rule"),
            ),
            Verdict::Blind => writeln!(out, "cannot tell: nothing fires, but the rules above cannot see"),
        };
        out
    }
}
