//! Texts for the tests of whatever reads data from outside: a good one, and what is nearly so.

use proptest::prelude::*;
use proptest::sample::Index;

/// A good text with up to three bytes or numbers changed, cut off somewhere one time in two; one time in four, anything.
pub fn damaged(good: &'static str) -> impl Strategy<Value = String> {
    let changes = prop::collection::vec((any::<Index>(), "\\PC|\n|\0|-?[0-9]{1,25}|[\\[\\]{}\",:;=./ ]"), 0..4);
    let nearly = (changes, any::<Index>(), any::<bool>()).prop_map(move |(changes, end, cut)| {
        let mut letters: Vec<String> = good.chars().map(String::from).collect();
        for (at, other) in changes {
            let at = at.index(letters.len());
            letters[at] = other;
        }
        letters.truncate(if cut { end.index(letters.len()) } else { letters.len() });
        letters.concat()
    });
    prop_oneof![3 => nearly, 1 => any::<String>()]
}
