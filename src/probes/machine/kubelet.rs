//! The kubelet's own words, and whether systemd says that it runs.

use super::{LOOK, missing, show};
use crate::config::ssh::{Machine, NoResult, Ran};
use crate::domain::{Tone, Unit, cause, text};
use crate::probes::answer::Answer;

pub(super) async fn log(machine: &Machine, lines: u32) -> Result<Answer, NoResult> {
    let lines = lines.to_string();
    let argv = ["journalctl", "-u", "kubelet", "--since", "-1h", "--no-pager", "-n", &lines];
    let mut ran = machine.look(&argv, LOOK).await?;
    if is_not_for_us(&ran) {
        ran = machine.look_as_root(&argv, LOOK).await?;
    }
    if let Some(says) = missing(&ran, "journalctl", machine) {
        return Ok(Answer::failed(&says));
    }
    let mut answer = Answer::new();
    let kept: Vec<&str> = ran.out.lines().filter(|line| !line.starts_with("-- ")).collect();
    if kept.is_empty() {
        answer.summary(if ran.is_ok() {
            "the kubelet has written nothing in the last hour".to_owned()
        } else {
            ran.complaint()
        });
        if !ran.is_ok() {
            answer.not_ok();
        }
        return Ok(answer);
    }
    let bad: Vec<&&str> = kept.iter().filter(|line| is_error(line)).collect();
    answer.summary(match bad.last() {
        None => format!("{}, none of them an error", text::count(kept.len(), "line")),
        Some(last) => {
            format!(
                "{} of {} are errors; the last: {}",
                bad.len(),
                text::count(kept.len(), "line"),
                words(last)
            )
        }
    });
    for line in &kept {
        answer.line(if is_error(line) { Tone::Bad } else { Tone::Plain }, line);
    }
    Ok(answer)
}

/// The journal is only for root and its groups.
fn is_not_for_us(ran: &Ran) -> bool {
    let said = format!("{}\n{}", ran.err, ran.out);
    said.contains("insufficient permissions")
        || said.contains("not seeing messages from other users")
        || ran.out.trim() == "-- No entries --"
}

/// klog's `E1126 03:12:00.1`, systemd's failures, a panic.
fn is_error(line: &str) -> bool {
    let klog = line.split_whitespace().any(|word| {
        word.len() == 5 && word.starts_with(['E', 'F']) && word[1..].bytes().all(|b| b.is_ascii_digit())
    });
    klog || line.contains("Failed with result")
        || line.contains("panic:")
        || line.contains("Main process exited")
}

/// What was said, without when and by whom.
fn words(line: &str) -> &str {
    line.split_once("]: ").map_or(line, |(_, words)| words)
}

pub(super) async fn status(machine: &Machine, unit: Unit) -> Result<Answer, NoResult> {
    let active = machine.look(&["systemctl", "is-active", unit.as_str()], LOOK).await?;
    if let Some(says) = missing(&active, "systemctl", machine) {
        return Ok(Answer::failed(&says));
    }
    let state = active.out.trim().to_owned();
    let argv = ["systemctl", "status", unit.as_str(), "--no-pager", "-n", "30"];
    let status = machine.look(&argv, LOOK).await?;
    let mut answer = Answer::new();
    let since = status.out.lines().map(str::trim).find(|line| line.starts_with("Active:"));
    let says = match since {
        Some(line) => format!("{}: {}", unit.as_str(), line.trim_start_matches("Active:").trim()),
        None => format!("{} is {state}", unit.as_str()),
    };
    answer.summary(&says);
    if state == "active" {
        answer.line(Tone::Good, &says);
    } else {
        answer.not_ok();
        answer.line(Tone::Bad, &says);
        let found = if unit == Unit::Kubelet { cause::KUBELET_SILENT } else { cause::RUNTIME };
        answer.found(found, &says);
    }
    answer.bind(&format!("{}_state", unit.as_str()), state);
    // `status` ends with 3 for a unit that does not run: that is an answer.
    show(&mut answer, "systemctl status", &Ran { code: 0, ..status }, 60);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_from_news() {
        assert!(is_error(
            "Nov 26 03:12:00 ip kubelet[812]: E1126 03:12:00.123456 812 kubelet.go:2424] \"PLEG\""
        ));
        assert!(is_error("Nov 26 03:12:00 ip systemd[1]: kubelet.service: Failed with result 'oom-kill'."));
        assert!(!is_error("Nov 26 03:12:00 ip kubelet[812]: I1126 03:12:00.123456 812 server.go:1] Started"));
        assert_eq!(words("Nov 26 ip kubelet[812]: E1126 x"), "E1126 x");
    }
}
