//! The shell command that is equivalent to what is looked at, for the clipboard.

use super::event::Effect;
use super::panel::Panel;
use super::{App, Focus, Layer};
use crate::domain::{Action, AnomalyId, Kind, ObjectRef, Subject, Tone};

impl App {
    /// The command that is equivalent to what is looked at.
    pub(super) fn copy(&mut self) -> Vec<Effect> {
        let Some(command) = self.command_at_hand().filter(|command| !command.is_empty()) else {
            self.say(Tone::Dim, "nothing here has an equivalent command");
            return Vec::new();
        };
        self.say(Tone::Good, format!("copied: {command}"));
        vec![Effect::Copy(command)]
    }

    pub fn command_at_hand(&self) -> Option<String> {
        let describe = |object: ObjectRef| Action::Describe { object }.as_command();
        match self.layers.last() {
            Some(Layer::Object(object)) => Some(object.command()),
            Some(Layer::Text(layer)) => layer.command.clone(),
            Some(Layer::Act) => self.act.as_ref().map(|act| act.action.as_command()),
            Some(Layer::Journal(journal)) => {
                self.journal.iter().rev().nth(journal.cursor).map(|record| record.command.clone())
            }
            Some(Layer::Table(table)) => {
                let key = table.order.get(table.position())?.clone();
                match table.panel {
                    Panel::Pods => Some(describe(ObjectRef::new(Kind::Pod, key))),
                    Panel::Nodes => Some(describe(ObjectRef::new(Kind::Node, key))),
                    Panel::Autoscalers => Some(describe(ObjectRef::new(Kind::HorizontalPodAutoscaler, key))),
                    _ => None,
                }
            }
            Some(_) => None,
            None => match self.focus {
                Focus::Playbook => Some(self.dossier()?.step()?.action.as_ref()?.as_command()),
                Focus::Anomalies => self.selection.anomaly.as_ref().and_then(|id| self.subject_command(id)),
                Focus::Panel(Panel::Pods) => {
                    let namespace = self.options.namespace.clone().unwrap_or_default();
                    Some(
                        Action::ListPods { namespace, selector: None, node: None, waiting: Vec::new() }
                            .as_command(),
                    )
                }
                Focus::Panel(Panel::Nodes) => Some(Action::ListNodes.as_command()),
                Focus::Panel(_) => None,
            },
        }
    }

    fn subject_command(&self, id: &AnomalyId) -> Option<String> {
        match &self.dossiers.get(id)?.anomaly.subject {
            Subject::Object(object) => Some(Action::Describe { object: object.clone() }.as_command()),
            _ => None,
        }
    }
}
