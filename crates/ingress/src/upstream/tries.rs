//! One request's way to a node that answers it.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    time::{Duration, Instant},
};

use foreshift_wire::{NodeId, Overflow, Retry, SessionId};
use smallvec::SmallVec;

use super::{
    budget::Budget,
    policy::{Asked, Cause, Enough, Next, Policy},
    room::{Full, Retrying, Streaming, Ticket},
};
use crate::{
    connections::Connection,
    http1::Reject,
    live::Live,
    node::Node,
    reigns::Carried,
    worker::{Pool, Worker},
};

/// What a pool sends again, in one worker.
pub(crate) struct Resending {
    config: RefCell<Retry>,
    policy: Live<Policy>,
    /// Something may be sent twice: requests pay into the budget.
    resends: Cell<bool>,
    budget: RefCell<Budget>,
    over_budget: Cell<u64>,
}

impl Resending {
    pub(crate) fn new(retry: &Retry, workers: u16) -> Self {
        let policy = Policy::new(retry);
        Self {
            config: RefCell::new(retry.clone()),
            resends: Cell::new(policy.resends()),
            policy: Live::new(policy),
            budget: RefCell::new(budget(retry, workers)),
            over_budget: Cell::new(0),
        }
    }

    /// Takes new settings; where they are the old ones, what is left of the budget stays.
    pub(crate) fn renew(&self, retry: &Retry, workers: u16) {
        if *self.config.borrow() == *retry {
            return;
        }
        let policy = Policy::new(retry);
        self.resends.set(policy.resends());
        self.policy.set(policy);
        self.budget.replace(budget(retry, workers));
        self.config.replace(retry.clone());
    }

    /// How often the budget was not enough since the last call.
    pub(crate) fn take_over_budget(&self) -> u64 {
        self.over_budget.take()
    }
}

fn budget(retry: &Retry, workers: u16) -> Budget {
    Budget::new(
        retry.budget,
        retry.budget_min_per_second / f64::from(workers.max(1)),
    )
}

/// One request, from the choice of its node to the end of its last try.
pub(crate) struct Tries<'a> {
    worker: &'a Worker,
    pool: &'a Pool,
    connection: &'a Connection,
    session: SessionId,
    node: Rc<Node>,
    /// What that is told of the session's state.
    carried: Option<Carried>,
    ticket: Option<Ticket>,
    /// Of the try under way, where something is sent again.
    retrying: Option<Retrying>,
    /// Where the next try goes.
    planned: Option<(Rc<Node>, Retrying)>,
    tried: SmallVec<[NodeId; 2]>,
    /// Tries so far, with the one under way.
    count: u8,
    since: Instant,
}

impl<'a> Tries<'a> {
    /// Finds the session's node, and waits for room there. `stream`: the request may open a stream that outlives it.
    pub(crate) async fn begin(
        worker: &'a Worker,
        pool: &'a Pool,
        connection: &'a Connection,
        session: SessionId,
        stream: bool,
    ) -> Result<Self, Reject> {
        let (node, own) = worker.route(pool, session, stream).await.ok_or(Reject::NO_NODE)?;
        connection.busy_since.set(Some(Instant::now()));
        let (node, ticket) = match Ticket::take(&node) {
            Some(ticket) => (node, ticket),
            None => let_in(worker, pool, connection, session, node).await?,
        };
        if pool.resending.resends.get() {
            pool.resending.budget.borrow_mut().sent();
        }
        let mut tries = Self {
            worker,
            pool,
            connection,
            session,
            node,
            carried: None,
            ticket: Some(ticket),
            retrying: None,
            planned: None,
            tried: SmallVec::new(),
            count: 1,
            since: Instant::now(),
        };
        if let Some(own) = own.filter(|_| pool.table.carries() && !tries.is_served_there()) {
            tries.take_over_from(&own.id).await?;
        }
        Ok(tries)
    }

    /// The connection's last request of this session was answered there too.
    fn is_served_there(&self) -> bool {
        let now = self.connection.node.borrow();
        now.as_ref().is_some_and(|now| Rc::ptr_eq(now, &self.node)) && self.connection.reign.get().is_some()
    }

    /// Has the session's kept state follow it from a node that does not answer.
    async fn take_over_from(&mut self, dead: &NodeId) -> Result<(), Reject> {
        let (pool, to) = (self.connection.pool, &self.node.id);
        match self.worker.take_over(pool, self.session, dead, to).await {
            Ok(carried) => {
                self.carried = Some(carried);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(node = %to, %dead, %error, "a session's state could not go on to a node");
                Err(Reject::NO_STATE)
            }
        }
    }

    /// What the node of the try under way is told beside since when it serves the session: once, with whichever request comes first.
    pub(crate) fn carried(&mut self) -> Option<&Carried> {
        if self.carried.is_none() {
            self.carried = self.pool.letters.take(self.session, Instant::now());
        }
        self.carried.as_ref()
    }

    /// The node of the try under way.
    pub(crate) fn node(&self) -> &Rc<Node> {
        &self.node
    }

    /// Connects by `connect`; where that fails, to the next node that takes a connection.
    pub(crate) async fn connect<T>(
        &mut self,
        connect: impl AsyncFn(&Rc<Node>) -> io::Result<T>,
    ) -> Result<T, Reject> {
        loop {
            self.worker.serve_by(self.connection, &self.node);
            if let Ok(connected) = connect(&self.node).await {
                return Ok(connected);
            }
            let anything = Asked {
                idempotent: false,
                whole: false,
            };
            let Some(other) = self.elsewhere() else {
                return Err(Reject::UNREACHABLE);
            };
            if self.decide(Cause::Connect, anything).is_none() {
                return Err(Reject::UNREACHABLE);
            }
            self.go_to(other).await?;
        }
    }

