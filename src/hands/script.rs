//! The team's own scripts: a program and its arguments from the settings, run on this machine. A placeholder
//! is one argument, whatever its value; there is no shell.
//!
//! Its output is streamed, cleaned and redacted. Esc stops watching, and the script goes on: only its person
//! knows whether half of it is worse than all of it; the line says how to end it. Its own timeout ends it,
//! with every process that it started.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::done::Done;
use super::task::{Stopped, Task};
use super::{Hands, hazards};
use crate::config::ScriptSetting;
use crate::domain::{Action, Name, Script, Timestamp, is_telling, masked, shell_quote, text};
use crate::guard::{Confirmation, DiffTone, Draft, Guard, Hazard, Refusal, Warrant};

/// Lines of output that are kept.
const LINES: usize = 500;
/// From being asked to end until being made to.
const GRACE: Duration = Duration::from_secs(5);

pub(super) fn draft(hands: &Hands, action: Action, script: &Script, at: Timestamp) -> Result<Draft, Refusal> {
    let Script::RunScript { script: name, with } = script;
    let setting = setting(hands, name)?;
    let argv = filled(&setting.argv, with)?;
    let shown = shown(setting, with);
    let mut hazards = vec![
        Hazard::warn(Guard::Target, "nobody but its author knows what it does: there is no dry run"),
        Hazard::note(Guard::Target, format!("it is ended after {}", text::span(setting.timeout))),
    ];
    hazards.extend(hazards::protected(hands));
    let program = argv.first().map(|program| format!("{program} on this machine"));
    Ok(Draft {
        at,
        title: format!("run the script {name}"),
        targets: program.into_iter().collect(),
        diff: vec![(DiffTone::Added, text::clean(&text::redact(&shown)))],
        pins: Vec::new(),
        // What the settings say now is what was confirmed.
        before: serde_json::json!({ "argv": setting.argv }),
        undo: None,
        command: text::redact(&shown),
        confirmation: Confirmation::of(&action, &hazards),
        hazards,
        action,
    })
}

fn setting<'a>(hands: &'a Hands, name: &Name) -> Result<&'a ScriptSetting, Refusal> {
    let scripts = &hands.outside.scripts;
    scripts.get(&**name).ok_or_else(|| {
        let known: Vec<&str> = scripts.keys().map(String::as_str).collect();
        Refusal::new(format!("there is no script {name}; there are: {}", known.join(", ")))
            .repair(format!("add it under [scripts]: {name} = {{ argv = [\"program\"] }}"))
    })
}

/// The arguments with their placeholders filled in; each stays one argument.
fn filled(argv: &[String], with: &[(String, String)]) -> Result<Vec<String>, Refusal> {
    argv.iter()
        .map(|word| {
            let mut rest = word.as_str();
            let mut whole = String::new();
            while let Some((before, after)) = rest.split_once('{') {
                let Some((name, tail)) = after.split_once('}') else { break };
                let value = with.iter().find(|(known, _)| known == name).map(|(_, value)| value);
                let value = value.ok_or_else(|| {
                    Refusal::new(format!("no value is given for {{{name}}}"))
                        .repair(format!("give it in the playbook: with = {{ {name} = \"…\" }}"))
                })?;
                whole.push_str(before);
                whole.push_str(value);
                rest = tail;
            }
            whole.push_str(rest);
            if whole.contains('\0') {
                return Err(Refusal::new("an argument holds a null byte"));
            }
            Ok(whole)
        })
        .collect()
}

/// As a person would paste it, with telling values masked.
fn shown(setting: &ScriptSetting, with: &[(String, String)]) -> String {
    let masked: Vec<(String, String)> = with
        .iter()
        .map(|(name, value)| {
            (name.clone(), if is_telling(name, value) { masked(value) } else { value.clone() })
        })
        .collect();
    let words = filled(&setting.argv, &masked).unwrap_or_default();
    words.iter().map(|word| shell_quote(word)).collect::<Vec<_>>().join(" ")
}

