//! The obvious way: tungstenite over a blocking rustls stream, everything on one thread, defaults everywhere.

mod common;

use std::io::{Read, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tungstenite::{Message, WebSocket};

use common::{Args, Counter, Url};

type Stream = StreamOwned<ClientConnection, std::net::TcpStream>;

fn main() {
    let start = common::Start::now();
    let args = common::args();
    let config = common::tls_config(&args.ca_file);
    let token = fetch_token(&args.token, &config);
    let mut socket = open(&args, &config, &token);
    common::print_ready(&start);
    if args.job == "idle" {
        println!("idle=1");
    }
    if args.job == "send" {
        let mut text = String::new();
        for _ in 0..args.n {
            common::timed_message(&mut text);
            socket.send(Message::text(text.clone())).expect("sent");
            thread::sleep(Duration::from_millis(1));
        }
    }
    let mut counter = Counter::new(&args);
    while !counter.is_done() {
        if let Message::Text(text) = socket.read().expect("an event") {
            counter.count(text.as_bytes());
        }
    }
    counter.print();
    std::process::exit(0);
}

fn connect(url: &Url, config: &Arc<ClientConfig>) -> Stream {
    let session = ClientConnection::new(Arc::clone(config), url.server_name()).expect("a session");
    StreamOwned::new(session, url.dial())
}

fn fetch_token(url: &Url, config: &Arc<ClientConfig>) -> String {
    let mut stream = connect(url, config);
    stream.write_all(common::token_request(url).as_bytes()).expect("asked");
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut buffer).expect("an answer");
        answer.extend_from_slice(&buffer[..count]);
        if let Some(token) = common::token_of(&answer) {
            return token;
        }
    }
}

fn open(args: &Args, config: &Arc<ClientConfig>, token: &str) -> WebSocket<Stream> {
    let url = format!("wss://{}{}", args.ws.authority, args.ws.path);
    let (mut socket, _) = tungstenite::client(url, connect(&args.ws, config)).expect("an upgrade");
    socket.send(Message::text(common::auth_message(token))).expect("sent");
    let reply = socket.read().expect("a reply");
    assert!(reply.to_text().is_ok_and(|text| text.contains(r#""status":"ok""#)));
    socket
}
