//! A host that loads, unloads and loads a plugin with the library inside.

use std::process::Command;
use std::time::Duration;

use ffi_tests::cprog::{each, output, Variant};
use ffi_tests::example::{command, Live, Recipe};
use ffi_tests::sim::{Pump, Sim};

use crate::{closed_with_1000, numbers, shown, BOUND};

const PLUGIN: Recipe<'static> = Recipe {
    source: "c/plugin.c",
    compiler: "gcc",
    flags: &["-std=c99", "-shared", "-fPIC", "-fvisibility=hidden", "-Wl,--exclude-libs,ALL", "-Wl,-z,nodelete"],
    libraries: &[],
    with_library: true,
};
const HOST: Recipe<'static> = Recipe {
    source: "c/plugin_host.c",
    compiler: "gcc",
    flags: &["-std=c99"],
    libraries: &["-ldl"],
    with_library: false,
};

/// Messages without end, and tokens that are soon renewed.
fn simulator(variant: Variant) -> Sim {
    let mut options = variant.options();
    options.token.lifetime = Duration::from_secs(5 * u64::from(variant.slowness().min(5)));
    options.ws.pump = Some(Pump::every(Duration::from_millis(50)));
    Sim::start(options)
}

#[test]
fn a_plugin_is_unloaded_and_loaded_again() {
    each("examples/c/plugin_host.c", |variant| {
        let sim = simulator(variant);
        let mut command = command(&HOST.build(variant), variant);
        command.arg(PLUGIN.build(variant));
        let live = Live::start(command, &sim, variant);
        let count = |lines: &[String], what: &str| lines.iter().filter(|line| *line == what).count();
        for round in 1..=3 {
            let this = |lines: &[String]| count(lines, "loaded") == round && count(lines, "unloaded") == round - 1;
            live.wait_for("its messages", |lines| {
                let part = lines.rsplit(|line| line == "loaded").next().unwrap_or_default();
                this(lines)
                    && numbers(part).len() >= 3
                    && (shown(part, "status   Ready") || shown(part, "status   Degraded"))
            });
            if round == 1 {
                assert!(sim.record().wait_until(BOUND, |log| log.reauths() >= 1));
            }
            live.signal(if round == 3 { "TERM" } else { "HUP" });
        }
        let ended = live.finish().well();
        assert_eq!((count(&ended.lines, "loaded"), count(&ended.lines, "unloaded")), (3, 3));
        // Nothing of the plugin's comes after the host has unloaded it.
        for part in ended.lines.split(|line| line == "unloaded").take(3) {
            assert!(part[0] == "loaded" && part.last().unwrap() == "status   Closed", "{part:#?}");
        }
        assert_eq!(ended.lines.last().unwrap(), "unloaded");
        let numbers = numbers(&ended.lines);
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
        assert!(sim.record().ws_connects() >= 3);
        closed_with_1000(&sim);
    });
}

#[test]
fn a_plugin_shows_nothing_of_the_library() {
    let plugin = PLUGIN.build(Variant::Plain);
    let symbols = output(Command::new("nm").args(["-D", "--defined-only", "--format=posix"]).arg(&plugin)).unwrap();
    let names: Vec<_> = symbols.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["plugin_start", "plugin_stop"]);
    let dynamic = output(Command::new("readelf").arg("-d").arg(&plugin)).unwrap();
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
}

#[test]
fn a_plugin_that_cannot_start_says_why() {
    each("examples/c/plugin_host.c", |variant| {
        let sim = simulator(variant);
        let mut command = command(&HOST.build(variant), variant);
        command.arg(PLUGIN.build(variant)).env("GENESYS_CLIENT_ID", "");
        let ended = Live::start(command, &sim, variant).finish();
        assert_eq!(ended.status.code(), Some(1));
        assert!(shown(&ended.lines, "client.id"), "{ended:#?}");
    });
}
