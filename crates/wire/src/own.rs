//! What nodes say of themselves.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The signals that only a node can tell. `None` is "not said", never zero.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OwnLoad {
    /// Share of the CPU in use, 0 to 1 (above 1 where the report means it so).
    pub cpu: Option<f64>,
    /// Share of the memory in use, 0 to 1.
    pub memory: Option<f64>,
    /// The application's own figure for how full it is, 0 to 1 and above.
    pub utilisation: Option<f64>,
}

impl OwnLoad {
    /// CPU, memory and utilisation.
    pub fn to_array(self) -> [Option<f64>; 3] {
        [self.cpu, self.memory, self.utilisation]
    }

    /// Nothing was said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
