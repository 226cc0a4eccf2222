//! Laws of the hand-over, for any order of events: nothing lost, doubled or reordered; it always ends; until the switch the old
//! node serves; and the session's state has one owner, who is the node that serves.

use std::collections::{BTreeMap, VecDeque};

use foreshift_migration::{Action, Event, Handover, Options, State};
use foreshift_wire::{ConnectionId, MoveFailure};
use proptest::prelude::*;

/// A world of one session: clients send numbered messages, the old and the new node note what they get.
struct World {
    handover: Handover,
    streams: BTreeMap<ConnectionId, Stream>,
    /// What the shell's calls will answer, in any order.
    due: VecDeque<Event>,
    quiet: Vec<bool>,
    held_requests: bool,
    state_at: Where,
    finished: Option<Result<(), MoveFailure>>,
    hook: bool,
    old_alive: bool,
    /// The session's state is in a store.
    carry: bool,
    /// What the store says: who may write, since which reign.
    owner: Where,
    epoch: u64,
    /// The new node acknowledged its copy, and what was written since.
    copied: bool,
    caught_up: bool,
    /// Fences that were asked for and neither lifted nor followed by the switch.
    fences: u32,
    /// The hook gave its state.
    given: bool,
    /// It said that there is none.
    stateless: bool,
    /// What was answered once may be said again.
    past: Vec<Event>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Old,
    Travelling,
    New,
}

#[derive(Default)]
struct Stream {
    next: u64,
    paused: bool,
    held: Vec<u64>,
    at_old: Vec<u64>,
    at_new: Vec<u64>,
    switched: bool,
    drained: bool,
}

const WORKERS: u16 = 2;

impl World {
    fn new(streams: u64, hook: bool, carry: bool) -> Self {
        let ids: Vec<_> = (0..streams).map(ConnectionId).collect();
        let (handover, actions) = Handover::start(Options {
            streams: ids.clone(),
            workers: WORKERS,
            hook,
            carry,
        });
        let mut world = Self {
            handover,
            streams: ids.into_iter().map(|id| (id, Stream::default())).collect(),
            due: VecDeque::new(),
            quiet: vec![false; usize::from(WORKERS)],
            held_requests: false,
            state_at: Where::Old,
            finished: None,
            hook,
            old_alive: true,
            carry,
            owner: Where::Old,
            epoch: 1,
            copied: false,
            caught_up: false,
            fences: 0,
            given: false,
            stateless: false,
            past: Vec::new(),
        };
        world.perform(actions);
        world
    }

