//! Requests under way: erased while they wait, typed for who asked.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;

use crate::failure::RequestError;
use crate::protocol::{DecodeError, Request, decode_response, encode_request};

/// A claim to the answer of a request. Dropping it abandons the answer, not the request.
pub(crate) struct Ticket<R> {
    place: Arc<Place>,
    request: PhantomData<fn(R)>,
}

/// Where an answer waits for who asked.
#[derive(Default)]
struct Place(Mutex<Option<Answer>>);

impl Place {
    fn swap(&self, answer: Option<Answer>) -> Option<Answer> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), answer)
    }
}

/// A ticket, and the reply that belongs to it.
pub(super) fn ticket<R>() -> (Ticket<R>, Reply) {
    let place = Arc::new(Place::default());
    let reply = Reply(Arc::downgrade(&place));
    (Ticket { place, request: PhantomData }, reply)
}

impl<R: Request + 'static> Ticket<R> {
    /// Takes the answer, once it is there.
    pub(crate) fn take(&self) -> Option<Result<R::Response, RequestError>> {
        self.place.swap(None).map(Answer::of::<R>)
    }
}

/// A request's duty to answer. An answer that nobody waits for any more is dropped.
pub(super) struct Reply(Weak<Place>);

impl Reply {
    pub(super) fn give(self, answer: Answer) {
        if let Some(place) = self.0.upgrade() {
            place.swap(Some(answer));
        }
    }
}

/// The end of a request.
pub(crate) struct Answer(Result<Box<dyn Any + Send>, RequestError>);

impl Answer {
    pub(super) fn failed(error: RequestError) -> Self {
        Self(Err(error))
    }

    fn of<R: Request + 'static>(self) -> Result<R::Response, RequestError> {
        let answer = self.0?;
        #[expect(clippy::expect_used, reason = "a ticket carries the type of its request")]
        let response = answer.downcast::<R::Response>().expect("the answer to this request");
        Ok(*response)
    }
}

/// A request without its type.
pub(super) struct Body {
    pub(super) key: i16,
    pub(super) api: &'static str,
    first: i16,
    last: i16,
    /// What follows the client's id, where it is told who in it asks.
    client_suffix: Option<Arc<str>>,
    encode: Box<dyn Fn(i16, i32, &str, &mut Vec<u8>) + Send>,
    decode: fn(Bytes, i16, i32) -> Result<Decoded, DecodeError>,
}

/// A response, and for how long the broker wants to hear nothing more (KIP-219), in ms.
pub(super) struct Decoded {
    response: Box<dyn Any + Send>,
    pub(super) throttle_ms: i64,
}

impl Decoded {
    pub(super) fn answer(self) -> Answer {
        Answer(Ok(self.response))
    }
}

impl Body {
    pub(super) fn of<R: Request + Send + 'static>(request: R) -> Self
    where
        R::Response: Send,
    {
        Self {
            key: R::KEY,
            api: R::NAME,
            first: *R::VERSIONS.start(),
            last: *R::VERSIONS.end(),
            client_suffix: None,
            encode: Box::new(move |version, correlation, client, out| {
                encode_request(&request, version, correlation, client, out);
            }),
            decode: |frame, version, correlation| {
                let response = decode_response::<R>(frame, version, correlation)?;
                let throttle_ms = i64::from(R::throttle_time_ms(&response));
                Ok(Decoded { response: Box::new(response), throttle_ms })
            },
        }
    }

    /// The same in versions up to this one.
    pub(super) fn up_to(mut self, version: i16) -> Self {
        self.last = self.last.min(version);
        self
    }

    /// The same from who is told to the broker by the client's id and what follows here.
    pub(super) fn of_client(mut self, suffix: &Arc<str>) -> Self {
        self.client_suffix = Some(Arc::clone(suffix));
        self
    }

    /// The highest version that both sides speak.
    pub(super) fn version(&self, broker: Option<(i16, i16)>) -> Result<i16, RequestError> {
        let unsupported = RequestError::Unsupported { api: self.api, first: self.first, last: self.last };
        let (least, most) = broker.ok_or(unsupported.clone())?;
        let version = most.min(self.last);
        if version >= least.max(self.first) { Ok(version) } else { Err(unsupported) }
    }

    pub(super) fn encode(&self, version: i16, correlation: i32, client_id: &str, out: &mut Vec<u8>) {
        match &self.client_suffix {
            None => (self.encode)(version, correlation, client_id, out),
            Some(suffix) => (self.encode)(version, correlation, &format!("{client_id}{suffix}"), out),
        }
    }

    pub(super) fn decode(&self, frame: Bytes, version: i16, correlation: i32) -> Result<Decoded, RequestError> {
        let malformed = |source| RequestError::Malformed { api: self.api, source };
        (self.decode)(frame, version, correlation).map_err(malformed)
    }
}
