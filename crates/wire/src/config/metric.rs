//! Which series of a Prometheus page become a signal: `node_cpu_seconds_total{mode!="idle"}`.

use std::{fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

/// A metric's name and what its labels must be. Series that match are added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct MetricSelector {
    /// The metric, as it is written in the page.
    pub name: String,
    /// Every one must hold; a label that is not there is empty.
    pub matchers: Vec<LabelMatcher>,
}

/// `label="value"` or `label!="value"`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelMatcher {
    /// The label.
    pub label: String,
    /// `=`; else `!=`.
    pub equal: bool,
    /// The value.
    pub value: String,
}

impl LabelMatcher {
    /// Whether a series with this value of the label is meant.
    pub fn matches(&self, value: &str) -> bool {
        (self.value == value) == self.equal
    }
}

/// Longest selector, in bytes, so that one scrape's work has a bound.
const SELECTOR_BYTES_MAX: usize = 1_024;

fn is_name(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    first
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

impl FromStr for MetricSelector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            format!("{text:?} {what}; write it as in \"node_cpu_seconds_total{{mode!=\\\"idle\\\"}}\"")
        };
        if text.len() > SELECTOR_BYTES_MAX {
            return Err(format!("a metric of {} bytes is too long", text.len()));
        }
        let (name, labels) = match text.trim().split_once('{') {
            None => (text.trim(), ""),
            Some((name, rest)) => (
                name.trim(),
                rest.strip_suffix('}')
                    .ok_or_else(|| wrong("does not end in '}'"))?,
            ),
        };
        if !is_name(name) {
            return Err(wrong("does not begin with a metric's name"));
        }
        let matchers = matchers(labels).ok_or_else(|| {
            wrong("has labels that are not label=\"value\" or label!=\"value\", separated by commas")
        })?;
        Ok(Self {
            name: name.to_owned(),
            matchers,
        })
    }
}

fn matchers(mut text: &str) -> Option<Vec<LabelMatcher>> {
    let mut matchers = Vec::new();
    loop {
        text = text.trim_start();
        if text.is_empty() {
            return Some(matchers);
        }
        let at = text.find(['=', '!'])?;
        let (label, rest) = text.split_at(at);
        let (equal, rest) = match rest.strip_prefix("!=") {
            Some(rest) => (false, rest),
            None => (true, rest.strip_prefix('=')?),
        };
        let label = label.trim();
        let (value, rest) = quoted(rest.trim_start())?;
        if !is_name(label) {
            return None;
        }
        matchers.push(LabelMatcher {
            label: label.to_owned(),
            equal,
            value,
        });
        text = match rest.trim_start() {
            "" => "",
            rest => rest.strip_prefix(',')?,
        };
    }
}

/// A string in double quotes with `\\`, `\"` and `\n`, and what is behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.strip_prefix('"')?.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 2..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                c @ ('\\' | '"') => value.push(c),
                _ => return None,
            },
            c => value.push(c),
        }
    }
    None
}

impl fmt::Display for MetricSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (n, matcher) in self.matchers.iter().enumerate() {
            let sign = if matcher.equal { "=" } else { "!=" };
            let value = matcher.value.replace('\\', "\\\\").replace('"', "\\\"");
            let value = value.replace('\n', "\\n");
            let open = if n == 0 { "{" } else { "," };
            write!(f, "{open}{}{sign}\"{value}\"", matcher.label)?;
        }
        if self.matchers.is_empty() {
            Ok(())
        } else {
            f.write_str("}")
        }
    }
}

impl From<MetricSelector> for String {
    fn from(selector: MetricSelector) -> Self {
        selector.to_string()
    }
}

impl<'de> Deserialize<'de> for MetricSelector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// How metrics of a page become one signal: a metric alone, or a table that says more.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricMapping {
    /// The series, added up.
    pub metric: MetricSelector,
    /// Divides by the sum of these, so that 3 busy of 4 seconds are 0.75.
    pub over: Option<MetricSelector>,
    /// Takes how fast the series rise, per second, rather than what they are; where absent, what the page says of their type
    /// decides, else a name that ends in `_total`.
    pub rate: Option<bool>,
    /// Multiplies.
    pub scale: f64,
    /// Takes 1 minus the result: a share that is free becomes one that is used.
    pub invert: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MappingTable {
    metric: MetricSelector,
    over: Option<MetricSelector>,
    rate: Option<bool>,
    #[serde(default = "one")]
    scale: f64,
    #[serde(default)]
    invert: bool,
}

fn one() -> f64 {
    1.0
}

impl<'de> Deserialize<'de> for MetricMapping {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrTable)
    }
}

/// By hand, so that what is wrong in a table is said of its key.
struct TextOrTable;

impl<'de> Visitor<'de> for TextOrTable {
    type Value = MetricMapping;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a metric in quotes, or a table with `metric`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<MetricMapping, E> {
        Ok(MetricMapping {
            metric: text.parse().map_err(E::custom)?,
            over: None,
            rate: None,
            scale: one(),
            invert: false,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<MetricMapping, A::Error> {
        let table = MappingTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(MetricMapping {
            metric: table.metric,
            over: table.over,
            rate: table.rate,
            scale: table.scale,
            invert: table.invert,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_reads_back_as_it_was_written() {
        for text in [
            "up",
            "node_cpu_seconds_total{mode!=\"idle\"}",
            "x:y{a=\"b\",c!=\"\",d=\"q\\\"\\\\\\n\"}",
        ] {
            assert_eq!(text.parse::<MetricSelector>().unwrap().to_string(), text);
        }
        let spaced: MetricSelector = " up { a = \"b\" , } ".trim().parse().unwrap();
        assert_eq!(spaced.to_string(), "up{a=\"b\"}");
    }

    #[test]
    fn what_is_no_selector_says_how_one_is_written() {
        for text in [
            "",
            "{}",
            "1x",
            "a b",
            "a{",
            "a{b}",
            "a{b=c}",
            "a{b=\"c}",
            "a{b=~\"c\"}",
            "a{b!~\"c\"}",
            "a{=\"c\"}",
            "a{b=\"c\"d=\"e\"}",
            "a}",
            "a{b=\"\\x\"}",
        ] {
            let error = text.parse::<MetricSelector>().unwrap_err();
            assert!(error.contains("write it as in"), "{text:?}: {error}");
        }
    }
}
