//! Every function: from every callback, with every NULL, with every handle that is none.

use std::fs;

use ffi_tests::cprog::{each, Variant};
use ffi_tests::matrix::{cells, judge, page, rows, sizes, Cell, COLUMNS};

use crate::{lively, program, say};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../include/doc/callback-safety.md");

fn assert_right(delivery: &str, matrices: &[&str], cells: &[Cell]) {
    let wrong = judge(&rows(), delivery, matrices, cells);
    assert!(wrong.is_empty(), "delivery = {delivery}: {wrong:#?}");
}

/// Under valgrind `callbacks` alone: the calls are the same in all of them, and it takes minutes.
fn from_every_callback(delivery: &str) {
    each("matrix_callbacks", |variant| {
        if variant == Variant::Valgrind && delivery != "callbacks" {
            return;
        }
        let sim = lively(variant);
        let run = program("matrix_callbacks", variant, &sim).arg(delivery).run().passed();
        let cells = cells(&run.stdout);
        assert_right(delivery, &["callbacks"], &cells);
        let (functions, columns, total) = (rows().len(), COLUMNS.len(), sizes(&cells)["callbacks"]);
        assert_eq!(total, functions * columns);
        let name = variant.name();
        say(&format!("functions × callbacks: {functions} × {columns} = {total} cells, delivery = {delivery}, {name}"));
    });
}

#[test]
fn every_function_from_every_callback() {
    from_every_callback("callbacks");
}

#[test]
fn every_function_from_every_callback_inline() {
    from_every_callback("inline");
}

#[test]
fn every_function_from_every_callback_polled() {
    from_every_callback("poll");
}

#[test]
fn every_function_with_null_and_with_stale_handles() {
    each("matrix_arguments", |variant| {
        let sim = lively(variant);
        let run = program("matrix_arguments", variant, &sim).run().passed();
        let cells = cells(&run.stdout);
        assert_right("callbacks", &["NULL", "stale"], &cells);
        let (functions, sizes, name) = (rows().len(), sizes(&cells), variant.name());
        say(&format!("functions × NULL: {functions} functions, {} pointers, {name}", sizes["NULL"]));
        say(&format!("functions × stale handles: {functions} functions, {} cells, {name}", sizes["stale"]));
    });
}

#[test]
fn every_function_in_a_child_with_handles_of_its_parent() {
    each("matrix_fork", |variant| {
        let sim = lively(variant);
        let run = program("matrix_fork", variant, &sim).run().passed();
        let cells = cells(&run.stdout);
        assert_right("callbacks", &["fork"], &cells);
        let (functions, total) = (rows().len(), sizes(&cells)["fork"]);
        say(&format!("functions × fork: {functions} functions, {total} handles, each in a child, {}", variant.name()));
    });
}

#[test]
fn the_page_is_what_the_matrix_gives() {
    let committed = fs::read_to_string(PAGE).expect("include/doc/callback-safety.md can be read");
    assert!(committed == page(&rows()), "the page is out of date: see the head of tests/matrices/main.rs");
}

#[test]
#[ignore = "writes include/doc/callback-safety.md"]
fn regenerate() {
    fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../include/doc")).expect("the directory can be made");
    fs::write(PAGE, page(&rows())).expect("the page can be written");
}