    fn feed(&mut self, event: Event) {
        let actions = self.handover.on(event);
        assert!(
            self.finished.is_none() || actions.is_empty(),
            "after the end: {actions:?}"
        );
        self.perform(actions);
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Connect(id) => self.due.push_back(Event::Connected(id)),
                Action::Hold => {
                    self.held_requests = true;
                    self.due.extend((0..WORKERS).map(Event::Quiet));
                }
                Action::Pause(id) => {
                    let stream = self.streams.get_mut(&id).expect("a stream of the session");
                    stream.paused = true;
                    self.due.push_back(Event::Paused(id, stream.next));
                }
                Action::HandOff(sent) => {
                    assert!(self.quiet.iter().all(|q| *q), "hook before every worker is quiet");
                    for (id, n) in sent {
                        let stream = &self.streams[&id];
                        assert!(
                            stream.paused && stream.at_old.len() as u64 == n,
                            "hook behind every message"
                        );
                    }
                    self.due.push_back(Event::HandedOff(Some(b"state".to_vec())));
                }
                Action::Copy => self.due.push_back(Event::Copied),
                Action::Fence => {
                    self.assert_old_node_is_done();
                    assert!(self.carry && self.copied, "fenced before its copy was there");
                    self.fences += 1;
                    assert_eq!(self.fences, 1, "fenced twice");
                    self.due.push_back(Event::Fenced);
                }
                Action::CatchUp => {
                    assert_eq!(
                        self.owner,
                        Where::New,
                        "the old node can write on behind what is sent"
                    );
                    self.due.push_back(Event::CaughtUp);
                }
                Action::Unfence => {
                    assert_eq!(self.fences, 1, "lifted what was not set");
                    let fence = |e: &Event| *e == Event::Fenced;
                    assert!(!self.due.iter().any(fence), "lifted before it is known to be set");
                    self.due.push_back(Event::Unfenced);
                }
                Action::Resume(state) => {
                    assert!(!self.carry || self.caught_up, "resumed without its partitions");
                    assert_eq!(state, b"state");
                    self.state_at = Where::New;
                    self.due.push_back(Event::Resumed);
                }
                Action::GiveBack(_) => {
                    self.assert_old_node_owns();
                    self.state_at = Where::Old;
                    self.due.push_back(Event::GivenBack);
                }
                Action::Barrier(id) => self.due.push_back(Event::Drained(id)),
                Action::Open(id) => {
                    assert!(
                        !self.hook || self.stateless || self.state_at != Where::Old,
                        "handshake before the state is there"
                    );
                    assert!(!self.carry || self.caught_up, "handshake without its partitions");
                    self.due.push_back(Event::Opened(id));
                }
                Action::Switch(id) => {
                    assert!(
                        !self.carry || (self.owner == Where::New && self.copied && self.caught_up),
                        "switched without its partitions"
                    );
                    self.fences = 0;
                    assert!(
                        !self.hook || self.stateless || self.state_at == Where::New,
                        "switched without its state"
                    );
                    let stream = self.streams.get_mut(&id).expect("a stream of the session");
                    assert!(stream.paused, "switched without a pause");
                    stream.switched = true;
                    let held = std::mem::take(&mut stream.held);
                    stream.at_new.extend(held);
                }
                Action::Stay(id) => {
                    self.assert_old_node_owns();
                    assert!(
                        !self.old_alive || self.state_at == Where::Old,
                        "the old node serves without its state"
                    );
                    let stream = self.streams.get_mut(&id).expect("a stream of the session");
                    assert!(!stream.switched, "switched and stayed");
                    stream.paused = false;
                    let held = std::mem::take(&mut stream.held);
                    stream.at_old.extend(held);
                }
                Action::Finish(result) => {
                    assert!(self.finished.is_none(), "finished twice");
                    match &result {
                        Ok(()) => {
                            assert!(!self.carry || (self.owner == Where::New && self.caught_up));
                            self.fences = 0;
                        }
                        Err(_) => self.assert_old_node_owns(),
                    }
                    self.held_requests = false;
                    self.finished = Some(result);
                }
            }
        }
    }

    /// What the old node was sent is handled: by its hook's word, or by its answers to the barriers.
    fn assert_old_node_is_done(&self) {
        assert!(
            self.quiet.iter().all(|q| *q),
            "fenced before every worker is quiet"
        );
        for stream in self.streams.values() {
            assert!(
                stream.paused && (stream.drained || self.given),
                "fenced before it was done"
            );
        }
    }

    /// Nobody else does, and nothing is under way that would change that.
    fn assert_old_node_owns(&self) {
        assert_eq!((self.owner, self.fences), (Where::Old, 0), "two owners");
    }

    /// The store takes a new owner.
    fn own(&mut self, node: Where) {
        self.owner = node;
        self.epoch += 1;
    }

    /// The client sends a message.
    fn send(&mut self, id: ConnectionId) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let n = stream.next;
        stream.next += 1;
        if stream.switched {
            stream.at_new.push(n);
        } else if stream.paused {
            stream.held.push(n);
        } else {
            stream.at_old.push(n);
        }
    }

    /// One answer comes in; `pick` says which.
    fn answer(&mut self, pick: usize) {
        if self.due.is_empty() {
            return;
        }
        let at = pick % self.due.len();
        let event = self.due.remove(at).expect("an index within");
        match &event {
            Event::Quiet(worker) => self.quiet[usize::from(*worker)] = true,
            // The count is taken when input is held, not when it was asked for.
            Event::Paused(id, _) => {
                let sent = self.streams.get(id).map_or(0, |s| s.at_old.len() as u64);
                return self.feed(Event::Paused(*id, sent));
            }
            Event::HandedOff(state) => {
                if state.is_some() && self.state_at == Where::Old {
                    self.state_at = Where::Travelling;
                }
                self.given = state.is_some();
                self.stateless = state.is_none();
            }
            Event::Drained(id) => {
                if let Some(stream) = self.streams.get_mut(id) {
                    stream.drained = true;
                }
            }
            Event::Copied => self.copied = true,
            Event::CaughtUp => self.caught_up = true,
            Event::Fenced => self.own(Where::New),
            Event::Unfenced => {
                self.own(Where::Old);
                self.fences = 0;
            }
            _ => {}
        }
        self.past.push(event.clone());
        self.feed(event);
    }
}

