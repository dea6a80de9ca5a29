//! Follows a wall file or an inventory that changed, while the wall runs: what did not change is
//! not touched.

use std::collections::HashMap;
use std::sync::Arc;

use super::camera::Camera;
use super::screen::Command;
use super::wanted::{CameraNeed, wanted};
use super::{Wall, laid_out, liveness_limits, offers, same_screens};
use crate::base::Result;
use crate::config::{Changed, WallSpec, diff};
use crate::media::CameraId;
use crate::source::{Policy, Secrets};

/// What a reload did, by camera.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Opened.
    pub added: Vec<CameraId>,
    /// Closed.
    pub removed: Vec<CameraId>,
    /// Called at another address, with another login, or described otherwise.
    pub changed: Vec<CameraId>,
    /// Tables and keys that changed and wait for the next start.
    pub ignored: Vec<&'static str>,
}

impl Wall {
    /// Goes over to `spec`: another wall file or inventory for the same screens. Cameras that are in
    /// both and the same keep their connections, decoders and pictures; another address is
    /// connected while the old one's picture stays. Overlays look as it says from the next tick on.
    /// Screens, outputs, encoder, frame rate and backend hold until the next start and are named in
    /// the answer.
    ///
    /// # Errors
    /// Where `spec` cannot be shown on these screens, or an address or login cannot be read; then
    /// nothing was changed.
    pub fn reload(&mut self, spec: WallSpec, policy: &dyn Policy) -> Result<Reloaded> {
        let layout = laid_out(&spec.scene, &spec.overlay).map_err(|e| spec.located(&e))?;
        let ignored = ignored(&self.spec, &spec);
        same_screens(&layout, &self.screens)?;
        let secrets = spec.secrets.as_deref().map(Secrets::load).transpose()?.unwrap_or_default();
        let old = self.cameras();
        let mut wanted: HashMap<CameraId, CameraNeed> = wanted(&layout);
        let changes = diff(&self.spec.cameras, &spec.cameras);
        let mut reloaded = Reloaded { ignored, removed: changes.removed, ..Reloaded::default() };
        let described_anew: HashMap<&CameraId, &Changed> =
            changes.changed.iter().map(|c| (&c.camera.id, c)).collect();
        let mut openings = Vec::with_capacity(spec.cameras.len());
        for camera in &spec.cameras {
            openings.push((camera, offers(camera, &spec.limits, &secrets)?));
        }
        let mut new = HashMap::with_capacity(openings.len());
        for (described, offers) in openings {
            let id = described.id.clone();
            let camera = match old.get(&id) {
                Some(camera) => {
                    let elsewhere = camera.set_offers(&self.rooms, offers);
                    let fields = described_anew.get(&id).map(|c| c.fields.as_slice());
                    if let Some(fields) = fields {
                        tracing::info!(camera = %id, "changed: {fields:?}");
                        camera.describe_anew(described);
                    }
                    if elsewhere || fields.is_some() {
                        reloaded.changed.push(id.clone());
                    }
                    camera.clone()
                }
                None => {
                    let limits = liveness_limits(&self.spec.limits);
                    let grant = policy.grant(&id);
                    let camera = Camera::new(&self.rooms, described, offers, limits, grant);
                    if let Some(CameraNeed { specs, pinned }) = wanted.remove(&id) {
                        camera.set_wanted(specs, pinned);
                    }
                    reloaded.added.push(id.clone());
                    Arc::new(camera)
                }
            };
            new.insert(id, camera);
        }
        *self.cameras.lock() = Arc::new(new);
        for id in &reloaded.removed {
            self.rooms.store.remove(id);
        }
        self.show(layout);
        if self.spec.overlay != spec.overlay {
            self.screens.iter().for_each(|screen| screen.send(Command::Overlay(spec.overlay.clone())));
        }
        let outputs = std::mem::take(&mut self.spec.outputs);
        self.spec = spec;
        self.spec.outputs = outputs;
        Ok(reloaded)
    }
}

/// What differs and waits for the next start.
fn ignored(old: &WallSpec, new: &WallSpec) -> Vec<&'static str> {
    let differs = [
        ("[wall] frame_rate", old.frame_rate != new.frame_rate),
        ("[wall] backend", old.backend != new.backend),
        ("[[screen]] outputs", old.outputs != new.outputs),
        ("[encoder]", old.encoder != new.encoder),
        ("[effort]", old.effort != new.effort),
        ("[limits]", old.limits != new.limits),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}
