//! The capability without which no source opens.

use std::sync::{Arc, OnceLock};

use crate::base::Shutdown;
use crate::media::CameraId;

/// What a tile says where nobody gave a reason.
const WITHDRAWN: &str = "the right to see it was withdrawn";

/// The right to open one camera (invariant 4: no grant, no connection). It cannot be cloned or
/// built from parts: only [`Authority`] makes one, and withdrawing it ends every connection under it.
///
/// ```compile_fail,E0451
/// use vitrail_engine::source::Grant;
/// let forged = Grant { camera: "gate".into(), basis: "mine".into() };
/// ```
/// ```compile_fail,E0599
/// use vitrail_engine::source::Authority;
/// let one = Authority::owner().grant(&"gate".into());
/// let another = one.clone();
/// ```
#[derive(Debug)]
pub struct Grant {
    camera: CameraId,
    basis: Arc<str>,
    withdrawal: Withdrawal,
}

impl Grant {
    /// The camera that may be opened.
    pub fn camera(&self) -> &CameraId {
        &self.camera
    }
    /// The same right for another stream of the same camera: it ends when this one is withdrawn.
    pub fn for_another_stream(&self) -> Grant {
        Grant {
            camera: self.camera.clone(),
            basis: self.basis.clone(),
            withdrawal: Withdrawal {
                withdrawn: self.withdrawal.withdrawn.child_token(),
                reason: self.withdrawal.reason.clone(),
            },
        }
    }
    /// On what basis it may be seen, for the audit log.
    pub fn basis(&self) -> &str {
        &self.basis
    }
    /// Cancelled when the right is withdrawn; sources and supervisors end at once when it is.
    pub fn withdrawn(&self) -> &Shutdown {
        &self.withdrawal.withdrawn
    }
    /// Why it may not be seen any more; `None` while it may.
    pub fn refusal(&self) -> Option<Arc<str>> {
        let reason = || self.withdrawal.reason.get().cloned().unwrap_or_else(|| WITHDRAWN.into());
        self.withdrawal.withdrawn.is_cancelled().then(reason)
    }
}

/// Ends a grant, from any thread and at any time: the camera's tiles turn into a placard with the
/// reason at their screen's next tick, and its connections close.
#[derive(Clone, Debug)]
pub struct Withdrawal {
    withdrawn: Shutdown,
    reason: Arc<OnceLock<Arc<str>>>,
}

impl Withdrawal {
    /// Withdraws the grant; the first reason counts.
    pub fn withdraw(&self, reason: &str) {
        // The reason stands before anybody can see that it is over.
        let _ = self.reason.set(reason.into());
        self.withdrawn.cancel();
    }
    /// True where it is over.
    pub fn is_withdrawn(&self) -> bool {
        self.withdrawn.is_cancelled()
    }
}

/// Why a camera may not be opened: what its tiles say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub Arc<str>);

/// Decides which cameras a wall may open; asked once for each, and again by [`crate::wall::Wall::ask_again`].
pub trait Policy: Send + Sync {
    /// The right to open `camera`, or why not.
    fn grant(&self, camera: &CameraId) -> Result<Grant, Refusal>;
}

/// Who may hand out grants: whoever holds this. Without a control plane the owner of the machine
/// shows the owner's own cameras, and says so.
#[derive(Debug)]
pub struct Authority {
    basis: Arc<str>,
    withdrawn: Shutdown,
}

impl Authority {
    /// The authority of a person over the cameras that this person configured.
    pub fn owner() -> Authority {
        Authority {
            basis: "cameras configured by the operator of this machine".into(),
            withdrawn: Shutdown::new(),
        }
    }

    /// The right to open `camera`, until all are withdrawn.
    pub fn grant(&self, camera: &CameraId) -> Grant {
        self.issue(camera, &self.basis).0
    }

    /// The right to open `camera` on a basis of its own, and what withdraws it.
    pub fn issue(&self, camera: &CameraId, basis: &str) -> (Grant, Withdrawal) {
        let withdrawal = Withdrawal { withdrawn: self.withdrawn.child_token(), reason: Arc::default() };
        let grant = Grant { camera: camera.clone(), basis: basis.into(), withdrawal: withdrawal.clone() };
        (grant, withdrawal)
    }

    /// Withdraws every grant that was made here.
    pub fn withdraw_all(&self) {
        self.withdrawn.cancel();
    }
}

impl Policy for Authority {
    fn grant(&self, camera: &CameraId) -> Result<Grant, Refusal> {
        Ok(Authority::grant(self, camera))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn withdrawing_reaches_every_grant() {
        let authority = Authority::owner();
        let (a, b) = (authority.grant(&"a".into()), authority.grant(&"b".into()));
        assert!(!a.withdrawn().is_cancelled());
        let other_stream = a.for_another_stream();
        authority.withdraw_all();
        assert!(other_stream.withdrawn().is_cancelled() && other_stream.camera() == a.camera());
        assert!(a.withdrawn().is_cancelled() && b.withdrawn().is_cancelled());
        assert_eq!(b.camera().as_str(), "b");
        assert_eq!(a.refusal().as_deref(), Some(WITHDRAWN));
    }

    #[test]
    fn one_grant_is_withdrawn_alone_and_with_its_reason() {
        let authority = Authority::owner();
        let (a, withdrawal) = authority.issue(&"a".into(), "agreement A-2026-0001");
        let (b, stream) = (authority.grant(&"b".into()), a.for_another_stream());
        assert_eq!((a.basis(), a.refusal()), ("agreement A-2026-0001", None));
        withdrawal.withdraw("suspended by its zone");
        withdrawal.withdraw("too late");
        for over in [&a, &stream] {
            assert_eq!(over.refusal().as_deref(), Some("suspended by its zone"));
        }
        assert!(withdrawal.is_withdrawn() && b.refusal().is_none());
    }
}
