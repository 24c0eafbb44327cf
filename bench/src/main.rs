//! `./dev bench`: prints the rows of DESIGN §9 that concern one node.

use std::path::PathBuf;

use clap::Parser;
use keygate_bench::{decide, durable, edge, envoy, http, many, policy, proxy, report, start};

/// Prints each figure beside its yardstick from the same run.
#[derive(Parser)]
struct Args {
    /// Only rows whose group is named: malformed, decide (or decide-100000, decide-api and so on), policy, http, proxy,
    /// edge, envoy, durable, start, many (or revoke, enforced, snapshot, postgres, mass, gates200)
    groups: Vec<String>,
    /// Where databases are kept between runs
    #[arg(long, default_value = "target/bench")]
    folder: PathBuf,
}

#[expect(clippy::print_stdout, reason = "the report is the product")]
fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let wanted = |group: &str| args.groups.is_empty() || args.groups.iter().any(|name| name == group);
    std::fs::create_dir_all(&args.folder)?;
    let mut rows = Vec::new();
    if wanted("malformed") {
        rows.push(decide::malformed()?);
    }
    for (tokens, bar) in [(100_000, 4.0), (1_000_000, 5.0), (10_000_000, 6.0)] {
        if wanted("decide") || wanted(&format!("decide-{tokens}")) {
            start::eprintln(&format!("deciding among {tokens} tokens …"));
            rows.extend(decide::measure(tokens, bar)?);
        }
    }
    if wanted("decide") || wanted("decide-api") {
        rows.push(decide::protected()?);
    }
    if wanted("policy") {
        rows.extend(policy::measure()?);
    }
    if wanted("http") {
        start::eprintln("authorising over HTTP …");
        rows.push(http::measure(&args.folder)?);
    }
    if wanted("proxy") {
        start::eprintln("proxying …");
        rows.extend(proxy::measure(&args.folder)?);
    }
    if wanted("edge") {
        start::eprintln("asking at the edge …");
        rows.extend(edge::measure(&args.folder)?);
    }
    if wanted("envoy") {
        rows.extend(envoy::measure(&args.folder)?);
    }
    if wanted("durable") {
        start::eprintln("creating tokens durably …");
        rows.extend(durable::measure(&args.folder)?);
    }
    if wanted("start") {
        rows.push(start::measure(&args.folder)?);
    }
    rows.extend(many::measure(&args.folder, wanted)?);
    println!("{}", report::table(&rows));
    Ok(())
}
