//! The way back from an action as a later session may take it: one that names no secret, and is pinned to the objects
//! as they were left. What a session keeps in its memory alone goes with it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{Kind, Name};
use crate::guard::{Pin, Undo};

/// A way back on disk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WayBack {
    action: Value,
    says: String,
    left: Vec<Left>,
}

/// An object as it was left.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Left {
    #[serde(flatten)]
    pin: Pin,
    /// [`Pin::content`], which tells whether somebody moved it since. Never that of a Secret.
    content: Name,
}

impl WayBack {
    /// None for what a later session could not take, or not safely.
    pub(super) fn of(undo: &Undo) -> Option<Self> {
        if undo.left.is_empty() || undo.action.masked() != undo.action {
            return None;
        }
        let left = |pin: &Pin| {
            let is_held = pin.uid.is_some() && pin.object.kind != Kind::Secret;
            let content = pin.content.clone().filter(|_| is_held)?;
            Some(Left { pin: Pin { content: None, ..pin.clone() }, content })
        };
        Some(Self {
            action: serde_json::to_value(&undo.action).ok()?,
            says: undo.says.clone(),
            left: undo.left.iter().map(left).collect::<Option<_>>()?,
        })
    }

    /// To be previewed like any other. None where this build does not know the action.
    pub fn undo(&self) -> Option<Undo> {
        let left =
            self.left.iter().map(|left| Pin { content: Some(left.content.clone()), ..left.pin.clone() });
        Some(Undo {
            action: serde_json::from_value(self.action.clone()).ok()?,
            says: self.says.clone(),
            left: left.collect(),
        })
    }
}
