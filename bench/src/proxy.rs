//! The reverse proxy, with a guard that lets everything through, against nginx proxying alone to the same upstream.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    fixture::median,
    http::{OnCore, run},
    load::Requests,
    report::{Bar, Row},
    start::{Server, free_address},
};

const LAUNCHES: usize = 7;

/// What is asked for and answered: a small JSON object, and a page.
const ANSWERS: [(&str, usize); 2] =
    [("proxy an answer of 100 bytes", 100), ("the same of 10 KiB", 10 * 1024)];

/// Measures, from core 1, where the upstream is too; the proxies run on core 0.
///
/// # Errors
/// If a run was not clean.
pub fn measure(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let _away = OnCore::one()?;
    ANSWERS.iter().map(|(what, length)| against_nginx(folder, what, *length)).collect()
}

fn against_nginx(folder: &Path, what: &str, length: usize) -> anyhow::Result<Row> {
    let upstream = upstream(folder, length)?;
    let (mut ours, mut theirs, mut busy) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..LAUNCHES {
        theirs.push(of_a_whole_core(&proxying(folder, upstream.address)?, &mut busy)?);
        ours.push(of_a_whole_core(&Server::proxy(upstream.address)?, &mut busy)?);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    Ok(Row {
        what: format!("{what}, one core"),
        ours: format!("{:.1} k/s", ours / 1000.0),
        yardstick: format!("{:.1} k/s, nginx alone", theirs / 1000.0),
        ratio: ours / theirs,
        bar: Bar::Least(0.8),
        note: format!("by the core's time that was used, {:.0} % of it", median(busy) * 100.0),
    })
}

/// Requests a second that a proxy makes of a core of its own. It may get less of it, or wait for the upstream and the
/// generator, which share the other one: so its own time counts, and not the clock's.
fn of_a_whole_core(proxy: &Server, busy: &mut Vec<f64>) -> anyhow::Result<f64> {
    let outcome = run(proxy, requests())?;
    let used = outcome.server_cpu.unwrap_or(f64::NAN);
    busy.push(used);
    Ok(outcome.requests_per_second / used)
}

/// An nginx on the other core that answers with so many bytes.
pub(crate) fn upstream(folder: &Path, length: usize) -> anyhow::Result<Server> {
    nginx(folder, "1", "upstream", &answering(folder, length)?, "")
}

/// nginx's way to answer with so many bytes: it takes up to 4096 from its own configuration.
fn answering(folder: &Path, length: usize) -> anyhow::Result<String> {
    let (root, bytes) = (fs::canonicalize(folder)?, "x".repeat(length));
    if length <= 4000 {
        return Ok(format!("location / {{ return 200 \"{bytes}\"; }}"));
    }
    fs::write(root.join("answer"), bytes)?;
    Ok(format!("open_file_cache max=10; location / {{ root {}; try_files /answer =404; }}", root.display()))
}

fn requests() -> Requests {
    Requests::whole([
        "GET /service/6j5dnUJriT6BgCbZ5NeHpR/version HTTP/1.1\r\nHost: api.example\r\nUser-Agent: bench/1\r\n\
         Accept: application/json\r\nAccept-Encoding: gzip, br\r\nFastly-Key: kgu_0123456789abcdefghijklmnopqrstuvwxyz\r\n\r\n",
    ])
}

/// nginx as a proxy, as its manual has it for kept connections.
fn proxying(folder: &Path, upstream: SocketAddr) -> anyhow::Result<Server> {
    let kept =
        format!("upstream up {{ server {upstream}; keepalive 128; keepalive_requests 1000000000; }}\n");
    let location = "location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection \"\";\n\
        proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr;\n\
        proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host; }";
    nginx(folder, "0", "proxy", location, &kept)
}

fn nginx(folder: &Path, core: &str, name: &str, location: &str, before: &str) -> anyhow::Result<Server> {
    let address = free_address()?;
    let site = format!("{before}server {{ listen {address}; {location} }}");
    nginx_with(folder, core, name, address, &site)
}

/// nginx with a site of any kind, which listens at `address`.
pub(crate) fn nginx_with(
    folder: &Path,
    core: &str,
    name: &str,
    address: SocketAddr,
    site: &str,
) -> anyhow::Result<Server> {
    let prefix = fs::canonicalize(folder)?.join(format!("nginx-{name}"));
    fs::create_dir_all(&prefix)?;
    let config: PathBuf = prefix.join("nginx.conf");
    fs::write(
        &config,
        format!(
            "daemon off; master_process off; worker_processes 1; pid {prefix}/pid; error_log {prefix}/error.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; keepalive_requests 1000000000; default_type application/json;\n\
             client_body_temp_path {prefix}/body; proxy_temp_path {prefix}/proxy; fastcgi_temp_path {prefix}/fastcgi;\n\
             uwsgi_temp_path {prefix}/uwsgi; scgi_temp_path {prefix}/scgi;\n\
             {site} }}\n",
            prefix = prefix.display()
        ),
    )?;
    let mut command = Command::new("taskset");
    command.args(["-c", core, "nginx", "-p"]).arg(&prefix).arg("-c").arg(&config).stderr(Stdio::null());
    Server::run(command, address)
}
