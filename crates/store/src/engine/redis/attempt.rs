//! One attempt: the commands that are sent at once, over one connection, and what their answers mean.
//!
//! `WAIT` follows its write on the same connection, so that it waits for this write.

use redis::{Cmd, Pipeline, Value};
use tokio::time::timeout;

use super::{
    fault::Fault,
    nodes::Use,
    run::{Ask, Call, Runner, Trace, Values},
    slots::Address,
};

impl Runner {
    /// Asks one server, with `ASKING` where the slot is on its way to it.
    pub(super) async fn attempt(
        &self,
        to: &Address,
        asks: bool,
        key: &str,
        ask: &Ask<'_>,
        trace: &mut Trace,
    ) -> Result<Value, Fault> {
        let mut held = self.nodes.connection(&self.settings, to, ask.writes).await?;
        // Between `MULTI` and `EXEC` there is no `ASKING`, and a try after a lost one may have nothing to store.
        let follow = match ask.call {
            Call::Write(_, values) if !asks && !trace.is_lost => Some(values),
            _ => None,
        };
        if follow.is_some() && !held.knows_scripts() {
            self.load(to, &mut held, ask).await?;
            held.learnt_scripts();
        }
        let pipe = self.commands(asks, key, ask, trace.is_lost, follow);
        trace.is_sent = true;
        let answer = self.send(to, &mut held, &pipe).await;
        trace.is_sent = false;
        let judged = answer.and_then(|answer| self.judge(to, asks, follow.is_some(), answer));
        match &judged {
            Err(Fault::Lost(_)) => trace.is_lost = true,
            Err(Fault::Unloaded) => self.load(to, &mut held, ask).await?,
            // The name may lead to another server now.
            Err(Fault::Final { .. }) => held.is_broken().await,
            _ => {}
        }
        judged
    }

    fn commands(
        &self,
        asks: bool,
        key: &str,
        ask: &Ask<'_>,
        is_retry: bool,
        follow: Option<Values<'_>>,
    ) -> Pipeline {
        let mut pipe = Pipeline::with_capacity(3);
        if asks {
            pipe.add_command(redis::cmd("ASKING"));
        }
        let bytes = if follow.is_some() { 0 } else { ask.bytes };
        let mut run = Cmd::with_capacity(24, bytes + 256);
        match ask.call {
            Call::Command(name) => run.arg(name).arg(key),
            Call::Script(script) | Call::Write(script, _) => {
                run.arg("EVALSHA").arg(script.hash()).arg(1).arg(key);
                run.arg(u8::from(is_retry))
            }
        };
        (ask.arguments)(&mut run, follow.is_some());
        match follow {
            Some(values) => {
                pipe.add_command(redis::cmd("MULTI")).add_command(run);
                values(&mut pipe);
                pipe.add_command(redis::cmd("EXEC"));
            }
            None => {
                pipe.add_command(run);
            }
        }
        if ask.writes && self.settings.wait_replicas > 0 {
            let mut wait = redis::cmd("WAIT");
            wait.arg(self.settings.wait_replicas);
            wait.arg(self.settings.wait_timeout.as_millis() as u64);
            pipe.add_command(wait);
        }
        pipe
    }

    /// Sends commands at once, and takes their answers.
    pub(super) async fn send(
        &self,
        to: &Address,
        held: &mut Use,
        pipe: &Pipeline,
    ) -> Result<Vec<Value>, Fault> {
        let within = self.settings.attempt();
        let lost = match timeout(within, held.connection.send_packed_commands(pipe, 0, pipe.len())).await {
            Ok(Ok(answers)) if answers.len() == pipe.len() => return Ok(answers),
            Ok(_) => Fault::Lost(format!("{to} broke the connection off")),
            Err(_) => Fault::Lost(format!("{to} did not answer within {within:?}")),
        };
        held.is_broken().await;
        Err(lost)
    }

