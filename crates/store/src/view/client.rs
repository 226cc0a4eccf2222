//! A connection's client: who it is, which protocol it speaks, and the commands about that.
//!
//! Pure, but for the tokens that it asks.

mod about;

use std::net::SocketAddr;

use bytes::Bytes;
use foreshift_wire::NodeId;

use super::{
    command::{Command, shown, wrong_arity},
    reply::{Protocol, Reply},
};
use crate::{Caller, Tokens};

/// What is known of a connection's client.
pub(super) struct Client {
    tokens: Tokens,
    id: u64,
    address: Option<SocketAddr>,
    name: Bytes,
    protocol: Protocol,
    caller: Option<Caller>,
    is_leaving: bool,
}

const NO_AUTH: &str = "NOAUTH Authentication required.";
const WRONG: &str = "WRONGPASS invalid username-password pair or user is disabled.";
const NOT_NEEDED: &str = "ERR AUTH <password> called without any password configured for the default user. \
                          Are you sure your configuration is correct?";

impl Client {
    pub(super) fn new(tokens: Tokens, id: u64, address: Option<SocketAddr>) -> Self {
        let caller = tokens.caller(None, None, None).ok();
        Self {
            tokens,
            id,
            address,
            name: Bytes::new(),
            protocol: Protocol::default(),
            caller,
            is_leaving: false,
        }
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// It said good-bye.
    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    /// Who it is; `None` as long as it has to say so.
    pub(super) fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    /// Carries a command about the connection out, or tells that somebody unknown gave another one.
    pub(super) fn answer(&mut self, command: &Command) -> Reply {
        let Command::Connection(name, words) = command else {
            return Reply::error(NO_AUTH);
        };
        let is_for_all = matches!(*name, "auth" | "hello" | "quit" | "reset");
        if self.caller.is_none() && !is_for_all {
            return Reply::error(NO_AUTH);
        }
        let done = match (*name, words.as_slice()) {
            ("auth", [token]) => self.authenticate(None, token),
            ("auth", [user, token]) => self.authenticate(Some(user), token),
            ("client", _) => self.about_clients(words),
            ("command", _) => about::commands(words),
            ("echo", [word]) => Ok(word.clone().into()),
            ("hello", _) => self.hello(words),
            ("info", _) => Ok(about::server()),
            ("ping", []) => Ok(Reply::Status("PONG")),
            ("ping", [word]) => Ok(word.clone().into()),
            ("quit", _) => {
                self.is_leaving = true;
                Ok(Reply::OK)
            }
            ("reset", _) => {
                *self = Self::new(self.tokens.clone(), self.id, self.address);
                Ok(Reply::Status("RESET"))
            }
            ("select", [database]) => match &**database {
                b"0" => Ok(Reply::OK),
                _ => Err("ERR DB index is out of range: there is only database 0".into()),
            },
            (name, _) => Err(wrong_arity(name)),
        };
        done.unwrap_or_else(Reply::Error)
    }

    /// With tokens, the token counts, and the user may name a node; without, only the user does.
    fn authenticate(&mut self, user: Option<&Bytes>, token: &Bytes) -> Result<Reply, String> {
        let node = match user.map(|user| &**user) {
            None | Some(b"default") => None,
            Some(user) => Some(node(user).ok_or(WRONG)?),
        };
        if user.is_none() && !self.tokens.are_needed() {
            return Err(NOT_NEEDED.into());
        }
        // Who said something wrong is not taken for whom it was before.
        self.caller = self.tokens.caller(Some(token), node, None).ok();
        self.caller
            .as_ref()
            .map(|_| Reply::OK)
            .ok_or_else(|| WRONG.into())
    }

    fn hello(&mut self, words: &[Bytes]) -> Result<Reply, String> {
        let mut words = words.iter();
        let protocol = match words.next().map(|word| &**word) {
            None => self.protocol,
            Some(b"2") => Protocol::Two,
            Some(b"3") => Protocol::Three,
            Some(_) => return Err("NOPROTO unsupported protocol version".into()),
        };
        let mut name = None;
        while let Some(option) = words.next() {
            match option.to_ascii_uppercase().as_slice() {
                b"AUTH" => {
                    let (user, token) = words
                        .next()
                        .zip(words.next())
                        .ok_or("ERR Syntax error in HELLO option 'auth'")?;
                    self.authenticate(Some(user), token)?;
                }
                b"SETNAME" => name = Some(words.next().ok_or("ERR Syntax error in HELLO option 'setname'")?),
                _ => return Err(format!("ERR Syntax error in HELLO option '{}'", shown(option))),
            }
        }
        if self.caller.is_none() {
            return Err("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> \
                        AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol \
                        version at the same time"
                .into());
        }
        if let Some(name) = name {
            self.set_name(name)?;
        }
        self.protocol = protocol;
        Ok(about::hello(self.id, protocol))
    }

    /// Without tokens a name that could be a node's says which node this is.
    fn set_name(&mut self, name: &Bytes) -> Result<(), String> {
        if !name.iter().all(|byte| (b'!'..=b'~').contains(byte)) || name.len() > 256 {
            return Err("ERR Client names cannot contain spaces, newlines or special characters.".into());
        }
        if !self.tokens.are_needed() {
            self.caller = self.tokens.caller(None, node(name), None).ok();
        }
        self.name = name.clone();
        Ok(())
    }

    fn about_clients(&mut self, words: &[Bytes]) -> Result<Reply, String> {
        let (first, rest) = words.split_first().ok_or_else(|| wrong_arity("client"))?;
        match (first.to_ascii_lowercase().as_slice(), rest) {
            (b"id", []) => Ok(Reply::count(self.id)),
            (b"getname", []) => Ok((!self.name.is_empty()).then(|| self.name.clone()).into()),
            (b"setname", [name]) => self.set_name(name).map(|()| Reply::OK),
            (b"setinfo", [what, _]) if is_library(what) => Ok(Reply::OK),
            (b"setinfo", [what, _]) => Err(format!("ERR Unrecognized option '{}'", shown(what))),
            (b"info", []) => Ok(Reply::text(self.line())),
            (b"id" | b"getname" | b"setname" | b"setinfo" | b"info", _) => {
                let name = format!("client|{}", shown(first).to_ascii_lowercase());
                Err(wrong_arity(&name))
            }
            _ => Err(format!(
                "ERR unknown subcommand '{}'. CLIENT has GETNAME, ID, INFO, SETINFO and SETNAME here.",
                shown(first)
            )),
        }
    }

    fn line(&self) -> String {
        let address = self
            .address
            .map_or_else(String::new, |address| address.to_string());
        let name = String::from_utf8_lossy(&self.name);
        let protocol = self.protocol.number();
        let id = self.id;
        format!("id={id} addr={address} name={name} db=0 resp={protocol} cmd=client|info\n")
    }
}

/// A library says its name and version; what it says is not kept.
fn is_library(what: &[u8]) -> bool {
    what.eq_ignore_ascii_case(b"lib-name") || what.eq_ignore_ascii_case(b"lib-ver")
}

fn node(name: &[u8]) -> Option<NodeId> {
    NodeId::new(std::str::from_utf8(name).ok()?).ok()
}

#[cfg(test)]
mod tests;
