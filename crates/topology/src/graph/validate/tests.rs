use super::*;
use crate::graph::testdata::facts;

#[track_caller]
fn check(calls: &str, expected: &[&str]) {
    let problems: Vec<String> = facts(calls).problems().iter().map(ToString::to_string).collect();
    assert_eq!(problems, expected);
}

#[test]
fn a_sound_topology_has_no_problems() {
    check("source\ta\tt,u\nprocessor\tp\ta\nstore\ts\tp\nsink\to\tout\tp,a\nglobal\tgs\tg\tgp\trows", &[]);
}

#[test]
fn nodes_without_children_and_stores_without_users_are_fine() {
    check("source\ta\tt\nprocessor\tp\ta\nstore\tunused\t", &[]);
}

#[test]
fn everything_is_listed_at_once() {
    check(
        "source\ta\tt\nprocessor\ta\tnowhere\nsink\to\tbad topic\ta\nprocessor\tp\to\nprocessor\tq\t\nstore\ts/1\t",
        &[
            "node a is added more than once; give each node its own name",
            "parent nowhere of node a does not exist",
            "sink o cannot be a parent of node p; read its topic with a source instead",
            "node q has no parent; name at least one",
            "store name \"s/1\" is not allowed: 1 to 249 letters, digits, '.', '_' and '-', but not '.' or '..'",
            "topic name \"bad topic\" is not allowed: 1 to 249 letters, digits, '.', '_' and '-', but not '.' or '..'",
        ],
    );
}

#[test]
fn cycles_are_named_in_the_direction_of_the_records() {
    check("source\ta\tt\nprocessor\tp\ta,p", &["node p is its own parent"]);
    check(
        "source\ta\tt\nprocessor\tp\ta,r\nprocessor\tq\tp\nprocessor\tr\tq\nsink\to\tout\tr",
        &["nodes form a cycle: q -> r -> p -> q"],
    );
}

#[test]
fn a_parent_must_be_added_first() {
    check("processor\tp\ta\nsource\ta\tt", &["parent a of node p is added after it; add a first"]);
}

#[test]
fn a_topic_is_read_by_one_source() {
    check(
        "source\ta\tt,u\nsource\tb\tu,v\nsource\tc\tw,w\nglobal\tgs\tt\tgp\trows",
        &[
            "topic t is read by more than one source (a, gs); read it once and use that twice",
            "topic u is read by more than one source (a, b); read it once and use that twice",
            "topic w is read by more than one source (c, c); read it once and use that twice",
        ],
    );
    check("source\ta\t", &["source a has no topics; give it at least one"]);
}

#[test]
fn stores_are_added_once_and_exist() {
    check(
        "source\ta\tt\nprocessor\tp\ta\nstore\ts\tp\nstore\ts\t",
        &["store s is added more than once; give each store its own name"],
    );
    let mut unknown = facts("source\ta\tt\nprocessor\tp\ta\nstore\ts\tp");
    unknown.stores.clear();
    let problem = Problem::UnknownStore { node: "p".into(), store: "s".into() };
    assert_eq!(problem.to_string(), "store s of node p was not added to the topology");
    assert_eq!(unknown.problems(), [problem]);
}

#[test]
fn global_stores_stand_apart() {
    check(
        "global\tgs\tg\tgp\trows\nprocessor\tp\tgp",
        &["node p cannot stand below gp, which feeds a global store; look the rows up in the store"],
    );
    check(
        "source\ta\tt\nprocessor\tp\ta\nglobal\tgs\tg\tgp\trows\nstore\trows\tp",
        &["global store rows can be used by node p without being connected; do not connect it"],
    );
    check(
        "global\tg1\tt1\tp1\trows\nglobal\tg2\tt2\tp2\trows",
        &["store rows is added more than once; give each store its own name"],
    );
}

#[test]
fn depth_is_counted_in_nodes_of_the_longest_path() {
    let chain = |nodes: usize| {
        let below = (2..=nodes).map(|at| format!("\nprocessor\tn{at}\tn{},n1", at - 1));
        format!("source\tn1\tt{}", below.collect::<String>())
    };
    check(&chain(DEPTH_MAX), &[]);
    check(
        &chain(DEPTH_MAX + 2),
        &["a path of 514 nodes passes the limit of 512 at node n513; split it with a repartition"],
    );
}

#[test]
fn fixed_repartition_counts_must_agree() {
    check(
        "source\ta\ta-repartition\nsource\tb\tb-repartition\nrepartition\ta-repartition\t3\n\
         repartition\tb-repartition\t4\ncopartitioned\ta,b",
        &["joined topics must have equally many partitions, but a-repartition has 3, b-repartition has 4"],
    );
    check("source\ta\ta-repartition\nsource\tb\ttopic\nrepartition\ta-repartition\t3\ncopartitioned\ta,b", &[]);
    check(
        "source\ta\ta-repartition\nrepartition\ta-repartition\t0",
        &["repartition topic a-repartition needs at least 1 partition, not 0"],
    );
}

#[test]
fn legal_names_are_kafkas() {
    for (name, is_legal) in [("a.b_C-9", true), ("", false), (".", false), ("..", false), ("...", true), ("ä", false)]
    {
        assert_eq!(is_legal_name(name), is_legal, "{name}");
    }
    assert!(is_legal_name(&"x".repeat(249)));
    assert!(!is_legal_name(&"x".repeat(250)));
}
