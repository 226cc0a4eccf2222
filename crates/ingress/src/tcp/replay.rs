//! What a node is told before it goes on with a connection of another.

use std::time::Duration;

use foreshift_wire::Framing;

use super::frames::{Frames, Step};
use crate::{
    elsewhere::{Fields, Resume},
    io::{Deadline, Input, write_all},
    stream::Stream,
};

/// Largest answer to a command that sets a connection up.
const ANSWER_MAX: usize = 64 * 1024;

/// The commands that set a connection up. Protocols without any have none.
#[derive(Debug, Clone)]
pub(super) struct Replay {
    pub(super) commands: Vec<Box<[u8]>>,
}

impl Resume for Replay {
    /// What the node said behind its last answer.
    type Resumed = Vec<u8>;

    /// There are no header fields to send. Each command must be answered, and not by an error.
    async fn resume(&self, node: &Stream, _fields: &Fields<'_>, within: Duration) -> Result<Vec<u8>, String> {
        let mut deadline = Deadline::default();
        deadline.after(within);
        let mut input = Input::default();
        let mut frames = Frames::new(Framing::Resp, ANSWER_MAX as u64);
        for command in &self.commands {
            write_all(node, command, &mut deadline)
                .await
                .map_err(|e| e.to_string())?;
            loop {
                if !input.is_empty() {
                    let (used, step) = frames.next(input.filled()).map_err(|e| e.to_string())?;
                    let text = String::from_utf8_lossy(&input.filled()[..used.min(80)]).into_owned();
                    input.consume(used);
                    match step {
                        Step::End(b'-' | b'!') => {
                            return Err(format!("the node refused its set-up: {}", text.trim()));
                        }
                        Step::End(b'>') => continue,
                        Step::End(_) => break,
                        Step::Inside => {}
                    }
                }
                match input.read_more(node, ANSWER_MAX, &mut deadline).await {
                    Ok(0) => return Err("the node closed the connection".into()),
                    Ok(_) => {}
                    Err(e) => return Err(e.to_string()),
                }
            }
        }
        Ok(input.into_bytes())
    }
}
