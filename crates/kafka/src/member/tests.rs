mod leaving;
mod standing;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream_log::{
    CommittedOffset, Departure, EndpointPartitions, FailureKind, GroupTopology, InternalTopicFacts, Member,
    MemberConfig, MemberEvent, SubtopologyFacts,
};
use millstream_types::{Offset, TaskId, TopicPartition};

use super::KafkaMember;
use crate::fake::{Fake, FakeTransport, Reply, coordinator, metadata, read};
use crate::net::Address;
use crate::protocol::messages::find_coordinator::FindCoordinatorRequest;
use crate::protocol::messages::metadata::MetadataRequest;
use crate::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use crate::protocol::messages::streams_group_describe::{
    DescribedGroup, KeyValue, Member as DescribedMember, StreamsGroupDescribeRequest, StreamsGroupDescribeResponse,
};
use crate::protocol::messages::streams_group_heartbeat::{
    EndpointToPartitions, RequestTaskIds, ResponseEndpoint, ResponseTaskIds, Status, StreamsGroupHeartbeatRequest,
    StreamsGroupHeartbeatResponse, TopicPartition as TopicPartitions,
};
use crate::protocol::{ErrorCode, Request, RequestHeader};
use crate::renewal::Renewals;

type Heartbeats = Arc<Mutex<Vec<StreamsGroupHeartbeatRequest>>>;
type Epochs = Arc<Mutex<Vec<i32>>>;
/// Processes that have members, `, closed` behind those that were closed; `None` when nobody may ask.
type Described = Arc<Mutex<Option<Vec<&'static str>>>>;

struct Rig {
    fake: Fake,
    member: KafkaMember,
    heartbeats: Heartbeats,
    /// The client id of each heartbeat.
    clients: Arc<Mutex<Vec<String>>>,
    commits: Epochs,
    described: Described,
}

fn config() -> MemberConfig {
    MemberConfig {
        group: "app".into(),
        member_id: "m".into(),
        process_id: "p".into(),
        session_timeout_ms: 45_000,
        max_poll_interval_ms: 60_000,
        ..MemberConfig::default()
    }
}

/// A member whose group answers by a function of the heartbeat's number.
fn joined(
    answer: impl FnMut(usize, &StreamsGroupHeartbeatRequest) -> StreamsGroupHeartbeatResponse + Send + 'static,
) -> Rig {
    joined_with(config(), answer)
}

