//! One attempt: the commands that are sent at once, over one connection, and what their answers mean.
//!
//! `WAIT` follows its write on the same connection, so that it waits for this write.

use redis::{Cmd, Pipeline, Value};
use tokio::time::timeout;

use super::{
    fault::Fault,
    layout,
    nodes::Use,
    run::{Ask, Runner, Trace},
    scripts::Script,
    slots::Address,
};

impl Runner {
    /// Asks one server, with `ASKING` where the slot is on its way to it.
    pub(super) async fn attempt(
        &self,
        to: &Address,
        asks: bool,
        ask: &Ask<'_>,
        trace: &mut Trace,
    ) -> Result<Value, Fault> {
        let mut held = self.nodes.connection(&self.settings, to, ask.writes).await?;
        let pipe = self.commands(asks, ask, trace.is_lost);
        trace.is_sent = true;
        let answer = self.send(to, &mut held, &pipe).await;
        trace.is_sent = false;
        let judged = answer.and_then(|answer| self.judge(to, asks, answer));
        match &judged {
            Err(Fault::Lost(_)) => trace.is_lost = true,
            Err(Fault::Unloaded) => self.load(to, &mut held, ask.script).await?,
            // The name may lead to another server now.
            Err(Fault::Final { .. }) => held.is_broken().await,
            _ => {}
        }
        judged
    }

    fn commands(&self, asks: bool, ask: &Ask<'_>, is_retry: bool) -> Pipeline {
        let mut pipe = Pipeline::with_capacity(3);
        if asks {
            pipe.add_command(redis::cmd("ASKING"));
        }
        let mut run = Cmd::with_capacity(16, ask.bytes + 256);
        run.arg("EVALSHA")
            .arg(ask.script.hash())
            .arg(1)
            .arg(layout::key(ask.session));
        run.arg(u8::from(is_retry));
        (ask.arguments)(&mut run);
        pipe.add_command(run);
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
    fn judge(&self, to: &Address, asks: bool, answers: Vec<Value>) -> Result<Value, Fault> {
        let mut answers = answers.into_iter().skip(usize::from(asks));
        let (answer, waited) = (answers.next(), answers.next());
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

    async fn load(&self, to: &Address, held: &mut Use, script: &Script) -> Result<(), Fault> {
        let mut pipe = Pipeline::with_capacity(1);
        pipe.add_command(redis::cmd("SCRIPT"))
            .arg("LOAD")
            .arg(script.text);
        // To load it changes nothing that matters.
        let answers = match self.send(to, held, &pipe).await {
            Err(Fault::Lost(detail)) => return Err(Fault::Unreachable(detail)),
            answers => answers?,
        };
        match answers.into_iter().next() {
            Some(Value::ServerError(error)) => Err(Fault::answered(to, &error)),
            _ => Ok(()),
        }
    }
}

/// A script says that it stored something.
fn is_done(answer: &Value) -> bool {
    match answer {
        Value::Array(answer) => matches!(answer.first(), Some(Value::BulkString(word)) if word == b"done"),
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
        let judge = |word, waited| runner.judge(&to, false, vec![word, waited]);
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
            runner.judge(&to, true, vec![Value::Okay]),
            Err(Fault::Lost(_))
        ));
    }
}
