//! The two formats that Prometheus reads: its own text, and OpenMetrics.

use std::fmt::{Display, Write as _};

use axum::http::{HeaderMap, header};

/// How the numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus' text format, 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// What is written.
pub(super) struct Writer {
    text: String,
    format: Format,
}

impl Format {
    /// The one that a reader likes best; the older if it does not say.
    pub(crate) fn wanted(headers: &HeaderMap) -> Self {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let liked = |kind: &str| {
            let ranges = accept.split(',').filter(|range| {
                range.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(kind))
            });
            ranges.map(weight).fold(0.0, f32::max)
        };
        let open_metrics = liked("application/openmetrics-text");
        if open_metrics > 0.0 && open_metrics >= liked("text/plain") { Self::OpenMetrics } else { Self::Text }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// How much a media range is liked (RFC 9110 §12.4.2).
fn weight(range: &str) -> f32 {
    let mut parameters = range.split(';').skip(1).filter_map(|parameter| parameter.trim().strip_prefix("q="));
    parameters.next().map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0))
}

impl Writer {
    pub(super) fn new(format: Format) -> Self {
        Self { text: String::with_capacity(16 * 1024), format }
    }

    /// Begins a counter, whose name ends in `_total`.
    pub(super) fn counter(&mut self, name: &str, help: &str) {
        let family = match self.format {
            Format::Text => name,
            Format::OpenMetrics => name.strip_suffix("_total").unwrap_or(name),
        };
        self.family(family, "counter", help);
    }

    /// Begins a number that goes up and down.
    pub(super) fn gauge(&mut self, name: &str, help: &str) {
        self.family(name, "gauge", help);
    }

    /// Begins a histogram.
    pub(super) fn histogram(&mut self, name: &str, help: &str) {
        self.family(name, "histogram", help);
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One number of what was begun last.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        for (number, (label, text)) in labels.iter().enumerate() {
            let before = if number == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{}\"", escaped(text));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{after} {value}");
    }

    /// A counter without labels.
    pub(super) fn count(&mut self, name: &str, help: &str, value: impl Display) {
        self.counter(name, help);
        self.sample(name, &[], value);
    }

    /// A gauge without labels.
    pub(super) fn measure(&mut self, name: &str, help: &str, value: impl Display) {
        self.gauge(name, help);
        self.sample(name, &[], value);
    }

    pub(super) fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_reader_gets_the_format_that_it_likes_best() {
        let wanted = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            Format::wanted(&headers)
        };
        assert_eq!(Format::wanted(&HeaderMap::new()), Format::Text);
        assert_eq!(wanted("*/*"), Format::Text);
        assert_eq!(wanted("text/plain"), Format::Text);
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(wanted(prometheus), Format::OpenMetrics);
        assert_eq!(wanted("application/openmetrics-text;q=0.3, text/plain;q=0.7"), Format::Text);
        assert_eq!(wanted("application/openmetrics-text;q=0"), Format::Text);
    }

    #[test]
    fn a_label_cannot_end_its_own_line() {
        let mut page = Writer::new(Format::Text);
        page.sample("x", &[("a", "b\"\\\n")], 1);
        assert_eq!(page.end(), "x{a=\"b\\\"\\\\\\n\"} 1\n");
    }
}