fn joined_with(
    config: MemberConfig,
    mut answer: impl FnMut(usize, &StreamsGroupHeartbeatRequest) -> StreamsGroupHeartbeatResponse + Send + 'static,
) -> Rig {
    let (heartbeats, commits, described) = (Heartbeats::default(), Epochs::default(), Described::default());
    let (seen, committed, processes) = (Arc::clone(&heartbeats), Arc::clone(&commits), Arc::clone(&described));
    let clients = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&clients);
    let script = move |_: &Address, header: &RequestHeader, body| match header.key {
        MetadataRequest::KEY => Reply::to::<MetadataRequest>(header, &metadata("words", 2)),
        FindCoordinatorRequest::KEY => coordinator(header),
        OffsetCommitRequest::KEY => {
            let request = read::<OffsetCommitRequest>(header, body);
            let epoch = request.generation_id_or_member_epoch;
            committed.lock().unwrap().push(epoch);
            let error_code = if epoch < 5 { ErrorCode::STALE_MEMBER_EPOCH.0 } else { 0 };
            let partition = OffsetCommitResponsePartition { partition_index: 0, error_code };
            let topic = OffsetCommitResponseTopic { name: "words".to_owned(), partitions: vec![partition] };
            let response = OffsetCommitResponse { topics: vec![topic], ..OffsetCommitResponse::default() };
            Reply::to::<OffsetCommitRequest>(header, &response)
        }
        StreamsGroupDescribeRequest::KEY => {
            let member = |told: &&str| {
                let (process, is_closed) =
                    told.strip_suffix(", closed").map_or((*told, false), |process| (process, true));
                let tag = KeyValue { key: "millstream.closed".to_owned(), value: "true".to_owned() };
                let client_tags = if is_closed { vec![tag] } else { Vec::new() };
                DescribedMember {
                    member_id: format!("of {process}"),
                    process_id: process.to_owned(),
                    client_tags,
                    ..DescribedMember::default()
                }
            };
            let group = match &*processes.lock().unwrap() {
                Some(processes) => {
                    DescribedGroup { members: processes.iter().map(member).collect(), ..DescribedGroup::default() }
                }
                None => {
                    DescribedGroup { error_code: ErrorCode::GROUP_AUTHORIZATION_FAILED.0, ..DescribedGroup::default() }
                }
            };
            let response = StreamsGroupDescribeResponse { groups: vec![group], ..Default::default() };
            Reply::to::<StreamsGroupDescribeRequest>(header, &response)
        }
        _ => {
            told.lock().unwrap().push(header.client_id.clone());
            let request = read::<StreamsGroupHeartbeatRequest>(header, body);
            let number = seen.lock().unwrap().len();
            let response = answer(number, &request);
            seen.lock().unwrap().push(request);
            Reply::to::<StreamsGroupHeartbeatRequest>(header, &response)
        }
    };
    let fake = Fake::new(FakeTransport::new(script));
    let mut member = KafkaMember::new(fake.driver.clone(), config, Some("north".to_owned()), Renewals::default());
    let facts = SubtopologyFacts {
        id: 0,
        tasks: 2,
        stateful: true,
        source_topics: vec!["words".into()],
        changelogs: vec![InternalTopicFacts { name: "app-counts-changelog".into(), ..InternalTopicFacts::default() }],
        ..SubtopologyFacts::default()
    };
    member.join(GroupTopology { subtopologies: vec![facts] });
    Rig { fake, member, heartbeats, clients, commits, described }
}

fn told(epoch: i32, partitions: &[i32]) -> StreamsGroupHeartbeatResponse {
    let tasks = ResponseTaskIds { subtopology_id: "0".to_owned(), partitions: partitions.to_vec() };
    StreamsGroupHeartbeatResponse { active_tasks: Some(vec![tasks]), ..unchanged(epoch) }
}

fn unchanged(epoch: i32) -> StreamsGroupHeartbeatResponse {
    StreamsGroupHeartbeatResponse {
        member_epoch: epoch,
        heartbeat_interval_ms: 1_000,
        status: None,
        active_tasks: None,
        standby_tasks: None,
        warmup_tasks: None,
        ..StreamsGroupHeartbeatResponse::default()
    }
}

fn refused(code: ErrorCode) -> StreamsGroupHeartbeatResponse {
    StreamsGroupHeartbeatResponse { error_code: code.0, ..unchanged(0) }
}

impl Rig {
    /// Moves the clock for so long, polling all the while.
    fn events(&mut self, ms: i64) -> Vec<String> {
        let mut events = Vec::new();
        for _ in 0..ms / 50 {
            self.fake.advance(50);
            self.member.poll(self.fake.now(), &mut events);
        }
        events.into_iter().map(word).collect()
    }

    /// Tasks each heartbeat told of: numbers of partitions, or `-` when it told nothing.
    fn owned(&self) -> Vec<String> {
        let owned = |request: &StreamsGroupHeartbeatRequest| match &request.active_tasks {
            None => "-".to_owned(),
            Some(tasks) => format!("{:?}", tasks.iter().flat_map(|ids| ids.partitions.clone()).collect::<Vec<_>>()),
        };
        self.heartbeats.lock().unwrap().iter().map(owned).collect()
    }
}

fn numbers(partitions: &[TopicPartition]) -> Vec<i32> {
    partitions.iter().map(|at| at.partition.0).collect()
}

