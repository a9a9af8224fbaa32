//! What processes and the machine have used, as the kernel counts it.

/// Clock ticks a second in `/proc`: fixed by the kernel's interface.
const TICKS: f64 = 100.0;

/// CPU seconds of a process so far, user and system time of all its threads; `self` is this one.
pub(crate) fn cpu_seconds(process: &str) -> Result<(f64, f64), String> {
    let path = format!("/proc/{process}/stat");
    let stat = read(&path)?;
    // Fields are counted behind the program's name, which may hold anything.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    match (ticks(11), ticks(12)) {
        (Some(user), Some(system)) => Ok((user / TICKS, system / TICKS)),
        _ => Err(format!("{path} has no times")),
    }
}

/// CPU seconds that all processes of the machine have used so far.
pub(crate) fn machine_seconds() -> Result<f64, String> {
    let stat = read("/proc/stat")?;
    let fields: Vec<f64> =
        stat.lines().next().unwrap_or_default().split_whitespace().skip(1).flat_map(str::parse).collect();
    // User, nice, system, then, behind idle times, those of interrupts.
    let used = [0, 1, 2, 5, 6].iter().filter_map(|at| fields.get(*at));
    Ok(used.sum::<f64>() / TICKS)
}

/// Most memory this process ever held, in MB.
pub(crate) fn peak_rss_mb() -> Result<f64, String> {
    let status = read("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().split(' ').next()).and_then(|text| text.parse::<f64>().ok());
    kilobytes.map(|kilobytes| kilobytes / 1024.0).ok_or_else(|| "/proc/self/status has no VmHWM".to_owned())
}

/// Processes that wait for a core or have one, averaged over the last minute.
pub(crate) fn load() -> f64 {
    let average = read("/proc/loadavg").unwrap_or_default();
    average.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}

fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))
}
