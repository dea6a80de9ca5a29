//! Whose signatures count.

use vitrail_engine::evidence::PublicKey;

use super::findings::{Fault, Faults};
use super::walk::{Origin, Signed};
use crate::audit::Head;

/// The keys by which signatures are judged.
pub(in crate::audit) struct Keys {
    keys: Vec<(String, PublicKey)>,
    /// Whether the one who asks gave them.
    pub given: bool,
    strangers: Vec<String>,
}

impl Keys {
    /// The keys `given`, or else those that the log names.
    pub fn new(given: &[PublicKey], named: Vec<PublicKey>) -> Keys {
        let keys = if given.is_empty() { named } else { given.to_vec() };
        let keys = keys.into_iter().map(|key| (key.id(), key)).collect();
        Keys { keys, given: !given.is_empty(), strangers: Vec::new() }
    }

    /// Heads of the log itself: those with good signatures; what is wrong with others is a fault.
    pub fn judge(&mut self, heads: Vec<Head>, faults: &mut Faults) -> Vec<Signed> {
        let mut good = Vec::with_capacity(heads.len());
        for head in heads {
            match self.find(&head) {
                Some(true) => good.push(Signed { head, origin: Origin::Log }),
                Some(false) => {
                    let detail = format!("the signature of {} ({}) is wrong", head.at, head.why);
                    faults.add(Fault::Unsigned, head.seq, detail);
                }
                None if self.strangers.contains(&head.key_id) => {}
                None => {
                    self.strangers.push(head.key_id.clone());
                    let whose = if self.given { "was not given" } else { "the log does not name" };
                    let detail = format!("signed at {} with a key that {whose}: {}", head.at, head.key_id);
                    faults.add(Fault::OtherKey, head.seq, detail);
                }
            }
        }
        good
    }

    /// Heads of a file that others may write, too: those of these keys, and how many were not.
    pub fn pick(&self, heads: Vec<Head>) -> (Vec<Signed>, usize) {
        let all = heads.len();
        let good: Vec<Signed> = heads
            .into_iter()
            .filter(|head| self.find(head) == Some(true))
            .map(|head| Signed { head, origin: Origin::File })
            .collect();
        let others = all - good.len();
        (good, others)
    }

    /// Whether the signature is good; `None` where its key is not known.
    fn find(&self, head: &Head) -> Option<bool> {
        let (_, key) = self.keys.iter().find(|(id, _)| *id == head.key_id)?;
        Some(head.signed_by(key))
    }
}