fn word(event: MemberEvent) -> String {
    let partitions = |tasks: &[TaskId]| tasks.iter().map(|task| task.partition).collect::<Vec<_>>();
    match event {
        MemberEvent::Assigned { active, standby } if standby.is_empty() => {
            format!("assigned {:?}", partitions(&active))
        }
        MemberEvent::Assigned { active, standby } => {
            format!("assigned {:?} and copies {:?}", partitions(&active), partitions(&standby))
        }
        MemberEvent::Revoke { tasks } => format!("revoke {:?}", partitions(&tasks)),
        MemberEvent::Lost => "lost".to_owned(),
        MemberEvent::Endpoints(endpoints) => {
            let of = |found: EndpointPartitions| {
                format!(
                    "{}:{} has {:?} and copies {:?}",
                    found.endpoint.host,
                    found.endpoint.port,
                    numbers(&found.active),
                    numbers(&found.standby)
                )
            };
            endpoints.into_iter().map(of).collect::<Vec<_>>().join("; ")
        }
        MemberEvent::Status { code, .. } => format!("status {code}"),
        MemberEvent::Failed(failure) => format!("failed {:?}", failure.kind),
    }
}

#[test]
fn a_member_joins_as_soon_as_its_coordinator_is_known() {
    let mut rig = joined(|_, _| StreamsGroupHeartbeatResponse::default());
    // No time passes.
    rig.fake.settle();
    assert_eq!(rig.heartbeats.lock().unwrap().len(), 1);
}

#[test]
fn a_member_joins_with_its_topology_and_tells_what_it_runs() {
    let mut rig = joined(|number, _| if number == 0 { told(1, &[0, 1]) } else { unchanged(1) });
    assert_eq!(rig.events(3_000), ["assigned [0, 1]"]);
    assert_eq!(rig.owned()[..3], ["[]", "[0, 1]", "-"]);
    let heartbeats = rig.heartbeats.lock().unwrap();
    let first = &heartbeats[0];
    assert_eq!((first.member_epoch, first.rebalance_timeout_ms), (0, 60_000));
    assert_eq!(first.rack_id.as_deref(), Some("north"));
    let topology = &first.topology.as_ref().unwrap().subtopologies[0];
    assert_eq!(topology.source_topics, ["words"]);
    assert_eq!(topology.state_changelog_topics[0].name, "app-counts-changelog");
    assert!(heartbeats[1].topology.is_none() && heartbeats[1].member_epoch == 1);
}

#[test]
fn tasks_are_given_up_before_others_get_them() {
    let mut rig = joined(|number, request| match number {
        0 => told(1, &[0, 1]),
        2 => told(1, &[1]),
        _ if request.active_tasks.as_ref().is_some_and(|tasks| tasks[0].partitions == [1]) => told(2, &[1]),
        _ => unchanged(request.member_epoch),
    });
    assert_eq!(rig.events(1_500), ["assigned [0, 1]", "revoke [0]"]);
    let before = rig.heartbeats.lock().unwrap().len();
    assert!(rig.events(2_000).is_empty(), "nothing moves before the stream thread has let go");
    assert!(rig.owned()[before..].iter().all(|owned| owned == "-"));
    rig.member.revoked();
    assert_eq!(rig.events(500), ["assigned [1]"]);
    assert!(rig.owned().contains(&"[1]".to_owned()));
    assert_eq!(rig.member.metadata().epoch, 2);
}

#[test]
fn what_is_given_up_while_a_heartbeat_is_under_way_is_told_with_the_next_one() {
    let mut rig = joined(|number, request| match number {
        0 => told(1, &[0, 1]),
        2 => told(1, &[1]),
        _ => unchanged(request.member_epoch),
    });
    assert_eq!(rig.events(1_500), ["assigned [0, 1]", "revoke [0]"]);
    rig.fake.engine.transport.is_held = true;
    rig.events(1_000);
    let before = rig.heartbeats.lock().unwrap().len();
    rig.member.revoked();
    assert_eq!(rig.events(50), ["assigned [1]"]);
    assert_eq!(rig.heartbeats.lock().unwrap().len(), before, "one heartbeat at a time");
    // Its answer is none to what it did not tell.
    rig.fake.engine.transport.is_held = false;
    rig.events(200);
    assert_eq!(rig.owned()[before..], ["[1]"]);
}

