//! The capability without which no source opens.

use crate::base::Shutdown;
use crate::media::CameraId;

/// The right to open one camera (invariant 4: no grant, no connection). It cannot be cloned or
/// built from parts: only [`Authority`] makes one, and withdrawing it ends every connection under it.
#[derive(Debug)]
pub struct Grant {
    camera: CameraId,
    basis: String,
    withdrawn: Shutdown,
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
            withdrawn: self.withdrawn.child_token(),
        }
    }
    /// On what basis it may be seen, for the audit log.
    pub fn basis(&self) -> &str {
        &self.basis
    }
    /// Cancelled when the right is withdrawn; sources and supervisors end at once when it is.
    pub fn withdrawn(&self) -> &Shutdown {
        &self.withdrawn
    }
}

/// Who may hand out grants: a policy. Without a control plane the owner of the machine shows the
/// owner's own cameras, and says so.
#[derive(Debug)]
pub struct Authority {
    basis: String,
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

    /// The right to open `camera`.
    pub fn grant(&self, camera: &CameraId) -> Grant {
        Grant { camera: camera.clone(), basis: self.basis.clone(), withdrawn: self.withdrawn.child_token() }
    }

    /// Withdraws every grant that was made here.
    pub fn withdraw_all(&self) {
        self.withdrawn.cancel();
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
    }
}
