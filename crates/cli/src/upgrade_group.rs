//! Making the group of an application anew, so that its next version may have another topology.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use millstream::{Config, ErrorKind, Log, Result};

/// Between two looks at a group that still has members.
const LOOK: Duration = Duration::from_secs(1);

/// Whose group, and where.
#[derive(Debug, Args)]
pub(crate) struct UpgradeGroupArgs {
    /// Kafka brokers, `host:port,…`.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) bootstrap: String,
    /// The application's `application.id`.
    #[arg(long, value_name = "ID")]
    pub(crate) application_id: String,
    /// Waits so many seconds for members to leave, or for their sessions to end.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) wait: u64,
    /// A further setting of the client, `key=value`; may be given again.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,
}

/// Renews the group and says what it did.
pub(crate) fn run(args: &UpgradeGroupArgs) -> Result<()> {
    let mut config = Config::builder().application_id(&args.application_id).bootstrap_servers(&args.bootstrap);
    for setting in &args.settings {
        let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
        config = config.set(key, value);
    }
    let log = millstream::open_log(&config.build()?)?;
    let partitions = renew(&log, &args.application_id, Duration::from_secs(args.wait))?;
    if partitions == 0 {
        println!("group {} has no committed offsets; there was nothing to keep", args.application_id);
    } else {
        println!(
            "group {} was made anew with the offsets of {partitions} partitions; the next version may start",
            args.application_id
        );
    }
    Ok(())
}

/// Tries until the group has no members.
fn renew(log: &Arc<dyn Log>, group: &str, patience: Duration) -> Result<usize> {
    let deadline = Instant::now() + patience;
    let mut is_told = false;
    loop {
        match millstream::answer(&**log, log.admin().renew_group(group)) {
            Err(error) if error.kind() == ErrorKind::State && Instant::now() < deadline => {
                if !std::mem::replace(&mut is_told, true) {
                    println!("waiting: {error}");
                }
                log.wait(LOOK);
            }
            answer => return answer,
        }
    }
}
