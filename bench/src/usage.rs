//! What the process has used, as the kernel counts it.

/// Clock ticks a second in `/proc`: fixed by the kernel's interface.
const TICKS: f64 = 100.0;

/// CPU seconds of this process so far: user and system time of all its threads.
pub(crate) fn cpu_seconds() -> Result<(f64, f64), String> {
    let stat = read("/proc/self/stat")?;
    // Fields are counted behind the program's name, which may hold anything.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    match (ticks(11), ticks(12)) {
        (Some(user), Some(system)) => Ok((user / TICKS, system / TICKS)),
        _ => Err("/proc/self/stat has no times".to_owned()),
    }
}

/// Most memory the process ever held, in MB.
pub(crate) fn peak_rss_mb() -> Result<f64, String> {
    let status = read("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().split(' ').next()).and_then(|text| text.parse::<f64>().ok());
    kilobytes.map(|kilobytes| kilobytes / 1024.0).ok_or_else(|| "/proc/self/status has no VmHWM".to_owned())
}

#[expect(clippy::disallowed_methods, reason = "the one place of this program that reads files")]
fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))
}
