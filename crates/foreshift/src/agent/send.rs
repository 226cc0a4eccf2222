//! One report on its way to control.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use foreshift_wire::{AgentReceipt, AgentReport, AgentSample, Problem};
use ureq::{Agent, http::StatusCode};

use crate::args;

/// Time for a whole report: shorter than what one counts for.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What became of a report.
pub(super) enum Sent {
    /// Everything up to this number is there.
    Taken { newest_seq: u64 },
    /// Control has understood that it is wrong, and will again.
    Refused { newest_seq: u64, why: String },
    /// Nobody took it; later somebody may.
    Away(String),
}

/// Sends one run's reports.
pub(super) struct Sender {
    http: Agent,
    url: String,
    token_file: PathBuf,
    run: String,
}

impl Sender {
    /// Checks what the command line says.
    pub(super) fn new(args: &args::Agent) -> Result<Self> {
        let control = args.control.trim_end_matches('/');
        if !control.starts_with("http://") {
            bail!("--control {control:?} is not usable: give a URL as in http://127.0.0.1:8090");
        }
        let sender = Self {
            http: Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .proxy(None)
                .timeout_global(Some(TIMEOUT))
                .user_agent(concat!("foreshift-agent/", env!("CARGO_PKG_VERSION")))
                .build()
                .new_agent(),
            url: format!("{control}/v1/pools/{}/nodes/{}/agent", args.pool, args.node),
            token_file: args.token_file.clone(),
            run: run_id().context("name this run")?,
        };
        sender.token()?;
        Ok(sender)
    }

    pub(super) fn run(&self) -> &str {
        &self.run
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Read for each report, so that a new token counts without a restart.
    fn token(&self) -> Result<String> {
        let file = self.token_file.display();
        let text = fs::read_to_string(&self.token_file).with_context(|| {
            format!("--token-file {file}: copy the file that agent.token_file of the control side names")
        })?;
        Ok(text.trim().to_owned())
    }

    /// Sends samples; they are in the order of their numbers.
    pub(super) fn send(&self, samples: Vec<AgentSample>) -> Sent {
        let newest_seq = samples.last().map_or(0, |sample| sample.seq);
        let report = AgentReport {
            run: self.run.clone(),
            samples,
        };
        match self.post(&report) {
            Ok(Ok(receipt)) => Sent::Taken {
                newest_seq: receipt.newest_seq.max(newest_seq),
            },
            Ok(Err((StatusCode::UNPROCESSABLE_ENTITY, why))) => Sent::Refused { newest_seq, why },
            Ok(Err((status, why))) => Sent::Away(format!("{status}: {why}")),
            Err(error) => Sent::Away(format!("{error:#}")),
        }
    }

    fn post(&self, report: &AgentReport) -> Result<Result<AgentReceipt, (StatusCode, String)>> {
        let token = self.token()?;
        let request = self
            .http
            .post(&self.url)
            .header("authorization", format!("Bearer {token}"));
        let mut response = request.send_json(report)?;
        let status = response.status();
        match status.is_success() {
            true => Ok(Ok(response.body_mut().read_json()?)),
            false => {
                let problem: Result<Problem, _> = response.body_mut().read_json();
                Ok(Err((
                    status,
                    problem.map(|problem| problem.detail).unwrap_or_default(),
                )))
            }
        }
    }
}

/// Another one each time: 128 random bits of the kernel.
fn run_id() -> Result<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    Ok(id.trim().to_owned())
}