pub(super) async fn perform(hands: &Hands, warrant: &Warrant, script: &Script, task: &mut Task) -> Done {
    let Script::RunScript { script: name, with } = script;
    let (setting, argv) = match setting(hands, name).and_then(|found| Ok((found, filled(&found.argv, with)?)))
    {
        Ok(found) => found,
        Err(refusal) => return Done::refused(refusal),
    };
    let seen = warrant.preview().before.get("argv").cloned().unwrap_or_default();
    if seen != Value::from(setting.argv.clone()) {
        return Done::refused(
            Refusal::new(format!("the script {name} is not what you saw")).repair("preview again"),
        );
    }
    let mut child = match start(&argv) {
        Ok(child) => child,
        Err(error) => {
            let program = argv.first().map(String::as_str).unwrap_or_default();
            let refusal = Refusal::new(format!("{program} could not be started: {error}"));
            return Done::refused(refusal.repair("is it there, and executable? A path is best absolute"));
        }
    };
    let group = child.id();
    task.say(format!("started as process {}", group.map_or("?".into(), |id| id.to_string())));
    let deadline = Instant::now() + setting.timeout;
    let (said, mut lines) = mpsc::channel(64);
    let readers =
        [reader(child.stdout.take(), "", said.clone()), reader(child.stderr.take(), "stderr: ", said)];
    let mut count = 0;
    let ended = loop {
        match task.until(deadline, lines.recv()).await {
            Ok(Some(line)) => {
                count += 1;
                if count <= LINES {
                    task.say(line);
                }
            }
            Ok(None) => break task.until(deadline, child.wait()).await,
            Err(stopped) => break Err(stopped),
        }
    };
    if count > LINES {
        task.say(format!("… {} more not kept", text::count(count - LINES, "line")));
    }
    match ended {
        Ok(Ok(status)) => match status.code() {
            Some(0) => Done::performed(format!("the script {name} ended with exit code 0"), None),
            Some(code) => Done::failed_with(format!("the script {name} ended with exit code {code}")),
            None => Done::failed_with(format!("the script {name} was killed by a signal")),
        },
        Ok(Err(error)) => Done::unknown(format!("the end of the script {name} was not seen: {error}")),
        Err(Stopped::CalledOff) => {
            // Somebody has to take what it says, or it would wait for ever.
            tokio::spawn(async move {
                while lines.recv().await.is_some() {}
                let _ = child.wait().await;
                drop(readers);
            });
            let id = group.map_or(String::new(), |id| format!("; to end it: kill -TERM -- -{id}"));
            Done::unknown(format!("no longer watched: the script {name} goes on{id}"))
        }
        Err(Stopped::TimedOut) => {
            let how = end(&mut child, group).await;
            let after = text::span(setting.timeout);
            Done::unknown(format!(
                "the script {name} was not done after {after} and was {how}: how far it got is not known"
            ))
        }
    }
}

fn start(argv: &[String]) -> std::io::Result<Child> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(std::io::Error::other("there is no program"));
    };
    Command::new(program)
        .args(arguments)
        // A group of its own: what is typed here does not reach it, and all of it can be ended together.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Sends what it says, line by line, however long a line gets.
fn reader(
    stream: Option<impl AsyncRead + Unpin + Send + 'static>,
    mark: &'static str,
    said: mpsc::Sender<String>,
) -> tokio::task::JoinHandle<()> {
    const WIDTH: usize = 4_000;
    tokio::spawn(async move {
        let Some(stream) = stream else { return };
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        loop {
            line.clear();
            match stream.read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {
                    line.truncate(WIDTH);
                    let words = String::from_utf8_lossy(&line);
                    if said.send(format!("{mark}{}", words.trim_end())).await.is_err() {
                        return;
                    }
                }
            }
        }
    })
}

/// Asks the group to end, then makes it.
async fn end(child: &mut Child, group: Option<u32>) -> &'static str {
    let Some(group) = group.and_then(|id| Pid::from_raw(id as i32)) else { return "left alone" };
    let _ = kill_process_group(group, Signal::TERM);
    if timeout(GRACE, child.wait()).await.is_ok() {
        return "ended";
    }
    let _ = kill_process_group(group, Signal::KILL);
    let _ = timeout(GRACE, child.wait()).await;
    "killed"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_placeholder_stays_one_argument() {
        let argv = words(&["/opt/rotate", "--type={type}", "{who}", "{{}", "plain}"]);
        let with = [("type".to_owned(), "a b; rm -rf /".to_owned()), ("who".to_owned(), "$(id)".to_owned())];
        let refused = filled(&argv, &with).expect_err("a placeholder without a value");
        assert!(refused.says.contains("no value"), "{refused}");
        let argv = words(&["/opt/rotate", "--type={type}", "{who}", "plain}", "open{"]);
        let got = filled(&argv, &with).expect("filled");
        assert_eq!(got, ["/opt/rotate", "--type=a b; rm -rf /", "$(id)", "plain}", "open{"]);
    }
}
