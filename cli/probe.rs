//! `vitrail probe`: says what cameras, files and streams send.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use vitrail_engine::base::SystemClock;
use vitrail_engine::base::names::lossless;
use vitrail_engine::media::CameraId;
use vitrail_engine::source::probe::{ProbeReport, probe};
use vitrail_engine::source::{CameraUri, RtspClient, Secrets, SourceConfig, Transport};
use vitrail_engine::{Error, ErrorKind, Result};

use crate::terminal::shown;

/// Say what cameras, files and streams send.
#[derive(clap::Args)]
pub struct Args {
    /// Addresses: rtsp, rtsps, srt, http, https, udp, or a path
    #[arg(required = true, value_name = "URI")]
    uris: Vec<OsString>,

    /// How long to watch each, in seconds, from its first picture on
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS")]
    seconds: f64,

    /// Ask for RTP over UDP
    #[arg(long)]
    udp: bool,

    /// Use GStreamer's RTSP client, for a camera that the own one does not understand
    #[arg(long)]
    gstreamer: bool,

    /// User names and passwords by host, in a file that only its owner can read
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,

    /// Take any certificate of an rtsps or https server
    #[arg(long)]
    any_certificate: bool,

    /// One JSON object a line instead of text
    #[arg(long)]
    json: bool,
}

/// Probes all addresses at once and prints what each sends, in the order given. Fails with the
/// first failure when all are printed.
pub fn run(args: Args) -> Result<()> {
    let configs = args.uris.iter().map(|uri| configure(&lossless(uri), &args)).collect::<Result<Vec<_>>>()?;
    let watch =
        Duration::try_from_secs_f64(args.seconds.clamp(0.1, 3600.0)).unwrap_or(Duration::from_secs(5));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(ErrorKind::Io, "probe", "cannot start").caused_by(e))?;
    let clock = SystemClock::shared();
    let mut failure = None;
    runtime.block_on(async {
        let probes: Vec<_> = configs
            .into_iter()
            .map(|config| {
                let (address, clock) = (config.uri.to_string(), clock.clone());
                let probe = tokio::task::spawn(async move { probe(config, watch, &clock).await });
                (address, probe)
            })
            .collect();
        for (address, probe) in probes {
            let crashed = |_| Err(Error::new(ErrorKind::Internal, address.clone(), "the probe failed"));
            match probe.await.unwrap_or_else(crashed) {
                Ok(report) if args.json => println!("{}", serde_json::json!(report)),
                Ok(report) => print_report(&report),
                Err(error) => {
                    if args.json {
                        println!("{}", serde_json::json!({ "address": address, "error": error.to_string() }));
                    } else {
                        println!("{}\n  failed       {}\n", shown(&address), shown(&error.to_string()));
                    }
                    failure.get_or_insert(error);
                }
            }
        }
    });
    failure.map_or(Ok(()), Err)
}

fn configure(uri: &str, args: &Args) -> Result<SourceConfig> {
    let uri = CameraUri::parse(uri)?;
    let secrets = args.secrets.as_deref().map(Secrets::load).transpose()?.unwrap_or_default();
    Ok(SourceConfig {
        login: secrets.login(&CameraId::from(""), &uri),
        transport: if args.udp { Transport::Udp } else { Transport::Tcp },
        client: if args.gstreamer { RtspClient::Gstreamer } else { RtspClient::Auto },
        any_certificate: args.any_certificate,
        ..SourceConfig::new(uri)
    })
}

fn print_report(r: &ProbeReport) {
    let d = &r.description;
    let line = |key: &str, value: String| println!("  {key:<12} {}", shown(&value));
    println!("{}", shown(&r.address));
    line("carried by", format!("{} ({})", d.carried_by, d.client));
    if let Some(why) = &d.client_because {
        line("client", format!("{}, because {why}", d.client));
    }
    if let Some(server) = &d.server {
        line("server", server.clone());
    }
    line("streams", d.streams.join(", "));
    if let Some(v) = &r.video {
        let profile = d.profile.as_ref().map(|p| format!(" ({p})")).unwrap_or_default();
        line("codec", format!("{}{profile}", v.codec));
        line(
            "size",
            format!("{}x{}, pixel aspect {}:{}", v.width, v.height, v.pixel_aspect.num, v.pixel_aspect.den),
        );
        if !v.orientation.is_upright() {
            line("shown", v.orientation.to_string());
        }
        if let Some(rate) = v.frame_rate {
            line("nominal", format!("{:.3} fps", rate.as_f64()));
        }
    }
    if let Some(fps) = r.fps {
        line(
            "measured",
            format!(
                "{fps:.2} fps, {:.0} kbit/s, {} pictures in {:.1} s",
                r.kbps.unwrap_or(0.0),
                r.units,
                r.seconds
            ),
        );
    }
    match (r.gop_mean, r.gop_longest) {
        (Some(mean), Some(longest)) => line("GOP", format!("{mean:.1} pictures, longest {longest}")),
        _ => line("GOP", "longer than was watched".into()),
    }
    let sets =
        if d.parameter_sets_outside { "in the description (SDP or container)" } else { "in the stream only" };
    line("parameters", sets.into());
    line("B-frames", if r.b_frames { "yes" } else { "no" }.into());
    line("disposable", format!("{:.0} % of the pictures", 100.0 * r.disposable));
    match r.clock_offset_ms {
        Some(ms) => line("RTCP", format!("sender reports; the camera's clock is {ms:+} ms from this one's")),
        None => line("RTCP", "no usable sender report".into()),
    }
    line("lost", format!("{} times", r.lost_events));
    let ms = |v: Option<u64>| v.map_or("none".into(), |v| format!("{v} ms"));
    line(
        "start",
        format!(
            "first picture after {}, first key frame after {}",
            ms(r.first_unit_ms),
            ms(r.first_key_frame_ms)
        ),
    );
    println!();
}
