//! Each pod's own answer, asked through the API server's proxy: past Services, Ingresses and load balancers.
//! A probe path that the application does not serve is told apart from an application that is not ready.

use std::collections::BTreeMap;

use futures::StreamExt;
use kube::client::Body;
use serde_json::Value;

use super::Asking;
use crate::domain::{Key, Kind, ObjectRef, Tone, cause, text};
use crate::probes::answer::Answer;
use crate::probes::object::{items, string};
use crate::probes::trouble::Trouble;

/// Pods asked at the same time.
const AT_ONCE: usize = 6;
/// Paths under which applications commonly say that they are ready, tried when the probe's own is not served.
const USUAL: [&str; 6] = ["/health/ready", "/readyz", "/ready", "/healthz", "/health", "/-/ready"];

/// Where one pod is asked.
struct Door {
    pod: Key,
    container: String,
    port: String,
    path: String,
    /// `https:` for the proxy to speak TLS.
    scheme: &'static str,
}

/// What came back: a status of the pod's own, or why it could not be reached.
type Heard = Result<(u16, String), String>;

pub(super) async fn probe(
    asking: &Asking<'_>,
    pods: &[Key],
    port: Option<&str>,
    path: Option<&str>,
) -> Result<Answer, Trouble> {
    let mut doors = Vec::new();
    for pod in pods {
        if let Some(found) = asking.cluster.find(&ObjectRef::new(Kind::Pod, pod.clone())).await? {
            doors.push(door(pod, &found, port, path));
        }
    }
    let heard: Vec<(Door, Heard)> = futures::stream::iter(doors)
        .map(|door| async {
            let heard = ask(asking, &door, &door.path).await;
            (door, heard)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut answer = Answer::new();
    let (mut good, mut counts) = (0, BTreeMap::<String, usize>::new());
    for (door, heard) in &heard {
        let place = format!("{} {}{}", door.pod.name, door.port, door.path);
        let (tone, says) = match heard {
            Ok((status, _)) if (200..400).contains(status) => (Tone::Good, status.to_string()),
            Ok((status, body)) => {
                (Tone::Bad, format!("{status} {}", body.lines().next().unwrap_or_default()))
            }
            Err(why) => (Tone::Bad, why.clone()),
        };
        good += usize::from(tone == Tone::Good);
        *counts.entry(says.split(' ').next().unwrap_or_default().to_owned()).or_default() += 1;
        answer.line(tone, format!("{place}: {}", says.trim()));
    }
    wrong_path(asking, &heard, &mut answer).await;
    answer.bind("pods_answering", good.to_string());
    let all = heard.len();
    match (all, good) {
        (0, _) => return Ok(Answer::failed("no pod to ask")),
        (all, good) if good == all => {
            answer.summary(format!("{} answer well, asked directly", text::count(all, "pod")));
        }
        _ => {
            answer.not_ok();
            let words: Vec<String> = counts.iter().map(|(word, count)| format!("{count} × {word}")).collect();
            answer.summary(format!(
                "{good} of {} answer well, asked directly: {}",
                text::count(all, "pod"),
                words.join(", ")
            ));
        }
    }
    Ok(answer)
}

/// The readiness probe's own port and path, unless others are asked for.
fn door(pod: &Key, found: &Value, port: Option<&str>, path: Option<&str>) -> Door {
    let containers = items(found, "/spec/containers");
    let probed = containers.iter().find(|one| one.pointer("/readinessProbe/httpGet").is_some());
    let container = probed.or(containers.first()).unwrap_or(&Value::Null);
    let get = container.pointer("/readinessProbe/httpGet").unwrap_or(&Value::Null);
    let own = match get.get("port") {
        Some(Value::String(name)) => name.clone(),
        Some(number) => number.to_string(),
        None => container.pointer("/ports/0/containerPort").map(ToString::to_string).unwrap_or_default(),
    };
    let number = |wanted: &str| {
        let ports = items(container, "/ports").iter();
        let named = ports.filter(|one| string(one, "/name") == wanted);
        named.filter_map(|one| one.get("containerPort")).map(ToString::to_string).next()
    };
    let port = port.map_or(own, str::to_owned);
    let path = path.unwrap_or(match string(get, "/path") {
        "" => "/",
        path => path,
    });
    Door {
        pod: pod.clone(),
        container: string(container, "/name").to_owned(),
        // The proxy understands numbers everywhere, names only of Services.
        port: number(&port).unwrap_or(port),
        path: format!("/{}", path.trim_start_matches('/')),
        scheme: if string(get, "/scheme") == "HTTPS" { "https:" } else { "" },
    }
}

async fn ask(asking: &Asking<'_>, door: &Door, path: &str) -> Heard {
    let Door { pod, port, scheme, .. } = door;
    let port = if port.is_empty() { String::new() } else { format!(":{port}") };
    let url = format!("/api/v1/namespaces/{}/pods/{scheme}{}{port}/proxy{path}", pod.namespace, pod.name);
    let request = http::Request::get(url).body(Body::empty()).map_err(|error| error.to_string())?;
    let client = asking.cluster.client();
    let talk = async {
        let answer = client.send(request).await.map_err(|error| Trouble::from(error).says)?;
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect_bytes().await.map_err(|error| Trouble::from(error).says)?;
        Ok::<_, String>((status, String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]).into_owned()))
    };
    let (status, body): (u16, String) = match tokio::time::timeout(asking.cluster.deadline(), talk).await {
        Ok(heard) => heard?,
        Err(_) => return Err(format!("no answer within {}", text::span(asking.cluster.deadline()))),
    };
    // The API server speaks for itself with a Status; anything else is the pod's own word.
    match serde_json::from_str::<Value>(&body) {
        Ok(said) if string(&said, "/kind") == "Status" && string(&said, "/apiVersion") == "v1" => {
            Err(string(&said, "/message").to_owned())
        }
        _ => Ok((status, body)),
    }
}

/// The probe's path answers 404 on every pod, and a usual one answers well: the probe asks the wrong thing.
async fn wrong_path(asking: &Asking<'_>, heard: &[(Door, Heard)], answer: &mut Answer) {
    let missing = |(_, heard): &(Door, Heard)| matches!(heard, Ok((404, _)));
    let Some((door, _)) = heard.first().filter(|_| heard.iter().all(missing)) else { return };
    for path in USUAL.iter().filter(|path| **path != door.path) {
        if let Ok((200..=299, _)) = ask(asking, door, path).await {
            let says = format!("{} answers 404 at {} and well at {path}", door.pod.name, door.path);
            answer.line(Tone::Bad, &says);
            answer.found(cause::READINESS_PATH, says);
            answer.bind("ready_path", path);
            answer.bind("wrong_path", &door.path);
            answer.bind("container", &door.container);
            return;
        }
    }
}
