//! That ThreadSanitizer sees into C, the library and std, and sees no races where there are none.

use ffi_tests::cprog::{each, output, planted_race, Variant};

#[test]
fn planted_races_are_found() {
    each("planted_race", |variant| {
        if variant != Variant::Tsan {
            return;
        }
        let program = planted_race();
        let run = |defect| output(variant.command(&program).arg(defect));
        for (defect, place) in [("c", "planted_race.c"), ("rust", "planted.rs")] {
            let report = run(defect).expect_err("the race is an error");
            let found = report.contains("WARNING: ThreadSanitizer: data race") && report.contains(place);
            assert!(found && report.contains("exit status: 99"), "{defect}: {report}");
        }
        run("none").expect("threads that share as they should are no race");
    });
}
