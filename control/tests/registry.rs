//! Zones, sites and cameras over HTTP.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Value, json};
use support::{Answer, As, TestController, request};
use vitrail_control::people::Role;

const INVENTORY: &str = "id,name,zone,site,tags,latitude,longitude,masks,main.uri,sub.uri
gate-1,Gate west,north,yard,tunnel,50.85,4.35,0 0 0.2 0.5,rtsp://op:hunter2@10.0.0.1/main,rtsp://op:hunter2@10.0.0.1/sub
ecole-1,École du Centre,south,,school,50.8,4.3,,rtsp://10.0.0.2/main,
bad-1,Bad,north,,,91,4,,rtsp://10.0.0.3/main,
";

async fn import(controller: &TestController, by: &As, how: &str, text: &str) -> Answer {
    let mut request = request("POST", &format!("/api/v1/registry/import?{how}"), by, None);
    *request.body_mut() = Body::from(text.to_owned());
    controller.send(request).await
}

async fn patch(controller: &TestController, by: &As, id: &str, tag: Option<&str>, body: Value) -> Answer {
    let mut request: Request<Body> = request("PATCH", &format!("/api/v1/cameras/{id}"), by, Some(body));
    if let Some(tag) = tag {
        request.headers_mut().insert(header::IF_MATCH, tag.parse().unwrap());
    }
    controller.send(request).await
}

