//! What every error code means, in every answer that is used.
//!
//! Each test goes through all codes of one request, known and unknown. What is not said there is as
//! Java's `Errors` has it: a `RetriableException` is tried again until it succeeds, anything else is
//! final.

mod groups;
mod rig;

use millstream_log::FailureKind;

use crate::fake::{Fate, Place};
use crate::protocol::messages::add_offsets_to_txn::AddOffsetsToTxnRequest;
use crate::protocol::messages::add_partitions_to_txn::AddPartitionsToTxnRequest;
use crate::protocol::messages::create_topics::CreateTopicsRequest;
use crate::protocol::messages::delete_groups::DeleteGroupsRequest;
use crate::protocol::messages::delete_records::DeleteRecordsRequest;
use crate::protocol::messages::delete_topics::DeleteTopicsRequest;
use crate::protocol::messages::describe_configs::DescribeConfigsRequest;
use crate::protocol::messages::describe_producers::DescribeProducersRequest;
use crate::protocol::messages::end_txn::EndTxnRequest;
use crate::protocol::messages::fetch::FetchRequest;
use crate::protocol::messages::find_coordinator::FindCoordinatorRequest;
use crate::protocol::messages::init_producer_id::InitProducerIdRequest;
use crate::protocol::messages::list_offsets::ListOffsetsRequest;
use crate::protocol::messages::metadata::MetadataRequest;
use crate::protocol::messages::offset_commit::OffsetCommitRequest;
use crate::protocol::messages::offset_fetch::OffsetFetchRequest;
use crate::protocol::messages::produce::ProduceRequest;
use crate::protocol::messages::streams_group_describe::StreamsGroupDescribeRequest;
use crate::protocol::messages::txn_offset_commit::TxnOffsetCommitRequest;
use crate::protocol::{ErrorCode, Request};
use crate::tries::Verdict;
use rig::Rig;

/// Codes whose exception is a `RetriableException` in kafka-clients 4.3.0.
const RETRIABLE: [i16; 32] = [
    2, 3, 5, 6, 7, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 70, 71, 72, 74, 75, 78, 80, 83, 84, 88, 89, 100, 103, 106,
    122, 123, 133,
];
/// Those of them that make it ask for metadata: an `InvalidMetadataException`.
const STALE_METADATA: [i16; 13] = [3, 5, 6, 9, 13, 56, 72, 74, 80, 83, 84, 100, 103];
/// Those that make it look for the coordinator.
const LOST_COORDINATOR: [i16; 2] = [15, 16];

/// What becomes of a request that is answered with a code once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It is as good as done.
    Done,
    /// It is asked again, and succeeds.
    Again,
    /// It fails so.
    Failed(FailureKind),
}

use End::{Again, Done, Failed};
use FailureKind::{Fatal, Fenced, Unknown};

/// Another producer or member took the place.
const FENCED: [i16; 7] = [22, 25, 47, 82, 90, 110, 113];
/// The transaction is lost, a new one may succeed.
const LOST: [i16; 6] = [-1, 45, 48, 49, 59, 120];
/// What every request of a writer does.
const OF_WRITERS: [(End, &[i16]); 2] = [(Failed(Fenced), &FENCED), (Failed(Unknown), &LOST)];

/// What is asked anew before the second try.
#[derive(Clone, Copy)]
enum Lookup {
    Nothing,
    Leader,
    Coordinator,
}

/// How the codes of a request are gone through.
#[derive(Clone, Copy)]
struct Check<'a> {
    place: Place,
    /// Which request of its kind is answered with the code, from 0.
    number: usize,
    transaction_version: i16,
    lookup: Lookup,
    /// Codes that mean something else than usual.
    special: &'a [(End, &'a [i16])],
    /// What else happens.
    also: Option<Fate>,
}

const USUAL: Check<'static> = Check {
    place: Place::Partition,
    number: 0,
    transaction_version: 2,
    lookup: Lookup::Nothing,
    special: &[],
    also: None,
};

/// A request to a leader.
const LED: Check<'static> = Check { lookup: Lookup::Leader, ..USUAL };
/// A request of a writer to a coordinator.
const COORDINATED: Check<'static> = Check { lookup: Lookup::Coordinator, special: &OF_WRITERS, ..USUAL };

/// What differs between versions of transactions.
const OF_TRANSACTIONS: [i16; 4] =
    [AddPartitionsToTxnRequest::KEY, AddOffsetsToTxnRequest::KEY, TxnOffsetCommitRequest::KEY, EndTxnRequest::KEY];

