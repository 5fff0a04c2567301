//! The few commands the lab's containers know, answered from the world: files of mounted `ConfigMaps`, the
//! environment without secrets, the file systems. There is no shell and nothing runs.
use serde_json::Value;

use super::quantity;
use crate::lab::store::Store;

/// A command that has ended.
pub struct Ended {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub code: i32,
}

impl Ended {
    fn said(text: impl Into<Vec<u8>>) -> Self {
        Self { stdout: text.into(), stderr: Vec::new(), code: 0 }
    }
    fn failed(code: i32, text: impl Into<Vec<u8>>) -> Self {
        Self { stdout: Vec::new(), stderr: text.into(), code }
    }
}

/// Runs `argv` in a container of this pod.
pub fn run(store: &Store, pod: &Value, container: &str, argv: &[String]) -> Ended {
    let program = argv[0].rsplit('/').next().unwrap_or_default();
    let words: Vec<&str> = argv[1..].iter().map(String::as_str).collect();
    let place = Place { store, pod, container };
    match program {
        "true" => Ended::said(""),
        "false" => Ended::failed(1, ""),
        "echo" => Ended::said(format!("{}\n", words.join(" "))),
        "hostname" => Ended::said(format!("{}\n", text(&pod["metadata"]["name"]))),
        "cat" => place.cat(&words),
        "ls" => place.ls(&words),
        "df" => place.df(),
        "printenv" | "env" => place.printenv(words.first().copied()),
        _ => Ended::failed(127, format!("exec: {:?}: executable file not found in $PATH\n", argv[0])),
    }
}

struct Place<'a> {
    store: &'a Store,
    pod: &'a Value,
    container: &'a str,
}