    /// The time that the try under way has to begin its answer.
    pub(crate) fn time(&self, asked: Asked) -> Duration {
        let policy = self.pool.resending.policy.get();
        policy.time_of_try(self.count, asked, self.left(Instant::now()))
    }

    fn left(&self, now: Instant) -> Duration {
        let whole = self.pool.config().request_timeout.get();
        match self.count {
            1 => whole,
            _ => whole.saturating_sub(now.saturating_duration_since(self.since)),
        }
    }

    /// Whether what was sent is to be sent again after this try ended by `cause`, and after which wait. Where it is,
    /// [`Self::again`] follows.
    pub(crate) fn next(&mut self, cause: Cause, asked: Asked) -> Option<Duration> {
        let wait = self.decide(cause, asked)?;
        let node = match self.keeps_node() {
            true => self.node.clone(),
            false => self.elsewhere().unwrap_or_else(|| self.node.clone()),
        };
        self.retrying = None;
        let retrying = node.room.retry()?;
        self.planned = Some((node, retrying));
        Some(wait)
    }

    fn decide(&self, cause: Cause, asked: Asked) -> Option<Duration> {
        let (now, resending) = (Instant::now(), &self.pool.resending);
        let next = resending.policy.get().next(
            (self.count, cause, asked),
            (now, self.left(now)),
            &mut resending.budget.borrow_mut(),
            rand::random(),
        );
        match next {
            Next::Again(wait) => Some(wait),
            Next::Enough(Enough::Budget) => {
                resending.over_budget.set(resending.over_budget.get() + 1);
                None
            }
            Next::Enough(_) => None,
        }
    }

    /// Waits, and begins the try that [`Self::next`] planned.
    pub(crate) async fn again(&mut self, wait: Duration) -> Result<(), Reject> {
        let Some((node, retrying)) = self.planned.take() else {
            return Err(Reject::UNREACHABLE);
        };
        tokio::time::sleep(wait).await;
        node.counts.retries.set(node.counts.retries.get() + 1);
        self.go_to(node).await?;
        self.retrying = Some(retrying);
        Ok(())
    }

    /// The session's state is on this node and nowhere else.
    fn keeps_node(&self) -> bool {
        let (config, connection) = (self.pool.config(), self.connection);
        let has_hook = config.handoff_path.is_some() && config.resume_path.is_some();
        has_hook
            || self.pool.table.carries()
            || self.worker.connections.streams_of(connection.pool, self.session) > 0
    }

    /// The next node that has not failed this request.
    fn elsewhere(&self) -> Option<Rc<Node>> {
        let mut tried = self.tried.clone();
        tried.push(self.node.id.clone());
        self.pool.table.none_of(self.session, &tried, Instant::now())
    }

    async fn go_to(&mut self, node: Rc<Node>) -> Result<(), Reject> {
        self.count += 1;
        if Rc::ptr_eq(&node, &self.node) {
            return Ok(());
        }
        self.tried.push(self.node.id.clone());
        self.ticket = None;
        let ticket = match Ticket::take(&node) {
            Some(ticket) => ticket,
            None => wait(&node).await?,
        };
        let before = std::mem::replace(&mut self.node, node);
        self.ticket = Some(ticket);
        self.carried = None;
        if self.pool.table.carries() {
            self.take_over_from(&before.id).await?;
        }
        Ok(())
    }

    /// The request ended, or became a stream, which is counted by itself.
    pub(crate) fn leave(&mut self) {
        self.ticket = None;
        self.retrying = None;
    }

    /// It became a stream that stays where it is.
    pub(crate) fn into_stream(self) -> Streaming {
        Streaming::begin(self.node)
    }

    /// What holds the request's place at its node, for as long as its answer takes.
    pub(crate) fn into_place(self) -> Place {
        Place {
            _ticket: self.ticket,
            _retrying: self.retrying,
        }
    }
}

/// A request's place at its node; given back when dropped.
pub(crate) struct Place {
    _ticket: Option<Ticket>,
    _retrying: Option<Retrying>,
}

/// The way in where the session's own node is full.
async fn let_in(
    worker: &Worker,
    pool: &Pool,
    connection: &Connection,
    session: SessionId,
    node: Rc<Node>,
) -> Result<(Rc<Node>, Ticket), Reject> {
    let overflow = pool.config().circuit.as_ref().map(|circuit| circuit.overflow);
    let has_streams = || worker.connections.streams_of(connection.pool, session) > 0;
    if overflow == Some(Overflow::Next) && !pool.table.carries() && !has_streams() {
        let now = Instant::now();
        let free = |node: &Node| node.room.is_free();
        if let Some(other) = pool.table.one_that(session, free, now)
            && let Some(ticket) = Ticket::take(&other)
        {
            node.counts.overflowed.set(node.counts.overflowed.get() + 1);
            return Ok((other, ticket));
        }
    }
    let ticket = wait(&node).await?;
    Ok((node, ticket))
}

async fn wait(node: &Rc<Node>) -> Result<Ticket, Reject> {
    let counts = &node.counts;
    Ticket::wait(node).await.map_err(|full| {
        let count = match full {
            Full::Queue => &counts.queue_full,
            Full::Wait => &counts.waited_in_vain,
        };
        count.set(count.get() + 1);
        Reject::FULL_NODE
    })
}
