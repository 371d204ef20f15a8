use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::{Path, PathBuf};

use super::super::private_file::MAX_BYTES;
use super::*;
use crate::error::Code;

/// A directory of this test's own; it goes with it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(format!("store-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> PathBuf {
        self.0.join("tokens")
    }

    fn of(&self, client_id: &str, configured: Option<&str>, endpoint: &str) -> Store {
        let settings = Settings {
            token_store: self.path().display().to_string(),
            client_id: client_id.into(),
            refresh_token: configured.map(|text| Secret::new(text.into())),
            ..Settings::default()
        };
        Store::new(&settings, endpoint)
    }

    fn store(&self) -> Store {
        self.of("id", Some("hush-r0"), "login.example:443")
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const UUID: &str = "00000000-0000-4000-8000-000000000000";

fn save(store: &Store, text: &str) -> Result<(), Error> {
    store.save(&Secret::new(text.into()), 1_000, UUID)
}

fn load(store: &Store) -> Option<(String, bool)> {
    store.load().unwrap().map(|found| (found.refresh_token.expose().to_owned(), found.follows))
}

fn why(store: &Store) -> String {
    let error = store.load().unwrap_err();
    assert_eq!(error.code(), Code::Store);
    let text = format!("{error} {}", error.code().hint());
    assert!(!text.contains("hush"), "{text}");
    error.detail().message.clone()
}

#[test]
fn what_is_saved_is_found_and_is_nobody_elses_business() {
    let place = Place::new("found");
    let store = place.store();
    assert_eq!(load(&store), None);
    for token in ["hush-r1", "hush-\"r2\\\u{1}é"] {
        save(&store, token).unwrap();
        assert_eq!(load(&store), Some((token.to_owned(), true)));
        assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o7777, 0o600);
    }
    assert_eq!(place.names(), ["tokens"]);
    let text = fs::read_to_string(place.path()).unwrap();
    assert!(!text.contains("hush-r0"), "the configured token is there by its digest alone");
}

#[test]
fn it_says_whether_its_token_descends_from_the_configured_one() {
    let place = Place::new("follows");
    save(&place.store(), "hush-r1").unwrap();
    let another = place.of("id", Some("hush-new"), "login.example:443");
    assert_eq!(load(&another), Some(("hush-r1".into(), false)));
    // Who has configured none takes what is there, and leaves whose it is.
    let none = place.of("id", None, "login.example:443");
    assert_eq!(load(&none), Some(("hush-r1".into(), true)));
    save(&none, "hush-r2").unwrap();
    assert_eq!(load(&place.store()), Some(("hush-r2".into(), true)));
    save(&another, "hush-n1").unwrap();
    assert_eq!(load(&place.store()), Some(("hush-n1".into(), false)));
}

#[test]
fn what_others_could_have_touched_is_refused_and_left_as_it_is() {
    let place = Place::new("refused");
    let store = place.store();
    save(&store, "hush-r1").unwrap();
    for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601] {
        fs::set_permissions(place.path(), Permissions::from_mode(mode)).unwrap();
        assert!(why(&store).ends_with("can be read or written by others (chmod 600)."), "{mode:o}");
        assert!(save(&store, "hush-r2").is_err());
    }
    fs::set_permissions(place.path(), Permissions::from_mode(0o600)).unwrap();
    assert_eq!(load(&store), Some(("hush-r1".into(), true)));
    assert!(why(&place.of("other", None, "login.example:443")).ends_with("belongs to another OAuth client."));
    assert!(why(&place.of("id", None, "elsewhere:443")).ends_with("belongs to another token endpoint."));
    let whole = fs::read(place.path()).unwrap();
    for cut in 0..whole.len() - 1 {
        fs::write(place.path(), &whole[..cut]).unwrap();
        assert!(why(&store).ends_with("is no token store, or not a whole one."), "{cut} bytes");
    }
    fs::write(place.path(), vec![b' '; MAX_BYTES as usize]).unwrap();
    assert!(why(&store).ends_with("is too large for a token store."));
    fs::write(place.path(), br#"{"version":2,"refresh_token":"hush"}"#).unwrap();
    assert!(why(&store).ends_with("has a layout of another version."));
    fs::write(place.path(), br#"{"version":1,"client_id":"id","endpoint":"login.example:443","refresh_token":""}"#)
        .unwrap();
    assert!(why(&store).ends_with("holds no refresh token."));
}

#[test]
fn links_directories_and_pipes_are_refused() {
    let place = Place::new("links");
    let store = place.store();
    let elsewhere = place.0.join("elsewhere");
    save(&store, "hush-r1").unwrap();
    fs::rename(place.path(), &elsewhere).unwrap();
    symlink(&elsewhere, place.path()).unwrap();
    assert!(why(&store).ends_with("is a symbolic link."));
    assert!(save(&store, "hush-r2").is_err());
    assert!(fs::read_to_string(&elsewhere).unwrap().contains("hush-r1"));
    fs::remove_file(place.path()).unwrap();
    fs::create_dir(place.path()).unwrap();
    assert!(why(&store).ends_with("is no regular file."));
    fs::remove_dir(place.path()).unwrap();
    let made = std::process::Command::new("mkfifo").arg(place.path()).status().unwrap();
    assert!(made.success());
    assert!(why(&store).ends_with("is no regular file."));
    symlink(&elsewhere, place.0.join("tokens.lock")).unwrap();
    assert_eq!(store.lock().unwrap_err().code(), Code::Store);
}

#[test]
fn the_lock_is_one_holders_at_a_time_and_clears_away_what_was_left() {
    let place = Place::new("lock");
    let (one, other) = (place.store(), place.store());
    let left = [format!(".tokens.{UUID}.tmp"), format!(".tokens.more.{UUID}.tmp"), ".tokens.tmp".to_owned()];
    left.iter().for_each(|name| fs::write(place.0.join(name), "x").unwrap());
    let held = one.lock().unwrap();
    assert!(held.is_some() && other.lock().unwrap().is_none());
    assert_eq!(place.names(), [&left[1], &left[2], "tokens.lock"]);
    drop(held);
    let held = other.lock().unwrap();
    assert!(held.is_some() && one.lock().unwrap().is_none());
    // A lock on a file that is gone locks nobody out, and is none.
    fs::remove_file(place.0.join("tokens.lock")).unwrap();
    assert!(one.lock().unwrap().is_some());
}

#[test]
fn a_directory_that_is_not_there_is_said() {
    let place = Place::new("directory");
    let store = place.store();
    fs::remove_dir_all(&place.0).unwrap();
    let error = store.lock().unwrap_err();
    assert_eq!((error.code(), error.detail().os_errno), (Code::Store, libc::ENOENT));
    assert!(error.detail().message.contains("tokens.lock"), "{error}");
    assert!(save(&store, "hush-r1").is_err());
}
