//! What the wall and live pictures know of each other: where pictures come from, who watches, and who may see what.

use std::sync::{Arc, Weak};

use vitrail_engine::encode::EncodedSink;
use vitrail_engine::media::Frame;
use vitrail_engine::output::Tap;
use vitrail_engine::wall::StillWish;

use crate::api::Control;
use crate::base::Result;
use crate::live::{Live, LookBasis, LookTarget, Looks, MaySee, Screens};
use crate::people::Permission;
use crate::rights::{Action, Asker, CameraFacts, Refusal};
use crate::wall::{Audience, Conductor};

impl Screens for Conductor {
    fn tap(&self, screen: &str, sink: Arc<dyn EncodedSink>) -> Option<Tap> {
        Conductor::tap(self, screen, sink)
    }

    fn canvas(&self, screen: &str) -> Option<Frame> {
        Conductor::canvas(self, screen)
    }

    fn still(&self, camera: &str, wish: StillWish) -> Result<Option<Frame>> {
        Conductor::still(self, camera, wish)
    }
}

/// Those who watch in browsers, as the conductor sees them.
pub(super) struct Browsers(pub Weak<Live>);

impl Audience for Browsers {
    fn forget(&self, camera: &str) {
        if let Some(live) = self.0.upgrade() {
            live.forget(camera);
        }
    }

    fn viewers(&self, screen: &str) -> u32 {
        self.0.upgrade().map_or(0, |live| u32::try_from(live.viewers(screen)).unwrap_or(u32::MAX))
    }
}

/// A thumbnail is a showing to the one who asks for it: under the incident of the wall.
pub(super) fn may_see(control: &Control, conductor: &Arc<Conductor>, looks: &Arc<Looks>) -> MaySee {
    let (rights, conductor, looks) = (control.rights.clone(), conductor.clone(), looks.clone());
    Arc::new(move |caller, camera| {
        let asker = Asker::of(caller);
        let facts = conductor.gate().facts(camera).unwrap_or_else(|| CameraFacts::unknown(camera));
        debug_assert!(caller.may(Permission::ViewWall));
        let incident = conductor.layout().incident;
        let permit = rights.decide(&asker, incident.as_deref(), &facts, Action::Live)?;
        let basis = LookBasis {
            zone: facts.zone.clone(),
            incident: Some(permit.incident.clone()),
            agreement: Some(permit.agreement.clone()),
            basis: Some(permit.basis.clone()),
        };
        looks.look_once(&caller.actor, LookTarget::Camera(camera.to_owned()), basis).map_err(|problem| {
            tracing::error!("camera {camera} is shown to nobody new: {problem}");
            Refusal::log()
        })
    })
}