#[test]
fn what_the_broker_takes_while_other_tasks_are_given_up_runs_until_it_is_given_up_too() {
    let mut rig = joined(|number, request| match number {
        0 => told(1, &[0, 1, 2]),
        2 => told(1, &[1, 2]),
        3 => told(1, &[]),
        _ => unchanged(request.member_epoch),
    });
    assert_eq!(rig.events(3_500), ["assigned [0, 1, 2]", "revoke [0]"]);
    rig.member.revoked();
    assert_eq!(rig.events(500), ["revoke [1, 2]"]);
    assert_eq!(rig.owned().last().unwrap(), "[1, 2]");
    rig.member.revoked();
    assert_eq!(rig.events(500), ["assigned []"]);
    assert_eq!(rig.owned().last().unwrap(), "[]");
}

#[test]
fn an_expelled_member_is_told_once_and_may_join_again() {
    for code in [ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::FENCED_MEMBER_EPOCH, ErrorCode::GROUP_ID_NOT_FOUND] {
        let mut rig = joined(move |number, _| match number {
            0 => told(1, &[0]),
            1 => refused(code),
            _ => told(4, &[0]),
        });
        assert_eq!(rig.events(5_000), ["assigned [0]", "lost"], "{code}");
        assert_eq!(rig.member.metadata().epoch, -1);
        rig.member.join(GroupTopology::default());
        assert_eq!(rig.events(500), ["assigned [0]"], "{code}");
        assert_eq!(rig.heartbeats.lock().unwrap()[2].member_epoch, 0);
    }
}

#[test]
fn a_coordinator_that_moves_or_loads_is_found_again() {
    for code in
        [ErrorCode::NOT_COORDINATOR, ErrorCode::COORDINATOR_NOT_AVAILABLE, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS]
    {
        let mut rig = joined(move |number, _| if number < 2 { refused(code) } else { told(1, &[0]) });
        assert_eq!(rig.events(2_000), ["assigned [0]"], "{code}");
    }
}

#[test]
fn a_broker_that_fails_is_asked_again_for_a_while() {
    let code = ErrorCode::UNKNOWN_SERVER_ERROR;
    let mut rig = joined(move |number, _| if number < 20 { refused(code) } else { told(1, &[0]) });
    assert_eq!(rig.events(5_000), ["assigned [0]"]);
    let mut rig = joined(move |_, _| refused(code));
    assert_eq!(rig.events(29_000), [""; 0]);
    assert_eq!(rig.events(2_000), ["failed Fatal"]);
}

#[test]
fn refusals_for_good_tell_what_to_do() {
    let cases = [
        (ErrorCode::STREAMS_TOPOLOGY_FENCED, "millstream upgrade-group"),
        (ErrorCode::STREAMS_INVALID_TOPOLOGY_EPOCH, "--application-id app"),
        (ErrorCode::GROUP_AUTHORIZATION_FAILED, "rights"),
        (ErrorCode::UNSUPPORTED_VERSION, "4.2"),
        (ErrorCode::GROUP_MAX_SIZE_REACHED, "GROUP_MAX_SIZE_REACHED"),
        (ErrorCode::STREAMS_INVALID_TOPOLOGY, "STREAMS_INVALID_TOPOLOGY"),
    ];
    for (code, remedy) in cases {
        let mut rig = joined(move |_, _| refused(code));
        let mut events = Vec::new();
        for _ in 0..10 {
            rig.fake.advance(50);
            rig.member.poll(rig.fake.now(), &mut events);
        }
        let [MemberEvent::Failed(failure)] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(failure.kind, FailureKind::Fatal);
        assert!(failure.error.to_string().contains(remedy), "{}", failure.error);
    }
}

#[test]
fn a_group_that_cannot_run_says_so_after_a_while() {
    let status = |code: i8| Status { status_code: code, status_detail: "missing".to_owned() };
    let mut rig =
        joined(move |_, _| StreamsGroupHeartbeatResponse { status: Some(vec![status(1), status(5)]), ..told(1, &[]) });
    assert_eq!(rig.events(200), [""; 0], "topics that were just created may be missing for a moment");
    assert_eq!(rig.events(20_000), [""; 0], "a coordinator may hear of them late");
    assert_eq!(rig.events(20_000), ["status 1"]);
    assert_eq!(rig.events(60_000), [""; 0], "once is enough");
}

