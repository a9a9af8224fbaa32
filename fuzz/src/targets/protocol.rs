//! Messages of Kafka's protocol. The first two bytes choose request and version.

use std::fmt::Debug;

use bytes::Bytes;
use millstream_kafka::protocol::{
    Decode, Encode, Reader, Request, Visitor, decode_response, encode_request, encode_response, messages, split_request,
};

use super::Target;

const MEMORY_MAX: u64 = 24 << 20;

/// Which side of a request.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Request,
    Response,
}

pub(super) fn requests() -> Target {
    let run = |bytes: &[u8]| decode(bytes, Side::Request);
    Target { name: "requests", right: right(Side::Request), run, memory_max: MEMORY_MAX }
}

pub(super) fn responses() -> Target {
    let run = |bytes: &[u8]| decode(bytes, Side::Response);
    Target { name: "responses", right: right(Side::Response), run, memory_max: MEMORY_MAX }
}

/// Whole frames, with what stands around a message.
pub(super) fn frames() -> Target {
    let run = |bytes: &[u8]| {
        let is_request = split_request(Bytes::copy_from_slice(bytes)).is_ok();
        let mut frame = Frame { bytes: Bytes::copy_from_slice(bytes), is_read: is_request };
        messages::each(&mut frame);
        frame.is_read
    };
    Target { name: "frames", right: framed(), run, memory_max: MEMORY_MAX }
}

/// A stream of frames, as a connection reads it.
pub(super) fn streams() -> Target {
    let frame = |len: u8| [&[0, 0, 0, len][..], &vec![7; usize::from(len)]].concat();
    let right = vec![[frame(0), frame(5), frame(200)].concat()];
    Target { name: "streams", right, run: millstream_kafka::fuzzing::frames, memory_max: MEMORY_MAX }
}

struct Frame {
    bytes: Bytes,
    is_read: bool,
}

impl Visitor for Frame {
    fn visit<R: Request<Response: Debug + PartialEq> + Debug + PartialEq>(&mut self) {
        for version in R::VERSIONS {
            self.is_read |= decode_response::<R>(self.bytes.clone(), version, 0).is_ok();
        }
    }
}

fn decode(bytes: &[u8], side: Side) -> bool {
    let [chosen, version, rest @ ..] = bytes else { return false };
    let mut one = One { chosen: *chosen, at: 0, version: *version, side, bytes: rest, is_read: false };
    messages::each(&mut one);
    one.is_read
}

/// Finds the chosen request.
struct One<'a> {
    chosen: u8,
    at: u8,
    version: u8,
    side: Side,
    bytes: &'a [u8],
    is_read: bool,
}

impl Visitor for One<'_> {
    fn visit<R: Request<Response: Debug + PartialEq> + Debug + PartialEq>(&mut self) {
        let versions = R::VERSIONS.end() - R::VERSIONS.start() + 1;
        let version = R::VERSIONS.start() + i16::from(self.version) % versions;
        if self.at == self.chosen {
            self.is_read = match self.side {
                Side::Request => round::<R>(version, self.bytes),
                Side::Response => round::<R::Response>(version, self.bytes),
            };
        }
        self.at += 1;
    }
}

/// What is read is written so that the same is read.
fn round<M: Decode + Encode + Debug + PartialEq>(version: i16, bytes: &[u8]) -> bool {
    let mut input = Reader::new(Bytes::copy_from_slice(bytes));
    let Ok(message) = M::decode(version, &mut input) else { return false };
    let mut out = Vec::new();
    message.encode(version, &mut out);
    let again = M::decode(version, &mut Reader::new(Bytes::from(out)));
    assert_eq!(again.as_ref(), Ok(&message));
    true
}

/// The default of every message in every version: read from zeros, which are empty lists and nulls.
struct Right {
    side: Side,
    at: u8,
    found: Vec<Vec<u8>>,
}

impl Right {
    fn add<M: Decode + Encode>(&mut self, versions: std::ops::RangeInclusive<i16>) {
        let first = *versions.start();
        for version in versions {
            // Twos and ones are short lists of short texts; where they do not fit, nothing is added.
            for filler in [1_u8, 2] {
                let Ok(message) = M::decode(version, &mut Reader::new(Bytes::from(vec![filler; 4096]))) else {
                    continue;
                };
                let mut bytes = vec![self.at, (version - first) as u8];
                message.encode(version, &mut bytes);
                self.found.push(bytes);
            }
        }
    }
}

impl Visitor for Right {
    fn visit<R: Request<Response: Debug + PartialEq> + Debug + PartialEq>(&mut self) {
        match self.side {
            Side::Request => self.add::<R>(R::VERSIONS),
            Side::Response => self.add::<R::Response>(R::VERSIONS),
        }
        self.at += 1;
    }
}

fn right(side: Side) -> Vec<Vec<u8>> {
    let mut visitor = Right { side, at: 0, found: Vec::new() };
    messages::each(&mut visitor);
    visitor.found
}

/// Frames around messages that are read from the same fillers.
struct Framed(Vec<Vec<u8>>);

impl Visitor for Framed {
    fn visit<R: Request<Response: Debug + PartialEq> + Debug + PartialEq>(&mut self) {
        for version in R::VERSIONS {
            let ones = || Reader::new(Bytes::from(vec![1; 4096]));
            let mut out = Vec::new();
            if let Ok(response) = R::Response::decode(version, &mut ones()) {
                encode_response::<R>(&response, version, 0, &mut out);
                self.0.push(out.split_off(4));
            }
            if let Ok(request) = R::decode(version, &mut ones()) {
                out.clear();
                encode_request(&request, version, 0, "client", &mut out);
                self.0.push(out.split_off(4));
            }
        }
    }
}

fn framed() -> Vec<Vec<u8>> {
    let mut visitor = Framed(Vec::new());
    messages::each(&mut visitor);
    visitor.0
}
