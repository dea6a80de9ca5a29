//! What the devices answer.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use quick_xml::escape::escape;

use super::State;
use super::ptz::PRESETS;
use super::request::{Request, date_of};

/// An answer: whether it is a fault, and its body.
pub(super) type Answer = Result<String, &'static str>;

/// The two streams of a camera: name, width, height, rate, kilobits.
const STREAMS: [(&str, u32, u32, u32, u32); 2] = [("main", 1280, 720, 25, 2000), ("sub", 640, 360, 12, 400)];

/// The address of a service of a camera's device.
pub(super) fn service(address: SocketAddr, camera: u16, name: &str) -> String {
    format!("http://{address}/onvif/{camera}/{name}")
}

/// An envelope around a body.
pub(super) fn envelope(header: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:ter=\"http://www.onvif.org/ver10/error\" xmlns:tds=\"http://www.onvif.org/ver10/device/wsdl\" \
         xmlns:trt=\"http://www.onvif.org/ver10/media/wsdl\" xmlns:tptz=\"http://www.onvif.org/ver20/ptz/wsdl\" \
         xmlns:tt=\"http://www.onvif.org/ver10/schema\">{header}<s:Body>{body}</s:Body></s:Envelope>"
    )
}

/// A fault, by its ONVIF code.
pub(super) fn fault(code: &str) -> String {
    let reason = match code {
        "NotAuthorized" => "Sender not authorized",
        "ActionNotSupported" => "Optional action not implemented",
        _ => "Argument value invalid",
    };
    envelope(
        "",
        &format!(
            "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:{code}</s:Value></s:Subcode></s:Code>\
             <s:Reason><s:Text xml:lang=\"en\">{reason}</s:Text></s:Reason></s:Fault>"
        ),
    )
}

impl State {
    /// The answer of a camera's device to a request.
    pub fn answer(&self, camera: u16, request: &Request) -> Answer {
        let now = self.config.clock.now();
        if request.operation == "GetSystemDateAndTime" {
            return Ok(self.time());
        }
        if let Some(login) = &self.config.login
            && !request.has_login(login, self)
        {
            return Err("NotAuthorized");
        }
        let head = |f: &mut dyn FnMut(&mut super::Head) -> bool| {
            let moved = self.head(camera, f).unwrap_or(false);
            if moved { Ok(format!("<tptz:{}Response/>", request.operation)) } else { Err("InvalidArgVal") }
        };
        match request.operation.as_str() {
            "GetDeviceInformation" => Ok(format!(
                "<tds:GetDeviceInformationResponse><tds:Manufacturer>Vitrail</tds:Manufacturer>\
                 <tds:Model>Simulator</tds:Model><tds:FirmwareVersion>{}</tds:FirmwareVersion>\
                 <tds:SerialNumber>{camera:05}</tds:SerialNumber></tds:GetDeviceInformationResponse>",
                env!("CARGO_PKG_VERSION")
            )),
            "GetCapabilities" => Ok(self.capabilities(camera)),
            "GetProfiles" => Ok(profiles(camera)),
            "GetStreamUri" => self.stream_uri(camera, request.text("ProfileToken")),
            "GetPresets" => {
                let preset = |(token, name, _): &(&str, &str, _)| {
                    format!("<tptz:Preset token=\"{token}\"><tt:Name>{name}</tt:Name></tptz:Preset>")
                };
                let presets: String = PRESETS.iter().map(preset).collect();
                Ok(format!("<tptz:GetPresetsResponse>{presets}</tptz:GetPresetsResponse>"))
            }
            "GotoPreset" => {
                let token = request.text("PresetToken").unwrap_or_default();
                head(&mut |head| head.go_to(token))
            }
            "Stop" => head(&mut |head| {
                head.stop(now);
                true
            }),
            "ContinuousMove" => {
                let speed =
                    ["PanTilt.x", "PanTilt.y", "Zoom.x"].map(|part| request.number(part).unwrap_or(0.0));
                let timeout = request.text("Timeout").and_then(seconds);
                head(&mut |head| {
                    head.turn(now, speed, timeout);
                    true
                })
            }
            "GetStatus" => {
                let at = self.head(camera, |head| (head.position(now), head.is_moving(now)));
                let (at, moving) = at.ok_or("InvalidArgVal")?;
                let status = if moving { "MOVING" } else { "IDLE" };
                Ok(format!(
                    "<tptz:GetStatusResponse><tptz:PTZStatus><tt:Position><tt:PanTilt x=\"{}\" y=\"{}\"/><tt:Zoom x=\"{}\"/>\
                     </tt:Position><tt:MoveStatus><tt:PanTilt>{status}</tt:PanTilt></tt:MoveStatus></tptz:PTZStatus></tptz:GetStatusResponse>",
                    at.pan, at.tilt, at.zoom
                ))
            }
            _ => Err("ActionNotSupported"),
        }
    }

