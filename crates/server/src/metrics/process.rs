//! What the kernel counts of this process, under the names that every exporter uses.

use std::fs;

use super::text::Writer;

/// Writes what the kernel tells; where it tells nothing, nothing.
pub(super) fn write(page: &mut Writer) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the process is in brackets, and may hold blanks and brackets of its own.
    let fields: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<u64>().ok());
    let ticks = rustix::param::clock_ticks_per_second().max(1) as f64;
    if let (Some(user), Some(system)) = (field(14), field(15)) {
        let seconds = (user + system) as f64 / ticks;
        page.count(
            "process_cpu_seconds_total",
            "Seconds that the processor worked for this process.",
            seconds,
        );
    }
    if let (Some(start), Some(boot)) = (field(22), boot_time()) {
        let at = boot as f64 + start as f64 / ticks;
        page.measure(
            "process_start_time_seconds",
            "When this process was started, in seconds since 1970.",
            at,
        );
    }
    if let Some(bytes) = field(23) {
        page.measure("process_virtual_memory_bytes", "Address space of this process.", bytes);
    }
    if let Some(pages) = field(24) {
        let bytes = pages * rustix::param::page_size() as u64;
        page.measure("process_resident_memory_bytes", "Memory that this process has.", bytes);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The one that counts them is one of them.
        let count = open.count().saturating_sub(1);
        page.measure("process_open_fds", "Files and connections that are open.", count);
    }
    if let Some(most) = files_max() {
        page.measure("process_max_fds", "Files and connections that may be open.", most);
    }
}

/// When the machine was started, in seconds since 1970.
fn boot_time() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn files_max() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
