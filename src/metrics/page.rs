//! Prometheus's text format 0.0.4: families of rows, each with its labels and a number.
//!
//! Written here because label values are names that clients choose: the well-known crate does not escape them, and one
//! quote in the name of a group would make the whole page unreadable.

use std::fmt::{Display, Write};

/// What a page may come to; rows that do not fit are left out and counted.
const BYTES_MAX: usize = 64 << 20;

/// A page in the making.
#[derive(Debug)]
pub struct Page {
    text: String,
    bytes_max: usize,
    left_out: u64,
}

/// Rows of one name.
#[derive(Debug)]
pub struct Family<'a> {
    page: &'a mut Page,
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    is_begun: bool,
}

impl Default for Page {
    fn default() -> Self {
        Self::with_limit(BYTES_MAX)
    }
}

impl Page {
    pub fn with_limit(bytes_max: usize) -> Self {
        Self { text: String::new(), bytes_max, left_out: 0 }
    }

    /// What goes up and down.
    pub fn gauge(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        Family { page: self, name, kind: "gauge", help, is_begun: false }
    }

    /// What only grows until the process starts again; its name ends in `_total`.
    pub fn counter(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        assert!(name.ends_with("_total"), "{name}: that is what a counter is told by");
        Family { page: self, name, kind: "counter", help, is_begun: false }
    }

    pub fn into_text(mut self) -> String {
        self.bytes_max = usize::MAX;
        let left_out = self.left_out;
        self.gauge("odradek_metrics_rows_left_out", "Rows of this page that did not fit into it.").row(&[], left_out);
        self.text
    }
}

impl Family<'_> {
    /// One number. No two rows of a family have the same labels.
    pub fn row(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let before = self.page.text.len();
        if !self.is_begun {
            let (name, kind, help) = (self.name, self.kind, self.help);
            self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        }
        self.page.text.push_str(self.name);
        for (at, (label, text)) in labels.iter().enumerate() {
            self.write(format_args!("{}{label}=\"", if at == 0 { '{' } else { ',' }));
            self.escape(text);
            self.page.text.push('"');
        }
        self.write(format_args!("{} {value}\n", if labels.is_empty() { "" } else { "}" }));
        if self.page.text.len() > self.page.bytes_max {
            self.page.text.truncate(before);
            self.page.left_out += 1;
        } else {
            self.is_begun = true;
        }
    }

    fn write(&mut self, what: std::fmt::Arguments<'_>) {
        self.page.text.write_fmt(what).expect("a string takes everything");
    }

    fn escape(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '\\' => self.page.text.push_str("\\\\"),
                '"' => self.page.text.push_str("\\\""),
                '\n' => self.page.text.push_str("\\n"),
                letter => self.page.text.push(letter),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_headed_once_and_only_when_it_has_rows() {
        let mut page = Page::default();
        page.gauge("empty", "None of these.");
        let mut family = page.gauge("kafka_log_log_size", "Bytes.");
        family.row(&[("topic", "t"), ("partition", "0")], 7);
        family.row(&[("topic", "t"), ("partition", "1")], 0.5);
        page.counter("seen_total", "Seen.").row(&[], 1);
        let expected = "# HELP kafka_log_log_size Bytes.\n# TYPE kafka_log_log_size gauge\n\
            kafka_log_log_size{topic=\"t\",partition=\"0\"} 7\nkafka_log_log_size{topic=\"t\",partition=\"1\"} 0.5\n\
            # HELP seen_total Seen.\n# TYPE seen_total counter\nseen_total 1\n";
        assert!(page.into_text().starts_with(expected));
    }

    #[test]
    fn names_that_clients_chose_cannot_leave_their_quotes() {
        let mut page = Page::default();
        page.gauge("g", "G.").row(&[("group", "a\"} 9\nb\\")], 1);
        assert!(page.into_text().contains("g{group=\"a\\\"} 9\\nb\\\\\"} 1\n"));
    }

    #[test]
    fn a_page_is_bounded_and_says_what_it_left_out() {
        let mut page = Page::with_limit(100);
        let mut family = page.gauge("g", "G.");
        for _ in 0..9 {
            family.row(&[("group", &"x".repeat(40))], 1);
        }
        let text = page.into_text();
        assert_eq!(text.matches("xxx\"} 1").count(), 1);
        assert!(text.ends_with("odradek_metrics_rows_left_out 8\n"));
    }
}
