//! `JSON {"cpu_utilization":0.3,"named_metrics":{"foo":2}}`: the JSON form of the protobuf message.
//!
//! Read by a visitor rather than into a map, because a map would keep the last of two equal names and hide the first. The
//! names come in the two spellings of protobuf's JSON; a number may be in quotes, as protobuf writes 64-bit integers.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{Builder, LoadReport, OrcaError, shortened};

/// Reads what is behind `JSON `.
pub(super) fn parse(text: &str) -> Result<LoadReport, OrcaError> {
    let mut builder = Builder::default();
    let mut refused = None;
    let mut json = serde_json::Deserializer::from_str(text);
    let fields = Fields {
        prefix: None,
        builder: &mut builder,
        refused: &mut refused,
    };
    let read = fields.deserialize(&mut json).and_then(|()| json.end());
    match (refused, read) {
        (Some(why), _) => Err(why),
        (None, Err(e)) => Err(OrcaError::Json {
            detail: e.to_string(),
        }),
        (None, Ok(())) => Ok(builder.build()),
    }
}

/// The fields of the message, or with a prefix those of one of its maps.
struct Fields<'a> {
    prefix: Option<&'static str>,
    builder: &'a mut Builder,
    /// What was wrong beyond the syntax.
    refused: &'a mut Option<OrcaError>,
}

/// The message's name of a field; `None` for one that it has not.
fn canonical(name: &str) -> Option<&'static str> {
    Some(match name {
        "cpu_utilization" | "cpuUtilization" => "cpu_utilization",
        "mem_utilization" | "memUtilization" => "mem_utilization",
        "application_utilization" | "applicationUtilization" => "application_utilization",
        "rps_fractional" | "rpsFractional" => "rps_fractional",
        "rps" => "rps",
        "eps" => "eps",
        "utilization" => "utilization",
        "named_metrics" | "namedMetrics" => "named_metrics",
        "request_cost" | "requestCost" => "request_cost",
        _ => return None,
    })
}

impl Fields<'_> {
    /// Ends the reading with an error of ours.
    fn refuse<E: de::Error>(&mut self, why: OrcaError) -> E {
        let error = E::custom(&why);
        self.refused.get_or_insert(why);
        error
    }

    fn set<E: de::Error>(&mut self, name: &str, value: f64) -> Result<(), E> {
        self.builder.set(name, value).map_err(|why| self.refuse(why))
    }
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of metrics")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if let Some(prefix) = self.prefix {
                let Number(value) = map.next_value()?;
                self.set(&format!("{prefix}.{key}"), value)?;
                continue;
            }
            let Some(name) = canonical(&key) else {
                map.next_value::<IgnoredAny>()?;
                return Err(self.refuse(OrcaError::Unknown {
                    name: shortened(&key),
                }));
            };
            if matches!(name, "utilization" | "named_metrics" | "request_cost") {
                map.next_value_seed(Fields {
                    prefix: Some(name),
                    builder: self.builder,
                    refused: self.refused,
                })?;
            } else {
                let Number(value) = map.next_value()?;
                self.set(name, value)?;
            }
        }
        Ok(())
    }
}

/// A number, in quotes or not.
struct Number(f64);

impl<'de> serde::Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Number, E> {
                Ok(Number(value))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Number, E> {
                let number = value.parse().map(Number);
                number.map_err(|_| E::custom(format_args!("{:?} is no number", shortened(value))))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
