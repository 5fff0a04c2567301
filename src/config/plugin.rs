//! Credential plugins of the kubeconfig (`exec`): run once for each set of credentials, in a session of their own so
//! that they reach neither keyboard nor screen, and ended when they hang. What they print is read, never shown.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use base64::Engine;
use kube::config::{AuthInfo, ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use serde_json::json;
use tokio::process::Command;
use tokio::time::timeout;

use super::connect::ConnectError;
use crate::domain::{BlindKind, Timestamp, text};

/// It may open a browser; longer than this it hangs.
pub const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Deserialize)]
struct Answer {
    status: Option<Credential>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credential {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<Timestamp>,
}

/// Puts what a user's plugin gives in the place of the plugin. Returns when it has to be asked again.
///
/// # Errors
/// It is not there, fails, hangs, or gives nothing usable.
pub(super) async fn resolve(user: &mut AuthInfo) -> Result<Option<Timestamp>, ConnectError> {
    let plain = user.token.is_none() && user.token_file.is_none() && user.username.is_none();
    let Some(exec) = user.exec.take().filter(|_| plain) else { return Ok(None) };
    let name = exec.command.clone().unwrap_or_default();
    let credential = ask(&exec, &name).await?;
    let encode = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
    match (credential.token, credential.client_certificate_data, credential.client_key_data) {
        (token, Some(certificate), Some(key)) => {
            user.client_certificate_data = Some(encode(certificate));
            user.client_key_data = Some(encode(key).into());
            user.token = token.map(Into::into);
        }
        (Some(token), ..) => user.token = Some(token.into()),
        _ => return Err(nothing(&name, "it gave neither a token nor a certificate")),
    }
    Ok(credential.expiration_timestamp)
}

async fn ask(exec: &ExecConfig, name: &str) -> Result<Credential, ConnectError> {
    let Some(program) = find(name, exec) else {
        let hint = exec.install_hint.as_deref().map(text::clean).unwrap_or_default();
        let hint = hint.split_whitespace().collect::<Vec<_>>().join(" ");
        let repair = if hint.is_empty() { "install it, or put it on PATH".to_owned() } else { hint };
        let why = format!("the credential plugin does not start: {name} is not there");
        return Err(ConnectError::new(BlindKind::Refused, why, &repair));
    };
    let mut command = command(&program, exec);
    let output = match timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(io)) => {
            let why = format!("the credential plugin does not start: {io}");
            return Err(ConnectError::new(BlindKind::Refused, why, "install it, or put it on PATH"));
        }
        Err(_) => {
            let why = format!("the credential plugin {name} did not end within {}", text::span(PATIENCE));
            return Err(ConnectError::new(BlindKind::Refused, why, &log_in(name, exec)));
        }
    };
    if !output.status.success() {
        return Err(failed(name, exec, &output));
    }
    // A parser's message could quote the token: only that it failed is told.
    let answer: Answer = serde_json::from_slice(&output.stdout)
        .map_err(|_| nothing(name, "its answer is no ExecCredential"))?;
    answer.status.ok_or_else(|| nothing(name, "its answer has no status"))
}

fn command(program: &Path, exec: &ExecConfig) -> Command {
    let mut command = match alone() {
        Some(setsid) => {
            let mut command = Command::new(setsid);
            command.arg(program);
            command
        }
        None => Command::new(program),
    };
    let mut spec = json!({"interactive": false});
    if let (true, Some(cluster)) = (exec.provide_cluster_info, &exec.cluster) {
        spec["cluster"] = serde_json::to_value(cluster).unwrap_or_default();
    }
    let info = json!({"apiVersion": exec.api_version, "kind": "ExecCredential", "spec": spec});
    command
        .args(exec.args.iter().flatten())
        .envs(variables(exec))
        .env("KUBERNETES_EXEC_INFO", info.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

fn variables(exec: &ExecConfig) -> HashMap<&str, &str> {
    exec.env
        .iter()
        .flatten()
        .filter_map(|entry| Some((entry.get("name")?.as_str(), entry.get("value")?.as_str())))
        .collect()
}

/// The program as the system would find it.
fn find(name: &str, exec: &ExecConfig) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| path.is_file());
    }
    let own = variables(exec).get("PATH").map(std::ffi::OsString::from);
    on_path(name, own.or_else(|| std::env::var_os("PATH"))?)
}

fn on_path(name: &str, path: impl AsRef<std::ffi::OsStr>) -> Option<PathBuf> {
    if name.is_empty() {
        return None;
    }
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// What starts a program without a terminal, where there is such a thing: a prompt on `/dev/tty` then fails at once
/// instead of fighting for the screen.
fn alone() -> Option<PathBuf> {
    on_path("setsid", std::env::var_os("PATH")?)
}

fn failed(name: &str, exec: &ExecConfig, output: &Output) -> ConnectError {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let words = stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    let words: String = words.trim().chars().take(300).collect();
    let why = format!("the credential plugin {name} failed ({}): {words}", output.status);
    ConnectError::new(BlindKind::Refused, why, &log_in(name, exec))
}

fn nothing(name: &str, why: &str) -> ConnectError {
    let why = format!("the credential plugin {name} gave nothing usable: {why}");
    ConnectError::new(BlindKind::Refused, why, "run it by hand: kubectl get --raw /version")
}

/// How people log in for the well-known ones.
fn log_in(name: &str, exec: &ExecConfig) -> String {
    let program = Path::new(name).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let how = match program {
        "aws" | "aws-iam-authenticator" => "aws sso login, or renew your AWS credentials",
        "gke-gcloud-auth-plugin" | "gcloud" => "gcloud auth login",
        "kubelogin" | "az" => "az login, or kubelogin convert-kubeconfig",
        "tsh" => "tsh login",
        _ if exec.interactive_mode == Some(ExecInteractiveMode::Always) => {
            return "log in again with it in another window: it wants a terminal".into();
        }
        _ => return "log in again with your cloud's tool in another window".into(),
    };
    format!("log in again in another window: {how}")
}
