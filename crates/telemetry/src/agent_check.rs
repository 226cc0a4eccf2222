//! HAProxy's agent-check text: one line of words by which a node sets its own weight and state.
//!
//! Words are separated by blanks, tabs or commas and come in any order; the line ends at the first CR or LF. What is not in it
//! stays as it was. `#` begins a description that runs to the end of the line.
//!
//! Only the text is read here; what its words do to a node is control's.

/// Longest line that is read, in bytes.
pub const LINE_BYTES_MAX: usize = 1_024;
/// Longest description that is kept, in characters.
const REASON_CHARS_MAX: usize = 128;
/// HAProxy's own limits.
const WEIGHT_MAX: u32 = 256;
const PERCENT_MAX: u32 = 100 * WEIGHT_MAX;

/// What one line says. `None`: it does not say.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AgentReply {
    /// The weight.
    pub weight: Option<AgentWeight>,
    /// Connections that the node takes at most; 0 is without limit.
    pub maxconn: Option<u32>,
    /// Its administrative state.
    pub admin: Option<AgentAdmin>,
    /// Its operational state.
    pub health: Option<AgentHealth>,
    /// The description behind `#`.
    pub reason: Option<String>,
}

/// A weight as an agent sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentWeight {
    /// Percent of the weight that is configured, 0 to 25,600.
    Percent(u32),
    /// In place of it, 0 to 256.
    Absolute(u32),
}

impl AgentWeight {
    /// The weight where `configured` is the one of the configuration.
    pub fn of(self, configured: f64) -> f64 {
        match self {
            Self::Percent(percent) => configured * f64::from(percent) / 100.0,
            Self::Absolute(weight) => f64::from(weight),
        }
    }
}

/// What may be given to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentAdmin {
    /// Everything: ends `drain` and `maint`.
    Ready,
    /// Nothing new.
    Drain,
    /// Nothing at all.
    Maint,
}

/// Whether a node works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentHealth {
    /// It does, where the health checks say so too.
    Up,
    /// It does not.
    Down,
    /// It failed a check of its own.
    Failed,
    /// It was stopped on purpose.
    Stopped,
}

impl AgentHealth {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// Why a line was refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AgentCheckError {
    /// No line end within the first bytes.
    #[error("the line is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// Not ASCII.
    #[error("the line is not ASCII text")]
    NotAscii,
    /// A word that is none of the protocol's.
    #[error(
        "{word:?} is no word of an agent-check: 75%, weight:N, maxconn:N, ready, drain, maint, up, down, fail, stopped"
    )]
    Unknown {
        /// The word, shortened.
        word: String,
    },
    /// A number that is none or out of range.
    #[error("{word:?} has no whole number of 0 to {max}")]
    Number {
        /// The word, shortened.
        word: String,
        /// The largest allowed.
        max: u32,
    },
    /// Two words that say different things of one matter.
    #[error("{word:?} contradicts an earlier word of the line")]
    Contradiction {
        /// The later word.
        word: String,
    },
}

/// Reads what an agent sent, up to the first CR or LF or the end. An empty line says nothing and is no error.
pub fn parse(sent: &[u8]) -> Result<AgentReply, AgentCheckError> {
    let end = sent.iter().position(|b| matches!(b, b'\r' | b'\n'));
    let line = &sent[..end.unwrap_or(sent.len())];
    if line.len() > LINE_BYTES_MAX {
        return Err(AgentCheckError::TooLong);
    }
    let line = std::str::from_utf8(line).ok().filter(|line| line.is_ascii());
    let line = line.ok_or(AgentCheckError::NotAscii)?;
    let (words, reason) = match line.split_once('#') {
        Some((words, reason)) => (words, printable(reason)),
        None => (line, None),
    };
    let mut reply = AgentReply {
        reason,
        ..Default::default()
    };
    for word in words.split([' ', '\t', ',']).filter(|word| !word.is_empty()) {
        take(&mut reply, word)?;
    }
    Ok(reply)
}

fn printable(reason: &str) -> Option<String> {
    let kept = reason.trim().chars().filter(|c| !c.is_ascii_control());
    let kept: String = kept.take(REASON_CHARS_MAX).collect();
    (!kept.is_empty()).then_some(kept)
}

fn take(reply: &mut AgentReply, word: &str) -> Result<(), AgentCheckError> {
    let lower = word.to_ascii_lowercase();
    let number = |text: &str, max| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse::<u32>().ok().filter(|n| digits && *n <= max);
        number.ok_or_else(|| AgentCheckError::Number {
            word: shortened(word),
            max,
        })
    };
    if let Some(count) = lower.strip_prefix("maxconn:") {
        let count = number(count, u32::MAX)?;
        return once(&mut reply.maxconn, count, word);
    }
    let weight = lower.strip_prefix("weight:");
    if let Some(percent) = weight.unwrap_or(&lower).strip_suffix('%') {
        let percent = AgentWeight::Percent(number(percent, PERCENT_MAX)?);
        return once(&mut reply.weight, percent, word);
    }
    if let Some(weight) = weight {
        let weight = AgentWeight::Absolute(number(weight, WEIGHT_MAX)?);
        return once(&mut reply.weight, weight, word);
    }
    match lower.as_str() {
        "ready" => once(&mut reply.admin, AgentAdmin::Ready, word),
        "drain" => once(&mut reply.admin, AgentAdmin::Drain, word),
        "maint" => once(&mut reply.admin, AgentAdmin::Maint, word),
        "up" => once(&mut reply.health, AgentHealth::Up, word),
        "down" => once(&mut reply.health, AgentHealth::Down, word),
        "fail" | "failed" => once(&mut reply.health, AgentHealth::Failed, word),
        "stopped" => once(&mut reply.health, AgentHealth::Stopped, word),
        _ => Err(AgentCheckError::Unknown {
            word: shortened(word),
        }),
    }
}

fn once<T: PartialEq>(slot: &mut Option<T>, value: T, word: &str) -> Result<(), AgentCheckError> {
    if slot.as_ref().is_some_and(|before| *before != value) {
        return Err(AgentCheckError::Contradiction {
            word: shortened(word),
        });
    }
    *slot = Some(value);
    Ok(())
}

fn shortened(word: &str) -> String {
    word.chars().take(64).collect()
}
