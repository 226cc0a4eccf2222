//! Why control cannot start.

use std::net::SocketAddr;

use foreshift_wire::PoolName;

/// Why control cannot start, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The API's address cannot be used.
    #[error("cannot listen on {address}: {source}; stop what listens there, or choose another port")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The API has no tokens yet.
    #[error("{address} can be reached by others, and the API has no tokens yet; use 127.0.0.1 or [::1]")]
    NotLoopback {
        /// As configured.
        address: SocketAddr,
    },
    /// Agents cannot be listened to.
    #[error("cannot listen on {address}: {source}; use an address of this machine")]
    AgentListen {
        /// As configured.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The agents' token cannot be read or made.
    #[error("{}: {source}", file.display())]
    AgentToken {
        /// As configured.
        file: std::path::PathBuf,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// The metadata cannot be read or written.
    #[error("metadata: {0}")]
    Meta(#[from] foreshift_meta::Error),
    /// The forecasts cannot be made as configured.
    #[error("forecast, for pool {pool}: {source}")]
    Forecast {
        /// Its `check_interval` is the forecasts' step.
        pool: PoolName,
        /// What does not fit.
        source: foreshift_forecast::Error,
    },
    /// A pool does not take its new settings over.
    #[error("{0}")]
    Pool(String),
    /// A file that TLS towards a pool's nodes needs cannot be used.
    #[error("pool {pool}: {source}")]
    Tls {
        /// Which pool.
        pool: PoolName,
        /// What is wrong with which file.
        source: Box<foreshift_tls::Error>,
    },
    /// A pool's model cannot be used.
    #[error("{source}")]
    Model {
        /// Which `[[pool]]`, from 0.
        index: usize,
        /// What is wrong with it.
        source: crate::ModelError,
    },
}

impl Error {
    /// The configuration's key that is to blame.
    pub fn key(&self) -> Option<String> {
        match self {
            Self::Listen { .. } | Self::NotLoopback { .. } => Some("api.address".into()),
            Self::AgentListen { .. } => Some("agent.address".into()),
            Self::AgentToken { .. } => Some("agent.token_file".into()),
            Self::Model { index, .. } => Some(format!("pool[{index}].forecast.model_path")),
            Self::Meta(_) | Self::Forecast { .. } | Self::Pool(_) | Self::Tls { .. } => None,
        }
    }
}
