use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;
use crate::audit::seal::ZEROS;
use crate::audit::verify::{Report, Verdict, Verifier};

const K0: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A directory of this test's own; it goes with it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(format!("chain-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    fn open(&self, key: Option<&str>) -> Result<Sealer, Error> {
        let mut settings = Settings::default();
        settings.chain.key = key.map(|key| Secret::new(key.into()));
        settings.chain.state = self.state().display().to_string();
        let sealer = Sealer::open(&mut settings).map(Option::unwrap);
        assert!(settings.chain.key.is_none(), "K0 is not kept");
        sealer
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

fn record(sealer: &mut Sealer, log: &mut Vec<String>) {
    write(sealer, log, "\"event_type\":\"client_closed\"");
}

fn write(sealer: &mut Sealer, log: &mut Vec<String>, members: &str) {
    let (seq, epoch) = (log.len() + 1, sealer.seal().epoch);
    let mut text = format!("{{{members},\"seq\":{seq},\"mac_epoch\":{epoch},\"mac\":\"{ZEROS}\"}}");
    sealer.fill(Log::Audit, &mut text);
    log.push(text);
}

fn checkpoint(sealer: &mut Sealer, log: &mut Vec<String>) -> Option<Result<(), Error>> {
    write(sealer, log, "\"event_type\":\"audit_checkpoint\",\"metadata\":{\"reason\":\"close\"}");
    sealer.end_epoch();
    sealer.turn()
}

fn verify(log: &[String]) -> Report {
    let mut verifier = Verifier::new(&Secret::new(K0.into())).unwrap();
    verifier.feed(log.join("\n").as_bytes());
    verifier.finish()
}

#[test]
fn a_chain_goes_on_from_its_file_without_k0() {
    let (place, mut log) = (Place::new("runs"), Vec::new());
    for (run, before) in ["none", "closed", "closed"].into_iter().enumerate() {
        let mut sealer = place.open(Some(K0).filter(|_| run == 0)).unwrap();
        assert_eq!((sealer.before(), sealer.promise()), (before, "forward-secure"));
        assert!(sealer.turn().is_none());
        for _ in 0..3 {
            checkpoint(&mut sealer, &mut log).unwrap().unwrap();
            record(&mut sealer, &mut log);
        }
        checkpoint(&mut sealer, &mut log).unwrap().unwrap();
    }
    assert_eq!(verify(&log).verdict, Verdict::Intact);
    assert_eq!(place.names(), ["state", "state.lock"]);
    assert_eq!(fs::metadata(place.state()).unwrap().permissions().mode() & 0o7777, 0o600);
}

#[test]
fn keys_of_epochs_that_are_over_are_nowhere() {
    let (place, mut log) = (Place::new("forgotten"), Vec::new());
    let mut sealer = place.open(Some(K0)).unwrap();
    let mut root = Key::root(&unhex(K0.as_bytes()).unwrap(), Mode::State, Log::Audit);
    for _ in 0..4 {
        let text = fs::read_to_string(place.state()).unwrap();
        assert!(!text.contains(&hex(root.bytes())), "the key of an earlier epoch");
        root = root.next();
        assert!(text.contains(&hex(root.bytes())), "the key of this epoch is there before its first record");
        checkpoint(&mut sealer, &mut log).unwrap().unwrap();
    }
    assert!(!format!("{sealer:?}").contains(&hex(root.bytes())));
}

#[test]
fn what_the_file_held_before_is_overwritten_where_it_lay() {
    let (place, mut log) = (Place::new("wiped"), Vec::new());
    let mut sealer = place.open(Some(K0)).unwrap();
    for _ in 0..3 {
        // Who has the old file open still has it: a disk does, too.
        let mut old = fs::File::open(place.state()).unwrap();
        checkpoint(&mut sealer, &mut log).unwrap().unwrap();
        let mut text = Vec::new();
        old.read_to_end(&mut text).unwrap();
        assert!(!text.is_empty() && text.iter().all(|byte| *byte == 0), "{}", String::from_utf8_lossy(&text));
    }
    // One that is not private, and perhaps not ours, is left alone.
    let (kept, link) = (place.state(), place.0.join("link"));
    fs::hard_link(&kept, &link).unwrap();
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o666)).unwrap();
    checkpoint(&mut sealer, &mut log).unwrap().unwrap();
    assert!(fs::read(&link).unwrap().starts_with(b"{\"version\""));
    fs::remove_file(&link).unwrap();
    drop(sealer);
    assert_eq!(place.names(), ["state", "state.lock"]);
    assert_eq!(verify(&log).verdict, Verdict::Intact);
}

