//! The calls as C, for `#include`.

use std::fmt::Write as _;

use super::{InCallback, Row};
use crate::tags::Param;

/// A function `call_N` for each row, and the table `functions` of them.
pub fn functions_inc(rows: &[Row]) -> String {
    let mut text = String::from("/* Made from matrix/functions.txt. */\n\n");
    for (n, row) in rows.iter().enumerate() {
        _ = writeln!(text, "static void call_{n}(void)\n{{\n    {}\n}}\n", recorded(row));
    }
    text.push_str("static const struct function functions[] = {\n");
    for (n, row) in rows.iter().enumerate() {
        _ = writeln!(text, "    {},", entry(n, row));
    }
    text + "};\n"
}

/// The call, and its result handed to what `c/matrix.h` has for it.
fn recorded(row: &Row) -> String {
    let call = call(row);
    let returns = row.function.returns.as_str();
    match returns {
        "gwa_status_t" => format!("got_status({call});"),
        "void" => format!("{call};\n    got_done();"),
        "const char *" | "const void *" => {
            let len = row.function.params.iter().position(|param| param.ctype == "size_t *");
            let measured = len.map_or("0".to_owned(), |len| format!("at != {len}"));
            format!("const void *got = {call};\n    got_text(got, {measured});")
        }
        _ if returns.starts_with("const ") => format!("got_object({call} != NULL);"),
        _ => match object(returns) {
            Some(name) => format!("out_{name} = {call};\n    got_object(out_{name} != NULL);"),
            None => format!("got_number((long long){call});"),
        },
    }
}

fn call(row: &Row) -> String {
    let arguments = row.arguments.iter().zip(&row.function.params).enumerate();
    let arguments: Vec<_> = arguments.map(|(index, (argument, param))| replaceable(index, argument, param)).collect();
    format!("{}({})", row.function.name, arguments.join(", "))
}

/// A pointer is `instead` when the argument of that index is to be replaced; a function is NULL then.
fn replaceable(index: usize, argument: &str, param: &Param) -> String {
    match param.ctype.as_str() {
        ctype if ctype.ends_with('*') => format!("(at == {index} ? ({ctype})instead : ({argument}))"),
        ctype if ctype.ends_with("_fn") => format!("(at == {index} ? ({ctype})0 : ({argument}))"),
        _ => argument.to_owned(),
    }
}

fn entry(n: usize, row: &Row) -> String {
    let ends = i32::from(row.in_callback == InCallback::Deferred);
    let err = row.function.params.iter().position(|param| param.ctype == "gwa_error_t **");
    let err = err.map_or("-1".to_owned(), |index| index.to_string());
    let mut pointers = String::new();
    for (index, param) in row.pointers() {
        _ = write!(pointers, "{{\"{}\", {index}, '{}'}}, ", param.name, kind(&param.ctype));
    }
    format!("{{\"{}\", call_{n}, {ends}, {err}, {{{pointers}{{NULL, 0, 0}}}}}}", row.function.name)
}

/// Which checked handle it is, as a letter of `c/matrix.h`, or `p` for another pointer.
fn kind(ctype: &str) -> char {
    match object(ctype) {
        Some("client") => 'c',
        Some("config") => 'f',
        Some("request") => 'r',
        Some("token_source") => 's',
        _ => 'p',
    }
}

/// `error` of `const gwa_error_t *`.
fn object(ctype: &str) -> Option<&str> {
    let name = ctype.trim_start_matches("const ").strip_prefix("gwa_")?.strip_suffix("_t *")?;
    (!name.contains('*')).then_some(name)
}
