//! Listening: where plain HTTP is refused, TLS with a certificate of one's own making, and how
//! connections end.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use support::TestController;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vitrail_control::base::Kind;
use vitrail_control::server::{Config, Limits, Listening, Tls};
use vitrail_engine::base::Shutdown;

fn config(listen: &str, tls: Option<Tls>) -> Config {
    Config { listen: listen.parse().unwrap(), tls, names: Vec::new(), limits: Limits::default() }
}

/// A server that runs until it is told to stop.
struct Running {
    address: SocketAddr,
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<vitrail_control::Result<()>>,
}

fn start(controller: &TestController, config: &Config) -> Running {
    let listening = Listening::bind(config, controller.shared.db.path()).unwrap();
    let (address, shutdown) = (listening.address(), Shutdown::new());
    let task = tokio::spawn(listening.serve(controller.shared.clone(), shutdown.clone()));
    Running { address, shutdown, task }
}

#[test]
fn without_tls_only_this_machine_is_served() {
    let controller = TestController::new();
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let problem = Listening::bind(&config(listen, None), controller.shared.db.path()).err().unwrap();
        assert!(problem.kind == Kind::Invalid && problem.detail.contains("TLS"), "{problem}");
    }
    let listening = Listening::bind(&config("127.0.0.1:0", None), controller.shared.db.path()).unwrap();
    assert!(listening.url().starts_with("http://127.0.0.1:") && listening.fingerprint().is_none());
}

#[tokio::test]
async fn a_generated_certificate_serves_and_stays_the_same() {
    let controller = TestController::new();
    let generated = config("127.0.0.1:0", Some(Tls::Generated));
    let fingerprint = |config| {
        let listening = Listening::bind(config, controller.shared.db.path()).unwrap();
        listening.fingerprint().unwrap().to_owned()
    };
    let first = fingerprint(&generated);
    assert_eq!(first.len(), 32 * 3 - 1);
    assert_eq!(fingerprint(&generated), first, "kept beside the database");
    let file = |name: &str| controller.folder.path().join(name);
    let mode = std::fs::metadata(file("vitrail.db.tls.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "for its owner's eyes only");

    let own = Tls::Own { certificate: file("vitrail.db.tls.crt"), key: file("vitrail.db.tls.key") };
    assert_eq!(fingerprint(&config("127.0.0.1:0", Some(own.clone()))), first);
    let running = start(&controller, &config("127.0.0.1:0", Some(own)));
    let root = reqwest::Certificate::from_pem(&std::fs::read(file("vitrail.db.tls.crt")).unwrap()).unwrap();
    let client =
        reqwest::Client::builder().tls_built_in_root_certs(false).add_root_certificate(root).build().unwrap();
    let answer = client.get(format!("https://{}/healthz", running.address)).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "{\"status\":\"ok\"}");
    let stranger = reqwest::Client::builder().build().unwrap();
    assert!(stranger.get(format!("https://{}/healthz", running.address)).send().await.is_err());
    running.shutdown.cancel();
    running.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stop_does_not_wait_for_connections_that_say_nothing() {
    let controller = TestController::new();
    let mut config = config("127.0.0.1:0", None);
    config.limits.stop = Duration::from_millis(50);
    let running = start(&controller, &config);
    let mut busy = TcpStream::connect(running.address).await.unwrap();
    busy.write_all(b"POST /api/v1/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{").await.unwrap();
    let client = reqwest::Client::new();
    let answer = client.get(format!("http://{}/healthz", running.address)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    running.shutdown.cancel();
    running.task.await.unwrap().unwrap();
    assert!(TcpStream::connect(running.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_connection_that_never_finishes_its_headers_is_closed() {
    let controller = TestController::new();
    let mut config = config("127.0.0.1:0", None);
    config.limits.headers = Duration::from_millis(50);
    let running = start(&controller, &config);
    for begun in ["", "GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: "] {
        let mut slow = TcpStream::connect(running.address).await.unwrap();
        slow.write_all(begun.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let _ = slow.read_to_end(&mut rest).await;
        assert!(!String::from_utf8_lossy(&rest).contains("200 OK"), "closed, not served");
    }
    running.shutdown.cancel();
    running.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_places_come_free() {
    let controller = TestController::new();
    let mut config = config("127.0.0.1:0", None);
    config.limits.connections = 1;
    let running = start(&controller, &config);
    let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let ask = async |connection: &mut TcpStream| {
        let mut answer = [0; 12];
        connection.write_all(request).await.ok()?;
        connection.read_exact(&mut answer).await.ok()?;
        Some(String::from_utf8_lossy(&answer).into_owned())
    };
    let mut first = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(ask(&mut first).await.as_deref(), Some("HTTP/1.1 200"));
    let mut second = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(ask(&mut second).await, None);
    drop(first);
    // Until the server has seen that the first one is gone.
    loop {
        let mut third = TcpStream::connect(running.address).await.unwrap();
        if ask(&mut third).await.as_deref() == Some("HTTP/1.1 200") {
            break;
        }
    }
    running.shutdown.cancel();
    running.task.await.unwrap().unwrap();
}