/// All codes there are, and some that are none.
fn all_codes() -> impl Iterator<Item = ErrorCode> {
    (-1..=134).chain([999, i16::MAX, -2, i16::MIN]).filter(|code| *code != 0).map(ErrorCode)
}

/// Codes that stand for the others where brokers are old: their kinds, and some that are none.
const TELLING: [i16; 14] = [-1, 3, 6, 7, 14, 16, 25, 29, 42, 47, 51, 90, 999, i16::MIN];

/// Goes through all codes with brokers of today, and through some with the oldest ones.
#[track_caller]
fn check<R: Request>(how: Check<'_>, run: impl Fn(&mut Rig) -> Result<(), FailureKind>) {
    let mut wrong = Vec::new();
    check_with::<R>(how, all_codes(), &|fates| Rig::new(fates, how.transaction_version), &run, &mut wrong);
    let is_of_old = how.transaction_version == 0 || !OF_TRANSACTIONS.contains(&R::KEY);
    // Old metadata has no code for all of it.
    if is_of_old && (R::KEY, how.place) != (MetadataRequest::KEY, Place::Top) {
        check_with::<R>(how, TELLING.into_iter().map(ErrorCode), &Rig::of_oldest, &run, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}: {wrong:#?}", R::NAME);
}

fn check_with<R: Request>(
    how: Check<'_>,
    codes: impl Iterator<Item = ErrorCode>,
    rig: &dyn Fn(&[Fate]) -> Rig,
    run: &dyn Fn(&mut Rig) -> Result<(), FailureKind>,
    wrong: &mut Vec<String>,
) {
    let mut without = rig(how.also.as_slice());
    assert_eq!(run(&mut without), Ok(()));
    let usual = without.count(R::KEY);
    for code in codes {
        let fate = Fate { key: R::KEY, number: how.number, place: how.place, code };
        let fates: Vec<Fate> = how.also.into_iter().chain([fate]).collect();
        let mut rig = rig(&fates);
        let result = run(&mut rig);
        let count = rig.count(R::KEY);
        let found = match result {
            Ok(()) if count <= usual => Done,
            Ok(()) => Again,
            Err(kind) => Failed(kind),
        };
        let plain = if RETRIABLE.contains(&code.0) { Again } else { Failed(Fatal) };
        let expected = how.special.iter().find(|(_, codes)| codes.contains(&code.0)).map_or(plain, |(end, _)| *end);
        let (stale, asked) = match how.lookup {
            Lookup::Nothing => (&[][..], 0),
            Lookup::Leader => (&STALE_METADATA[..], MetadataRequest::KEY),
            Lookup::Coordinator => (&LOST_COORDINATOR[..], FindCoordinatorRequest::KEY),
        };
        let must_look = expected == Again && stale.contains(&code.0);
        if found != expected {
            wrong.push(format!("{code}: {found:?} instead of {expected:?}"));
        } else if must_look && rig.count(asked) <= without.count(asked) {
            wrong.push(format!("{code}: asked again without looking who is to be asked"));
        }
    }
}

/// An answer that says nothing of what was asked is no success: it is asked again.
#[track_caller]
fn check_nothing<R: Request>(transaction_version: i16, run: impl Fn(&mut Rig) -> Result<(), FailureKind>) {
    let fate = Fate { key: R::KEY, number: 0, place: Place::Nothing, code: ErrorCode::NONE };
    let (mut usual, mut rig) = (Rig::new(&[], transaction_version), Rig::new(&[fate], transaction_version));
    assert_eq!((run(&mut usual), run(&mut rig)), (Ok(()), Ok(())), "{}", R::NAME);
    assert!(rig.count(R::KEY) > usual.count(R::KEY), "{}", R::NAME);
}

#[test]
fn answers_that_say_nothing_are_asked_for_again() {
    let write = |rig: &mut Rig| rig.write(Some("tx"), true);
    check_nothing::<FindCoordinatorRequest>(2, write);
    check_nothing::<AddPartitionsToTxnRequest>(0, write);
    check_nothing::<ProduceRequest>(2, write);
    check_nothing::<TxnOffsetCommitRequest>(2, write);
    check_nothing::<OffsetCommitRequest>(2, Rig::commit);
    check_nothing::<OffsetFetchRequest>(2, Rig::committed);
    check_nothing::<ListOffsetsRequest>(2, Rig::start);
    check_nothing::<DeleteRecordsRequest>(2, Rig::delete_records);
    check_nothing::<CreateTopicsRequest>(2, Rig::create);
    check_nothing::<DeleteTopicsRequest>(2, Rig::delete);
    check_nothing::<DescribeConfigsRequest>(2, Rig::describe);
    check_nothing::<DescribeProducersRequest>(2, Rig::open_transactions);
    check_nothing::<StreamsGroupDescribeRequest>(2, Rig::renew);
    check_nothing::<DeleteGroupsRequest>(2, Rig::renew);
    check_nothing::<OffsetFetchRequest>(2, Rig::renew);
    check_nothing::<OffsetCommitRequest>(2, Rig::renew);
}

#[test]
fn an_error_of_one_partition_is_told_before_what_follows_from_it() {
    let cases: [(&[i16], Option<i16>); 5] = [
        (&[0, 0], None),
        (&[55, 3], Some(3)),
        (&[55, 3, 29], Some(29)),
        (&[0, 55], Some(55)),
        (&[6, 7, 48, 47], Some(48)),
    ];
    for (codes, expected) in cases {
        let numbered = codes.iter().enumerate().map(|(at, code)| ("words", at as i32, *code));
        let found = match Verdict::of(codes.len(), numbered) {
            Verdict::Refused(code, Some(of)) => {
                assert_eq!(codes[of.partition.0 as usize], code.0);
                Some(code.0)
            }
            Verdict::Done => None,
            _ => panic!("{codes:?}"),
        };
        assert_eq!(found, expected, "{codes:?}");
    }
    assert!(matches!(Verdict::of(3, [("words", 0, 0)].into_iter()), Verdict::Incomplete));
    let twice = [("words", 0, 0), ("words", 0, 0)];
    assert!(matches!(Verdict::of(2, twice.into_iter()), Verdict::Incomplete));
}

#[test]
fn init_producer_id() {
    for id in [None, Some("tx")] {
        let lookup = if id.is_some() { Lookup::Coordinator } else { Lookup::Nothing };
        check::<InitProducerIdRequest>(Check { place: Place::Top, lookup, ..COORDINATED }, |rig| rig.write(id, true));
    }
}

#[test]
fn offsets_that_a_transaction_holds_for_too_long_are_told_with_what_to_do() {
    let held = |number| Fate {
        key: OffsetFetchRequest::KEY,
        number,
        place: Place::Partition,
        code: ErrorCode::UNSTABLE_OFFSET_COMMIT,
    };
    let fates: Vec<Fate> = (0..2_000).map(held).collect();
    let error = Rig::new(&fates, 2).refused_offset();
    for part in ["group g, words-0", "UNSTABLE_OFFSET_COMMIT", "find-hanging --topic __consumer_offsets"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
}

#[test]
fn find_coordinator() {
    check::<FindCoordinatorRequest>(Check { place: Place::Top, ..USUAL }, |rig| rig.write(Some("tx"), true));
    check::<FindCoordinatorRequest>(Check { place: Place::Top, ..USUAL }, Rig::committed);
    let special: [(End, &[i16]); 1] = [(Done, &[30])];
    check::<FindCoordinatorRequest>(Check { place: Place::Top, special: &special, ..USUAL }, Rig::set_aside);
}

#[test]
fn produce() {
    let special = [&OF_WRITERS[..], &[(Done, &[46])]].concat();
    for (id, transaction_version) in [(None, 2), (Some("tx"), 2), (Some("tx"), 0)] {
        let how = Check { transaction_version, special: &special, ..LED };
        check::<ProduceRequest>(how, |rig| rig.write(id, true));
    }
}

#[test]
fn add_partitions_and_offsets_to_transactions_of_version_1() {
    let how = Check { transaction_version: 0, ..COORDINATED };
    check::<AddPartitionsToTxnRequest>(how, |rig| rig.write(Some("tx"), true));
    check::<AddOffsetsToTxnRequest>(Check { place: Place::Top, ..how }, |rig| rig.write(Some("tx"), true));
}

#[test]
fn txn_offset_commit() {
    for transaction_version in [0, 2] {
        let how = Check { transaction_version, ..COORDINATED };
        check::<TxnOffsetCommitRequest>(how, |rig| rig.write(Some("tx"), true));
    }
}

#[test]
fn end_txn() {
    for transaction_version in [0, 2] {
        let how = Check { place: Place::Top, transaction_version, ..COORDINATED };
        check::<EndTxnRequest>(how, |rig| rig.write(Some("tx"), true));
        check::<EndTxnRequest>(how, |rig| rig.write(Some("tx"), false));
    }
}

#[test]
fn offset_commit() {
    // With its group, a membership is gone.
    let special = [&[(Failed(Fenced), &[69][..])], &OF_WRITERS[..]].concat();
    check::<OffsetCommitRequest>(Check { special: &special, ..COORDINATED }, Rig::commit);
}

#[test]
fn offset_fetch() {
    for place in [Place::Item, Place::Partition] {
        let how = Check { place, lookup: Lookup::Coordinator, ..USUAL };
        check::<OffsetFetchRequest>(how, Rig::committed);
        // Who may not ask for what a renewal has left takes it that there is nothing.
        check::<OffsetFetchRequest>(Check { special: &[(Done, &[30])], ..how }, Rig::set_aside);
    }
}

#[test]
fn fetch() {
    // A broker that does not know what went wrong is asked again; a damaged log is not.
    let special: [(End, &[i16]); 3] = [(Done, &[1]), (Again, &[-1]), (Failed(Fatal), &[2])];
    check::<FetchRequest>(Check { special: &special, ..LED }, Rig::read);
    check::<FetchRequest>(Check { place: Place::Top, special: &[(Again, &[-1])], ..USUAL }, Rig::read);
}

#[test]
fn the_bounds_of_a_partition_out_of_range() {
    let out_of_range =
        Fate { key: FetchRequest::KEY, number: 0, place: Place::Partition, code: ErrorCode::OFFSET_OUT_OF_RANGE };
    let how = Check { also: Some(out_of_range), special: &[(Again, &[-1])], ..LED };
    check::<ListOffsetsRequest>(how, Rig::read);
}

#[test]
fn list_offsets() {
    // As Java's consumer; its admin client gives up.
    check::<ListOffsetsRequest>(Check { special: &[(Again, &[-1])], ..LED }, Rig::start);
}

#[test]
fn describe_producers() {
    check::<DescribeProducersRequest>(LED, Rig::open_transactions);
}

#[test]
fn delete_records() {
    check::<DeleteRecordsRequest>(LED, Rig::delete_records);
}

#[test]
fn create_topics() {
    check::<CreateTopicsRequest>(
        Check { place: Place::Item, special: &[(Done, &[36]), (Again, &[38])], ..USUAL },
        Rig::create,
    );
}

#[test]
fn delete_topics() {
    check::<DeleteTopicsRequest>(Check { place: Place::Item, special: &[(Done, &[3])], ..USUAL }, Rig::delete);
}

#[test]
fn describe_configs() {
    // Who may not read settings goes without.
    let how = Check { place: Place::Item, special: &[(Done, &[29])], ..USUAL };
    check::<DescribeConfigsRequest>(how, Rig::describe);
}

/// Metadata that the client asks for by itself, first of brokers, then of topics.
#[test]
fn metadata() {
    let all: Vec<i16> = all_codes().map(|code| code.0).collect();
    // The next question asks for the topic too, so that there is no third.
    check::<MetadataRequest>(Check { place: Place::Top, special: &[(Done, &all)], ..USUAL }, Rig::start);
    let leaderless = Check { number: 1, special: &[(Again, &all)], ..USUAL };
    check::<MetadataRequest>(leaderless, Rig::start);
    check::<MetadataRequest>(Check { place: Place::Item, number: 1, ..USUAL }, Rig::start);
}

/// Metadata that is asked for to know topics. A broker that tells of none at all has said nothing of them.
#[test]
fn metadata_of_topics() {
    let all: Vec<i16> = all_codes().map(|code| code.0).collect();
    let nothing_told = Check { place: Place::Top, number: 1, special: &[(Again, &all)], ..USUAL };
    check::<MetadataRequest>(nothing_told, Rig::describe);
    check::<MetadataRequest>(nothing_told, Rig::list);
    let code = ErrorCode::UNKNOWN_SERVER_ERROR;
    let left_out = Fate { key: MetadataRequest::KEY, number: 1, place: Place::Top, code };
    let (mut usual, mut rig) = (Rig::of_oldest(&[]), Rig::of_oldest(&[left_out]));
    assert_eq!((usual.describe(), rig.describe()), (Ok(()), Ok(())));
    assert!(
        rig.count(MetadataRequest::KEY) > usual.count(MetadataRequest::KEY),
        "a topic that is left out is asked for again"
    );
    let how = Check { place: Place::Item, number: 1, special: &[(Done, &[3, 100])], ..USUAL };
    check::<MetadataRequest>(how, Rig::describe);
}
