//! The policy that the engine asks: which cameras may be open now, on what basis, and what ends them.
//! Guards invariant 4 (no grant, no connection) and that nothing is shown that is not on record.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use vitrail_engine::media::CameraId;
use vitrail_engine::source::{self, Authority, Grant, Withdrawal};

use crate::people::Language;
use crate::rights::{self, Action, Asker, CameraFacts, Permit, Refusal, decide_standby};

/// What is to be shown, and who asks for it: the cameras that are in tiles, each with those who put it there, and
/// the incident under which they did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShowRequests {
    /// The incident of the wall.
    pub incident: Option<String>,
    /// By camera: the accounts that put it into a tile.
    pub askers: BTreeMap<String, Vec<String>>,
}

/// The gate between rights and pixels.
pub struct Gate {
    authority: Authority,
    policy: Arc<rights::Policy>,
    /// The unit for which the room's screens show.
    unit: String,
    /// Outputs of the wall keep pictures: every showing is a recording.
    records: bool,
    language: Language,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    cameras: HashMap<String, CameraFacts>,
    /// Counts what was forgotten.
    epoch: u64,
    /// Cameras of which nothing is known until they are told anew, and since when that is so.
    forgotten: HashMap<String, u64>,
    requests: ShowRequests,
    /// Cameras whose showing is on record.
    on_record: std::collections::BTreeSet<String>,
    granted: HashMap<String, Granted>,
    refused: HashMap<String, Refusal>,
}

/// A camera that is open: how to end it, and on what basis it is.
struct Granted {
    withdrawal: Withdrawal,
    permit: Permit,
}

impl Gate {
    /// A gate that lets nothing through until it is told what is asked for.
    pub fn new(policy: Arc<rights::Policy>, unit: String, records: bool, language: Language) -> Arc<Gate> {
        let gate = Arc::new(Gate {
            authority: Authority::owner(),
            policy: policy.clone(),
            unit,
            records,
            language,
            state: Mutex::default(),
        });
        // A revocation reaches the pixels on the thread that commits it.
        let weak = Arc::downgrade(&gate);
        policy.on_change(Box::new(move |_| {
            if let Some(gate) = weak.upgrade() {
                gate.enforce();
            }
        }));
        gate
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// How much was forgotten so far. Ask before cameras are read that are told next.
    pub fn epoch(&self) -> u64 {
        self.lock().epoch
    }

    /// The cameras that there are, with what rights depend on, as they were read at `epoch` or later: what
    /// was forgotten after that stays so.
    pub fn set_cameras(&self, epoch: u64, cameras: impl IntoIterator<Item = CameraFacts>) {
        let mut state = self.lock();
        state.forgotten.retain(|_, since| *since > epoch);
        let cameras = cameras.into_iter().filter(|facts| !state.forgotten.contains_key(&facts.camera));
        state.cameras = cameras.map(|facts| (facts.camera.clone(), facts)).collect();
        drop(state);
        self.enforce();
    }

    /// Takes back what is known of these cameras, and with it their pictures, until it is told anew.
    pub fn forget<'a>(&self, cameras: impl Iterator<Item = &'a str>) {
        let mut state = self.lock();
        let before = state.epoch;
        for camera in cameras {
            state.epoch = before + 1;
            state.cameras.remove(camera);
            state.forgotten.insert(camera.to_owned(), before + 1);
        }
        let any = state.epoch > before;
        drop(state);
        if any {
            self.enforce();
        }
    }

    /// What is asked for from now on, and which of the showings are on record.
    pub fn set_requests(&self, requests: ShowRequests, on_record: impl IntoIterator<Item = String>) {
        let mut state = self.lock();
        state.requests = requests;
        state.on_record = on_record.into_iter().collect();
        drop(state);
        self.enforce();
    }

    /// Only these cameras' showings are on record any more, as they are.
    pub fn keep_on_record(&self, cameras: impl IntoIterator<Item = String>) {
        self.lock().on_record = cameras.into_iter().collect();
        self.enforce();
    }

    /// What the policy says of a camera, where this were asked for.
    ///
    /// # Errors
    /// Why not.
    pub fn judge(&self, requests: &ShowRequests, camera: &str) -> Result<Permit, Refusal> {
        self.judge_in(&self.lock(), requests, camera)
    }

