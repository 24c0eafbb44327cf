//! Loads a server on this machine by hand: `taskset -c 1 load 127.0.0.1:3000 --tokens tokens.txt`.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use keygate_bench::load::{Load, Requests};

/// A closed-loop HTTP/1.1 load generator for servers on this machine.
#[derive(Parser)]
struct Args {
    /// The server, a loopback address with its port
    target: SocketAddr,
    /// Path to ask for
    #[arg(long, default_value = "/")]
    path: String,
    /// Method to ask with
    #[arg(long, default_value = "GET")]
    method: String,
    /// File of tokens, one a line; each request carries one of them, drawn at random, as its bearer
    #[arg(long)]
    tokens: Option<PathBuf>,
    /// Connections kept open
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Seconds before anything is counted
    #[arg(long, default_value_t = 1.0)]
    warmup: f64,
    /// Seconds that are counted
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Requests to send at most
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
    max: u64,
    /// Where the order of the requests starts
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Statuses that are right
    #[arg(long, default_values_t = [200])]
    expect: Vec<u16>,
    /// Process whose CPU share is told too
    #[arg(long)]
    server_pid: Option<u32>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let load = Load {
        connections: args.connections,
        warmup: Duration::try_from_secs_f64(args.warmup)?,
        duration: Duration::try_from_secs_f64(args.seconds)?,
        requests_max: args.max,
        seed: args.seed,
        requests: requests(&args)?,
        expected: args.expect,
        target: args.target,
    };
    let found = load.run(args.server_pid)?;
    println!("{found}");
    anyhow::ensure!(found.is_clean(), "not every request was answered as expected");
    Ok(())
}

fn requests(args: &Args) -> anyhow::Result<Requests> {
    let head = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", args.method, args.path, args.target);
    let Some(path) = &args.tokens else {
        return Ok(Requests::whole([head + "\r\n"]));
    };
    let tokens = std::fs::read_to_string(path)?;
    Ok(Requests::around(head + "Authorization: Bearer ", tokens.lines(), "\r\n\r\n"))
}