#[test]
fn who_is_killed_leaves_a_declared_gap() {
    let (place, mut log) = (Place::new("killed"), Vec::new());
    let mut sealer = place.open(Some(K0)).unwrap();
    checkpoint(&mut sealer, &mut log).unwrap().unwrap();
    record(&mut sealer, &mut log);
    // As after a kill: the file is what it was, whatever the drop writes.
    let text = fs::read(place.state()).unwrap();
    drop(sealer);
    assert_eq!(fs::read(place.state()).unwrap(), text, "an epoch with a record and no checkpoint is not closed");
    let mut sealer = place.open(None).unwrap();
    assert_eq!(sealer.before(), "crashed");
    checkpoint(&mut sealer, &mut log).unwrap().unwrap();
    let report = verify(&log);
    assert_eq!((report.verdict, report.gaps[0].epochs, report.gaps[0].line), (Verdict::DeclaredGap, Some((2, 2)), 3));
}

#[test]
fn runs_without_a_record_are_declared() {
    let (place, mut log) = (Place::new("idle"), Vec::new());
    drop(place.open(Some(K0)).unwrap());
    drop(place.open(None).unwrap());
    checkpoint(&mut place.open(None).unwrap(), &mut log).unwrap().unwrap();
    let report = verify(&log);
    assert_eq!((report.verdict, report.gaps[0].epochs), (Verdict::DeclaredGap, Some((1, 2))));
}

#[test]
fn k0_is_needed_once_and_refused_afterwards() {
    let place = Place::new("k0");
    assert_eq!(place.open(None).unwrap_err().code(), Code::MissingKey);
    drop(place.open(Some(K0)).unwrap());
    assert_eq!(place.open(Some(K0)).unwrap_err().code(), Code::BadValue);
    let sealer = place.open(None).unwrap();
    let taken = place.open(None).unwrap_err();
    assert_eq!(taken.code(), Code::Store);
    assert!(taken.to_string().contains("is used by another client"), "{taken}");
    drop(sealer);
    drop(place.open(None).unwrap());
}

#[test]
fn a_file_that_is_not_whole_or_not_private_is_refused() {
    let place = Place::new("broken");
    drop(place.open(Some(K0)).unwrap());
    let whole = fs::read(place.state()).unwrap();
    for cut in [0, 1, whole.len() / 2, whole.len() - 3] {
        fs::write(place.state(), &whole[..cut]).unwrap();
        assert_eq!(place.open(None).unwrap_err().code(), Code::Store, "{cut}");
    }
    let text = String::from_utf8(whole.clone()).unwrap();
    for (from, to) in
        [("\"version\":1", "\"version\":2"), ("\"key\":\"", "\"key\":\"x"), ("\"closed\":true", "\"closed\":1")]
    {
        fs::write(place.state(), text.replace(from, to)).unwrap();
        let error = place.open(None).unwrap_err();
        assert_eq!(error.code(), Code::Store, "{from}");
        assert!(error.to_string().contains("chain state") || error.to_string().contains("layout"), "{error}");
    }
    fs::write(place.state(), whole).unwrap();
    fs::set_permissions(place.state(), fs::Permissions::from_mode(0o640)).unwrap();
    assert!(place.open(None).unwrap_err().to_string().contains("chmod 600"));
}

#[test]
fn records_go_on_while_the_state_cannot_be_kept() {
    let (place, mut log) = (Place::new("full"), Vec::new());
    let mut sealer = place.open(Some(K0)).unwrap();
    checkpoint(&mut sealer, &mut log).unwrap().unwrap();
    let away = place.0.with_extension("away");
    fs::rename(&place.0, &away).unwrap();
    let epoch = sealer.seal().epoch;
    record(&mut sealer, &mut log);
    assert_eq!(checkpoint(&mut sealer, &mut log).unwrap().unwrap_err().code(), Code::Store);
    record(&mut sealer, &mut log);
    assert_eq!(sealer.seal().epoch, epoch, "the key is used on");
    fs::rename(&away, &place.0).unwrap();
    checkpoint(&mut sealer, &mut log).unwrap().unwrap();
    assert_eq!(sealer.seal().epoch, epoch + 1);
    checkpoint(&mut sealer, &mut log).unwrap().unwrap();
    drop(sealer);
    checkpoint(&mut place.open(None).unwrap(), &mut log).unwrap().unwrap();
    assert_eq!(verify(&log).verdict, Verdict::Intact);
}