    fn time(&self) -> String {
        let [year, month, day, hour, minute, second] = date_of(self.wall().as_secs());
        format!(
            "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>NTP</tt:DateTimeType>\
             <tt:DaylightSavings>false</tt:DaylightSavings><tt:UTCDateTime><tt:Time><tt:Hour>{hour}</tt:Hour>\
             <tt:Minute>{minute}</tt:Minute><tt:Second>{second}</tt:Second></tt:Time><tt:Date><tt:Year>{year}</tt:Year>\
             <tt:Month>{month}</tt:Month><tt:Day>{day}</tt:Day></tt:Date></tt:UTCDateTime></tds:SystemDateAndTime>\
             </tds:GetSystemDateAndTimeResponse>"
        )
    }

    fn capabilities(&self, camera: u16) -> String {
        let part = |name: &str, path: &str| {
            format!("<tt:{name}><tt:XAddr>{}</tt:XAddr></tt:{name}>", service(self.reached(), camera, path))
        };
        format!(
            "<tds:GetCapabilitiesResponse><tds:Capabilities>{}{}{}</tds:Capabilities></tds:GetCapabilitiesResponse>",
            part("Device", "device_service"),
            part("Media", "media_service"),
            part("PTZ", "ptz_service")
        )
    }

    /// The address at which a client on this machine reaches the devices.
    pub fn reached(&self) -> SocketAddr {
        let ip = match self.address.ip() {
            ip if ip.is_unspecified() => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            ip => ip,
        };
        SocketAddr::new(ip, self.address.port())
    }

    fn stream_uri(&self, camera: u16, token: Option<&str>) -> Answer {
        let stream = STREAMS.iter().find(|(name, ..)| token == Some(*name)).ok_or("InvalidArgVal")?.0;
        let uri = format!("rtsp://{}/cam/{camera}/{stream}", self.config.rtsp);
        Ok(format!(
            "<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>{}</tt:Uri><tt:InvalidAfterConnect>false</tt:InvalidAfterConnect>\
             <tt:InvalidAfterReboot>false</tt:InvalidAfterReboot><tt:Timeout>PT0S</tt:Timeout></trt:MediaUri></trt:GetStreamUriResponse>",
            escape(uri.as_str())
        ))
    }
}

fn profiles(camera: u16) -> String {
    let profile = |(name, width, height, rate, kbps): &(&str, u32, u32, u32, u32)| {
        format!(
            "<trt:Profiles token=\"{name}\" fixed=\"true\"><tt:Name>{name} {camera}</tt:Name>\
             <tt:VideoEncoderConfiguration token=\"v-{name}\"><tt:Encoding>H264</tt:Encoding><tt:Resolution>\
             <tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height></tt:Resolution><tt:RateControl>\
             <tt:FrameRateLimit>{rate}</tt:FrameRateLimit><tt:BitrateLimit>{kbps}</tt:BitrateLimit></tt:RateControl>\
             </tt:VideoEncoderConfiguration><tt:PTZConfiguration token=\"ptz\"><tt:NodeToken>ptz</tt:NodeToken>\
             </tt:PTZConfiguration></trt:Profiles>"
        )
    };
    let all: String = STREAMS.iter().map(profile).collect();
    format!("<trt:GetProfilesResponse>{all}</trt:GetProfilesResponse>")
}

/// Seconds of `PT5S` or `PT0.5S`.
fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.strip_prefix("PT")?.strip_suffix('S')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok().filter(|d| *d <= Duration::from_secs(3600))
}
