//! The client against simulated devices, and against hostile ones.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use url::Url;
use vitrail_engine::base::{Login, SimClock};
use vitrail_simulator::onvif::{Config, Devices as Simulated};

use super::*;
use crate::base::{Kind, Result};
use crate::registry::Device;

fn login(password: &str) -> Option<Login> {
    Some(Login { user: "viewer".into(), password: password.into() })
}

struct Fixture {
    clock: Arc<SimClock>,
    simulated: Simulated,
    devices: Devices,
    runtime: tokio::runtime::Runtime,
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

impl Fixture {
    fn new(config: Config) -> Fixture {
        let clock = SimClock::new();
        clock.advance(Duration::from_secs(86_400));
        let config = Config { clock: clock.clone(), ..config };
        let simulated = Simulated::start(config).expect("starts");
        Fixture { clock, simulated, devices: Devices::default(), runtime: runtime() }
    }

    fn locked() -> Fixture {
        Fixture::new(Config {
            cameras: 3,
            login: vitrail_simulator::Login::parse("viewer:hunter2"),
            ..Config::default()
        })
    }

    fn connect(&self, camera: u16, login: Option<Login>) -> Result<Client> {
        let address = address_of(&self.simulated.address_of(camera)).expect("an address");
        let clock: vitrail_engine::base::SharedClock = self.clock.clone();
        self.runtime.block_on(self.devices.connect(address, login, false, &clock))
    }

