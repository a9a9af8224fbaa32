use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use millstream_log::{Admin, Failure, FailureKind};

use crate::admin::KafkaAdmin;
use crate::fake::{Fake, FakeTransport, Reply, coordinator, metadata, read};
use crate::protocol::messages::delete_groups::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse};
use crate::protocol::messages::find_coordinator::FindCoordinatorRequest;
use crate::protocol::messages::metadata::MetadataRequest;
use crate::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use crate::protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopics,
};
use crate::protocol::messages::streams_group_describe::{
    DescribedGroup, Member, StreamsGroupDescribeRequest, StreamsGroupDescribeResponse,
};
use crate::protocol::{ErrorCode, Reader, Request, RequestHeader};

use super::*;

/// A coordinator with the offsets of its groups.
#[derive(Default)]
struct Groups {
    groups: BTreeMap<String, BTreeMap<i32, (i64, String)>>,
    members: Vec<&'static str>,
    /// Requests that are answered from now on.
    answers: usize,
    /// Commits until one of which only the first partition is taken.
    until_cut: usize,
    /// Who joins once the group is deleted.
    joins: Vec<&'static str>,
    /// Questions for offsets that are answered without the group.
    empty_fetches: usize,
}

impl Groups {
    fn with_offsets() -> Self {
        let offsets = BTreeMap::from([(0, (7, "m0".to_owned())), (1, (9, String::new()))]);
        Self {
            groups: BTreeMap::from([("app".to_owned(), offsets)]),
            members: vec![],
            joins: vec![],
            answers: usize::MAX,
            empty_fetches: 0,
            until_cut: usize::MAX,
        }
    }

    fn answer(&mut self, header: &RequestHeader, body: Reader) -> Reply {
        match header.key {
            MetadataRequest::KEY => return Reply::to::<MetadataRequest>(header, &metadata("words", 2)),
            FindCoordinatorRequest::KEY => return coordinator(header),
            _ if self.answers == 0 => return Reply::Silence,
            _ => self.answers -= 1,
        }
        match header.key {
            StreamsGroupDescribeRequest::KEY => self.describe(header),
            OffsetFetchRequest::KEY => self.fetch(header, &read::<OffsetFetchRequest>(header, body)),
            OffsetCommitRequest::KEY => self.commit(header, read::<OffsetCommitRequest>(header, body)),
            _ => self.delete(header, &read::<DeleteGroupsRequest>(header, body)),
        }
    }

    fn describe(&self, header: &RequestHeader) -> Reply {
        let error_code = if self.groups.contains_key("app") { 0 } else { ErrorCode::GROUP_ID_NOT_FOUND.0 };
        let member = |id: &&str| Member { member_id: (*id).to_owned(), ..Member::default() };
        let members = self.members.iter().map(member).collect();
        let groups = vec![DescribedGroup { error_code, members, ..DescribedGroup::default() }];
        Reply::to::<StreamsGroupDescribeRequest>(header, &StreamsGroupDescribeResponse { groups, ..Default::default() })
    }

    fn fetch(&mut self, header: &RequestHeader, request: &OffsetFetchRequest) -> Reply {
        assert!(request.require_stable);
        if let Some(left) = self.empty_fetches.checked_sub(1) {
            self.empty_fetches = left;
            return Reply::to::<OffsetFetchRequest>(header, &OffsetFetchResponse::default());
        }
        let group = &request.groups[0];
        assert!(group.topics.is_none(), "all of them");
        let known = self.groups.get(&group.group_id).into_iter().flatten();
        let partition = |(partition, (offset, metadata)): (&i32, &(i64, String))| OffsetFetchResponsePartitions {
            partition_index: *partition,
            committed_offset: *offset,
            metadata: Some(metadata.clone()),
            ..Default::default()
        };
        let topic = OffsetFetchResponseTopics { name: "words".to_owned(), partitions: known.map(partition).collect() };
        let group = OffsetFetchResponseGroup { topics: vec![topic], ..Default::default() };
        Reply::to::<OffsetFetchRequest>(header, &OffsetFetchResponse { groups: vec![group], ..Default::default() })
    }

