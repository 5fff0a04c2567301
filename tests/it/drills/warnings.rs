//! What would make it worse, made into real actions and previewed: does a guard warn of it before it is done?

use covet_tui::app::{Known, is_like};
use covet_tui::domain::{Action, Snapshot};
use covet_tui::guard::{Guard, Level};
use covet_tui::lab::Drill;
use serde_json::{Value, json};

use super::player::Player;

const SPACE: &str = "covetpy-production";
const APP: &str = "covetpy-app";

/// Whether what is pending can only be previewed once the fix is done: it brings back what was broken.
pub fn comes_after(does: &Value) -> bool {
    does.get("to_revision") == Some(&json!("broken"))
}

/// Suggestions that are among what makes it worse.
pub fn harmful(drill: &Drill, suggested: &[Action], snapshot: &Snapshot) -> Vec<String> {
    let known = Known { snapshot, object: &drill.root.object, broken: None };
    let like = |does: &Value| {
        suggested.iter().any(|action| is_like(does, &serde_json::to_value(action).unwrap(), &known))
    };
    drill
        .worse
        .iter()
        .filter(|step| step.does.as_ref().is_some_and(like))
        .map(|step| step.says.clone())
        .collect()
}

impl Player<'_> {
    /// Previews what makes it worse, now or after the fix; what nobody warned of.
    pub async fn unwarned(&mut self, after: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        let steps = self.drill.worse.iter().filter_map(|step| Some((step, step.does.clone()?)));
        for (step, does) in steps.filter(|(_, does)| comes_after(does) == after).collect::<Vec<_>>() {
            let guards: Vec<Guard> = step
                .warned_by
                .iter()
                .map(|name| serde_json::from_value(json!(name)).expect("a guard's name"))
                .collect();
            let action = match self.concrete(&does) {
                Ok(action) => action,
                Err(why) => {
                    wrong.push(format!("{} is no action: {why}", step.id));
                    continue;
                }
            };
            match self.preview(action).await {
                Err(refused) => self.tell(format!("{} would be refused: {refused}", step.id)),
                Ok(preview) => {
                    let warned = |guard: Guard, level: Level| level >= Level::Warn && guards.contains(&guard);
                    let says: Vec<String> = preview
                        .hazards
                        .iter()
                        .map(|hazard| format!("{:?} {}", hazard.level, hazard.says))
                        .collect();
                    self.tell(format!("{} would be warned of: {}", step.id, says.join("; ")));
                    if !preview.hazards.iter().any(|hazard| warned(hazard.guard, hazard.level)) {
                        wrong.push(format!(
                            "no guard of {:?} warned of {}: {says:?}",
                            step.warned_by, step.id
                        ));
                    }
                }
            }
        }
        wrong
    }

    /// The pattern with its words replaced by what they stand for now, on the app where it names nothing else.
    fn concrete(&self, does: &Value) -> Result<Action, String> {
        let mut action = does.clone();
        let app = json!({"namespace": SPACE, "name": APP});
        let mut default = |name: &str, value: Value| {
            let fields = action.as_object_mut().unwrap();
            fields.entry(name).or_insert(value);
        };
        match does["action"].as_str().unwrap_or_default() {
            "scale" => default("object", json!({"kind": "Deployment", "key": app})),
            "patch" => {
                default("object", json!({"kind": "Deployment", "key": app}));
                default("kind", json!("strategic"));
            }
            "rollout-undo" | "rollout-restart" | "set-resources" | "set-image" => {
                default("object", json!({"kind": "Deployment", "key": app}))
            }
            "patch-status" => {
                let row = json!({"type": "Issuing", "status": "True", "reason": "ManuallyTriggered"});
                default("body", json!({"status": {"conditions": [row]}}));
            }
            "alerting" if does["does"] == "restart-prometheus" => default("pod", self.prometheus()),
            "drain" => {
                let timeout = json!({"secs": 300, "nanos": 0});
                default("options", json!({"delete_empty_dir": true, "force": false, "timeout": timeout}));
            }
            _ => {}
        }
        self.replace_words(&mut action);
        serde_json::from_value(action.clone()).map_err(|why| format!("{why}: {action}"))
    }

    /// The pod of Prometheus, as it is targeted.
    fn prometheus(&self) -> Value {
        let seen = self.table.app().snapshot.monitoring.as_ref();
        let pod = seen.and_then(|seen| seen.pods.iter().flatten().next());
        json!(pod.map(|pod| json!({"key": pod.key, "uid": pod.uid})))
    }

    fn replace_words(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => fields.values_mut().for_each(|value| self.replace_words(value)),
            Value::Array(items) => items.iter_mut().for_each(|value| self.replace_words(value)),
            Value::String(word) => {
                if let Some(amount) = word.strip_prefix("at least ") {
                    *value = json!(amount);
                } else if let Some(meaning) = self.meaning(word) {
                    *value = meaning;
                }
            }
            _ => {}
        }
    }

    fn meaning(&self, word: &str) -> Option<Value> {
        let snapshot = &self.table.app().snapshot;
        match word {
            "ready" => {
                let app = snapshot.deployments.iter().find(|deployment| &*deployment.key.name == APP)?;
                let mut pods = snapshot.pods_of(app);
                pods.retain(|pod| pod.is_ready());
                Some(pods.iter().map(|pod| json!({"key": pod.key, "uid": pod.uid})).collect())
            }
            "other" => {
                let app = snapshot.deployments.iter().find(|deployment| &*deployment.key.name == APP)?;
                let pods = snapshot.pods_of(app);
                let serving =
                    |name: &str| pods.iter().any(|pod| pod.is_ready() && pod.node.as_deref() == Some(name));
                let node = snapshot.nodes.iter().find(|node| node.is_ready() && serving(&node.key.name))?;
                Some(json!(node.key.name))
            }
            "broken" => self.named.as_ref()?.broken.map(Value::from),
            _ => None,
        }
    }
}