#[tokio::test]
async fn an_inventory_is_taken_found_changed_and_given_out_without_its_passwords() {
    let controller = TestController::new();
    let admin = controller.person("root", Role::Administrator).await;
    let operator = controller.person("anna", Role::Operator).await;

    let dry = import(&controller, &admin, "format=csv&dry_run=true", INVENTORY).await.json();
    assert_eq!((&dry["added_count"], &dry["left_out"][0]["row"]), (&json!(2), &json!(4)));
    assert_eq!(controller.ask("GET", "/api/v1/cameras", &operator, None).await.json()["items"], json!([]));
    assert!(controller.records("registry.imported").is_empty());
    let done = import(&controller, &admin, "format=csv", INVENTORY).await;
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(controller.records("registry.imported")[0]["event"]["details"]["added"], 2);
    let refused = import(&controller, &admin, "format=csv", "id,main.uri,mask\na,rtsp://h/1,x\n").await;
    assert_eq!(refused.code().0, 422);
    assert_eq!(import(&controller, &admin, "format=xml", INVENTORY).await.status, 400);
    let latin = Body::from(b"id,main.uri\n\xe9,rtsp://h/1\n".to_vec());
    let mut broken = request("POST", "/api/v1/registry/import?format=csv", &admin, None);
    *broken.body_mut() = latin;
    assert!(controller.send(broken).await.json()["detail"].as_str().unwrap().contains("line 2"));

    let found = controller.ask("GET", "/api/v1/cameras?q=ecole%20centre", &operator, None).await.json();
    assert_eq!((&found["items"][0]["id"], &found["next"]), (&json!("ecole-1"), &Value::Null));
    let page = controller.ask("GET", "/api/v1/cameras?limit=1", &operator, None).await.json();
    assert_eq!((&page["items"][0]["id"], &page["next"]), (&json!("ecole-1"), &json!("ecole-1")));
    let rest = controller.ask("GET", "/api/v1/cameras?limit=1&after=ecole-1", &operator, None).await.json();
    assert_eq!((&rest["items"][0]["id"], &rest["items"][0]["credentials"]), (&json!("gate-1"), &json!(true)));
    let map = controller.ask("GET", "/api/v1/cameras/map", &operator, None).await.json();
    assert_eq!(map[1], json!(["gate-1", "Gate west", 50.85, 4.35, "north"]));

    let camera = controller.ask("GET", "/api/v1/cameras/gate-1", &admin, None).await;
    assert_eq!((camera.header("etag"), &camera.json()["masks"]), ("\"1\"", &json!([[0.0, 0.0, 0.2, 0.5]])));
    assert_eq!(camera.json()["profiles"]["main"]["uri"], "rtsp://10.0.0.1/main");
    assert_eq!(patch(&controller, &admin, "gate-1", None, json!({ "masks": [] })).await.code().0, 428);
    let changed = patch(&controller, &admin, "gate-1", Some("\"1\""), json!({ "masks": [] })).await;
    assert_eq!((changed.status.as_u16(), changed.header("etag")), (200, "\"2\""));
    let stale = patch(&controller, &admin, "gate-1", Some("\"1\""), json!({ "name": "x" })).await;
    assert_eq!((stale.code(), &stale.json()["more"]["version"]), ((409, "version".into()), &json!(2)));
    assert_eq!(controller.records("camera.masks-changed")[0]["event"]["camera"], "gate-1");
    let wrong =
        patch(&controller, &admin, "gate-1", Some("\"2\""), json!({ "priority": 300, "latitude": 95 }))
            .await
            .json();
    let fields: Vec<&str> =
        wrong["more"]["fields"].as_array().unwrap().iter().map(|f| f["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["latitude", "priority"]);

    let set = json!({ "user": "op", "password": "hunter2-new" });
    assert_eq!(
        controller.ask("PUT", "/api/v1/cameras/ecole-1/credentials", &admin, Some(set)).await.status,
        204
    );
    let odd = json!({ "user": "op", "password": ["hunter2-odd"] });
    let odd = controller.ask("PUT", "/api/v1/cameras/ecole-1/credentials", &admin, Some(odd)).await;
    assert!(odd.status == 422 && !odd.text.contains("hunter2"));
    assert!(controller.is_stored("rtsp://10.0.0.1/main") && !controller.is_stored("hunter2"));
    for kind in ["csv", "geojson"] {
        let text =
            controller.ask("GET", &format!("/api/v1/registry/export.{kind}"), &operator, None).await.text;
        assert!(text.contains("ecole-1") && !text.contains("hunter2"), "{text}");
        let again = import(&controller, &admin, &format!("format={kind}&dry_run=true&remove=true"), &text)
            .await
            .json();
        assert_eq!(again["unchanged_count"], 2, "{again}");
    }
    let gone = controller.ask("DELETE", "/api/v1/cameras/ecole-1", &admin, None).await;
    assert_eq!(gone.status, 204);
    assert_eq!(controller.ask("GET", "/api/v1/cameras/ecole-1", &admin, None).await.code().0, 404);
}

#[tokio::test]
async fn a_zone_authority_keeps_to_its_zones() {
    let controller = TestController::new();
    let admin = controller.person("root", Role::Administrator).await;
    let north = controller.person("zoe", Role::ZoneAuthority).await;
    import(&controller, &admin, "format=csv", INVENTORY).await;
    let mine = patch(&controller, &north, "gate-1", Some("\"1\""), json!({ "name": "Mine" })).await;
    assert_eq!(mine.status, 200);
    let refused = (403, "zone".to_owned());
    assert_eq!(
        patch(&controller, &north, "ecole-1", Some("\"1\""), json!({ "name": "x" })).await.code(),
        refused
    );
    assert_eq!(
        patch(&controller, &north, "gate-1", Some("\"2\""), json!({ "zone": "south" })).await.code(),
        refused
    );
    assert_eq!(
        controller.ask("PATCH", "/api/v1/zones/south", &north, Some(json!({ "name": "x" }))).await.code(),
        refused
    );
    assert_eq!(
        controller.ask("PATCH", "/api/v1/zones/north", &north, Some(json!({ "name": "Nord" }))).await.status,
        200
    );
    let new = json!({ "id": "new" });
    assert_eq!(
        controller.ask("POST", "/api/v1/zones", &north, Some(new.clone())).await.code(),
        (403, "zone".into())
    );
    assert_eq!(controller.ask("POST", "/api/v1/zones", &admin, Some(new.clone())).await.status, 201);
    assert_eq!(
        controller.ask("POST", "/api/v1/zones", &admin, Some(new)).await.code(),
        (409, "taken".into())
    );
    assert_eq!(
        controller.ask("DELETE", "/api/v1/zones/north", &admin, None).await.code(),
        (409, "in-use".into())
    );
    let site = json!({ "id": "mast", "zone": "north", "latitude": 50.8, "longitude": 4.3 });
    assert_eq!(controller.ask("POST", "/api/v1/sites", &north, Some(site)).await.status, 201);
    let sites = controller.ask("GET", "/api/v1/sites?zone=north", &north, None).await.json();
    assert_eq!(
        sites["items"].as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap()).collect::<Vec<_>>(),
        ["mast", "yard"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_found_and_read_and_nothing_is_asked_unsaid() {
    use vitrail_simulator::onvif::{Config, Devices};
    let controller = TestController::new();
    let admin = controller.person("root", Role::Administrator).await;
    let (clock, login) = (controller.clock.clone(), vitrail_simulator::Login::parse("viewer:hunter2"));
    let start = move || Devices::start(Config { clock, login, ..Config::default() }).unwrap();
    let devices = tokio::task::spawn_blocking(start).await.unwrap();
    let (all, profiles) = ("/api/v1/discovery", "/api/v1/discovery/profiles");
    assert_eq!(controller.ask("POST", all, &admin, Some(json!({}))).await.code().0, 422);
    let body = json!({ "address": devices.address().to_string(), "interface": "127.0.0.1", "seconds": 0.6 });
    let found = controller.ask("POST", all, &admin, Some(body)).await.json();
    assert_eq!(found[0]["addresses"][0], devices.address_of(1));
    let body =
        |password: &str| json!({ "address": devices.address_of(1), "user": "viewer", "password": password });
    let read = controller.ask("POST", profiles, &admin, Some(body("hunter2"))).await.json();
    assert_eq!((&read["profiles"][0]["width"], &read["profiles"][1]["token"]), (&json!(1280), &json!("sub")));
    let wrong = controller.ask("POST", profiles, &admin, Some(body("hunter2-wrong"))).await;
    assert_eq!(wrong.code(), (409, "device-login".into()));
    assert!(!wrong.text.contains("hunter2") && !controller.is_stored("hunter2"));
    assert_eq!(controller.records("registry.device-asked").len(), 2);
    tokio::task::spawn_blocking(move || drop(devices)).await.unwrap();
}
