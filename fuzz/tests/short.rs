//! Every target for a moment, and inputs that once were, or elsewhere are, too much.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use millstream_fuzz::{Random, all, check, mutate, shrink};

#[test]
fn wrong_bytes_are_errors_and_cost_little() {
    for target in all() {
        let mut random = Random::new(7);
        assert!(!target.right.is_empty());
        for input in &target.right {
            assert_eq!(check(&target, input), Ok(true), "{} {input:02x?}", target.name);
        }
        for _ in 0..400 {
            let input = mutate(&target.right, &mut random);
            if let Err(failure) = check(&target, &input) {
                panic!("{}: {failure:?} with {:02x?}", target.name, shrink(&target, &input));
            }
        }
    }
}

/// Found by the loop.
#[test]
fn a_tagged_field_that_a_version_does_not_have_is_passed_over() {
    let targets = all();
    let responses = targets.iter().find(|target| target.name == "responses").unwrap();
    // A produce answer of version 9, with the brokers that version 10 brought.
    let input = [0x1b, 0, 1, 0, 0, 0, 0, 1, 0, 5, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    assert_eq!(check(responses, &input), Ok(true));
}

/// Found by the loop: a second beginning, behind topics, with fewer ids than there are topics. And numbers that nothing
/// can be counted on from.
#[test]
fn a_journal_whose_numbers_do_not_add_up_is_no_end_of_the_process() {
    let targets = all();
    let journals = targets.iter().find(|target| target.name == "journals").unwrap();
    let whole = &journals.right[0];
    // Tag and flag, then seed, ids and the next producer id.
    let (beginning, rest) = whole.split_at(26);
    assert_eq!(beginning[0], 1);
    let mut of_nothing = beginning.to_vec();
    of_nothing[2..].fill(0);
    let mut at_the_end = whole.clone();
    at_the_end[10..18].fill(0xff);
    for (input, is_read) in [
        ([beginning, rest, &of_nothing].concat(), true),
        ([&of_nothing, rest, rest].concat(), true),
        (at_the_end, false),
    ] {
        assert_eq!(check(journals, &input), Ok(is_read), "{input:02x?}");
    }
}

/// Inputs that make other libraries swell or stop.
#[test]
fn inputs_that_lie_about_their_size_are_errors() {
    let targets = all();
    let named = |name: &str| targets.iter().find(|target| target.name == name).unwrap();
    let mut batch = named("batches").right[0].clone();
    batch[57..61].copy_from_slice(&i32::MAX.to_be_bytes());
    let mut endless = named("batches").right[0].clone();
    endless[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    // Correlation id, tags, throttle time, then a list of 2^32 - 1 items.
    let list = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f];
    let inputs: [(&str, &[u8]); 6] = [
        ("frames", &[0, 0, 0, 0, 0, 0, 0, 0]),
        ("frames", &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
        ("frames", &list),
        ("batches", &batch),
        ("batches", &endless),
        ("streams", &[0x7f, 0xff, 0xff, 0xff, 0]),
    ];
    for (name, input) in inputs {
        let result = check(named(name), input);
        assert!(matches!(result, Ok(false)), "{name} {input:02x?}: {result:?}");
    }
}
