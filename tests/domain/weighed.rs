//! Lists that know how many bytes they hold.

use pg_edge::domain::weighed::{Weighed, Weight};
use proptest::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stone(usize);

impl Weight for Stone {
    fn bytes(&self) -> usize {
        self.0
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Extend(Vec<usize>),
    ChangeLast(usize),
    TakeLighter(usize),
    TakeAll,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let weight = 0_usize..100;
    let step = prop_oneof![
        weight.clone().prop_map(Step::Push),
        prop::collection::vec(weight.clone(), 0..4).prop_map(Step::Extend),
        weight.clone().prop_map(Step::ChangeLast),
        weight.prop_map(Step::TakeLighter),
        Just(Step::TakeAll),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    #[test]
    fn whatever_is_done_to_a_list_it_holds_what_a_plain_one_would_and_knows_its_weight(steps in steps()) {
        let (mut weighed, mut plain) = (Weighed::default(), Vec::new());
        for step in steps {
            match step {
                Step::Push(weight) => {
                    weighed.push(Stone(weight));
                    plain.push(Stone(weight));
                }
                Step::Extend(weights) => {
                    weighed.extend(weights.iter().copied().map(Stone));
                    plain.extend(weights.iter().copied().map(Stone));
                }
                Step::ChangeLast(weight) => {
                    weighed.change_last(|last| last.0 = weight);
                    if let Some(last) = plain.last_mut() {
                        last.0 = weight;
                    }
                }
                Step::TakeLighter(than) => {
                    let taken = weighed.take_where(|stone| stone.0 < than);
                    let expected: Vec<Stone> = plain.extract_if(.., |stone| stone.0 < than).collect();
                    prop_assert_eq!(taken, expected);
                }
                Step::TakeAll => {
                    let taken: Vec<Stone> = std::mem::take(&mut weighed).into_iter().collect();
                    prop_assert_eq!(taken, std::mem::take(&mut plain));
                }
            }
            prop_assert_eq!(&*weighed, plain.as_slice());
            prop_assert_eq!(weighed.bytes(), plain.iter().map(|stone| stone.0).sum::<usize>());
        }
        let copy: Weighed<Stone> = plain.iter().cloned().collect();
        prop_assert_eq!(copy.bytes(), weighed.bytes());
    }
}
