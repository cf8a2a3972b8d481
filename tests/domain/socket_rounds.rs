//! Who is served next, where there are many who ask.

use pg_edge::domain::socket::rounds::Rounds;

fn rounds(asked: &[(u32, i64)]) -> Rounds<u32, i64> {
    let mut rounds = Rounds::default();
    asked.iter().for_each(|(who, thing)| rounds.insert(*who, *thing));
    rounds
}

#[test]
fn whoever_asks_for_much_does_not_keep_the_others_waiting() {
    let mut rounds = rounds(&[(1, 11), (1, 12), (1, 13), (1, 14), (2, 21), (3, 31), (3, 32)]);
    assert_eq!(rounds.next(4), [11, 21, 31, 12]);
    assert_eq!(rounds.next(100).len(), 7, "what is not removed is asked for still");
}

#[test]
fn each_gets_a_turn_even_where_one_turn_serves_fewer_than_there_are() {
    let mut rounds = rounds(&[(1, 11), (2, 21), (3, 31)]);
    let served: Vec<i64> = (0..4).flat_map(|_| rounds.next(2)).collect();
    assert_eq!(served, [11, 21, 31, 11, 21, 31, 11, 21]);
}

#[test]
fn what_one_asks_for_comes_in_the_order_of_asking_and_a_second_time_at_the_end() {
    let mut rounds = rounds(&[(1, 11), (1, 12)]);
    rounds.insert(1, 11);
    assert_eq!(rounds.next(9), [11, 12], "to ask again changes nothing");
    rounds.remove(&11);
    rounds.insert(1, 11);
    assert_eq!(rounds.next(9), [12, 11]);
}

#[test]
fn what_is_removed_is_not_served() {
    let mut rounds = rounds(&[(1, 11), (2, 21)]);
    rounds.remove(&11);
    rounds.remove(&99);
    assert_eq!(rounds.next(9), [21]);
    rounds.remove(&21);
    assert!(rounds.is_empty() && rounds.next(9).is_empty());
}