    fn commit(&mut self, header: &RequestHeader, request: OffsetCommitRequest) -> Reply {
        assert_eq!((request.generation_id_or_member_epoch, request.member_id.as_str()), (-1, ""));
        let is_occupied = request.group_id == "app" && !self.members.is_empty();
        let known = self.groups.entry(request.group_id).or_default();
        let mut partitions = Vec::new();
        let count = if self.until_cut == 0 { 1 } else { usize::MAX };
        self.until_cut = self.until_cut.checked_sub(1).unwrap_or(usize::MAX);
        for partition in request.topics.into_iter().flat_map(|topic| topic.partitions).take(count) {
            let at = partition.partition_index;
            let error_code = if is_occupied { ErrorCode::UNKNOWN_MEMBER_ID.0 } else { 0 };
            if !is_occupied {
                known.insert(at, (partition.committed_offset, partition.committed_metadata.unwrap_or_default()));
            }
            partitions.push(OffsetCommitResponsePartition { partition_index: at, error_code });
        }
        let topics = vec![OffsetCommitResponseTopic { name: "words".to_owned(), partitions }];
        Reply::to::<OffsetCommitRequest>(header, &OffsetCommitResponse { topics, ..Default::default() })
    }

    fn delete(&mut self, header: &RequestHeader, request: &DeleteGroupsRequest) -> Reply {
        let group = &request.groups_names[0];
        self.members.append(&mut self.joins);
        let code = if self.groups.remove(group).is_some() { 0 } else { ErrorCode::GROUP_ID_NOT_FOUND.0 };
        let results = vec![DeletableGroupResult { group_id: group.clone(), error_code: code }];
        Reply::to::<DeleteGroupsRequest>(header, &DeleteGroupsResponse { results, ..Default::default() })
    }
}

fn brokers(groups: &Arc<Mutex<Groups>>) -> Fake {
    let groups = Arc::clone(groups);
    Fake::new(FakeTransport::new(move |_, header, body: Reader| groups.lock().unwrap().answer(header, body)))
}

fn renew(groups: &Arc<Mutex<Groups>>) -> Result<usize, Failure> {
    let mut fake = brokers(groups);
    let call = KafkaAdmin::new(fake.driver.clone()).renew_group("app");
    fake.wait(call)
}

/// A renewal, wherever it was cut short, comes to this when it is begun again.
#[track_caller]
fn check_cut_short(before: impl Fn() -> Groups, after: &BTreeMap<String, BTreeMap<i32, (i64, String)>>) {
    // Describe, fetch, fetch what was saved, save, delete, write back, forget.
    for answers in 0..=7 {
        let groups = Arc::new(Mutex::new(Groups { answers, ..before() }));
        let mut fake = brokers(&groups);
        let call = KafkaAdmin::new(fake.driver.clone()).renew_group("app");
        fake.advance(100);
        drop((call, fake));
        groups.lock().unwrap().answers = usize::MAX;
        assert_eq!(renew(&groups).unwrap(), 2, "cut after {answers} answers");
        assert_eq!(groups.lock().unwrap().groups, *after, "cut after {answers} answers");
    }
}

#[test]
fn offsets_outlive_the_group_wherever_a_renewal_was_cut_short() {
    check_cut_short(Groups::with_offsets, &Groups::with_offsets().groups);
}

#[test]
fn offsets_that_an_answer_leaves_out_are_written_again() {
    // Of those that are saved, and of those that are written back.
    for until_cut in [0, 1] {
        let groups = Arc::new(Mutex::new(Groups { until_cut, ..Groups::with_offsets() }));
        assert_eq!(renew(&groups).unwrap(), 2);
        assert_eq!(groups.lock().unwrap().groups, Groups::with_offsets().groups);
    }
}

#[test]
fn a_group_that_an_answer_leaves_out_is_not_one_without_offsets() {
    let groups = Arc::new(Mutex::new(Groups { empty_fetches: 3, ..Groups::with_offsets() }));
    assert_eq!(renew(&groups).unwrap(), 2);
    assert_eq!(groups.lock().unwrap().groups, Groups::with_offsets().groups);
}

