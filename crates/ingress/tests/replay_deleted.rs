//! Nodes that have copies of a session that ended are told to delete them.

mod common;

use std::sync::Arc;

use common::{
    Cluster, node_id,
    state::{Manner, StateNode, Store},
};
use foreshift_wire::{Epoch, PoolName};

const EPOCH: Epoch = Epoch(77);

struct Stage {
    cluster: Cluster,
    nodes: Vec<StateNode>,
    store: Store,
}

impl Stage {
    async fn over(pool: &str) -> Self {
        let store = Store::default();
        let nodes = vec![
            StateNode::start(0, &store).await,
            StateNode::start(1, &store).await,
            StateNode::start(2, &store).await,
        ];
        let addresses: Vec<_> = nodes.iter().map(|n| n.address).collect();
        let state = Arc::new(store.clone());
        let cluster = Cluster::carrying("", &addresses, pool, &["cart"], state).await;
        Self {
            cluster,
            nodes,
            store,
        }
    }

    /// The session ended, of which these nodes may have copies.
    fn ends(&self, pool: Option<&str>, copies: &[usize]) {
        let session = self.cluster.session("ann");
        let pool = pool.map(|name| PoolName::new(name).unwrap());
        let copies = copies.iter().map(|n| node_id(*n)).collect();
        self.cluster.ingress.delete_copies(session, pool, EPOCH, copies);
    }

    async fn until(&self, node: usize) {
        self.store.forgotten.until(&format!("n{node}")).await;
    }

    fn told(&self, node: usize, does: &str) -> usize {
        let line = format!("n{node} {does} as it ended (1), reign {EPOCH}");
        self.store.log.lines().iter().filter(|l| **l == line).count()
    }
}

#[tokio::test]
async fn each_is_told_once_and_is_known_to_hold_nothing_then() {
    // Also where nodes fetch what they require: there is a path to say it at.
    for way in ["push", "pull"] {
        let s = Stage::over(&format!("replay_path = \"/replay\"\nreplay = \"{way}\"\n")).await;
        s.ends(Some("app"), &[0, 1, 9]);
        s.until(0).await;
        s.until(1).await;
        // What comes later is behind all that was said before.
        s.ends(None, &[2]);
        s.until(2).await;
        let told = [0, 1, 2].map(|node| s.told(node, "forgets"));
        assert_eq!(told, [1, 1, 1], "{way}: {:?}", s.store.log.lines());
        assert_eq!(s.store.log.lines().len(), 3, "{:?}", s.store.log.lines());
    }
}

#[tokio::test]
async fn one_that_does_not_is_told_again_a_few_times() {
    let s = Stage::over("replay_path = \"/replay\"\n").await;
    s.nodes[0].behaves(Manner::Refuses);
    s.nodes[1].kill();
    s.ends(Some("app"), &[0, 1, 2]);
    s.until(2).await;
    s.until(1).await;
    s.until(0).await;
    assert_eq!((s.told(0, "keeps"), s.told(2, "forgets")), (3, 1));

    s.store.log.take();
    s.store.forgotten.take();
    s.ends(Some("app"), &[0]);
    s.store.log.until("n0 keeps as it ended").await;
    s.nodes[0].behaves(Manner::Takes);
    s.until(0).await;
    let all = (s.told(0, "keeps"), s.told(0, "forgets"));
    assert!((1..3).contains(&all.0) && all.1 == 1, "{all:?}");
}

#[tokio::test]
async fn nodes_of_another_pool_hear_nothing() {
    let s = Stage::over("replay_path = \"/replay\"\n").await;
    s.ends(Some("other"), &[0]);
    s.ends(Some("app"), &[1]);
    s.until(1).await;
    assert_eq!((s.told(0, "forgets"), s.told(1, "forgets")), (0, 1));
}