impl World {
    fn doubt(&mut self, is_set: bool) {
        let Some(at) = self.due.iter().position(|e| *e == Event::Fenced) else {
            return;
        };
        self.due.remove(at);
        if is_set {
            self.own(Where::New);
        }
        self.feed(Event::FenceFailed("no answer".into()));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Answer(usize),
    Send(u64),
    Leave(u64),
    Fail(usize),
    /// The store did not say whether the fence is set: it is, or not.
    Doubt(bool),
    /// The hook says that it has no state.
    NoState,
    /// Something is said again.
    Late(usize),
    OldNodeLost,
    Deadline,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => any::<usize>().prop_map(Step::Answer),
        20 => (0u64..4).prop_map(Step::Send),
        1 => (0u64..4).prop_map(Step::Leave),
        1 => any::<usize>().prop_map(Step::Fail),
        1 => any::<bool>().prop_map(Step::Doubt),
        1 => Just(Step::NoState),
        2 => any::<usize>().prop_map(Step::Late),
        1 => Just(Step::OldNodeLost),
        1 => Just(Step::Deadline),
    ]
}

/// The failure that stands against an answer that was due.
fn failure_of(event: &Event) -> Option<Event> {
    Some(match event {
        Event::Connected(id) => Event::ConnectFailed(*id, "refused".into()),
        Event::HandedOff(_) => Event::HandoffFailed("500".into()),
        Event::Resumed => Event::ResumeFailed("500".into()),
        Event::Copied => Event::CopyFailed("another digest".into()),
        Event::CaughtUp => Event::CatchUpFailed("another digest".into()),
        Event::Opened(id) => Event::OpenFailed(*id, "404".into()),
        _ => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_message_arrives_once_and_in_order(
        streams in 0u64..4,
        hook in any::<bool>(),
        carry in any::<bool>(),
        steps in proptest::collection::vec(any_step(), 0..120),
    ) {
        let mut world = World::new(streams, hook, carry);
        for step in steps {
            match step {
                Step::Answer(pick) => world.answer(pick),
                Step::Send(id) => world.send(ConnectionId(id)),
                Step::Leave(id) => {
                    if world.streams.remove(&ConnectionId(id)).is_some() {
                        world.due.retain(|e| !concerns(e, ConnectionId(id)));
                        world.feed(Event::Left(ConnectionId(id)));
                    }
                }
                Step::Fail(pick) if !world.due.is_empty() => {
                    let at = pick % world.due.len();
                    if let Some(failure) = failure_of(&world.due[at]) {
                        world.due.remove(at);
                        world.feed(failure);
                    }
                }
                Step::Fail(_) => {}
                Step::Doubt(is_set) => world.doubt(is_set),
                Step::NoState => {
                    let given = world.due.iter_mut().find(|e| matches!(e, Event::HandedOff(_)));
                    given.into_iter().for_each(|e| *e = Event::HandedOff(None));
                }
                Step::Late(_) if world.past.is_empty() => {}
                Step::Late(pick) => {
                    let event = world.past[pick % world.past.len()].clone();
                    world.feed(event);
                }
                Step::OldNodeLost => {
                    world.old_alive = false;
                    world.feed(Event::OldNodeLost);
                }
                Step::Deadline => world.feed(Event::Deadline),
            }
        }
        while !world.due.is_empty() {
            world.answer(0);
        }
        prop_assert!(world.finished.is_some(), "ends, but is {:?}", world.handover.state());
        prop_assert_eq!(world.handover.state(), State::Done);
        prop_assert!(!world.held_requests);
        prop_assert_eq!(world.fences, 0, "every fence is followed by the switch or lifted");
        let serves = if world.finished == Some(Ok(())) && carry { Where::New } else { Where::Old };
        prop_assert_eq!(world.owner, serves, "in reign {}", world.epoch);
        let switched = world.finished == Some(Ok(()));
        for stream in world.streams.values() {
            prop_assert_eq!(stream.switched, switched, "all connections move together");
            let got: Vec<u64> = stream.at_old.iter().chain(&stream.at_new).chain(&stream.held).copied().collect();
            prop_assert_eq!(got, (0..stream.next).collect::<Vec<_>>());
            prop_assert!(stream.held.is_empty(), "nothing is held back for ever");
        }
    }
}

fn concerns(event: &Event, stream: ConnectionId) -> bool {
    matches!(event, Event::Connected(id) | Event::Paused(id, _) | Event::Opened(id) | Event::Drained(id) if *id == stream)
}

#[test]
fn a_session_without_streams_hands_over_its_state_only() {
    let mut world = World::new(0, true, false);
    while !world.due.is_empty() {
        world.answer(0);
    }
    assert_eq!(world.finished, Some(Ok(())));
    assert_eq!(world.state_at, Where::New);
}

#[test]
fn a_failure_names_its_step() {
    for (answers, event, failure) in [
        (
            0,
            Event::ConnectFailed(ConnectionId(0), "refused".into()),
            MoveFailure::Connect {
                detail: "refused".into(),
            },
        ),
        (
            1,
            Event::Deadline,
            MoveFailure::Deadline {
                step: "pausing".into(),
            },
        ),
        (
            4,
            Event::HandoffFailed("500".into()),
            MoveFailure::Handoff { detail: "500".into() },
        ),
    ] {
        let mut world = World::new(1, true, false);
        for _ in 0..answers {
            world.answer(0);
        }
        if event != Event::Deadline {
            world.due.pop_front(); // the failure stands against this answer
        }
        world.feed(event);
        while !world.due.is_empty() {
            world.answer(0);
        }
        assert_eq!(world.finished, Some(Err(failure)));
        assert_eq!(world.state_at, Where::Old);
    }
}

/// What a hand-over with state does, when everything goes well.
fn steps(hook: bool) -> Vec<&'static str> {
    let stream = ConnectionId(0);
    let (mut handover, mut actions) = Handover::start(Options {
        streams: vec![stream],
        workers: 1,
        hook,
        carry: true,
    });
    let mut seen = Vec::new();
    while let Some(action) = (!actions.is_empty()).then(|| actions.remove(0)) {
        let (name, event) = match action {
            Action::Connect(_) => ("connect", Some(Event::Connected(stream))),
            Action::Copy => ("copy", Some(Event::Copied)),
            Action::Hold => ("hold", Some(Event::Quiet(0))),
            Action::Pause(_) => ("pause", Some(Event::Paused(stream, 3))),
            Action::HandOff(_) => ("hook", Some(Event::HandedOff(Some(b"state".to_vec())))),
            Action::Barrier(_) => ("barrier", Some(Event::Drained(stream))),
            Action::Fence => ("fence", Some(Event::Fenced)),
            Action::CatchUp => ("catch up", Some(Event::CaughtUp)),
            Action::Resume(_) => ("resume", Some(Event::Resumed)),
            Action::Open(_) => ("open", Some(Event::Opened(stream))),
            Action::Switch(_) => ("switch", None),
            Action::Finish(Ok(())) => ("finish", None),
            Action::Unfence | Action::GiveBack(_) | Action::Stay(_) | Action::Finish(Err(_)) => {
                ("failed", None)
            }
        };
        seen.push(name);
        actions.extend(event.into_iter().flat_map(|event| handover.on(event)));
    }
    seen
}

#[test]
fn state_is_copied_before_the_pause_and_caught_up_behind_the_fence() {
    for (hook, expected) in [
        (
            false,
            &[
                "connect", "copy", "hold", "pause", "barrier", "fence", "catch up", "open", "switch",
                "finish",
            ][..],
        ),
        (
            true,
            &[
                "connect", "copy", "hold", "pause", "hook", "fence", "barrier", "catch up", "resume", "open",
                "switch", "finish",
            ][..],
        ),
    ] {
        assert_eq!(steps(hook), expected, "hook: {hook}");
    }
}

#[test]
fn the_old_node_hears_that_it_owns_the_session_anew_before_it_serves_on() {
    let (mut handover, _) = Handover::start(Options {
        streams: vec![],
        workers: 0,
        hook: true,
        carry: true,
    });
    let mut actions = Vec::new();
    for event in [
        Event::Copied,
        Event::HandedOff(None),
        Event::Fenced,
        Event::CatchUpFailed("507".into()),
        Event::Unfenced,
        Event::GivenBack,
    ] {
        actions.extend(handover.on(event));
    }
    let failure = MoveFailure::Replay { detail: "507".into() };
    assert_eq!(
        actions[actions.len() - 3..],
        [
            Action::Unfence,
            Action::GiveBack(vec![]),
            Action::Finish(Err(failure))
        ]
    );
}