#[test]
fn what_no_waiting_mends_is_told_at_once() {
    let status = |code: i8| Status { status_code: code, status_detail: "why".to_owned() };
    for (code, expected) in [(0, None), (2, Some("status 2")), (4, Some("status 4"))] {
        let mut rig =
            joined(move |_, _| StreamsGroupHeartbeatResponse { status: Some(vec![status(code)]), ..told(1, &[0]) });
        let statuses: Vec<String> =
            rig.events(60_000).into_iter().filter(|event| event.starts_with("status")).collect();
        assert_eq!(statuses, Vec::from_iter(expected), "{code}");
    }
}

#[test]
fn who_ends_the_application_tells_the_group() {
    let mut rig = joined(|_, _| told(1, &[0]));
    rig.events(500);
    rig.member.request_shutdown();
    let leave = rig.member.leave(Departure::Leave);
    rig.fake.wait(leave).unwrap();
    let heartbeats = rig.heartbeats.lock().unwrap();
    let told: Vec<(i32, bool)> =
        heartbeats.iter().map(|heartbeat| (heartbeat.member_epoch, heartbeat.shutdown_application)).collect();
    assert_eq!(told, [(0, false), (1, false), (-1, true)]);
}

#[test]
fn nothing_is_assigned_before_the_group_assigns_anything() {
    // The broker waits for more members, or makes internal topics: soon asked again, not after an interval.
    for code in [5, 3] {
        let delayed = move || Some(vec![Status { status_code: code, status_detail: String::new() }]);
        let mut rig = joined(move |number, _| match number {
            0 => StreamsGroupHeartbeatResponse { status: delayed(), ..told(1, &[]) },
            1..5 => StreamsGroupHeartbeatResponse { status: delayed(), ..unchanged(1) },
            _ => told(2, &[0]),
        });
        assert_eq!(rig.events(700), [""; 0]);
        assert_eq!(rig.events(2_000), ["assigned [0]"]);
    }
    let mut rig = joined(|number, _| if number == 0 { told(1, &[]) } else { unchanged(1) });
    assert_eq!(rig.events(1_500), [""; 0], "the broker may be about to assign");
    assert_eq!(rig.events(700), ["assigned []"], "there may be more members than tasks");
}

#[test]
fn who_has_what_is_told_by_endpoint_and_asked_for_by_its_epoch() {
    let member = |port: u16, active: &[i32], standby: &[i32]| {
        let partitions =
            |partitions: &[i32]| vec![TopicPartitions { topic: "words".to_owned(), partitions: partitions.to_vec() }];
        EndpointToPartitions {
            user_endpoint: ResponseEndpoint { host: "h".to_owned(), port },
            active_partitions: partitions(active),
            standby_partitions: partitions(standby),
        }
    };
    let mut rig = joined(move |number, _| StreamsGroupHeartbeatResponse {
        endpoint_information_epoch: 7,
        // Two threads of one process.
        partitions_by_user_endpoint: (number == 0)
            .then(|| vec![member(2, &[3], &[]), member(1, &[0], &[3]), member(2, &[1], &[0])]),
        ..told(1, &[0])
    });
    assert_eq!(rig.events(200)[0], "h:1 has [0] and copies [3]; h:2 has [1, 3] and copies [0]");
    rig.events(2_000);
    let epochs: Vec<i32> =
        rig.heartbeats.lock().unwrap().iter().map(|heartbeat| heartbeat.endpoint_information_epoch).collect();
    assert_eq!(epochs[..2], [-1, 7]);
}