/// A group, and what a renewal of it that was cut short has left.
fn begun_again(group: &[(i32, i64)], saved: &[(i32, i64)]) -> Groups {
    let offsets = |all: &[(i32, i64)]| all.iter().map(|(at, offset)| (*at, (*offset, String::new()))).collect();
    let groups = BTreeMap::from([("app".to_owned(), offsets(group)), ("app-renewal".to_owned(), offsets(saved))]);
    Groups { groups, ..Groups::with_offsets() }
}

#[test]
fn what_a_renewal_has_left_is_kept_where_the_group_lacks_it() {
    let expected = BTreeMap::from([("app".to_owned(), begun_again(&[(0, 8), (1, 9)], &[]).groups["app"].clone())]);
    check_cut_short(|| begun_again(&[(0, 8)], &[(0, 7), (1, 9)]), &expected);
}

#[test]
fn a_group_that_is_behind_what_a_renewal_has_left_is_refused() {
    let before = begun_again(&[(0, 2), (1, 9)], &[(0, 7), (1, 9)]).groups;
    let groups = Arc::new(Mutex::new(begun_again(&[(0, 2), (1, 9)], &[(0, 7), (1, 9)])));
    let failure = renew(&groups).unwrap_err();
    assert_eq!((failure.kind, failure.error.kind()), (FailureKind::Fatal, ErrorKind::Fatal));
    let error = failure.error.to_string();
    assert!(
        error.contains("group app has offset 2 of words-0") && error.contains("kept 7 in group app-renewal"),
        "{error}"
    );
    assert!(error.contains("kafka-consumer-groups.sh --delete --group app-renewal"), "{error}");
    assert_eq!(groups.lock().unwrap().groups, before);
}

#[test]
fn offsets_stay_saved_where_somebody_joins_before_they_are_written_back() {
    let groups = Arc::new(Mutex::new(Groups { joins: vec!["a-member"], ..Groups::with_offsets() }));
    let failure = renew(&groups).unwrap_err();
    assert_eq!((failure.kind, failure.error.kind()), (FailureKind::Fatal, ErrorKind::State));
    assert!(failure.error.to_string().contains("a-member"), "{}", failure.error);
    let expected = Groups::with_offsets().groups.remove("app");
    assert_eq!(groups.lock().unwrap().groups.remove("app-renewal"), expected);
}

#[test]
fn a_group_with_members_is_left_alone() {
    let groups = Arc::new(Mutex::new(Groups { members: vec!["a-member"], ..Groups::with_offsets() }));
    let failure = renew(&groups).unwrap_err();
    assert_eq!((failure.kind, failure.error.kind()), (FailureKind::Fatal, ErrorKind::State));
    assert!(failure.error.to_string().contains("a-member"), "{}", failure.error);
    assert_eq!(groups.lock().unwrap().groups, Groups::with_offsets().groups);
}

#[test]
fn a_group_without_offsets_is_deleted() {
    let groups = Arc::new(Mutex::new(Groups::with_offsets()));
    groups.lock().unwrap().groups.insert("app".to_owned(), BTreeMap::new());
    assert_eq!(renew(&groups).unwrap(), 0);
    assert!(groups.lock().unwrap().groups.is_empty());
}

#[test]
fn a_group_that_is_not_there_is_told() {
    let failure = renew(&Arc::new(Mutex::new(Groups { answers: usize::MAX, ..Groups::default() }))).unwrap_err();
    assert_eq!((failure.kind, failure.error.kind()), (FailureKind::Fatal, ErrorKind::Configuration));
    assert!(failure.error.to_string().contains("there is no group app"), "{}", failure.error);
}

#[test]
fn members_of_one_process_renew_their_group_once() {
    let renewals = Renewals::default();
    let group: Arc<str> = "app".into();
    let right = renewals.begin(&group, 0).unwrap();
    assert!(renewals.begin(&group, 0).is_none(), "one is under way");
    drop(right);
    assert!(renewals.begin(&group, 0).is_none(), "who asked before it ended has nothing to renew");
    assert!(renewals.begin(&group, renewals.ended(&group)).is_some());
}
