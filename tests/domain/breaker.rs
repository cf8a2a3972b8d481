//! When a breaker opens, for how long, and what closes it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pg_edge::domain::breaker::{Breaker, BreakerRules, Health, LONGEST_PAUSE, State};
use proptest::prelude::*;

const RULES: BreakerRules = BreakerRules { failures: 5, first_pause: Duration::from_secs(30) };

fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000)
}

fn hear(breaker: &mut Breaker, health: Health, times: usize, now: SystemTime) {
    for _ in 0..times {
        breaker.heard(health, &RULES, 0, now);
    }
}

#[test]
fn five_failures_in_a_row_open_it_and_a_success_among_them_does_not() {
    let mut breaker = Breaker::default();
    hear(&mut breaker, Health::Ill, 4, start());
    hear(&mut breaker, Health::Well, 1, start());
    hear(&mut breaker, Health::Ill, 4, start());
    assert_eq!(breaker.state(start()), State::Closed);
    hear(&mut breaker, Health::Ill, 1, start());
    assert_eq!(breaker.state(start()), State::Open(start() + Duration::from_secs(30)));
}

#[test]
fn half_of_twenty_answers_in_half_a_minute_open_it() {
    let mut breaker = Breaker::default();
    for _ in 0..9 {
        hear(&mut breaker, Health::Well, 1, start());
        hear(&mut breaker, Health::Ill, 1, start());
    }
    hear(&mut breaker, Health::Well, 1, start());
    assert!(breaker.admits(start()), "19 answers are too few");
    hear(&mut breaker, Health::Ill, 1, start());
    assert!(!breaker.admits(start()));
}

#[test]
fn a_probe_that_is_being_answered_closes_it_before_its_answer_ends() {
    let mut breaker = Breaker::default();
    hear(&mut breaker, Health::Ill, 5, start());
    let later = start() + Duration::from_secs(31);
    breaker.answers(later);
    assert_eq!(breaker.state(later), State::HalfOpen, "no probe is out yet");
    breaker.sent(later);
    assert!(!breaker.admits(later), "one probe is enough");
    breaker.answers(later);
    assert_eq!(breaker.state(later), State::Closed);
    hear(&mut breaker, Health::Well, 1, later + Duration::from_secs(300));
    assert_eq!(breaker.state(later), State::Closed);
}

#[test]
fn an_answer_to_a_call_that_was_out_when_it_opened_says_nothing_of_the_probe() {
    let mut breaker = Breaker::default();
    hear(&mut breaker, Health::Ill, 4, start());
    breaker.heard(Health::Ill, &RULES, 1, start());
    let later = start() + Duration::from_secs(31);
    breaker.sent(later);
    breaker.answers(later);
    assert_eq!(breaker.state(later), State::HalfOpen);
}

#[test]
fn failures_older_than_half_a_minute_are_forgotten() {
    let mut breaker = Breaker::default();
    for second in 0..40 {
        let now = start() + Duration::from_secs(2 * second);
        hear(&mut breaker, Health::Ill, 1, now);
        hear(&mut breaker, Health::Well, 1, now);
        let answers = (second + 1).min(15) * 2;
        assert!(breaker.admits(now) || answers >= 20, "after {answers} answers");
        if !breaker.admits(now) {
            return;
        }
    }
    panic!("half of thirty answers in half a minute were failures");
}

#[test]
fn a_failed_probe_doubles_the_pause_up_to_ten_minutes() {
    let mut breaker = Breaker::default();
    hear(&mut breaker, Health::Ill, 5, start());
    let mut now = start();
    for pause in [30, 60, 120, 240, 480, 600, 600] {
        let until = now + Duration::from_secs(pause);
        assert_eq!(breaker.state(now), State::Open(until));
        assert!(!breaker.admits(until - Duration::from_millis(1)));
        assert!(breaker.admits(until));
        breaker.sent(until);
        assert!(!breaker.admits(until), "one probe at a time");
        breaker.heard(Health::Ill, &RULES, 0, until);
        now = until;
    }
}

#[test]
fn a_probe_that_says_nothing_makes_room_for_another() {
    let mut breaker = Breaker::default();
    hear(&mut breaker, Health::Ill, 5, start());
    let later = start() + Duration::from_secs(30);
    breaker.sent(later);
    breaker.heard(Health::Unknown, &RULES, 0, later);
    assert!(breaker.admits(later));
}

#[test]
fn calls_that_were_out_when_it_opened_say_nothing_of_the_probe() {
    let mut breaker = Breaker::default();
    for others in (3..8).rev() {
        breaker.heard(Health::Ill, &RULES, others, start());
    }
    let later = start() + Duration::from_secs(30);
    breaker.sent(later);
    for health in [Health::Ill, Health::Well, Health::Unknown] {
        breaker.heard(health, &RULES, 1, later);
        assert!(!breaker.admits(later), "the probe is still out");
    }
    breaker.heard(Health::Well, &RULES, 0, later);
    assert_eq!(breaker.state(later), State::Closed);
}

#[test]
fn a_probe_that_does_not_go_out_makes_room_for_another_whoever_else_is_still_out() {
    let mut breaker = Breaker::default();
    for others in (3..8).rev() {
        breaker.heard(Health::Ill, &RULES, others, start());
    }
    let later = start() + Duration::from_secs(30);
    breaker.sent(later);
    breaker.recalled();
    assert!(breaker.admits(later));
    breaker.sent(later);
    for _ in 0..3 {
        breaker.heard(Health::Ill, &RULES, 1, later);
    }
    breaker.heard(Health::Well, &RULES, 0, later);
    assert_eq!(breaker.state(later), State::Closed, "all who were out before had come back");
}

#[test]
fn an_endpoint_that_flaps_is_left_alone_for_longer_each_time() {
    let mut breaker = Breaker::default();
    let mut now = start();
    for pause in [30, 60, 120] {
        hear(&mut breaker, Health::Ill, 5, now);
        assert_eq!(breaker.state(now), State::Open(now + Duration::from_secs(pause)));
        now += Duration::from_secs(pause);
        breaker.sent(now);
        breaker.heard(Health::Well, &RULES, 0, now);
        assert_eq!(breaker.state(now), State::Closed);
    }
    now += LONGEST_PAUSE;
    hear(&mut breaker, Health::Ill, 5, now);
    assert_eq!(breaker.state(now), State::Open(now + Duration::from_secs(30)), "that was long ago");
}

#[test]
fn with_zero_failures_it_never_opens() {
    let mut breaker = Breaker::default();
    for _ in 0..1000 {
        breaker.heard(Health::Ill, &BreakerRules { failures: 0, ..RULES }, 0, start());
    }
    assert!(breaker.admits(start()));
}

proptest! {
    #[test]
    fn it_always_lets_something_out_again(steps in prop::collection::vec((0..3u8, 0..100u64, any::<bool>()), 0..200)) {
        let (mut breaker, mut now) = (Breaker::default(), start());
        for (health, seconds, sends) in steps {
            now += Duration::from_secs(seconds);
            if sends && breaker.admits(now) {
                breaker.sent(now);
            }
            let health = [Health::Well, Health::Ill, Health::Unknown][usize::from(health)];
            breaker.heard(health, &RULES, 0, now);
            if let State::Open(until) = breaker.state(now) {
                prop_assert!(until > now && until <= now + LONGEST_PAUSE);
            }
        }
        // Whatever was out has come back by then.
        breaker.heard(Health::Unknown, &RULES, 0, now);
        prop_assert!(breaker.admits(now + LONGEST_PAUSE));
    }
}
