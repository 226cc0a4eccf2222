//! The move from one connection to another.

use super::{
    Action, Conn, Core, Current, Loss, Message, Migrate,
    control::{moved, refused, resumed},
};

/// Up to the switch.
#[derive(Debug)]
pub(super) struct Moving {
    migrate: Migrate,
    /// The end of the delay.
    open_at: u64,
    /// By when it has to be done.
    until: u64,
    /// The new connection, once the delay is over.
    new: Option<Conn>,
    is_open: bool,
}

impl Moving {
    pub(super) fn wakes(&self) -> u64 {
        match self.new {
            None => self.open_at,
            Some(_) => self.until,
        }
    }

    pub(super) fn is_open(&mut self, conn: Conn) {
        self.is_open |= self.new == Some(conn);
    }
}

/// From the switch to the old connection's end.
#[derive(Debug)]
pub(super) struct Draining {
    old: Conn,
    pub(super) until: u64,
    session: String,
    url: String,
    /// What came on the new connection: it is delivered later.
    held: Vec<Message>,
    /// The new connection has ended already.
    lost: Option<Loss>,
}

impl Draining {
    /// The new connection has ended already.
    pub(super) fn has_lost(&self) -> bool {
        self.lost.is_some()
    }
}

impl Core {
    pub(super) fn instructed(&mut self, conn: Conn, migrate: Migrate, now_ms: u64) {
        let encrypted = migrate.url.starts_with("wss://");
        let refusal = if self.moving.is_some() {
            Some("a migration is under way")
        } else if !encrypted && !migrate.url.starts_with("ws://") {
            Some("the address is not a WebSocket's")
        } else if !encrypted && self.url.starts_with("wss://") {
            Some("the address is not encrypted")
        } else {
            None
        };
        if let Some(why) = refusal {
            return self.refuse(conn, why);
        }
        let open_at = now_ms.saturating_add(migrate.delay_ms);
        self.moving = Some(Moving {
            until: open_at.saturating_add(migrate.within_ms),
            migrate,
            open_at,
            new: None,
            is_open: false,
        });
        self.time_to_move(now_ms);
    }

    fn refuse(&mut self, conn: Conn, why: &str) {
        self.act(Action::Transmit(conn, Message::Text(refused(why))));
    }

    /// The delay is over, or the time is up.
    pub(super) fn time_to_move(&mut self, now_ms: u64) {
        let Some(moving) = &self.moving else { return };
        if now_ms < moving.wakes() {
            return;
        }
        match moving.new {
            Some(new) => self.give_up(new, "the new connection did not resume in time"),
            None => {
                let (url, token) = (moving.migrate.url.clone(), moving.migrate.token.clone());
                let new = self.open(url, Some(token));
                if let Some(moving) = &mut self.moving {
                    moving.new = Some(new);
                }
            }
        }
    }

    /// Closes the new connection and goes on with the old one.
    fn give_up(&mut self, new: Conn, why: &str) {
        self.hang_up(new, 1000, "given up");
        self.stay(why);
    }

    fn stay(&mut self, why: &str) {
        self.moving = None;
        if let Some(current) = self.current {
            self.refuse(current.conn, why);
        }
    }

    /// The connection that was to be left is no longer there.
    pub(super) fn stop_moving(&mut self) {
        if let Some(new) = self.moving.take().and_then(|m| m.new) {
            self.hang_up(new, 1000, "given up");
        }
    }

    pub(super) fn received(&mut self, conn: Conn, message: Message, now_ms: u64) {
        if self.moving.as_ref().is_some_and(|m| m.new == Some(conn)) {
            let session = match &message {
                Message::Text(text) => resumed(text),
                Message::Binary(_) => None,
            };
            return match session {
                Some(session) => self.switch(conn, session, now_ms),
                None => self.give_up(conn, "the new connection did not resume"),
            };
        }
        let here = self.current.is_some_and(|c| c.conn == conn);
        match &mut self.draining {
            // An instruction for a connection that was left is void.
            Some(draining) if draining.old == conn => match &message {
                Message::Text(text) if Migrate::from_message(text).is_some() => {}
                _ => self.act(Action::Deliver(message)),
            },
            Some(draining) if here => draining.held.push(message),
            _ if here => self.received_here(conn, message, now_ms),
            _ => {}
        }
    }

    fn switch(&mut self, new: Conn, session: String, now_ms: u64) {
        let (Some(moving), Some(old)) = (self.moving.take(), self.current) else {
            return;
        };
        let goodbye = Message::Text(moved(&moving.migrate.token));
        self.act(Action::Transmit(old.conn, goodbye));
        self.current = Some(Current {
            conn: new,
            open_since: Some(now_ms),
        });
        self.draining = Some(Draining {
            old: old.conn,
            until: now_ms + self.persistence.drain_ms,
            session,
            url: moving.migrate.url,
            held: Vec::new(),
            lost: None,
        });
    }

    pub(super) fn lost(&mut self, conn: Conn, loss: Loss, now_ms: u64, random: &mut dyn FnMut() -> f64) {
        if let Some(moving) = self.moving.as_ref().filter(|m| m.new == Some(conn)) {
            let why = match (loss.status, moving.is_open) {
                (Some(status), _) => format!("the new connection was answered {status}"),
                (None, false) => "the new connection could not be opened".into(),
                (None, true) => format!("the new connection closed with {}", loss.code),
            };
            return self.stay(&why);
        }
        let here = self.current.filter(|c| c.conn == conn);
        match (&mut self.draining, here) {
            (Some(draining), _) if draining.old == conn => self.part(now_ms, random),
            (Some(draining), Some(_)) => draining.lost = Some(loss),
            (None, Some(current)) => self.lost_here(current, loss, now_ms, random),
            (_, None) => {}
        }
    }

    pub(super) fn time_to_part(&mut self, now_ms: u64, random: &mut dyn FnMut() -> f64) {
        if let Some(old) = self
            .draining
            .as_ref()
            .filter(|d| d.until <= now_ms)
            .map(|d| d.old)
        {
            self.hang_up(old, 1000, "moved");
            self.part(now_ms, random);
        }
    }

    /// The old connection has said everything: the new one is heard.
    fn part(&mut self, now_ms: u64, random: &mut dyn FnMut() -> f64) {
        let (Some(draining), Some(current)) = (self.draining.take(), self.current) else {
            return;
        };
        let Draining {
            session,
            url,
            held,
            lost,
            ..
        } = draining;
        self.act(Action::Migrated { session, url });
        for message in held {
            self.received_here(current.conn, message, now_ms);
        }
        if let Some(loss) = lost {
            self.lost(current.conn, loss, now_ms, random);
        }
    }
}