#[test]
fn copies_are_kept_as_the_broker_says() {
    let mut rig = joined(|number, request| match number {
        0 => StreamsGroupHeartbeatResponse { standby_tasks: told(1, &[2]).active_tasks, ..told(1, &[0, 1]) },
        2 => StreamsGroupHeartbeatResponse {
            standby_tasks: Some(Vec::new()),
            warmup_tasks: told(1, &[3]).active_tasks,
            ..unchanged(1)
        },
        _ => unchanged(request.member_epoch.max(1)),
    });
    assert_eq!(rig.events(2_500), ["assigned [0, 1] and copies [2]", "assigned [0, 1] and copies [3]"]);
    let heartbeats = rig.heartbeats.lock().unwrap();
    let of = |ids: &Option<Vec<_>>| {
        ids.as_ref()
            .map(|ids: &Vec<RequestTaskIds>| ids.iter().flat_map(|ids| ids.partitions.clone()).collect::<Vec<_>>())
    };
    let told: Vec<_> =
        heartbeats[1..].iter().map(|heartbeat| (of(&heartbeat.standby_tasks), of(&heartbeat.warmup_tasks))).collect();
    assert_eq!(told[0], (Some(vec![2]), Some(vec![])));
    assert!(told.contains(&(Some(vec![]), Some(vec![3]))), "{told:?}");
}

#[test]
fn a_stream_thread_that_does_not_poll_loses_its_tasks() {
    let mut rig = joined(|number, _| if number == 0 { told(1, &[0]) } else { unchanged(1) });
    rig.events(500);
    for _ in 0..65 {
        rig.fake.advance(1_000);
    }
    assert_eq!(rig.heartbeats.lock().unwrap().last().unwrap().member_epoch, -1);
    assert_eq!(rig.events(100), ["lost"]);
}

#[test]
fn commits_carry_the_newest_epoch_of_the_membership() {
    let mut rig = joined(|number, _| match number {
        0 => told(3, &[0]),
        _ => unchanged(5),
    });
    rig.events(500);
    let offset = CommittedOffset { offset: Offset(5), leader_epoch: -1, metadata: String::new() };
    let commit = rig.member.commit(vec![(TopicPartition::new("words", 0), offset)]);
    rig.fake.wait(commit).unwrap();
    assert_eq!(rig.commits.lock().unwrap().last(), Some(&5));
}

#[test]
fn the_group_sees_the_thread_behind_the_clients_id() {
    let named = |member_id: &str| {
        let config = MemberConfig { member_id: member_id.into(), ..config() };
        let mut rig = joined_with(config, |_, _| told(5, &[0]));
        rig.fake.advance(200);
        let clients = rig.clients.lock().unwrap();
        clients.first().cloned().unwrap_or_default()
    };
    assert_eq!(named("app-p-StreamThread-2"), "app-p-StreamThread-2-consumer");
    assert_eq!(named("m"), "app-p");
}

#[test]
fn what_the_last_membership_is_told_late_is_no_news_to_the_next() {
    let mut rig = joined(|number, _| match number {
        0 => unchanged(1),
        1 => told(2, &[0]),
        _ => unchanged(3),
    });
    rig.fake.advance(100);
    rig.fake.engine.transport.late_key = Some(StreamsGroupHeartbeatRequest::KEY);
    while rig.heartbeats.lock().unwrap().len() < 2 {
        rig.fake.advance(100);
    }
    rig.fake.engine.transport.late_key = None;
    // The answer is here, and nobody has looked at it.
    rig.fake.engine.wait(Duration::ZERO);
    rig.member.join(GroupTopology::default());
    assert_eq!(rig.events(1_000), Vec::<String>::new());
}

#[test]
fn who_is_no_member_commits_nothing() {
    let mut rig = joined(|number, _| if number == 0 { told(7, &[0]) } else { refused(ErrorCode::UNKNOWN_MEMBER_ID) });
    assert_eq!(rig.events(2_000), ["assigned [0]", "lost"]);
    let offset = CommittedOffset { offset: Offset(5), leader_epoch: -1, metadata: String::new() };
    let call = rig.member.commit(vec![(TopicPartition::new("words", 0), offset)]);
    assert_eq!(rig.fake.wait(call).map_err(|failure| failure.kind), Err(FailureKind::Fenced));
    assert!(rig.commits.lock().unwrap().is_empty());
}
