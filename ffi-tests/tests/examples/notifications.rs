//! The program for topics: through a roll-over to another channel, and the loss of a socket.

use std::fs;
use std::process::Command;
use std::time::Duration;

use ffi_tests::cprog::{each, output, Variant};
use ffi_tests::example::{command, Live, Recipe};
use ffi_tests::sim::{Action, Sim, TokenForm};

use crate::{closed_with_1000, shown};

pub const TOPIC: &str = "v2.users.11111111-2222-3333-4444-555555555555.presence";
const REFUSED: &str = "v2.routing.queues.11111111-2222-3333-4444-555555555555.conversations";
const FROM_FILE: &str = "v2.users.66666666-2222-3333-4444-555555555555.presence";

/// Opaque tokens that are soon renewed, and no right to queues.
fn tenant(variant: Variant) -> Sim {
    let mut options = variant.options();
    options.token.form = TokenForm::Opaque;
    options.token.answer_scope = false;
    options.token.lifetime = Duration::from_secs(10 * u64::from(variant.slowness().min(5)));
    let sim = Sim::start(options);
    sim.channels().reject("v2.routing.", "no permission", &["routing:queue:view"]);
    sim
}

fn tail(variant: Variant, arguments: &[&str]) -> Command {
    let mut command = command(&Recipe::c("c/genesys_tail.c", &["-std=c99"]).build(variant), variant);
    command.args(arguments);
    command
}

/// How often the event of that number was shown.
fn times(lines: &[String], number: u64) -> usize {
    let end = format!("\"seq\":{number}}}");
    lines.iter().filter(|line| line.starts_with("event    {") && line.contains(&end)).count()
}

fn arrives(live: &Live<'_>, number: u64) -> u64 {
    live.wait_for(&format!("event {number}"), |lines| times(lines, number) > 0);
    number
}

#[test]
fn genesys_tail() {
    each("examples/c/genesys_tail.c", |variant| {
        let sim = tenant(variant);
        let directory = output(Command::new("mktemp").arg("-d")).unwrap();
        let file = format!("{}/settings.json", directory.trim_end());
        fs::write(&file, format!("{{\"notifications\": {{\"topics\": [\"{FROM_FILE}\"]}}}}\n")).unwrap();
        let live = Live::start(tail(variant, &["-c", &file, TOPIC, REFUSED]), &sim, variant);
        let results = [
            format!("topic    {FROM_FILE} permitted"),
            format!("topic    {TOPIC} permitted"),
            format!("topic    {REFUSED} rejected: no permission (missing: routing:queue:view)"),
        ];
        live.wait_for("topics", |lines| lines.windows(3).any(|window| window == results));
        live.wait_for("a live socket", |lines| shown(lines, "state    Ready ("));
        let mut numbers = vec![arrives(&live, sim.channels().event(TOPIC, None))];
        live.wait_for("a roll-over", |lines| shown(lines, "handover to another channel"));
        numbers.push(arrives(&live, sim.channels().event(FROM_FILE, None)));
        numbers.push(arrives(&live, sim.channels().event_as(TOPIC, None, "the-last-one")));
        sim.channels().act(None, [Action::Drop]);
        live.wait_for("the end of the gap", |lines| {
            lines
                .iter()
                .any(|line| line.starts_with("gap      ") && line.contains("ends: ") && line.contains("the-last-one"))
        });
        numbers.push(arrives(&live, sim.channels().event(TOPIC, None)));
        live.signal("TERM");
        let lines = live.finish().well().lines;
        assert!(numbers.iter().all(|&number| times(&lines, number) == 1), "{lines:#?}");
        assert!(shown(&lines, "audit    {") && shown(&lines, "connection_lost") && shown(&lines, "state    Closed ("));
        closed_with_1000(&sim);
        fs::remove_dir_all(directory.trim_end()).unwrap();
    });
}

#[test]
fn genesys_tail_ends_when_a_person_has_to_act() {
    each("examples/c/genesys_tail.c", |variant| {
        let sim = tenant(variant);
        // What it has in its environment is wrong from here on.
        let mut command = tail(variant, &[TOPIC]);
        command.env("GENESYS_CLIENT_SECRET", "another-client-secret");
        let ended = Live::start(command, &sim, variant).finish();
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert!(
            shown(&ended.lines, "state    ReauthRequired (") && shown(&ended.lines, "GWA_E_UNAUTHORIZED"),
            "{ended:?}"
        );
        assert_eq!(sim.record().read(|log| log.channels.len()), 0);
    });
}

#[test]
fn genesys_tail_names_what_it_cannot_use() {
    each("examples/c/genesys_tail.c", |variant| {
        let sim = tenant(variant);
        for arguments in [&["two words"][..], &["-c", "/nowhere/settings.json", TOPIC]] {
            let ended = Live::start(tail(variant, arguments), &sim, variant).finish();
            assert_eq!((ended.status.code(), ended.lines.len()), (Some(1), 0), "{ended:?}");
            assert!(ended.stderr.lines().count() >= 2, "what is wrong, and a hint: {ended:?}");
        }
        assert_eq!(sim.record().token_requests(), 0);
    });
}
