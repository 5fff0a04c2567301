//! The nodes there are, as the watch of nodes tells them: for eyes that ask node by node.

use tokio::sync::watch;

use crate::domain::{Blind, Delta, Fact, Key, Keyed, Name, Node, Observation, Origin, Status, Table};

/// What the watch of nodes has told so far.
#[derive(Clone, Default)]
pub(super) struct Nodes {
    table: Table<OnRoll>,
    blind: Option<Blind>,
    alarms: u32,
}

#[derive(Clone)]
struct OnRoll {
    key: Key,
    under_pressure: bool,
}

impl Keyed for OnRoll {
    fn key(&self) -> &Key {
        &self.key
    }
}

/// The names on it, those under disk pressure apart.
#[derive(Default, PartialEq, Eq, Debug)]
pub(super) struct Called {
    pub under_pressure: Vec<Name>,
    /// In the order of their names.
    pub others: Vec<Name>,
}

impl Called {
    pub(super) fn is_empty(&self) -> bool {
        self.under_pressure.is_empty() && self.others.is_empty()
    }
}

/// Hears what the eye of the nodes says to everybody.
pub(super) struct Clerk(watch::Sender<Nodes>);

/// Reads the roll.
pub(super) struct Roll {
    nodes: watch::Receiver<Nodes>,
    /// Where it stood when it was last called.
    stood: Stand,
}

/// Whether the nodes are listed, whether they cannot be seen, and how often one began to tell of disk pressure.
type Stand = (bool, bool, u32);

pub(super) fn open() -> (Clerk, Roll) {
    let (written, read) = watch::channel(Nodes::default());
    (Clerk(written), Roll { nodes: read, stood: Stand::default() })
}

impl Clerk {
    pub(super) fn hear(&self, said: &Observation) {
        match &said.seen {
            Ok(Fact::Nodes(delta)) => self.0.send_modify(|nodes| nodes.note(delta)),
            Err(blind) if said.origin == Origin::Nodes => {
                self.0.send_modify(|nodes| nodes.blind = Some(blind.clone()));
            }
            _ => {}
        }
    }
}

impl Nodes {
    fn note(&mut self, delta: &Delta<Node>) {
        self.blind = None;
        let delta = match delta {
            Delta::Relisting => Delta::Relisting,
            Delta::Listed => Delta::Listed,
            Delta::Gone(keys) => Delta::Gone(keys.clone()),
            Delta::Seen(nodes) => Delta::Seen(nodes.iter().map(|node| self.enrol(node)).collect()),
        };
        self.table.fold(delta);
    }

    fn stand(&self) -> Stand {
        (self.table.is_listed(), self.blind.is_some(), self.alarms)
    }

    fn enrol(&mut self, node: &Node) -> OnRoll {
        let under_pressure =
            node.condition("DiskPressure").is_some_and(|condition| condition.status == Status::True);
        let before = self.table.get(&node.key).is_some_and(|before| before.under_pressure);
        if under_pressure && !before {
            self.alarms += 1;
        }
        OnRoll { key: node.key.clone(), under_pressure }
    }
}

impl Roll {
    /// Who is there; before the first complete list, why that cannot be known.
    pub(super) fn call(&mut self) -> Result<Called, Blind> {
        let nodes = self.nodes.borrow_and_update();
        self.stood = nodes.stand();
        match &nodes.blind {
            Some(blind) if !nodes.table.is_listed() => return Err(blind.clone()),
            _ => {}
        }
        let mut called = Called::default();
        for row in nodes.table.iter() {
            let names = if row.under_pressure { &mut called.under_pressure } else { &mut called.others };
            names.push(row.key.name.clone());
        }
        called.others.sort();
        Ok(called)
    }

    /// Whether all nodes had been listed when it was called.
    pub(super) fn is_complete(&self) -> bool {
        self.stood.0
    }

    /// Until the nodes are listed for the first time, it turns out that they cannot be seen, or one more tells of disk
    /// pressure than when it was called.
    pub(super) async fn alarm(&mut self) {
        let stood = self.stood;
        if self.nodes.wait_for(|nodes| nodes.stand() != stood).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::eyes::kubernetes::names::Names;
    use crate::eyes::kubernetes::node;

    fn node(name: &str, pressure: &str) -> Node {
        let wire = json!({ "metadata": { "name": name, "uid": name, "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z" },
            "status": { "conditions": [{ "type": "DiskPressure", "status": pressure }] } });
        node::read(serde_json::from_value(wire).unwrap(), &mut Names::default()).unwrap()
    }

    #[tokio::test]
    async fn pressure_is_an_alarm_once_and_is_asked_first() {
        let (clerk, mut roll) = open();
        let say = |nodes: Delta<Node>| clerk.0.send_modify(|roll| roll.note(&nodes));
        say(Delta::Relisting);
        say(Delta::Seen(vec![node("b", "False"), node("c", "False"), node("a", "False")]));
        say(Delta::Listed);
        roll.alarm().await;
        assert_eq!(roll.call().map(|called| called.others), Ok(vec!["a".into(), "b".into(), "c".into()]));
        assert!(futures::poll!(Box::pin(roll.alarm())).is_pending());
        say(Delta::Seen(vec![node("b", "True")]));
        roll.alarm().await;
        let called = Called { under_pressure: vec!["b".into()], others: vec!["a".into(), "c".into()] };
        assert_eq!(roll.call(), Ok(called));
        say(Delta::Seen(vec![node("b", "True")]));
        assert!(futures::poll!(Box::pin(roll.alarm())).is_pending());
    }

    #[tokio::test]
    async fn not_seeing_nodes_is_not_having_none() {
        let (clerk, mut roll) = open();
        let blind = Blind {
            kind: crate::domain::BlindKind::Refused,
            why: "nodes are forbidden".into(),
            repair: None,
            since: crate::domain::Timestamp::UNIX_EPOCH,
        };
        assert_eq!(roll.call(), Ok(Called::default()), "nothing is known yet");
        clerk.hear(&Observation { at: blind.since, origin: Origin::Nodes, seen: Err(blind.clone()) });
        assert!(
            futures::poll!(Box::pin(roll.alarm())).is_ready(),
            "whoever waits for them need not any longer"
        );
        assert_eq!(roll.call(), Err(blind));
    }

    #[tokio::test]
    async fn that_there_are_no_nodes_is_known_once_they_are_listed() {
        let (clerk, mut roll) = open();
        assert!(roll.call().is_ok_and(|called| called.is_empty()) && !roll.is_complete());
        clerk
            .0
            .send_modify(|roll| [Delta::Relisting, Delta::Listed].iter().for_each(|delta| roll.note(delta)));
        roll.alarm().await;
        assert!(roll.call().is_ok_and(|called| called.is_empty()) && roll.is_complete());
    }
}
