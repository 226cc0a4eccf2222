//! Issues keys that suit: what a worker knows of its nodes, for [`super::newcomer`].

use std::{rc::Rc, time::Instant};

use foreshift_placement::Keyed;
use foreshift_wire::NodeState;

use super::newcomer::{Candidate, Fit, choose, fit_of, fits};
use crate::{
    key::{self, Key},
    node::Node,
    table::{Snapshot, Table},
};

/// The key to issue to a client that has none: `first`, unless its node is left out, is full, or is in another zone than
/// preferred. `preference` is the pool's `zone_preference`.
pub(crate) fn key_to_issue(
    table: &Table,
    keyed: &Keyed,
    first: Key,
    preference: Option<f64>,
    now: Instant,
) -> Key {
    let choose = |snapshot: &Snapshot, nodes: &[Rc<Node>]| {
        let place = |key: &Key| snapshot.map.lookup(keyed.session(key)).map(|i| usize::from(i.0));
        let usable =
            |n: usize| snapshot.map.nodes()[n].state == NodeState::Ready && !nodes[n].is_avoided(now);
        let at = place(&first);
        let plain = at.map(|n| fit_of(usable(n), nodes[n].room.is_free()));
        if preference.is_none() && plain == Some(Fit::Best) {
            return first.clone();
        }
        let candidate = |n: usize| Candidate {
            weight: snapshot.map.nodes()[n].weight,
            load: f64::from(nodes[n].connections()) + nodes[n].issued.lately(now),
            usable: usable(n),
            free: nodes[n].room.is_free(),
            own_zone: snapshot.own_zone[n],
        };
        let candidates: Vec<_> = (0..nodes.len()).map(candidate).collect();
        let fits = fits(&candidates, preference);
        let draw = || {
            let key = key::fresh();
            let at = place(&key);
            (key, at)
        };
        let (key, at) = choose(&candidates, &fits, (first.clone(), at), draw);
        if let Some(at) = at.filter(|_| preference.is_some()) {
            nodes[at].issued.add(now);
        }
        key
    };
    table.survey(choose).unwrap_or(first)
}
