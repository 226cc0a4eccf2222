//! Writes Prometheus' text exposition format, version 0.0.4.
//!
//! Our own rather than a client library: the numbers live in the pools, which no registry of atomics could
//! hold without a second truth; what is left is this page. Grammar:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::{Display, Write};

use super::Histogram;

/// Metric families, one after the other; all samples of a family are written together.
#[derive(Debug, Default)]
pub(super) struct Text(String);

/// Label names and values, in the order in which they are written.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

impl Text {
    /// Begins a family. `kind` is `counter`, `gauge` or `histogram`.
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    /// One sample of the family begun last.
    pub(super) fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        let labels = braces(labels, None);
        self.line(format_args!("{name}{labels} {value}"));
    }

    /// One sample where there is a value; an absent one is left out, never written as 0.
    pub(super) fn optional(&mut self, name: &str, labels: Labels<'_>, value: Option<f64>) {
        if let Some(value) = value.filter(|v| v.is_finite()) {
            self.sample(name, labels, value);
        }
    }

    /// All samples of a histogram.
    pub(super) fn histogram(&mut self, name: &str, labels: Labels<'_>, histogram: &Histogram) {
        self.buckets(name, labels, histogram.cumulative(), histogram.sum_s());
    }

    /// All samples of a histogram, by its buckets, of which the last has no bound and counts all.
    pub(super) fn buckets(
        &mut self,
        name: &str,
        labels: Labels<'_>,
        cumulative: impl Iterator<Item = (Option<f64>, u64)>,
        sum: f64,
    ) {
        let mut all = 0;
        for (bound, count) in cumulative {
            let le = bound.map_or_else(|| "+Inf".to_owned(), |bound| bound.to_string());
            let labels = braces(labels, Some(&le));
            self.line(format_args!("{name}_bucket{labels} {count}"));
            all = count;
        }
        self.sample(&format!("{name}_sum"), labels, sum);
        self.sample(&format!("{name}_count"), labels, all);
    }

    pub(super) fn finish(self) -> String {
        self.0
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.0.write_fmt(line).expect("writing to a String does not fail");
        self.0.push('\n');
    }
}

fn braces(labels: Labels<'_>, le: Option<&str>) -> String {
    let all = labels.iter().copied().chain(le.map(|le| ("le", le)));
    let pairs: Vec<String> = all
        .map(|(name, value)| format!("{name}=\"{}\"", escape(value)))
        .collect();
    match pairs.is_empty() {
        true => String::new(),
        false => format!("{{{}}}", pairs.join(",")),
    }
}

fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_and_help_are_escaped() {
        let mut text = Text::default();
        text.family("x_total", "counter", "one\\two\nthree");
        text.sample("x_total", &[("a", "say \"hi\"\\\n"), ("b", "é")], 3);
        text.sample("x_total", &[], 4.5);
        assert_eq!(
            text.finish(),
            "# HELP x_total one\\\\two\\nthree\n# TYPE x_total counter\n\
             x_total{a=\"say \\\"hi\\\"\\\\\\n\",b=\"é\"} 3\nx_total 4.5\n"
        );
    }

    #[test]
    fn an_absent_or_infinite_value_is_left_out() {
        let mut text = Text::default();
        text.optional("x", &[], None);
        text.optional("x", &[], Some(f64::NAN));
        assert_eq!(text.finish(), "");
    }

    #[test]
    fn a_histogram_ends_with_inf_sum_and_count() {
        let mut histogram = Histogram::default();
        histogram.add_us(700, 2);
        histogram.add_us(90_000_000, 1);
        let mut text = Text::default();
        text.histogram("d_seconds", &[("pool", "app")], &histogram);
        let text = text.finish();
        assert!(
            text.contains("d_seconds_bucket{pool=\"app\",le=\"0.0005\"} 0\n"),
            "{text}"
        );
        assert!(
            text.contains("d_seconds_bucket{pool=\"app\",le=\"0.001\"} 2\n"),
            "{text}"
        );
        assert!(
            text.contains("d_seconds_bucket{pool=\"app\",le=\"+Inf\"} 3\n"),
            "{text}"
        );
        assert!(
            text.ends_with("d_seconds_sum{pool=\"app\"} 90.0014\nd_seconds_count{pool=\"app\"} 3\n"),
            "{text}"
        );
    }
}
