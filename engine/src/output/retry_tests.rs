//! Outputs whose disk is full or whose folder goes: they come back by themselves, overwrite nothing,
//! and cost the others nothing.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use super::OutputState;
use super::tests::{Studio, assert_shows_the_bar, probe, watch};
use crate::base::ErrorKind;
use crate::encode::Rate;
use crate::media::Codec;

/// A file system of its own, as large as it says; gone with its owner.
struct Disk(tempfile::TempDir);

impl Disk {
    /// `None`, said aloud, where this user may not mount.
    fn of(size: &str) -> Option<Disk> {
        let dir = tempfile::tempdir().unwrap();
        mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], dir.path()).then_some(Disk(dir))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(self.0.path());
    }
}

fn mount(arguments: &[&str], at: &Path) -> bool {
    let done = Command::new("mount").args(arguments).arg(at).output().is_ok_and(|out| out.status.success());
    if !done {
        println!("skipped: this user may not mount file systems");
    }
    done
}

fn unmount(at: &Path) {
    let _ = Command::new("umount").arg("-l").arg(at).status();
}

/// Noise at the finest quantiser: megabytes within seconds.
fn heavy() -> Studio {
    Studio::open(Codec::H264, 25, Rate::Crf(0))
}

fn add(studio: &Studio, path: &Path) -> super::OutputId {
    studio.add(path.to_str().unwrap())
}

#[test]
fn a_recording_goes_on_in_a_new_file_when_a_full_disk_has_room_again() {
    let Some(disk) = Disk::of("8m") else { return };
    let ballast = disk.path("ballast");
    std::fs::write(&ballast, vec![1; 6 << 20]).unwrap();
    let safe = tempfile::tempdir().unwrap();
    let studio = heavy();
    let other = add(&studio, &safe.path().join("other.mkv"));
    let (path, second) = (disk.path("wall.mkv"), disk.path("wall.1.mkv"));
    let id = add(&studio, &path);
    studio.wait_until("the failure", |s| s.status(id).state == OutputState::Retrying);
    let error = studio.status(id).error.unwrap();
    assert!(error.contains("wall.mkv") && error.contains("disk is full"), "{error}");
    let recorded = |path: &Path| std::fs::read(path).unwrap();
    let first = recorded(&path);
    assert!(first.len() > 100_000, "{}", first.len());

    // While it stays full nothing is begun: what was recorded is set aside, and that is all.
    studio.wait_until("a try in vain", |_| second.exists() && !path.exists());
    std::fs::remove_file(&ballast).unwrap();
    studio.wait_until("going on", |s| s.status(id).state == OutputState::Running && path.exists());
    let units = studio.status(id).units;
    studio.wait_until("more", |s| s.status(id).units > units + 60);
    assert_eq!(studio.status(other).dropped + studio.encoder.status().dropped, 0, "the screen never waits");
    assert!(studio.hub.finish());
    assert_eq!(studio.status(id).state, OutputState::Ended);
    assert!(recorded(&second) == first, "what was recorded is as it was");
    assert!(!disk.path("wall.2.mkv").exists());
    assert!(probe(&second).0 > 0 && probe(&path).0 > 50);
    let (frames, errors) = watch(&["-i", path.to_str().unwrap()], 50);
    assert_eq!(errors, "");
    assert_shows_the_bar(&frames, 50);
}

#[test]
fn a_recording_whose_folder_goes_comes_back_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("records");
    std::fs::create_dir(&folder).unwrap();
    let studio = Studio::h264();
    let path = folder.join("wall.mp4");
    let id = add(&studio, &path);
    studio.wait_until("recording", |s| s.status(id).units > 10);
    std::fs::remove_dir_all(&folder).unwrap();
    studio.wait_until("the failure", |s| s.status(id).state == OutputState::Retrying);
    let error = studio.status(id).error.unwrap();
    assert!(error.contains("removed"), "{error}");
    studio.wait_until("the reason", |s| s.status(id).error.unwrap().contains("its folder is missing"));
    std::fs::create_dir(&folder).unwrap();
    studio.wait_until("coming back", |s| s.status(id).state == OutputState::Running);
    let units = studio.status(id).units;
    studio.wait_until("more", |s| s.status(id).units > units + 30);
    assert!(studio.hub.finish());
    assert!(probe(&path).0 >= 30);
    assert_eq!(studio.encoder.status().dropped, 0);
}

#[test]
fn hls_comes_back_from_a_folder_that_was_read_only_and_overwrites_no_segment() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("live");
    let studio = Studio::h264();
    let playlist = folder.join("wall.m3u8");
    let id = add(&studio, &playlist);
    assert!(folder.is_dir(), "it makes its folder");
    let first = folder.join("wall-00000.ts");
    studio.wait_until("a segment", |s| s.status(id).units > 60 && first.exists());
    let read_only = ["-o", "ro", "--bind", folder.to_str().unwrap()];
    if !mount(&read_only, &folder) {
        return;
    }
    studio.wait_until("the failure", |s| s.status(id).state == OutputState::Retrying);
    unmount(&folder);
    let kept = std::fs::read(&first).unwrap();
    studio.wait_until("coming back", |_| folder.join("wall-00001.1.ts").exists());
    assert_eq!(studio.status(id).state, OutputState::Running);
    assert!(std::fs::read(&first).unwrap() == kept, "no segment is overwritten");
    assert!(studio.hub.finish());
    let text = std::fs::read_to_string(&playlist).unwrap();
    assert!(text.contains("wall-00000.1.ts") && !text.contains("wall-00000.ts"), "{text}");
    let (frames, errors) = watch(&["-i", playlist.to_str().unwrap()], 40);
    assert_eq!(errors, "");
    assert_shows_the_bar(&frames, 40);
    assert_eq!(studio.encoder.status().dropped, 0);
}

#[test]
fn hls_makes_one_folder_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let studio = Studio::h264();
    let deep = dir.path().join("a/b/wall.m3u8");
    let error = studio.hub.add(super::OutputSpec::parse(deep.to_str().unwrap()).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("create them first"), "{error}");
    assert!(!dir.path().join("a").exists());
}
