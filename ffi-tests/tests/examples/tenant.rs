//! What the programs do with an organisation's own region, and none of the simulator's addresses: whom they ask first. They
//! ask by a proxy of ours, so that nothing leaves this machine.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use ffi_tests::cprog::{each, Variant};
use ffi_tests::example::{command, rust_example, shared_library, Live, Recipe};
use ffi_tests::sim::Sim;

use crate::BOUND;

/// Where Genesys Cloud gives tokens to those who use its own API.
const LOGIN: &str = "CONNECT login.genesys.example:443 HTTP/1.1";

/// A proxy that lets nobody through, and the first line of the first who comes.
fn proxy() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, first) = mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        sender.send(line.trim_end().to_owned()).unwrap();
        let _ = stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    });
    (url, first)
}

/// The environment of somebody who knows their organisation and nothing else.
fn with_region(mut command: Command, proxy: &str) -> Command {
    for name in ["TOKEN_URL", "WS_URL", "CA_FILE", "API_URL", "STREAMING_HOST"] {
        command.env(format!("GWA_{name}"), "");
    }
    command.env("GENESYS_REGION", "genesys.example").env("GWA_PROXY", proxy);
    command
}

/// Answers the question of `pkce_login`, as the browser would after somebody has signed in.
fn sign_in(live: &Live<'_>) {
    let url = RefCell::new(String::new());
    live.wait_for("the URL", |lines| {
        let found = lines.iter().find_map(|line| line.strip_prefix("open     "));
        *url.borrow_mut() = found.unwrap_or_default().to_owned();
        found.is_some()
    });
    let url = url.into_inner();
    assert!(url.starts_with("https://login.genesys.example/oauth/authorize?"), "{url}");
    let field = |name: &str| url.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)).unwrap();
    let redirect = field("redirect_uri=").replace("%3A", ":").replace("%2F", "/");
    let authority = redirect.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/callback")).unwrap();
    let mut browser = TcpStream::connect(authority).unwrap();
    let head = format!("GET /callback?code=c&state={} HTTP/1.1\r\nHost: {authority}\r\n\r\n", field("state="));
    browser.write_all(head.as_bytes()).unwrap();
    let mut page = String::new();
    browser.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
}

/// Whom a program asks first.
fn asks_first(command: Command, variant: Variant, meanwhile: impl Fn(&Live<'_>)) -> String {
    let sim = Sim::start(variant.options());
    let (proxy, first) = proxy();
    let live = Live::start(with_region(command, &proxy), &sim, variant);
    meanwhile(&live);
    let line = first.recv_timeout(BOUND).expect("it asks somebody");
    live.signal("TERM");
    drop(live);
    assert!(sim.record().read(|log| log.requests.is_empty() && log.connections.is_empty()));
    line
}

#[test]
fn a_user_signs_in_where_the_code_is_good() {
    each("examples/c/pkce_login.c in a region", |variant| {
        let mut command = command(&Recipe::c("c/pkce_login.c", &["-std=c99"]).build(variant), variant);
        command.arg("http://127.0.0.1:0/callback").env("GENESYS_CLIENT_SECRET", "").env("GENESYS_REFRESH_TOKEN", "");
        assert_eq!(asks_first(command, variant, sign_in), LOGIN);
    });
}

#[test]
fn every_other_program_speaks_the_profile_of_its_environment() {
    each("examples in a region", |variant| {
        let c = |source, flags| command(&Recipe::c(source, flags).build(variant), variant);
        let cpp = Recipe { compiler: "g++", ..Recipe::c("cpp/minimal.cpp", &["-std=c++11"]) };
        let mut programs = vec![
            (c("c/minimal.c", &["-std=c99"]), "minimal.c"),
            (c("c/c89.c", &["-std=c89"]), "settings.h"),
            (command(&cpp.build(variant), variant), "minimal.cpp"),
        ];
        if matches!(variant, Variant::Plain) {
            programs.push((Command::new(rust_example("minimal")), "minimal.rs"));
            let mut tail = Command::new("python3");
            tail.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/python/tail.py"));
            tail.env("GWA_LIBRARY", shared_library());
            programs.push((tail, "tail.py"));
        }
        for (mut program, name) in programs {
            program.env("GWA_PROFILE", "notifications").env("GWA_TOPICS", "v2.users.me.presence");
            assert_eq!(asks_first(program, variant, |_| {}), LOGIN, "{name}");
        }
    });
}
