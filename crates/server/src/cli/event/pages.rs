//! The audit log, page by page.

use serde_json::Value;

use crate::cli::client::{Client, Refusal};

#[derive(Clone, Copy)]
pub(super) enum Order {
    NewestFirst,
    /// What is added while pages are read comes after them.
    OldestFirst,
}

/// A walk along `links.next`.
pub(super) struct Pages<'a> {
    client: &'a Client,
    next: Option<String>,
    total: u64,
}

impl<'a> Pages<'a> {
    pub(super) fn new(client: &'a Client, query: &[(&str, String)], order: Order, size: usize) -> Self {
        let mut first = form_urlencoded::Serializer::new(String::new());
        first.extend_pairs(query);
        first.append_pair(
            "sort",
            match order {
                Order::NewestFirst => "-created_at",
                Order::OldestFirst => "created_at",
            },
        );
        first.append_pair("page[size]", &size.to_string());
        Self { client, next: Some(first.finish()), total: 0 }
    }

    /// The next page; none after the last.
    pub(super) fn next(&mut self) -> Result<Option<Vec<Value>>, Refusal> {
        let Some(query) = self.next.take() else { return Ok(None) };
        let mut page = self.client.get(&format!("/events?{query}"))?;
        self.total = page.pointer("/meta/record_count").and_then(Value::as_u64).unwrap_or_default();
        // The query alone: a link to another host would carry the token there.
        let next = page.pointer("/links/next").and_then(Value::as_str).and_then(|link| link.split_once('?'));
        self.next = next.map(|(_, query)| encoded(query));
        match page.get_mut("data").map(Value::take) {
            Some(Value::Array(events)) if !events.is_empty() => Ok(Some(events)),
            _ => Ok(None),
        }
    }

    /// How many there are on all pages, as the last one said.
    pub(super) fn total(&self) -> u64 {
        self.total
    }
}

/// The brackets that the API writes literally, as a request line wants them.
fn encoded(query: &str) -> String {
    query.replace('[', "%5B").replace(']', "%5D")
}
