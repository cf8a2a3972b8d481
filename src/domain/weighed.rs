//! A list of things that hold bytes, which knows how many they hold together: that is asked far more often than one is added.

use std::ops::Deref;

/// What holds bytes.
pub trait Weight {
    /// How many.
    fn bytes(&self) -> usize;
}

/// Things in the order in which they were added. Each is weighed as it comes and as it goes.
#[derive(Debug)]
pub struct Weighed<T> {
    all: Vec<T>,
    bytes: usize,
}

impl<T> Default for Weighed<T> {
    fn default() -> Self {
        Self { all: Vec::new(), bytes: 0 }
    }
}

impl<T: Weight> Weighed<T> {
    /// The bytes of all of them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// One more.
    pub fn push(&mut self, one: T) {
        self.bytes += one.bytes();
        self.all.push(one);
    }

    /// Changes the one that was added last, if there is any.
    pub fn change_last(&mut self, change: impl FnOnce(&mut T)) {
        if let Some(mut last) = self.all.pop() {
            self.bytes -= last.bytes();
            change(&mut last);
            self.push(last);
        }
    }

    /// Takes those out that `pick` names, in their order.
    pub fn take_where(&mut self, pick: impl FnMut(&mut T) -> bool) -> Vec<T> {
        let taken: Vec<T> = self.all.extract_if(.., pick).collect();
        self.bytes -= taken.iter().map(T::bytes).sum::<usize>();
        taken
    }
}

impl<T> Deref for Weighed<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.all
    }
}

impl<T: Weight> Extend<T> for Weighed<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, more: I) {
        more.into_iter().for_each(|one| self.push(one));
    }
}

impl<T: Weight> FromIterator<T> for Weighed<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        let mut weighed = Self::default();
        weighed.extend(all);
        weighed
    }
}

impl<T> IntoIterator for Weighed<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.into_iter()
    }
}