impl Place<'_> {
    fn cat(&self, paths: &[&str]) -> Ended {
        let mut ended = Ended::said("");
        for path in paths {
            if let Some(content) = self.file(path) {
                ended.stdout.extend_from_slice(content.as_bytes());
            } else {
                let why =
                    if self.is_secret(path) { "Permission denied" } else { "No such file or directory" };
                ended.stderr.extend_from_slice(format!("cat: {path}: {why}\n").as_bytes());
                ended.code = 1;
            }
        }
        ended
    }

    fn ls(&self, words: &[&str]) -> Ended {
        let path = words.iter().find(|word| !word.starts_with('-')).copied().unwrap_or("/app");
        let mounted = self.mounts().into_iter().find(|mount| mount.path == path.trim_end_matches('/'));
        if let Some(mount) = mounted {
            let names: String =
                mount.keys(self.store, self.namespace()).iter().map(|key| format!("{key}\n")).collect();
            return Ended::said(names);
        }
        match path {
            "/" => Ended::said("app\nbin\ndev\netc\nproc\nsys\ntmp\nusr\nvar\n"),
            "/app" | "." => Ended::said("main.py\nrequirements.txt\n"),
            "/tmp" => Ended::said(""),
            _ => Ended::failed(2, format!("ls: cannot access '{path}': No such file or directory\n")),
        }
    }

    fn df(&self) -> Ended {
        let mut table = String::from("Filesystem      Size  Used Avail Use% Mounted on\n");
        table.push_str(
            "overlay          80G   31G   49G  39% /\ntmpfs            64M     0   64M   0% /dev\n",
        );
        table.push_str("/dev/nvme0n1p1   80G   31G   49G  39% /etc/hosts\nshm              64M     0   64M   0% /dev/shm\n");
        for mount in self.mounts() {
            table.push_str(&format!("tmpfs           2.0G  4.0K  2.0G   1% {}\n", mount.path));
        }
        Ended::said(table)
    }

    /// The container's environment; what comes from Secrets is left out.
    fn printenv(&self, name: Option<&str>) -> Ended {
        let mut variables = vec![("HOSTNAME".to_owned(), text(&self.pod["metadata"]["name"]).to_owned())];
        let spec = self.spec();
        for source in items(&spec["envFrom"]) {
            if let Some(map) = self.config_map(&source["configMapRef"]["name"]) {
                let prefix = text(&source["prefix"]);
                let data = map["data"].as_object().cloned().unwrap_or_default();
                variables.extend(
                    data.iter().map(|(key, value)| (format!("{prefix}{key}"), text(value).to_owned())),
                );
            }
        }
        for variable in items(&spec["env"]) {
            let from = &variable["valueFrom"];
            let value = if variable["value"].is_string() {
                Some(text(&variable["value"]).to_owned())
            } else if from["configMapKeyRef"].is_object() {
                let map = self.config_map(&from["configMapKeyRef"]["name"]);
                map.and_then(|map| {
                    Some(map["data"][text(&from["configMapKeyRef"]["key"])].as_str()?.to_owned())
                })
            } else {
                let path = text(&from["fieldRef"]["fieldPath"]).replace('.', "/");
                self.pod.pointer(&format!("/{path}")).and_then(Value::as_str).map(str::to_owned)
            };
            variables.extend(value.map(|value| (text(&variable["name"]).to_owned(), value)));
        }
        match name {
            None => Ended::said(
                variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect::<String>(),
            ),
            Some(name) => match variables.iter().rev().find(|(known, _)| known == name) {
                Some((_, value)) => Ended::said(format!("{value}\n")),
                None => Ended::failed(1, ""),
            },
        }
    }

    fn file(&self, path: &str) -> Option<String> {
        let limit = || text(&self.spec()["resources"]["limits"]["memory"]).to_owned();
        match path {
            "/etc/hostname" => return Some(format!("{}\n", text(&self.pod["metadata"]["name"]))),
            "/etc/resolv.conf" => {
                let namespace = self.namespace();
                return Some(format!(
                    "search {namespace}.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
                ));
            }
            "/sys/fs/cgroup/memory.max" => {
                let bytes =
                    quantity::parse(&limit()).map_or_else(|| "max".to_owned(), |bytes| format!("{bytes:.0}"));
                return Some(format!("{bytes}\n"));
            }
            "/sys/fs/cgroup/memory.current" => {
                let metrics = self
                    .store
                    .get("podmetrics", self.namespace(), text(&self.pod["metadata"]["name"]))?
                    .value();
                let used = items(&metrics["containers"]).find(|one| one["name"] == self.container)?;
                return Some(format!("{:.0}\n", quantity::parse(text(&used["usage"]["memory"]))?));
            }
            _ => {}
        }
        let (directory, key) = path.rsplit_once('/')?;
        let mount = self.mounts().into_iter().find(|mount| mount.path == directory)?;
        let map = self.config_map(&mount.config_map?.into())?;
        Some(map["data"][key].as_str()?.to_owned())
    }

    fn is_secret(&self, path: &str) -> bool {
        self.mounts().iter().any(|mount| mount.secret && path.starts_with(&mount.path))
    }

    fn mounts(&self) -> Vec<Mount> {
        let volumes: Vec<&Value> = items(&self.pod["spec"]["volumes"]).collect();
        items(&self.spec()["volumeMounts"])
            .map(|mount| {
                let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]);
                let source = |kind: &str| volume.map_or(&Value::Null, |volume| &volume[kind]);
                Mount {
                    path: text(&mount["mountPath"]).trim_end_matches('/').to_owned(),
                    config_map: source("configMap")["name"].as_str().map(str::to_owned),
                    secret: source("secret").is_object(),
                }
            })
            .collect()
    }

    fn spec(&self) -> &Value {
        items(&self.pod["spec"]["containers"])
            .find(|container| container["name"] == self.container)
            .unwrap_or(&Value::Null)
    }

    fn namespace(&self) -> &str {
        text(&self.pod["metadata"]["namespace"])
    }

    fn config_map(&self, name: &Value) -> Option<Value> {
        Some(self.store.get("configmaps", self.namespace(), name.as_str()?)?.value())
    }
}

struct Mount {
    path: String,
    config_map: Option<String>,
    secret: bool,
}

impl Mount {
    fn keys(&self, store: &Store, namespace: &str) -> Vec<String> {
        let Some(name) = &self.config_map else { return Vec::new() };
        let map = store.get("configmaps", namespace, name).map(|map| map.value()).unwrap_or_default();
        map["data"].as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect()
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
