//! How figures are shown: ours, the yardstick's, the ratio, the bar, and whether it was met.

/// One row of the report.
pub struct Row {
    /// What was measured.
    pub what: String,
    /// Our figure, with its unit.
    pub ours: String,
    /// The yardstick's, with its unit.
    pub yardstick: String,
    /// The one by the other, or our figure where the bar is a plain number.
    pub ratio: f64,
    /// What it must be.
    pub bar: Bar,
    /// What must be known to read it.
    pub note: String,
}

/// What a ratio must be.
#[derive(Clone, Copy)]
pub enum Bar {
    /// At most this.
    Most(f64),
    /// At least this.
    Least(f64),
    /// Nothing: it is shown so that it can be seen.
    None,
}

impl Bar {
    /// Whether it is met.
    #[must_use]
    pub fn is_met(self, ratio: f64) -> bool {
        match self {
            Self::Most(most) => ratio <= most,
            Self::Least(least) => ratio >= least,
            Self::None => true,
        }
    }
}

/// The rows as a table.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["what", "ours", "yardstick", "ratio", "bar", "", "note"]);
    for row in rows {
        let bar = match row.bar {
            Bar::Most(most) => format!("≤ {most}"),
            Bar::Least(least) => format!("≥ {least}"),
            Bar::None => String::new(),
        };
        let met = match row.bar {
            Bar::None => "",
            bar if bar.is_met(row.ratio) => "met",
            _ => "MISSED",
        };
        let ratio = format!("{:.2}", row.ratio);
        let cells = [&row.what, &row.ours, &row.yardstick, &ratio, &bar, &met.to_owned(), &row.note];
        table.add_row(cells);
    }
    table.to_string()
}
