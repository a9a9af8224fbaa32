//! Java's clients read what is written here, and the other way round, in every codec.

use crate::support::*;

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
const RECORDS: usize = 300;

#[test]
fn java_reads_what_is_written_here_in_every_codec() {
    let plain = connect();
    for codec in CODECS {
        let log = connect_to(&KAFKA, &[("producer.compression.type", codec), ("producer.batch.size", "2000")]);
        let partition = create(&plain, &format!("ours-{codec}"), 1);
        let mut writer = writer(&log, None);
        for number in 0..RECORDS {
            put(&mut writer, &partition, &format!("{codec} {number} {}", "filler ".repeat(number % 20)));
        }
        ok(&log, writer.flush());
    }
    let (bootstrap, all) = (KAFKA.bootstrap(), (CODECS.len() * RECORDS).to_string());
    let printed = KAFKA
        .tool(
            CONSUMER,
            &["--bootstrap-server", &bootstrap, "--include", "ours-.*", "--from-beginning", "--max-messages", &all],
        )
        .unwrap();
    for codec in CODECS {
        let wanted: Vec<String> =
            (0..RECORDS).map(|number| format!("{codec} {number} {}", "filler ".repeat(number % 20))).collect();
        let read: Vec<&str> = printed.lines().filter(|line| line.starts_with(codec)).collect();
        assert_eq!(read, wanted, "{codec}");
    }
}

#[test]
fn what_java_writes_is_read_here_in_every_codec() {
    let log = connect();
    let bootstrap = &KAFKA.bootstrap();
    let partitions = CODECS.map(|codec| create(&log, &format!("theirs-{codec}"), 1));
    std::thread::scope(|scope| {
        for codec in CODECS {
            scope.spawn(move || {
                let (topic, compression) = (format!("theirs-{codec}"), format!("compression.type={codec}"));
                let count = RECORDS.to_string();
                let arguments = [
                    &["--topic", &topic, "--num-records", &count, "--throughput", "-1", "--payload-monotonic"][..],
                    &["--bootstrap-server", bootstrap, "--command-property", &compression, "linger.ms=50"],
                ];
                KAFKA.tool("org.apache.kafka.tools.ProducerPerformance", &arguments.concat()).unwrap();
            });
        }
    });
    let wanted: Vec<String> = (0..RECORDS).map(|number| format!("{number}:{number}")).collect();
    for partition in partitions {
        assert_eq!(committed(&log, &partition), wanted, "{partition}");
    }
}
