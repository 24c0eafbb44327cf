//! What the database holds, row by row.

use std::{collections::BTreeSet, path::Path};

use keygate_model::CustomerId;
use rusqlite::{Connection, types::Value};

/// A row: its table, and its columns as they are.
type Row = (String, Vec<Value>);

/// Tables that follow everything that happens, whosever it is.
const OF_NOBODY: [&str; 1] = ["head"];

/// Every row of every table.
pub(super) struct Dump(Vec<Row>);

impl Dump {
    pub(super) fn of(db: &Path) -> Self {
        let db = Connection::open(db).expect("a database");
        let mut tables = db
            .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
            .expect("tables");
        let tables: Vec<String> =
            tables.query_map([], |row| row.get(0)).expect("tables").collect::<Result<_, _>>().expect("names");
        let mut rows = Vec::new();
        for table in tables.iter().filter(|table| !OF_NOBODY.contains(&table.as_str())) {
            let mut select = db.prepare(&format!("SELECT * FROM {table}")).expect("a table");
            let columns = select.column_count();
            let mut found = select.query([]).expect("rows");
            while let Some(row) = found.next().expect("a row") {
                let values = (0..columns).map(|at| row.get(at).expect("a value"));
                rows.push((table.clone(), values.collect::<Vec<Value>>()));
            }
        }
        assert!(rows.len() > 50, "a house with hardly anything in it");
        Self(rows)
    }

    /// The rows of one customer: those that name it, and those that name what is named in these; as sorted texts.
    pub(super) fn of_customer(&self, customer: CustomerId) -> Vec<String> {
        let own = Value::Blob(customer.to_bytes().to_vec());
        // Ids stand first: with the rows of the customer, the ids of all that is its.
        let mut ids: Vec<&Value> = vec![&own];
        for (table, row) in &self.0 {
            if table != "events" && row.contains(&own) {
                ids.push(&row[0]);
            }
        }
        let named = |row: &[Value]| row.iter().any(|value| ids.contains(&value));
        let mut texts: Vec<_> =
            self.0.iter().filter(|(_, row)| named(row)).map(|row| format!("{row:?}")).collect();
        texts.sort();
        let tables: BTreeSet<_> =
            self.0.iter().filter(|(_, row)| named(row)).map(|(table, _)| table.as_str()).collect();
        for table in
            ["customers", "users", "tokens", "services", "invitations", "authorizations", "domains", "events"]
        {
            assert!(tables.contains(table), "nothing of this customer in {table}: the dump would not notice");
        }
        texts
    }

    /// All rows but marks of use, which come when they come.
    pub(super) fn all(&self) -> Vec<String> {
        let mut texts: Vec<_> =
            self.0.iter().filter(|(table, _)| table != "marks").map(|row| format!("{row:?}")).collect();
        texts.sort();
        texts
    }
}
