//! What a device is, and which streams it has.

use serde::Serialize;
use url::Url;
use utoipa::ToSchema;
use vitrail_engine::source::CameraUri;

use super::client::Client;
use super::soap::text;
use super::xml::Element;
use crate::base::Result;

/// Characters of a text of a device that are kept.
const MAX_TEXT: usize = 200;
/// Profiles of which the address is asked at most.
const MAX_PROFILES: usize = 16;

const DEVICE: &str = "http://www.onvif.org/ver10/device/wsdl";
const MEDIA: &str = "http://www.onvif.org/ver10/media/wsdl";
const SCHEMA: &str = "http://www.onvif.org/ver10/schema";

/// Where the services of a device are.
#[derive(Clone, Debug)]
pub(super) struct Services {
    pub media: Url,
    pub ptz: Option<Url>,
}

/// What a device says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct About {
    /// Its maker.
    pub manufacturer: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Its firmware.
    pub firmware: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
}

/// A stream that a device offers.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct DeviceProfile {
    /// By which the device knows it.
    pub token: String,
    /// Its name.
    pub name: String,
    /// Where it is, without a login; none where the device would not say.
    pub uri: Option<String>,
    /// Pixels.
    pub width: Option<u32>,
    /// Pixels.
    pub height: Option<u32>,
    /// Pictures per second.
    pub frame_rate: Option<f64>,
    /// `h264` or `h265`, or what the device says.
    pub codec: Option<String>,
    /// Kilobits per second.
    pub kbps: Option<u32>,
    /// Whether the camera of this stream can be moved.
    pub ptz: bool,
}

/// A device, and its streams, the largest first.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Streams {
    /// Its device service: what `onvif` of a camera is.
    pub onvif: String,
    /// What it says of itself.
    pub about: About,
    /// Its streams.
    pub profiles: Vec<DeviceProfile>,
}

impl Client {
    /// What the device is, and its streams with their addresses.
    pub async fn streams(&self) -> Result<Streams> {
        let about = self.information().await?;
        let mut profiles = self.profiles().await?;
        profiles.truncate(MAX_PROFILES);
        for profile in &mut profiles {
            profile.uri = self.stream_uri(&profile.token).await.unwrap_or_default();
        }
        profiles.sort_by_key(|p| {
            std::cmp::Reverse(u64::from(p.width.unwrap_or(0)) * u64::from(p.height.unwrap_or(0)))
        });
        Ok(Streams { onvif: self.address().to_string(), about, profiles })
    }

    /// What it says of itself.
    pub async fn information(&self) -> Result<About> {
        let body = format!("<GetDeviceInformation xmlns=\"{DEVICE}\"/>");
        let answer = self.ask(self.address(), &body).await?;
        Ok(About {
            manufacturer: said(&answer, "Manufacturer"),
            model: said(&answer, "Model"),
            firmware: said(&answer, "FirmwareVersion"),
            serial: said(&answer, "SerialNumber"),
        })
    }

    pub(super) async fn services(&self) -> Result<Services> {
        if let Some(services) = self.services.get() {
            return Ok(services.clone());
        }
        let body = format!("<GetCapabilities xmlns=\"{DEVICE}\"><Category>All</Category></GetCapabilities>");
        let answer = self.ask(self.address(), &body).await?;
        let address = |name: &str| answer.find(name).and_then(|service| service.text_of("XAddr"));
        let services = Services {
            media: address("Media").map_or_else(|| self.address().clone(), |named| self.service(named)),
            ptz: address("PTZ").map(|named| self.service(named)),
        };
        Ok(self.services.get_or_init(|| services).clone())
    }

    /// Its streams, without their addresses.
    pub async fn profiles(&self) -> Result<Vec<DeviceProfile>> {
        let media = self.services().await?.media;
        let answer = self.ask(&media, &format!("<GetProfiles xmlns=\"{MEDIA}\"/>")).await?;
        let profiles = answer.find("GetProfilesResponse").into_iter().flat_map(|r| r.all("Profiles"));
        Ok(profiles.filter_map(profile).collect())
    }

    async fn stream_uri(&self, token: &str) -> Result<Option<String>> {
        let media = self.services().await?.media;
        let body = format!(
            "<GetStreamUri xmlns=\"{MEDIA}\"><StreamSetup><Stream xmlns=\"{SCHEMA}\">RTP-Unicast</Stream>\
             <Transport xmlns=\"{SCHEMA}\"><Protocol>RTSP</Protocol></Transport></StreamSetup>\
             <ProfileToken>{}</ProfileToken></GetStreamUri>",
            text(token)
        );
        let answer = self.ask(&media, &body).await?;
        let uri =
            answer.find("MediaUri").and_then(|m| m.text_of("Uri")).and_then(|u| CameraUri::parse(u).ok());
        Ok(uri
            .as_ref()
            .and_then(CameraUri::url)
            .filter(|u| u.scheme().starts_with("rtsp"))
            .map(Url::to_string))
    }
}

fn profile(element: &Element) -> Option<DeviceProfile> {
    let token = element.attribute("token").filter(|t| !t.is_empty() && t.len() <= MAX_TEXT)?.to_owned();
    let video = element.find("VideoEncoderConfiguration");
    let number = |name: &str| -> Option<f64> {
        video?.text_of(name)?.parse().ok().filter(|n: &f64| (0.0..=1e6).contains(n))
    };
    let pixels = |name: &str| number(name).map(|n| n as u32).filter(|n| (16..=16_384).contains(n));
    let codec = video.and_then(|v| said(v, "Encoding")).map(|c| c.to_ascii_lowercase());
    Some(DeviceProfile {
        name: said(element, "Name").unwrap_or_else(|| token.clone()),
        token,
        uri: None,
        width: pixels("Width"),
        height: pixels("Height"),
        frame_rate: number("FrameRateLimit").filter(|r| (0.1..=240.0).contains(r)),
        codec: codec.map(|c| if c == "hevc" { "h265".into() } else { c }),
        kbps: number("BitrateLimit").map(|n| n as u32).filter(|n| (1..=200_000).contains(n)),
        ptz: element.find("PTZConfiguration").is_some(),
    })
}

/// A text of a device, short and printable.
pub(super) fn said(element: &Element, name: &str) -> Option<String> {
    let text: String = element.text_of(name)?.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect();
    (!text.is_empty()).then_some(text)
}
