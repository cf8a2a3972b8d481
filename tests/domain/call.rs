//! The final states of calls.

use pg_edge::domain::call::Final;

#[test]
fn a_final_state_is_known_by_its_name_and_by_its_letter() {
    for state in Final::ALL {
        assert_eq!(Final::from_name(state.name()), Some(state));
        assert_eq!(Final::from_code(state.code()), Some(state));
    }
}

#[test]
fn what_is_not_final_is_no_final_state() {
    for name in ["pending", "in_flight", "streaming", "retrying", "", "Succeeded"] {
        assert_eq!(Final::from_name(name), None, "{name}");
    }
    assert_eq!(Final::from_code(b'x'), None);
}
