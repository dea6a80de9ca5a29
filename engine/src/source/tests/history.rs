//! What earlier runs teach a source: a full camera from a wrong password, one bad answer from a bad client.

use super::super::*;

#[test]
fn a_full_camera_is_told_from_a_wrong_password() {
    let fresh = History::default();
    assert_eq!(explain_status(401, false, &fresh).0, ErrorKind::Credentials);
    assert_eq!(explain_status(401, true, &fresh).0, ErrorKind::Credentials);
    let known = History::default();
    known.login_accepted();
    let kinds: Vec<ErrorKind> = (0..4).map(|_| explain_status(401, true, &known).0).collect();
    assert_eq!(kinds[..3], [ErrorKind::SessionLimit; 3]);
    assert_eq!(kinds[3], ErrorKind::Credentials, "the password was changed after all");
    known.login_accepted();
    assert_eq!(explain_status(401, true, &known).0, ErrorKind::SessionLimit);
    assert_eq!(explain_status(453, true, &fresh).0, ErrorKind::SessionLimit);
    assert_eq!(explain_status(503, true, &fresh).0, ErrorKind::SessionLimit);
}

#[test]
fn one_session_that_broke_off_is_not_yet_for_gstreamer() {
    let error = Error::new(ErrorKind::Corrupt, "gate", "sent what is not understood").caused_by("at 3");
    let history = History::default();
    assert!(!history.leave_retina(&error, true) && history.not_for_retina.get().is_none());
    assert!(history.leave_retina(&error, true));
    assert_eq!(
        history.not_for_retina.get().map(String::as_str),
        Some("retina: sent what is not understood (at 3)")
    );
    assert!(History::default().leave_retina(&error, false), "it never had a picture");
}

#[test]
fn a_camera_that_retina_understood_is_not_given_away_for_one_bad_answer() {
    let error = Error::new(ErrorKind::Corrupt, "gate", "sent what is not understood");
    let history = History::default();
    for month in 0..12 {
        history.played_for(Duration::ZERO);
        history.played_for(UNDERSTOOD);
        assert!(!history.leave_retina(&error, month % 2 == 0), "{month}");
    }
    assert!(history.not_for_retina.get().is_none());
    history.played_for(UNDERSTOOD / 2);
    assert!(history.leave_retina(&error, false), "twice, and no minute of pictures between");
}

#[test]
fn no_configuration_prints_its_login() {
    let uri = CameraUri::parse("rtsp://admin:hunter2@10.0.0.1/live?token=hunter2").expect("valid");
    let login = Login { user: "op".into(), password: "hunter2".into() };
    let source = Source::new(SourceConfig { login: Some(login), ..SourceConfig::new(uri) });
    assert!(!format!("{source:?} {:?}", source.config()).contains("hunter2"));
}
