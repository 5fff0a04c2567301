//! What a registry says about an image, asked as a container runtime would: up at all, there or not, for which
//! platforms, under which digest, and how many pulls are left. Asks for manifests only, never for layers.

mod client;
mod credentials;
mod image;

use serde_json::Value;

use self::client::{NO_NAME, Said, Session};
use self::image::Image;
use super::Asking;
use crate::domain::{Key, Kind, ObjectRef, Tone, cause};
use crate::probes::answer::Answer;
use crate::probes::object::{items, string};
use crate::probes::trouble::Trouble;

/// 200 or 401 at `/v2/`: it is up.
pub(super) async fn up(asking: &Asking<'_>, registry: &str) -> Answer {
    let session = match Session::new(asking, registry, None).await {
        Ok(session) => session,
        Err(why) => return Answer::failed(&why),
    };
    let mut answer = Answer::new();
    match session.ping().await {
        Ok(said) if matches!(said.status, 200 | 401) => {
            let open = if said.status == 200 { "to anybody" } else { "and asks for a login" };
            answer.line(Tone::Good, format!("GET {}/v2/: {}", session.base(), said.status));
            answer.summary(format!("{registry} is up {open} ({})", said.status));
        }
        Ok(said) => refused(&mut answer, &format!("{registry} at /v2/"), &said),
        Err(why) => return unreached(answer, registry, &why),
    }
    answer
}

pub(super) async fn probe(asking: &Asking<'_>, named: &str, pod: Option<&Key>) -> Result<Answer, Trouble> {
    let Some(image) = Image::parse(named) else {
        let mut answer = Answer::failed(&format!("{named} is no valid image reference"));
        answer.found(cause::BAD_IMAGE_REFERENCE, named);
        return Ok(answer);
    };
    let mut answer = Answer::new();
    let login = match pod {
        Some(pod) => credentials::of_pod(asking, pod, &image.registry, &mut answer).await?,
        None => None,
    };
    let as_whom = match (pod, &login) {
        (_, Some(login)) => format!("as {}", login.user()),
        (Some(_), None) => "anonymously, as the pod has no credentials for it".to_owned(),
        (None, None) => "anonymously".to_owned(),
    };
    let mut session = match Session::new(asking, &image.registry, login).await {
        Ok(session) => session,
        Err(why) => return Ok(Answer::failed(&why)),
    };
    match session.manifest(&image, http::Method::HEAD).await {
        Ok(said) if said.status == 200 => there(asking, &mut answer, &mut session, &image, &said, pod).await,
        Ok(said) => {
            refused(&mut answer, &format!("{named}, asked {as_whom}"), &said);
            if pod.is_none() && matches!(said.status, 401 | 403) {
                answer.line(
                    Tone::Dim,
                    "a private image looks like this to anybody; ask with the cluster's own credentials",
                );
            }
        }
        Err(why) => return Ok(unreached(answer, &image.registry, &why)),
    }
    Ok(answer)
}

async fn there(
    asking: &Asking<'_>,
    answer: &mut Answer,
    session: &mut Session,
    image: &Image,
    said: &Said,
    pod: Option<&Key>,
) {
    let digest = said.digest.clone().unwrap_or_default();
    answer.line(Tone::Good, format!("{} is there: {}", image.named, said.kind));
    answer.line(Tone::Plain, format!("digest        {digest}"));
    limits(answer, said);
    answer.bind("image_digest", &digest);
    if !digest.is_empty() {
        answer.bind("image_by_digest", format!("{}@{digest}", image.without_tag()));
    }
    let platforms = platforms(session, image).await;
    if !platforms.is_empty() {
        answer.line(Tone::Plain, format!("platforms     {}", platforms.join(", ")));
    }
    let wanted = architectures(asking, pod).await;
    let missing: Vec<&String> =
        wanted.iter().filter(|arch| !platforms.is_empty() && !fits(&platforms, arch)).collect();
    if let Some(arch) = missing.first() {
        let says = format!("it is not there for linux/{arch}, which the nodes are: {}", platforms.join(", "));
        answer.not_ok();
        answer.found(cause::IMAGE_ARCH, &says);
        answer.summary(format!("{}: {says}", image.named));
    } else {
        answer.summary(format!("{} is there, {digest}", image.named));
    }
}