    fn judge_in(&self, state: &State, requests: &ShowRequests, camera: &str) -> Result<Permit, Refusal> {
        if state.forgotten.contains_key(camera) {
            return Err(rights::RefusalReason::of(rights::Code::Unreadable).into());
        }
        let facts = state.cameras.get(camera).cloned().unwrap_or_else(|| CameraFacts::unknown(camera));
        let rights = self.policy.rights();
        let Some(askers) = requests.askers.get(camera) else {
            return decide_standby(&rights, &self.unit, &facts, self.policy.now());
        };
        // Without an incident nobody sees anything, whoever put it there.
        if requests.incident.is_none() && !rights.is_unreadable() {
            return Err(rights::RefusalReason::of(rights::Code::NoIncident).into());
        }
        let mut refusal = None;
        for account in askers {
            match self.decide(&rights, account, requests.incident.as_deref(), &facts) {
                Ok(permit) => return Ok(permit),
                Err(reason) => refusal = refusal.or(Some(reason)),
            }
        }
        // Nobody asked: nobody may.
        Err(refusal.unwrap_or_else(|| rights::RefusalReason::of(rights::Code::Account).into()))
    }

    /// The same for what is asked for now; what a tile shows must be on record besides.
    fn judge_on_record(&self, state: &State, camera: &str) -> Result<Permit, Refusal> {
        let permit = self.judge_in(state, &state.requests, camera)?;
        if state.requests.askers.contains_key(camera) && !state.on_record.contains(camera) {
            return Err(Refusal::log());
        }
        Ok(permit)
    }

    fn decide(
        &self,
        rights: &rights::Rights,
        account: &str,
        incident: Option<&str>,
        facts: &CameraFacts,
    ) -> Result<Permit, Refusal> {
        let known = rights.account(account);
        let role = known.map_or(crate::people::Role::Auditor, |facts| facts.role);
        let unit = known.map_or_else(String::new, |known| known.unit.clone());
        let asker = Asker { account: account.to_owned(), role, unit };
        let now = self.policy.now();
        // Whoever asks may see it, and so may those in the room.
        let room = (asker.unit != self.unit).then(|| Asker { unit: self.unit.clone(), ..asker.clone() });
        let actions = [Some(Action::Live), self.records.then_some(Action::Record)];
        let mut permit: Option<Permit> = None;
        for asker in [Some(asker), room].into_iter().flatten() {
            for action in actions.into_iter().flatten() {
                let next = rights::decide(rights, &asker, incident, facts, action, now)?;
                let until = permit.as_ref().map_or(next.until, |permit| permit.until.min(next.until));
                permit = Some(Permit { until, ..next });
            }
        }
        permit.ok_or_else(|| rights::RefusalReason::of(rights::Code::Account).into())
    }

    /// Judges everything that is open anew and withdraws what may not be any more, at once.
    pub fn enforce(&self) {
        let mut state = self.lock();
        let mut over = Vec::new();
        for (camera, granted) in &state.granted {
            if let Err(refusal) = self.judge_on_record(&state, camera) {
                granted.withdrawal.withdraw(&refusal.say(self.language));
                over.push((camera.clone(), refusal));
            }
        }
        for (camera, refusal) in over {
            state.granted.remove(&camera);
            state.refused.insert(camera, refusal);
        }
    }

    /// True where some refused camera would be let through now.
    pub fn has_news(&self) -> bool {
        let state = self.lock();
        state.refused.keys().any(|camera| self.judge_on_record(&state, camera).is_ok())
    }

    /// Why a camera is dark; `None` where it is not, or was never asked for.
    pub fn refusal(&self, camera: &str) -> Option<Refusal> {
        self.lock().refused.get(camera).cloned()
    }

    /// On what basis a camera is open.
    pub fn permit(&self, camera: &str) -> Option<Permit> {
        self.lock().granted.get(camera).map(|granted| granted.permit.clone())
    }

    /// How many cameras are open.
    pub fn open(&self) -> usize {
        self.lock().granted.len()
    }

    /// What is known of a camera's rights: its zone and tags.
    pub fn facts(&self, camera: &str) -> Option<CameraFacts> {
        self.lock().cameras.get(camera).cloned()
    }
}

impl source::Policy for Gate {
    fn grant(&self, camera: &CameraId) -> Result<Grant, source::Refusal> {
        let mut state = self.lock();
        let id = camera.as_str();
        match self.judge_on_record(&state, id) {
            Ok(permit) => {
                let (grant, withdrawal) = self.authority.issue(camera, &permit.basis);
                state.refused.remove(id);
                state.granted.insert(id.to_owned(), Granted { withdrawal, permit });
                Ok(grant)
            }
            Err(refusal) => {
                let text = refusal.say(self.language);
                state.granted.remove(id);
                state.refused.insert(id.to_owned(), refusal);
                Err(source::Refusal(text.into()))
            }
        }
    }
}
