//! Laws of the hand-over, for any order of events: nothing lost, doubled or reordered; it always ends; and until the
//! switch the old node serves.

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
}

const WORKERS: u16 = 2;

impl World {
    fn new(streams: u64, hook: bool) -> Self {
        let ids: Vec<_> = (0..streams).map(ConnectionId).collect();
        let (handover, actions) = Handover::start(Options {
            streams: ids.clone(),
            workers: WORKERS,
            hook,
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
                Action::Resume(state) => {
                    assert_eq!(state, b"state");
                    self.state_at = Where::New;
                    self.due.push_back(Event::Resumed);
                }
                Action::GiveBack(_) => {
                    self.state_at = Where::Old;
                    self.due.push_back(Event::GivenBack);
                }
                Action::Barrier(id) => self.due.push_back(Event::Drained(id)),
                Action::Open(id) => {
                    assert!(
                        !self.hook || self.state_at != Where::Old,
                        "handshake before the state is there"
                    );
                    self.due.push_back(Event::Opened(id));
                }
                Action::Switch(id) => {
                    assert!(
                        !self.hook || self.state_at == Where::New,
                        "switched without its state"
                    );
                    let stream = self.streams.get_mut(&id).expect("a stream of the session");
                    assert!(stream.paused, "switched without a pause");
                    stream.switched = true;
                    let held = std::mem::take(&mut stream.held);
                    stream.at_new.extend(held);
                }
                Action::Stay(id) => {
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
                    self.held_requests = false;
                    self.finished = Some(result);
                }
            }
        }
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
            Event::HandedOff(_) if self.state_at == Where::Old => self.state_at = Where::Travelling,
            _ => {}
        }
        self.feed(event);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Answer(usize),
    Send(u64),
    Leave(u64),
    Fail(usize),
    OldNodeLost,
    Deadline,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => any::<usize>().prop_map(Step::Answer),
        20 => (0u64..4).prop_map(Step::Send),
        1 => (0u64..4).prop_map(Step::Leave),
        1 => any::<usize>().prop_map(Step::Fail),
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
        steps in proptest::collection::vec(any_step(), 0..120),
    ) {
        let mut world = World::new(streams, hook);
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
    let mut world = World::new(0, true);
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
        let mut world = World::new(1, true);
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