    fn code<T: std::fmt::Debug>(&self, work: impl Future<Output = Result<T>>) -> String {
        self.runtime.block_on(work).expect_err("refused").code.unwrap_or_default()
    }
}

#[test]
fn a_device_says_what_it_is_and_which_streams_it_has() {
    let fixture = Fixture::locked();
    let client = fixture.connect(2, login("hunter2")).expect("connected");
    let streams = fixture.runtime.block_on(client.streams()).expect("streams");
    assert_eq!(
        (streams.about.model.as_deref(), streams.about.serial.as_deref()),
        (Some("Simulator"), Some("00002"))
    );
    assert_eq!(streams.onvif, fixture.simulated.address_of(2));
    let uris: Vec<Option<&str>> = streams.profiles.iter().map(|p| p.uri.as_deref()).collect();
    assert_eq!(uris, [Some("rtsp://127.0.0.1:8554/cam/2/main"), Some("rtsp://127.0.0.1:8554/cam/2/sub")]);
    let main = &streams.profiles[0];
    assert_eq!(
        (main.width, main.height, main.frame_rate, main.kbps, main.ptz),
        (Some(1280), Some(720), Some(25.0), Some(2000), true)
    );
    assert_eq!(main.codec.as_deref(), Some("h264"));
}

#[test]
fn a_wrong_login_is_told_and_a_digest_is_good_once() {
    let fixture = Fixture::locked();
    for wrong in [None, login("other"), Some(Login { user: "x".into(), password: "hunter2".into() })] {
        let client = fixture.connect(1, wrong).expect("the time needs no login");
        assert_eq!(fixture.code(client.streams()), "device-login");
    }
    let client = fixture.connect(1, login("hunter2")).expect("connected");
    fixture.runtime.block_on(client.information()).expect("once");
    fixture.runtime.block_on(client.information()).expect("again, with a new nonce");
    let open = Fixture::new(Config::default());
    let client = open.connect(1, None).expect("connected");
    assert_eq!(open.runtime.block_on(client.profiles()).expect("open to all").len(), 2);
}

#[test]
fn a_device_whose_clock_is_wrong_is_understood() {
    let config = Config {
        ahead: Duration::from_secs(7200),
        login: vitrail_simulator::Login::parse("viewer:hunter2"),
        ..Config::default()
    };
    let fixture = Fixture::new(config);
    let client = fixture.connect(1, login("hunter2")).expect("connected");
    assert_eq!(client.ahead_ms(), 7_200_000);
    fixture.runtime.block_on(client.information()).expect("its time is used");
}

#[test]
fn a_camera_turns_and_keeps_its_place() {
    let fixture = Fixture::locked();
    let clock: vitrail_engine::base::SharedClock = fixture.clock.clone();
    let device = |password: &str| Device {
        address: fixture.simulated.address_of(2),
        login: login(password),
        any_certificate: false,
    };
    let of =
        |password| fixture.runtime.block_on(fixture.devices.of_camera("cam-2", device(password), &clock));
    let client = of("hunter2").expect("connected");
    assert!(Arc::ptr_eq(&client, &of("hunter2").expect("kept")));
    assert!(!Arc::ptr_eq(&client, &of("other").expect("another login is another client")));
    let turn = |how: Move| fixture.runtime.block_on(client.turn(&how));
    turn(Move::Turn([0.5, -0.25, 1.0])).expect("turned");
    fixture.clock.advance(Duration::from_secs(1));
    turn(Move::Stop).expect("stopped");
    fixture.clock.advance(Duration::from_secs(1));
    let position = fixture.runtime.block_on(client.position()).expect("asked");
    assert_eq!(position, Some(Turn { pan: 0.25, tilt: -0.125, zoom: 0.5 }));
    let there = fixture.simulated.position(2).expect("there is one");
    assert_eq!((there.pan, fixture.simulated.position(1).expect("another").pan), (0.25, 0.0));

    // A stop that gets lost: it ends by itself.
    turn(Move::Turn([-1.0, 0.0, 0.0])).expect("turned");
    fixture.clock.advance(Duration::from_secs(60));
    assert_eq!(fixture.simulated.position(2).expect("there").pan, -1.0);
    let presets = fixture.runtime.block_on(client.presets()).expect("presets");
    assert_eq!(presets.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["Entrance", "Crossing"]);
    turn(Move::Preset(presets[1].token.clone())).expect("there");
    assert_eq!(fixture.simulated.position(2).expect("there").zoom, 0.6);
    assert_eq!(fixture.code(client.turn(&Move::Preset("<&>".into()))), "device-refused");
}

#[test]
fn devices_answer_discovery() {
    let fixture = Fixture::new(Config { cameras: 2, ..Config::default() });
    let how = Discovery {
        interface: Some(Ipv4Addr::LOCALHOST),
        target: Some(fixture.simulated.address()),
        wait: Duration::from_millis(700),
    };
    let found = fixture.runtime.block_on(discover(&how)).expect("asked");
    let addresses: Vec<&str> = found.iter().flat_map(|d| d.addresses.iter().map(String::as_str)).collect();
    assert_eq!(addresses, [fixture.simulated.address_of(1), fixture.simulated.address_of(2)]);
    assert_eq!(
        (found[1].name.as_deref(), found[1].hardware.as_deref()),
        (Some("Simulated camera 2"), Some("Simulator"))
    );
}

/// A machine that answers each request with what `answer` makes of it, once or without an end.
fn machine(endless: bool, answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            // All of the request: what is left unread would reset the connection before the answer is read.
            let (mut request, mut part) = (Vec::new(), [0; 4096]);
            while !request.ends_with(b"</s:Envelope>") {
                match socket.read(&mut part) {
                    Ok(length @ 1..) => request.extend_from_slice(&part[..length]),
                    _ => break,
                }
            }
            let answer = answer(&String::from_utf8_lossy(&request));
            while socket.write_all(&answer).is_ok() && endless {}
        }
    });
    address
}

fn http(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .into_bytes()
}