    /// What the answers to an attempt's commands mean.
    fn judge(
        &self,
        to: &Address,
        asks: bool,
        is_transaction: bool,
        answers: Vec<Value>,
    ) -> Result<Value, Fault> {
        let mut answers = answers.into_iter().skip(usize::from(asks));
        let answer = match is_transaction {
            true => executed(&mut answers),
            false => answers.next(),
        };
        let waited = answers.next();
        let answer = match answer {
            Some(Value::ServerError(error)) => return Err(Fault::answered(to, &error)),
            Some(answer) => answer,
            None => return Err(Fault::Lost(format!("{to} did not answer"))),
        };
        let Some(waited) = waited.filter(|_| is_done(&answer)) else {
            return Ok(answer);
        };
        let wanted = self.settings.wait_replicas;
        match waited {
            Value::Int(had) if had >= wanted.into() => Ok(answer),
            Value::Int(had) => Err(Fault::Final {
                detail: format!(
                    "{} has stored the write, but only {had} of {wanted} replicas had it within {:?}: it is lost if {} fails now; see to the replicas, and ask for the write again",
                    to, self.settings.wait_timeout, to
                ),
                unknown: true,
            }),
            // It became a replica meanwhile.
            _ => Err(Fault::Lost(format!("{to} is no primary any more"))),
        }
    }

    async fn load(&self, to: &Address, held: &mut Use, ask: &Ask<'_>) -> Result<(), Fault> {
        let mut pipe = Pipeline::with_capacity(4);
        if matches!(ask.call, Call::Write(..)) {
            // Where transactions are not permitted, what should be in one would be done all the same.
            pipe.cmd("MULTI").cmd("EXEC");
        }
        for script in ask.call.scripts() {
            pipe.cmd("SCRIPT").arg("LOAD").arg(script.text);
        }
        // To load it changes nothing that matters.
        let answers = match self.send(to, held, &pipe).await {
            Err(Fault::Lost(detail)) => return Err(Fault::Unreachable(detail)),
            answers => answers?,
        };
        let error = answers.into_iter().find_map(|answer| match answer {
            Value::ServerError(error) => Some(Fault::answered(to, &error)),
            _ => None,
        });
        let Some(error) = error else {
            return Ok(());
        };
        // A transaction may have begun that does not end.
        held.is_broken().await;
        Err(error)
    }
}

/// What the first command of a transaction answered; or what is wrong with the transaction.
fn executed(answers: &mut impl Iterator<Item = Value>) -> Option<Value> {
    for answer in answers {
        match answer {
            // The first one says more than that of `EXEC`.
            Value::ServerError(_) => return Some(answer),
            Value::Array(done) => {
                let mut done = done.into_iter();
                let first = done.next()?;
                // Without the value, the write is not what it says.
                return Some(
                    done.find(|answer| matches!(answer, Value::ServerError(_)))
                        .unwrap_or(first),
                );
            }
            _ => {}
        }
    }
    None
}

/// A script says that it stored something.
fn is_done(answer: &Value) -> bool {
    match answer {
        Value::Array(answer) => answer.first().is_some_and(is_done),
        Value::BulkString(word) => word == b"done",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use foreshift_wire::Session;

    use super::{super::settings::Settings, *};

    #[test]
    fn only_what_was_stored_waits_for_replicas() {
        let session = Session {
            urls: vec!["redis://127.0.0.1:1".into()],
            wait_replicas: 2,
            ..Session::default()
        };
        let runner = Runner::new(Settings::of(&session).unwrap());
        let to = Address("h".into(), 1);
        let word = |word: &str| Value::Array(vec![Value::BulkString(word.into())]);
        let judge = |word, waited| runner.judge(&to, false, false, vec![word, waited]);
        assert_eq!(judge(word("done"), Value::Int(2)), Ok(word("done")));
        assert_eq!(judge(word("behind"), Value::Int(0)), Ok(word("behind")));
        let short = judge(word("done"), Value::Int(1));
        assert!(
            matches!(short, Err(Fault::Final { unknown: true, .. })),
            "{short:?}"
        );
        let demoted = judge(word("done"), Value::Nil);
        assert!(matches!(demoted, Err(Fault::Lost(_))), "{demoted:?}");
        assert!(matches!(
            runner.judge(&to, true, false, vec![Value::Okay]),
            Err(Fault::Lost(_))
        ));
    }
}
