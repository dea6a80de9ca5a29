//! Moves cameras: pan, tilt, zoom, presets.

use serde::Serialize;
use utoipa::ToSchema;

use super::client::Client;
use super::device::said;
use super::soap::text;
use crate::base::{Problem, Result};

const PTZ: &str = "http://www.onvif.org/ver20/ptz/wsdl";
const SCHEMA: &str = "http://www.onvif.org/ver10/schema";
/// After so many seconds a camera stops by itself, should the word to stop be lost.
const LONGEST: u32 = 5;
/// Presets that are listed at most.
const MAX_PRESETS: usize = 500;

/// How a camera is to move.
#[derive(Clone, Debug, PartialEq)]
pub enum Move {
    /// On and on, with these parts of its speed, -1 to 1: pan to the right, tilt upwards, zoom in.
    Turn([f64; 3]),
    /// Stop.
    Stop,
    /// To a preset, by its token.
    Preset(String),
}

/// A place that a camera remembers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Preset {
    /// By which it is called.
    pub token: String,
    /// Its name.
    pub name: String,
}

/// Where a camera looks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Turn {
    /// -1 to 1.
    pub pan: f64,
    /// -1 to 1.
    pub tilt: f64,
    /// 0 to 1.
    pub zoom: f64,
}

impl Client {
    /// Moves the camera.
    pub async fn turn(&self, how: &Move) -> Result<()> {
        let token = self.moving_profile().await?;
        let profile = format!("<ProfileToken>{}</ProfileToken>", text(&token));
        let body = match how {
            Move::Turn([pan, tilt, zoom]) => format!(
                "<ContinuousMove xmlns=\"{PTZ}\">{profile}<Velocity>\
                 <PanTilt xmlns=\"{SCHEMA}\" x=\"{pan}\" y=\"{tilt}\"/><Zoom xmlns=\"{SCHEMA}\" x=\"{zoom}\"/>\
                 </Velocity><Timeout>PT{LONGEST}S</Timeout></ContinuousMove>"
            ),
            Move::Stop => {
                format!("<Stop xmlns=\"{PTZ}\">{profile}<PanTilt>true</PanTilt><Zoom>true</Zoom></Stop>")
            }
            Move::Preset(preset) => format!(
                "<GotoPreset xmlns=\"{PTZ}\">{profile}<PresetToken>{}</PresetToken></GotoPreset>",
                text(preset)
            ),
        };
        self.ask_ptz(&body).await.map(drop)
    }

    /// Its presets.
    pub async fn presets(&self) -> Result<Vec<Preset>> {
        let token = self.moving_profile().await?;
        let body =
            format!("<GetPresets xmlns=\"{PTZ}\"><ProfileToken>{}</ProfileToken></GetPresets>", text(&token));
        let answer = self.ask_ptz(&body).await?;
        let presets = answer.find("GetPresetsResponse").into_iter().flat_map(|r| r.all("Preset"));
        let preset = |element: &super::xml::Element| {
            let token = element.attribute("token").filter(|t| !t.is_empty() && t.len() <= 200)?.to_owned();
            Some(Preset { name: said(element, "Name").unwrap_or_else(|| token.clone()), token })
        };
        Ok(presets.filter_map(preset).take(MAX_PRESETS).collect())
    }

    /// Where it looks; none where it does not say.
    pub async fn position(&self) -> Result<Option<Turn>> {
        let token = self.moving_profile().await?;
        let body =
            format!("<GetStatus xmlns=\"{PTZ}\"><ProfileToken>{}</ProfileToken></GetStatus>", text(&token));
        let answer = self.ask_ptz(&body).await?;
        let part = |name: &str, axis: &str| -> Option<f64> {
            answer.find("Position")?.find(name)?.attribute(axis)?.parse().ok().filter(|n: &f64| n.is_finite())
        };
        let turn =
            |pan| Some(Turn { pan, tilt: part("PanTilt", "y")?, zoom: part("Zoom", "x").unwrap_or(0.0) });
        Ok(part("PanTilt", "x").and_then(turn))
    }

    async fn ask_ptz(&self, body: &str) -> Result<super::xml::Element> {
        let ptz = self.services().await?.ptz.ok_or_else(|| self.fixed())?;
        self.ask(&ptz, body).await
    }

    /// The profile through which the camera is moved.
    async fn moving_profile(&self) -> Result<String> {
        if let Some(token) = self.moving.get() {
            return Ok(token.clone());
        }
        let profile = self.profiles().await?.into_iter().find(|profile| profile.ptz);
        let token = profile.ok_or_else(|| self.fixed())?.token;
        Ok(self.moving.get_or_init(|| token).clone())
    }

    fn fixed(&self) -> Problem {
        Problem::conflict(self.about(), "this camera cannot be moved").code("device-cannot")
    }
}
