//! Who waits for whom: the forest of lock waits, from what the server says of each session that waits or is
//! waited for. Cycles end by themselves (the server breaks deadlocks after a second) and are no roots.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{LockRoot, Name};

/// A session that waits for locks, or is waited for.
#[derive(Clone, PartialEq, Debug)]
pub struct Locked {
    pub session: LockRoot,
    /// Who stands in its way, as `pg_blocking_pids` says; 0 is a prepared transaction.
    pub blocked_by: Vec<i32>,
    /// How long its present statement has been running, its wait with it.
    pub running: Option<Duration>,
}

/// The sessions that block others and wait for nobody, with the number of those behind them, most first.
pub fn lock_roots(sessions: &[Locked]) -> Vec<LockRoot> {
    let behind = behind(sessions);
    let mut roots: Vec<LockRoot> = sessions
        .iter()
        .filter(|locked| locked.blocked_by.is_empty())
        .map(|locked| {
            let mut seen = BTreeSet::new();
            collect(locked.session.pid, &behind, &mut seen);
            LockRoot { blocked: seen.len() as u32, ..locked.session.clone() }
        })
        .filter(|root| root.blocked > 0)
        .collect();
    roots.sort_by(|one, other| other.blocked.cmp(&one.blocked).then(one.pid.cmp(&other.pid)));
    roots
}

/// How long the longest has been waiting: since its statement began, at most.
pub fn longest_wait(sessions: &[Locked]) -> Option<Duration> {
    sessions.iter().filter(|locked| !locked.blocked_by.is_empty()).filter_map(|locked| locked.running).max()
}

/// Whose sessions wait, each once.
pub fn lock_waiters(sessions: &[Locked]) -> Vec<Name> {
    let waiters = sessions.iter().filter(|locked| !locked.blocked_by.is_empty());
    let names: BTreeSet<&Name> = waiters.map(|locked| locked.session.who()).collect();
    names.into_iter().cloned().collect()
}

/// The forest as it is drawn: depth and session, every session once.
pub fn lock_tree(sessions: &[Locked]) -> Vec<(usize, &Locked)> {
    let behind = behind(sessions);
    let by_pid: BTreeMap<i32, &Locked> = sessions.iter().map(|locked| (locked.session.pid, locked)).collect();
    let mut drawn = BTreeSet::new();
    let mut tree = Vec::new();
    let roots = lock_roots(sessions);
    let mut open: Vec<(usize, i32)> = roots.iter().rev().map(|root| (0, root.pid)).collect();
    while let Some((depth, pid)) = open.pop() {
        let Some(locked) = by_pid.get(&pid).filter(|_| drawn.insert(pid)) else { continue };
        tree.push((depth, *locked));
        let next = behind.get(&pid).into_iter().flatten().rev();
        open.extend(next.map(|pid| (depth + 1, *pid)));
    }
    tree
}

fn behind(sessions: &[Locked]) -> BTreeMap<i32, Vec<i32>> {
    let mut behind: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for locked in sessions {
        for blocker in &locked.blocked_by {
            behind.entry(*blocker).or_default().push(locked.session.pid);
        }
    }
    behind
}

fn collect(pid: i32, behind: &BTreeMap<i32, Vec<i32>>, seen: &mut BTreeSet<i32>) {
    for next in behind.get(&pid).into_iter().flatten() {
        if seen.insert(*next) {
            collect(*next, behind, seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(pid: i32, blocked_by: &[i32]) -> Locked {
        let session = LockRoot {
            pid,
            backend_start: crate::domain::Timestamp::UNIX_EPOCH,
            database: "shop".into(),
            role: "app".into(),
            superuser: false,
            application: "web".into(),
            state: "active".into(),
            transaction: None,
            query: "".into(),
            blocked: 0,
        };
        Locked { session, blocked_by: blocked_by.to_vec(), running: None }
    }

    #[test]
    fn a_chain_has_one_root_and_counts_everybody_behind_it() {
        let sessions = [locked(4, &[3]), locked(3, &[1]), locked(1, &[]), locked(2, &[1]), locked(9, &[])];
        let roots = lock_roots(&sessions);
        assert_eq!(roots.iter().map(|root| (root.pid, root.blocked)).collect::<Vec<_>>(), [(1, 3)]);
        let tree: Vec<(usize, i32)> =
            lock_tree(&sessions).into_iter().map(|(depth, locked)| (depth, locked.session.pid)).collect();
        assert_eq!(tree, [(0, 1), (1, 3), (2, 4), (1, 2)]);
    }

    #[test]
    fn a_queue_is_counted_once_and_a_deadlock_has_no_root() {
        // the third waits for the holder and for the second, who is before it in the queue
        let roots = lock_roots(&[locked(1, &[]), locked(2, &[1]), locked(3, &[1, 2])]);
        assert_eq!(roots[0].blocked, 2);
        assert!(lock_roots(&[locked(1, &[2]), locked(2, &[1])]).is_empty());
    }
}
