//! What a script has printed: a line for each call, with what the client made of the answer.

use serde_json::Value;

use crate::client::Client;

/// The steps of a script.
pub(crate) struct Steps {
    client: Client,
    area: String,
    steps: Vec<Step>,
}

struct Step {
    name: String,
    outcome: String,
    status: Option<u64>,
    value: Value,
}

impl Steps {
    pub(crate) fn read(client: Client, area: &str, printed: &str) -> Self {
        let steps: Vec<_> = printed.lines().map(Step::read).collect();
        assert!(!steps.is_empty(), "{client:?} {area}: no steps");
        Self { client, area: area.to_owned(), steps }
    }

    /// The value of a step that succeeded with this status. A step that happens several times: the first of them.
    pub(crate) fn ok(&self, name: &str, status: u64) -> &Value {
        self.all_ok(name, status)[0]
    }

    /// The values of every step of this name, each of which succeeded with this status; at least one. Rust's client
    /// does not tell the status of what succeeded.
    pub(crate) fn all_ok(&self, name: &str, status: u64) -> Vec<&Value> {
        let steps: Vec<_> = self.of(name).filter(|step| step.outcome != "unread").collect();
        assert!(!steps.is_empty(), "no value of {name}:\n{self}");
        for step in &steps {
            let untold = self.client == Client::Rust && step.status.is_none();
            let right = step.outcome == "ok" && (untold || step.status == Some(status));
            assert!(right, "{name} did not succeed with {status}:\n{self}");
        }
        steps.into_iter().map(|step| &step.value).collect()
    }

    /// The body of a step that was refused with this status.
    pub(crate) fn refused(&self, name: &str, status: u64) -> &Value {
        let mut steps = self.of(name);
        let step = steps.next().unwrap_or_else(|| panic!("no {name}:\n{self}"));
        let right = step.outcome == "refused" && step.status == Some(status) && steps.next().is_none();
        assert!(right, "{name} was not refused with {status}:\n{self}");
        &step.value
    }

    /// The status of a step that happens once, whatever came of it.
    pub(crate) fn status(&self, name: &str) -> Option<u64> {
        self.of(name).next().unwrap_or_else(|| panic!("no {name}:\n{self}")).status
    }

    /// Those and only those steps this client could not take in with its default settings.
    pub(crate) fn assert_unread(&self, names: &[&str]) {
        let unread = || self.steps.iter().filter(|step| step.outcome == "unread");
        assert_eq!(unread().map(|step| step.name.as_str()).collect::<Vec<_>>(), names, "{self}");
        let words: &[_] = match self.client {
            Client::Python => &["ApiTypeError", "ApiValueError"],
            Client::Js => &["TypeError"],
            Client::Rust => &["Serde"],
        };
        assert!(unread().all(|step| words.iter().any(|word| step.value == *word)), "not {words:?}:\n{self}");
    }

    /// Every call was answered that there is no such endpoint.
    pub(crate) fn assert_not_there(&self) {
        for step in &self.steps {
            let no_endpoint = step.status == Some(404) && step.value["code"] == "no_rule";
            assert!(step.outcome == "refused" && no_endpoint, "{} is there:\n{self}", step.name);
        }
    }

    fn of(&self, name: &str) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |step| step.name == name)
    }
}

impl Step {
    fn read(line: &str) -> Self {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no step: {line}"));
        let text = |name: &str| line[name].as_str().expect("a text").to_owned();
        Self {
            name: text("step"),
            outcome: text("outcome"),
            status: line["status"].as_u64(),
            value: line["value"].clone(),
        }
    }
}

impl std::fmt::Display for Steps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{:?}, {}:", self.client, self.area)?;
        for Step { name, outcome, status, value } in &self.steps {
            let status = status.map_or_else(|| "untold".to_owned(), |status| status.to_string());
            writeln!(f, "  {name}: {outcome}, {status}, {value}")?;
        }
        Ok(())
    }
}

/// The texts under this name in a list.
pub(crate) fn texts<'v>(list: &'v Value, name: &str) -> Vec<&'v str> {
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {list}")).iter();
    list.map(|item| item[name].as_str().unwrap_or_else(|| panic!("no {name}: {item}"))).collect()
}
