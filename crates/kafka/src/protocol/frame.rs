//! Frames: what stands around a message on the wire. The length before a frame belongs to the
//! connection.
//!
//! ```text
//! request:  api key i16 | version i16 | correlation id i32 | client id: i16 length, text | tags | message
//! response: correlation id i32 | tags | message             (ApiVersions: no tags, so that any client can read it)
//! ```

use bytes::Bytes;

use super::messages::api_versions::ApiVersionsRequest;
use super::{Decode, DecodeError, Encode, Reader, Request, no_tags};

/// Which request a frame holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The API's number.
    pub key: i16,
    /// Version of the message.
    pub version: i16,
    /// Comes back with the answer.
    pub correlation_id: i32,
    /// Who asks, for the broker's logs and quotas.
    pub client_id: String,
}

/// Appends a request's frame, with its length before it.
pub fn encode_request<R: Request>(request: &R, version: i16, correlation_id: i32, client_id: &str, out: &mut Vec<u8>) {
    with_length(out, |out| {
        R::KEY.encode(0, out);
        version.encode(0, out);
        correlation_id.encode(0, out);
        let client_id = client_id.get(..client_id.len().min(i16::MAX as usize)).unwrap_or_default();
        (client_id.len() as i16).encode(0, out);
        out.extend_from_slice(client_id.as_bytes());
        no_tags(out);
        request.encode(version, out);
    });
}

/// Reads the answer to a request from a frame without its length.
///
/// # Errors
/// When the frame is not the answer to this request.
pub fn decode_response<R: Request>(
    frame: Bytes,
    version: i16,
    correlation_id: i32,
) -> Result<R::Response, DecodeError> {
    let mut input = Reader::new(frame);
    let found = i32::decode(0, &mut input)?;
    if found != correlation_id {
        return Err(DecodeError::Correlation { expected: correlation_id, found });
    }
    if R::KEY != ApiVersionsRequest::KEY {
        input.skip_tags()?;
    }
    let response = R::Response::decode(version, &mut input)?;
    if input.left() > 0 { Err(DecodeError::TooLong(input.left())) } else { Ok(response) }
}

/// Takes the header off a request's frame without its length: the broker's side.
///
/// # Errors
/// When the frame is no request.
pub fn split_request(frame: Bytes) -> Result<(RequestHeader, Reader), DecodeError> {
    let mut input = Reader::new(frame);
    let key = i16::decode(0, &mut input)?;
    let version = i16::decode(0, &mut input)?;
    let correlation_id = i32::decode(0, &mut input)?;
    let length = i16::decode(0, &mut input)?;
    let client_id = input.take(u64::try_from(length).unwrap_or(0))?;
    input.skip_tags()?;
    let client_id = String::from_utf8_lossy(&client_id).into_owned();
    Ok((RequestHeader { key, version, correlation_id, client_id }, input))
}

/// Appends an answer's frame, with its length before it: the broker's side.
pub fn encode_response<R: Request>(response: &R::Response, version: i16, correlation_id: i32, out: &mut Vec<u8>) {
    with_length(out, |out| {
        correlation_id.encode(0, out);
        if R::KEY != ApiVersionsRequest::KEY {
            no_tags(out);
        }
        response.encode(version, out);
    });
}

fn with_length(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = (out.len() - at - 4) as u32;
    if let Some(slot) = out.get_mut(at..at + 4) {
        slot.copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::messages::api_versions::ApiVersionsResponse;
    use crate::protocol::messages::describe_groups::DescribeGroupsRequest;
    use crate::protocol::messages::end_txn::{EndTxnRequest, EndTxnResponse};
    use crate::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, ReplicaState};

    fn frame(bytes: &[u8]) -> Bytes {
        let (length, frame) = bytes.split_first_chunk::<4>().expect("a length");
        assert_eq!(u32::from_be_bytes(*length) as usize, frame.len());
        Bytes::copy_from_slice(frame)
    }

    #[track_caller]
    fn check_request<R: Request + PartialEq + std::fmt::Debug>(request: &R) {
        for version in R::VERSIONS {
            let mut out = Vec::new();
            encode_request(request, version, 7, "client", &mut out);
            let (header, mut input) = split_request(frame(&out)).expect("a request");
            let expected = RequestHeader { key: R::KEY, version, correlation_id: 7, client_id: "client".into() };
            assert_eq!(header, expected);
            assert_eq!(&R::decode(version, &mut input).expect("the request"), request, "version {version}");
            assert_eq!(input.left(), 0);
        }
    }

    #[test]
    fn requests_come_back_in_every_version() {
        check_request(&EndTxnRequest {
            transactional_id: "tx".into(),
            producer_id: 1 << 40,
            producer_epoch: 3,
            committed: true,
        });
        let partition = FetchPartition { partition: 2, fetch_offset: 99, ..FetchPartition::default() };
        let topic = FetchTopic { topic_id: 1 << 100, partitions: vec![partition] };
        check_request(&FetchRequest {
            cluster_id: Some("here".into()),
            replica_state: ReplicaState::default(),
            topics: vec![topic],
            ..FetchRequest::default()
        });
    }

    #[test]
    fn an_answer_is_read_and_a_foreign_one_refused() {
        let response = EndTxnResponse { error_code: 51, ..EndTxnResponse::default() };
        let mut out = Vec::new();
        encode_response::<EndTxnRequest>(&response, 5, 7, &mut out);
        assert_eq!(decode_response::<EndTxnRequest>(frame(&out), 5, 7), Ok(response));
        let foreign = DecodeError::Correlation { expected: 8, found: 7 };
        assert_eq!(decode_response::<EndTxnRequest>(frame(&out), 5, 8), Err(foreign));
        let mut out = Vec::new();
        encode_response::<ApiVersionsRequest>(&ApiVersionsResponse::default(), 3, 1, &mut out);
        assert!(decode_response::<ApiVersionsRequest>(frame(&out), 3, 1).is_ok());
    }

    #[test]
    fn lengths_that_lie_are_errors_and_cost_nothing() {
        // 2^31 API keys announced in four bytes of an ApiVersions answer.
        let mut bytes = vec![0, 0, 0, 1, 0, 0];
        bytes.extend_from_slice(&[0x81, 0x80, 0x80, 0x80, 0x08]);
        let answer = decode_response::<ApiVersionsRequest>(Bytes::from(bytes), 3, 1);
        assert_eq!(answer, Err(DecodeError::Short { wanted: 1 << 31, left: 0 }));
        for length in 0..6 {
            let bytes = vec![0_u8; length];
            assert!(decode_response::<EndTxnRequest>(Bytes::from(bytes), 5, 0).is_err(), "{length} bytes");
        }
        // A million empty names, a byte each: they would take two dozen megabytes.
        let mut names = vec![0x81, 0x80, 0x40];
        names.extend(vec![1; 1 << 20]);
        let read = DescribeGroupsRequest::decode(5, &mut Reader::new(Bytes::from(names)));
        assert_eq!(read, Err(DecodeError::TooMuch));
        let endless = Bytes::from(vec![0xff; 64]);
        assert_eq!(Reader::new(endless).unsigned_varint(), Err(DecodeError::Varint));
    }
}