#[test]
fn a_device_that_wants_http_authentication_gets_a_digest_and_never_the_password() {
    let (devices, runtime) = (Devices::default(), runtime());
    let clock: vitrail_engine::base::SharedClock = SimClock::new();
    let ask = |challenge: &'static str| {
        let seen = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let requests = seen.clone();
        let address = machine(false, move |request| {
            let head = request.split("\r\n\r\n").next().unwrap_or_default();
            requests.lock().push(head.to_owned());
            let login = head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization: "));
            if login.is_some_and(|line| {
                ["username=\"viewer\"", "nonce=\"n1\"", "uri=\"/onvif/device_service\"", "response="]
                    .iter()
                    .all(|part| line.contains(part))
            }) {
                return http(
                    "200 OK",
                    "",
                    "<Envelope><Body><GetDeviceInformationResponse><Model>M1</Model></GetDeviceInformationResponse></Body></Envelope>",
                );
            }
            http("401 Unauthorized", challenge, "")
        });
        let address = address_of(&address.to_string()).expect("an address");
        let information = runtime.block_on(async {
            let client = devices.connect(address, login("hunter2"), false, &clock).await?;
            client.information().await
        });
        let heads = seen.lock().concat();
        // viewer:hunter2 in Base64.
        assert!(!heads.contains("hunter2") && !heads.contains("dmlld2VyOmh1bnRlcjI="), "{heads}");
        information
    };
    let digest = "WWW-Authenticate: Basic realm=\"cam\"\r\nWWW-Authenticate: Digest realm=\"cam\", nonce=\"n1\", qop=\"auth\"\r\n";
    assert_eq!(ask(digest).expect("a digest").model.as_deref(), Some("M1"));
    for no_way in ["WWW-Authenticate: Basic realm=\"cam\"\r\n", "", "WWW-Authenticate: Digest nonsense\r\n"] {
        assert_eq!(ask(no_way).expect_err("no way in").code.as_deref(), Some("device-login"));
    }
}

#[test]
fn hostile_devices_are_survived() {
    let devices = Devices::default();
    let clock: vitrail_engine::base::SharedClock = SimClock::new();
    let runtime = runtime();
    let ask = |address: SocketAddr| {
        let address = address_of(&address.to_string()).expect("an address");
        runtime.block_on(async {
            let client = devices.connect(address, login("hunter2"), false, &clock).await?;
            client.streams().await
        })
    };
    let code = |answer: Vec<u8>, endless| {
        let problem = ask(machine(endless, move |_| answer.clone())).expect_err("hostile");
        assert!(!format!("{problem:?}").contains("hunter2"));
        (problem.kind, problem.code.unwrap_or_default())
    };
    let strange = (Kind::Conflict, "device-strange".to_owned());
    let silent = (Kind::DeviceSilent, "device-silent".to_owned());
    let chunk =
        [b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".as_slice(), &[b'<'; 65_536]].concat();
    assert_eq!(code(chunk, true), strange, "an answer without an end");
    assert_eq!(code(vec![0xff; 100], false), silent, "no HTTP");
    assert_eq!(
        code(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(), false).1,
        "device-login"
    );
    let bomb = "<!DOCTYPE a [<!ENTITY x 'ha'>]><Envelope><Body>&x;</Body></Envelope>";
    let answer = |body: &str| http("200 OK", "", body);
    assert_eq!(code(answer(bomb), false), strange);
    assert_eq!(code(answer("<html>hello</html>"), false), strange);
    assert_eq!(code(answer(&"<a>".repeat(50_000)), false), strange);

    let trap = machine(false, |_| http("200 OK", "", "<Envelope><Body/></Envelope>"));
    let elsewhere = format!(
        "HTTP/1.1 302 Found\r\nLocation: http://{trap}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(code(elsewhere.into_bytes(), false), strange, "nobody is followed elsewhere");

    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr()).expect("a port");
    assert_eq!(ask(closed).expect_err("closed").kind, Kind::DeviceSilent);
}

#[test]
fn services_are_asked_on_the_machine_that_was_meant() {
    let fixture = Fixture::new(Config::default());
    let client = fixture.connect(1, None).expect("connected");
    let own = fixture.simulated.address();
    let of = |named: &str| client.service(named).to_string();
    assert_eq!(of("http://10.6.6.6/onvif/media"), format!("http://{own}/onvif/media"));
    assert_eq!(of(&format!("http://{own}/x?y=1")), format!("http://{own}/x?y=1"));
    assert_eq!(of("http://127.0.0.1:8899/x"), "http://127.0.0.1:8899/x");
    assert_eq!(of("file:///etc/passwd"), format!("http://{own}/etc/passwd"));
    assert_eq!(of("nonsense"), fixture.simulated.address_of(1));
    for wrong in ["", "http://", "ftp://h/x", "http://u:p@h/x", "http://h/x?y", "a b"] {
        assert!(address_of(wrong).is_err(), "{wrong}");
    }
    assert_eq!(
        address_of("10.0.0.3:8000").ok(),
        Url::parse("http://10.0.0.3:8000/onvif/device_service").ok()
    );
}