fn fits(platforms: &[String], arch: &str) -> bool {
    platforms.iter().any(|platform| {
        let mut parts = platform.split('/');
        parts.next() == Some("linux") && parts.next() == Some(arch)
    })
}

/// `linux/amd64`, `linux/arm/v7`, … of an index, or the one of a single image by its configuration.
async fn platforms(session: &mut Session, image: &Image) -> Vec<String> {
    let Ok(said) = session.manifest(image, http::Method::GET).await else { return Vec::new() };
    let Ok(manifest) = serde_json::from_str::<Value>(&said.body) else { return Vec::new() };
    let platform = |of: &Value| {
        let (os, arch, variant) = (string(of, "/os"), string(of, "/architecture"), string(of, "/variant"));
        let variant = if variant.is_empty() { String::new() } else { format!("/{variant}") };
        // Attestations are listed as images for no platform.
        (!arch.is_empty() && arch != "unknown").then(|| format!("{os}/{arch}{variant}"))
    };
    let listed = items(&manifest, "/manifests");
    if !listed.is_empty() {
        return listed.iter().filter_map(|one| platform(one.get("platform")?)).collect();
    }
    let config = string(&manifest, "/config/digest");
    if config.is_empty() {
        return Vec::new();
    }
    let Ok(said) = session.blob(image, config).await else { return Vec::new() };
    serde_json::from_str::<Value>(&said.body).ok().and_then(|config| platform(&config)).into_iter().collect()
}

/// The architectures that have to be there: the pod's node, or all nodes.
async fn architectures(asking: &Asking<'_>, pod: Option<&Key>) -> Vec<String> {
    let mut node = String::new();
    if let Some(pod) = pod
        && let Ok(Some(found)) = asking.cluster.find(&ObjectRef::new(Kind::Pod, pod.clone())).await
    {
        string(&found, "/spec/nodeName").clone_into(&mut node);
    }
    let nodes = if node.is_empty() {
        asking.cluster.list(Kind::Node, "", "", "").await.unwrap_or_default()
    } else {
        let found = asking.cluster.find(&ObjectRef::new(Kind::Node, Key::cluster(node.as_str()))).await;
        found.ok().flatten().into_iter().collect()
    };
    let mut all: Vec<String> =
        nodes.iter().map(|node| string(node, "/status/nodeInfo/architecture").to_owned()).collect();
    all.retain(|arch| !arch.is_empty());
    all.sort();
    all.dedup();
    all
}

fn refused(answer: &mut Answer, what: &str, said: &Said) {
    answer.not_ok();
    let words = said.words();
    answer.line(Tone::Bad, format!("{what}: {} {words}", said.status));
    limits(answer, said);
    let (cause, says) = match said.status {
        404 => (cause::IMAGE_NOT_FOUND, "the registry does not have it (404)"),
        401 | 403 => (
            cause::IMAGE_AUTH,
            "the registry refuses (a private image that does not exist looks the same: check both)",
        ),
        429 => (cause::IMAGE_RATE_LIMIT, "the registry limits our pulls (429)"),
        _ => (cause::REGISTRY_DOWN, "the registry itself fails"),
    };
    answer.found(cause, format!("{what}: {} {words}", said.status));
    let retry = said
        .retry_after
        .as_ref()
        .map(|after| format!("; it says to retry after {after}"))
        .unwrap_or_default();
    answer.summary(format!("{what}: {} {says}{retry}", said.status));
}

/// That this machine does not know its name says nothing of a registry that only the cluster knows.
fn unreached(mut answer: Answer, registry: &str, why: &str) -> Answer {
    let says = format!("{registry} cannot be reached from here: {why}");
    if why.contains(NO_NAME) {
        return answer.unseen(&says);
    }
    answer.not_ok();
    answer.line(Tone::Bad, &says);
    answer.found(cause::REGISTRY_DOWN, &says);
    answer.summary(says);
    answer
}

fn limits(answer: &mut Answer, said: &Said) {
    if let Some(left) = &said.pulls_left {
        answer.line(Tone::Plain, format!("pulls left    {left}"));
    }
}
