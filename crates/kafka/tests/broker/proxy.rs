//! A proxy before a broker that loses answers, by ending their connection, and holds others back. What was asked has
//! reached the broker.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Longer than the client waits for an answer.
const LATE: Duration = Duration::from_millis(1_300);
/// One of so many answers is lost, and one is late.
const LOST_OF: u64 = 12;
const LATE_OF: u64 = 30;

#[derive(Clone)]
pub(crate) struct Proxy(Arc<Inner>);

struct Inner {
    listener: TcpListener,
    broker: OnceLock<String>,
    is_faulty: AtomicBool,
    answers: AtomicU64,
    faults: AtomicU64,
}

impl Proxy {
    /// A proxy that leads nowhere yet.
    pub(crate) fn start() -> Self {
        let proxy = Self(Arc::new(Inner {
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            broker: OnceLock::new(),
            is_faulty: AtomicBool::new(false),
            answers: AtomicU64::new(0),
            faults: AtomicU64::new(0),
        }));
        let accepting = proxy.clone();
        std::thread::spawn(move || accepting.accept());
        proxy
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.listener.local_addr().unwrap().port()
    }

    pub(crate) fn lead_to(&self, broker: &str) {
        self.0.broker.set(broker.to_owned()).unwrap();
    }

    pub(crate) fn set_faulty(&self, is_faulty: bool) {
        self.0.is_faulty.store(is_faulty, Ordering::SeqCst);
    }

    /// Answers that were lost or late.
    pub(crate) fn faults(&self) -> u64 {
        self.0.faults.load(Ordering::SeqCst)
    }

    fn accept(&self) {
        while let Ok((client, _)) = self.0.listener.accept() {
            // Who comes before it leads anywhere comes again.
            let Some(Ok(broker)) = self.0.broker.get().map(TcpStream::connect) else { continue };
            let (to_broker, from_client) = (broker.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || pass(from_client, to_broker, || true));
            let proxy = self.clone();
            std::thread::spawn(move || pass(broker, client, || proxy.answer()));
        }
    }

    /// Whether the next answer goes on; late if need be.
    fn answer(&self) -> bool {
        if !self.0.is_faulty.load(Ordering::SeqCst) {
            return true;
        }
        let number = self.0.answers.fetch_add(1, Ordering::SeqCst) + 1;
        let (is_lost, is_late) = (number.is_multiple_of(LOST_OF), number.is_multiple_of(LATE_OF));
        if is_lost || is_late {
            self.0.faults.fetch_add(1, Ordering::SeqCst);
        }
        if is_late {
            std::thread::sleep(LATE);
        }
        !is_lost
    }
}

/// Passes bytes on until one side ends or may not go on; then ends both.
fn pass(mut from: TcpStream, mut to: TcpStream, mut may_go_on: impl FnMut() -> bool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count) = from.read(&mut buffer)
        && count > 0
        && may_go_on()
        && to.write_all(&buffer[..count]).is_ok()
    {}
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
