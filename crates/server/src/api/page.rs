//! Pages of lists: which one is wanted, and how answers say which one it is.

use serde_json::{Map, Value, json};

use crate::error::Problem;

/// How many things a page has if nobody says, and at most.
const SIZE: usize = 20;
const SIZE_MAX: usize = 1000;

/// A cursor that this list has not given to this caller (SECURITY-BAR B58).
pub(crate) fn cursor_invalid() -> Problem {
    Problem::bad_request("cursor_invalid", "This cursor was not made for this list; start again without one")
}

/// Which page of a list is wanted.
pub(crate) struct Page {
    number: usize,
    size: usize,
}

impl Page {
    /// Reads `page` and `per_page`, or `page[number]` and `page[size]`.
    pub(crate) fn parse(query: &str) -> Result<Self, Problem> {
        let mut page = Self { number: 1, size: SIZE };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let number = || {
                let read = value.parse::<usize>().ok().filter(|number| *number > 0);
                read.ok_or_else(|| {
                    Problem::bad_request("page_invalid", format!("{name} is a number from 1 on"))
                })
            };
            match name.as_ref() {
                "page" | "page[number]" => page.number = number()?,
                "per_page" | "page[size]" | "limit" => page.size = number()?.min(SIZE_MAX),
                _ => {}
            }
        }
        Ok(page)
    }

    /// What of a list stands on this page.
    pub(crate) fn of<'l, T>(&self, list: &'l [T]) -> &'l [T] {
        let start = (self.number - 1).saturating_mul(self.size).min(list.len());
        &list[start..start.saturating_add(self.size).min(list.len())]
    }

    /// Where this page stands among those of a list of `count`.
    pub(crate) fn meta(&self, count: usize) -> Value {
        json!({
            "per_page": self.size,
            "current_page": self.number,
            "record_count": count,
            "total_pages": self.pages(count),
        })
    }

    /// This page of a JSON:API list, with its links.
    pub(crate) fn document<T>(&self, address: &str, all: &[T], show: impl Fn(&T) -> Value) -> Value {
        json!({
            "data": self.of(all).iter().map(show).collect::<Vec<_>>(),
            "links": self.links(address, all.len()),
            "meta": self.meta(all.len()),
        })
    }

    /// The `links` of a JSON:API list, with encoded brackets, as recorded (CONTRACT §17).
    fn links(&self, address: &str, count: usize) -> Value {
        let (size, last) = (self.size, self.pages(count));
        let link = |number: usize| format!("{address}?page%5Bnumber%5D={number}&page%5Bsize%5D={size}");
        let mut links = Map::new();
        if self.number > 1 {
            links.insert("first".to_owned(), link(1).into());
            links.insert("prev".to_owned(), link(self.number - 1).into());
        }
        if self.number < last {
            links.insert("next".to_owned(), link(self.number + 1).into());
        }
        links.insert("last".to_owned(), link(last).into());
        links.into()
    }

    fn pages(&self, count: usize) -> usize {
        count.div_ceil(self.size).max(1)
    }
}
