//! The figures as Markdown tables, the other implementation's beside ours.

use std::fmt::Write;

use serde_json::Value;

/// A column: its heading, the figure, and digits behind the point.
type Column = (&'static str, &'static str, usize);

const THROUGHPUT: [Column; 9] = [
    ("records/s", "rec_per_s", 0),
    ("CPU-s per M", "cpu_s_per_M", 2),
    ("2nd half records/s", "half2_rec_per_s", 0),
    ("2nd half CPU-s per M", "half2_cpu_s_per_M", 2),
    ("broker CPU-s per M", "broker_cpu_s_per_M", 2),
    ("peak RSS MB", "rss_peak_mb", 0),
    ("start to first s", "start_to_first_s", 2),
    ("outputs", "output_records", 0),
    ("others' CPU-s", "other_cpu_s", 1),
];
const LATENCY: [Column; 9] = [
    ("p50 ms", "p50_ms", 1),
    ("p90", "p90_ms", 1),
    ("p99", "p99_ms", 1),
    ("p99.9", "p999_ms", 1),
    ("max", "max_ms", 1),
    ("lost", "lost", 0),
    ("CPU-s per M", "cpu_s_per_M", 1),
    ("broker CPU-s per M", "broker_cpu_s_per_M", 1),
    ("peak RSS MB", "rss_peak_mb", 0),
];
const START: [Column; 5] = [
    ("start to first output s", "start_to_first_output_s", 2),
    ("CPU-s until then", "cpu_to_first_output_s", 2),
    ("idle RSS MB", "idle_rss_mb", 0),
    ("peak RSS MB", "rss_peak_mb", 0),
    ("idle CPU %", "idle_cpu_pct", 1),
];
const RESTORE: [Column; 8] = [
    ("start to RUNNING s", "start_to_running_s", 2),
    ("restored", "restored_records", 0),
    ("restore s", "restore_s", 2),
    ("MB/s", "mb_per_s", 1),
    ("records/s", "rec_per_s", 0),
    ("CPU-s per M", "cpu_s_per_M", 2),
    ("broker CPU-s", "broker_cpu_s", 1),
    ("peak RSS MB", "rss_peak_mb", 0),
];
const FAIL_OVER: [Column; 4] = [
    ("silence s", "failover_s", 1),
    ("caught up s", "caught_up_s", 1),
    ("partitions hit", "partitions_hit", 0),
    ("longest silence of others s", "bystander_max_silence_s", 2),
];

/// All tables there are lines for.
pub(super) fn of(lines: &[Value]) -> String {
    let workload = |line: &Value| text(line, "workload");
    let mut tables = String::new();
    let mut table = |columns: &[Column], is_of: &dyn Fn(&str) -> bool| {
        let rows: Vec<&Value> = lines.iter().filter(|line| is_of(&workload(line))).collect();
        write_table(&mut tables, columns, &rows);
    };
    table(&THROUGHPUT, &|workload| workload.starts_with('W') || workload == "R1-build");
    table(&LATENCY, &|workload| workload == "L1");
    table(&START, &|workload| workload == "S1");
    table(&RESTORE, &|workload| workload.starts_with("R1") && workload != "R1-build");
    table(&FAIL_OVER, &|workload| workload == "F1");
    tables + &ratios(lines)
}

fn write_table(target: &mut String, columns: &[Column], rows: &[&Value]) {
    if rows.is_empty() {
        return;
    }
    let headings: Vec<&str> = columns.iter().map(|(heading, ..)| *heading).collect();
    // Writing to a string cannot fail.
    let _ = writeln!(target, "| case | implementation | {} | load |", headings.join(" | "));
    let _ = writeln!(target, "|---|---|{}---|", "---|".repeat(columns.len()));
    for row in rows {
        let cells: Vec<String> = columns.iter().map(|(_, name, digits)| cell(row, name, *digits)).collect();
        let _ = writeln!(
            target,
            "| {} | {} | {} | {} |",
            case(row),
            text(row, "impl"),
            cells.join(" | "),
            cell(row, "load", 1)
        );
    }
    target.push('\n');
}

/// How often Millstream is as fast as Kafka Streams, and what share of its CPU it takes: medians.
fn ratios(lines: &[Value]) -> String {
    let mut cases: Vec<String> = Vec::new();
    for line in lines.iter().filter(|line| number(line, "rec_per_s").is_some()) {
        if !cases.contains(&case(line)) {
            cases.push(case(line));
        }
    }
    let mut rows = String::new();
    for name in cases {
        let ratio = |figure: &str| {
            let of = |implementation: &str| {
                let is_it = |line: &&Value| case(line) == name && text(line, "impl").starts_with(implementation);
                median(lines.iter().filter(is_it).filter_map(|line| number(line, figure)).collect())
            };
            Some((of("java")?, of("millstream")?))
        };
        if let (Some((java, ours)), Some((java_cpu, our_cpu))) = (ratio("rec_per_s"), ratio("cpu_s_per_M")) {
            let _ = writeln!(rows, "| {name} | {:.1} | 1/{:.1} |", ours / java, java_cpu / our_cpu);
        }
    }
    if rows.is_empty() {
        return rows;
    }
    format!("| case | records/s, times Kafka Streams' | CPU-s per M, share of Kafka Streams' |\n|---|---|---|\n{rows}")
}

fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

fn case(line: &Value) -> String {
    let label = line.get("label").or_else(|| line.get("guarantee")).and_then(Value::as_str).unwrap_or_default();
    format!("{} {label}", text(line, "workload"))
}

fn cell(line: &Value, name: &str, digits: usize) -> String {
    number(line, name).map_or_else(|| "-".to_owned(), |number| grouped(number, digits))
}

/// A number with commas between thousands.
fn grouped(number: f64, digits: usize) -> String {
    let text = format!("{number:.digits$}");
    let (whole, rest) =
        text.split_once('.').map_or((text.as_str(), String::new()), |(whole, rest)| (whole, format!(".{rest}")));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) && digit.is_ascii_digit() && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + &rest
}

fn number(line: &Value, name: &str) -> Option<f64> {
    line.get(name).and_then(Value::as_f64)
}

fn text(line: &Value, name: &str) -> String {
    line.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}
