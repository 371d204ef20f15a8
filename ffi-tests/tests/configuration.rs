//! The JSON Schema of the configuration, judged by a validator that is not ours: for every key and many values it says the
//! same as `Config::set_json`.

use genesys_ws_auth::config::{self, keys, Key, Type};
use genesys_ws_auth::Config;
use jsonschema::Validator;
use serde_json::{json, Map, Value};

fn schema() -> Value {
    serde_json::from_str(&config::schema()).expect("JSON")
}

fn validator() -> Validator {
    let schema = schema();
    jsonschema::draft202012::meta::validate(&schema).expect("a schema of draft 2020-12");
    jsonschema::draft202012::new(&schema).expect("a schema that can be used")
}

/// Xorshift: the same values at every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Whether library and schema agree on a document; what both say.
fn judge(validator: &Validator, document: &Value) -> bool {
    let ours = Config::new().set_json(&document.to_string());
    let theirs = validator.is_valid(document);
    assert_eq!(ours.is_ok(), theirs, "{document}: the library says {ours:?}, the schema {theirs}");
    theirs
}

/// The name of the key, one of its family's for a family.
fn name(key: &Key) -> String {
    key.name.replace("<Name>", "X-Site")
}

/// A key and its value, flat, nested, and between.
fn spellings(name: &str, value: &Value) -> Vec<Value> {
    let mut all = vec![json!({ name: value })];
    for (at, _) in name.match_indices('.') {
        let (group, rest) = (&name[..at], &name[at + 1..]);
        all.extend(spellings(rest, value).into_iter().map(|inner| json!({ group: inner })));
    }
    all
}

/// Values that no key, or hardly any, accepts.
fn strangers() -> Vec<Value> {
    vec![
        json!(null),
        json!({}),
        json!({"a": 1}),
        json!([]),
        json!([1]),
        json!([null]),
        json!([["a"]]),
        json!(true),
        json!(1.5),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("0"),
        json!("true"),
        json!("\u{0}"),
        json!("\u{85}"),
        json!("a\nb"),
        json!("\n"),
        json!(" "),
        json!("\u{e9}\u{1f600}"),
        json!("x".repeat(300)),
        json!("x".repeat(9_000)),
    ]
}

/// Values at and around the bounds of a type, and pieces that are put together at random.
fn values(key: &Key, dice: &mut Dice) -> Vec<Value> {
    let mut all = strangers();
    match key.kind {
        Type::Integer { min, max, .. } | Type::OrZero { min, max, .. } => {
            all.extend([min, min + 1, max - 1, max, max + 1, max * 10].map(|number| json!(number)));
            all.extend([
                json!(min.wrapping_sub(1) as i64),
                json!(min as f64),
                json!(max as f64),
                json!(max as f64 + 0.5),
            ]);
        }
        Type::Flag => all.extend([json!(false), json!(0), json!(1), json!("false")]),
        Type::Choice(options) => {
            all.extend(options.iter().flat_map(|option| {
                [json!(option), json!(option.to_uppercase()), json!(format!("{option} ")), json!([option])]
            }));
        }
        Type::Text { max } => {
            all.extend([max - 1, max, max + 1].map(|len| json!("\u{e9}".repeat(len))));
        }
        Type::Pem => all.extend([
            json!("-----BEGIN CERTIFICATE-----"),
            json!("x\n-----BEGIN CERTIFICATE-----\ny\n"),
            json!("-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----"),
        ]),
        Type::HeaderValue | Type::Header => {
            all.extend([8_191, 8_192, 8_193].map(|len| json!("a".repeat(len))));
            all.extend(random(dice, 40, &["a", " ", "~", "\u{7f}", "!", "\t", "\u{e9}", "\r\n"], 5));
        }
        Type::Region => {
            all.extend(hosts(dice));
            let parts =
                ["eu", "EU", "eusc", "zz", "my", "central", "CENTRAL-1", "-", "--", "1", "12", "123", ".pure.cloud"];
            all.extend(random(dice, 150, &parts, 5));
            let hosts = ["", "api.", "Login.", "www.", "streaming."];
            let rest =
                ["mypurecloud.de", "EUW2.pure.cloud", "eu-central-1", "us-east-2", "pure.cloud", "127.0.0.1", "9"];
            all.extend(hosts.iter().flat_map(|host| rest.map(|rest| json!(format!("{host}{rest}")))));
        }
        Type::Url { secure, plain } => all.extend(urls(dice, &[secure, plain, "HTTPS", "Ws", "ftp", ""])),
        Type::Proxy => {
            all.extend(["none", "environment", "None"].map(|word| json!(word)));
            all.extend(urls(dice, &["http", "HTTP", "https", "socks5"]));
        }
        Type::Scopes => {
            all.extend(lists(dice, &["a", "a:read", "a b", "", "\"", "\\", "!", "[", "]", "~", "\u{e9}", "#"]))
        }
        Type::Topics => {
            let names = ["v2.users.a?presence&calls".to_owned(), "\u{e9}".to_owned(), "a b".to_owned(), String::new()];
            let names: Vec<String> = names.into_iter().chain([199, 200, 201].map(|len| "t".repeat(len))).collect();
            all.extend(lists(dice, &names.iter().map(String::as_str).collect::<Vec<_>>()));
            all.extend([999, 1_000, 1_001].map(|len| json!(vec!["t"; len])));
        }
        Type::Patterns => all.extend(lists(dice, &["a", "Too Many", "", " ", "a,b", "\u{1}", "\u{e9}"])),
        Type::Algorithms => {
            all.extend(lists(dice, &["RS256", "EdDSA", "rs256", "none", "HS256", "", "ES256K", "Ed25519", " ES256"]));
        }
        Type::CloseCodes => all.extend(lists(
            dice,
            &[
                "4001=final",
                "1000=retry",
                "4999=drain",
                "5000=token",
                "999=token",
                "04001=final",
                "4001 = final",
                "4001",
            ],
        )),
        Type::Hosts => all.extend(exceptions(dice)),
        Type::Pins => {
            let pin = |last: char| format!("sha256/{}{last}=", "A".repeat(42));
            let (good, bad) = (pin('8'), pin('9'));
            all.extend(lists(dice, &[&good, &bad, &good[1..], "sha1/AAAA", ""]));
        }
        // Whatever it is: they are refused. A type that is new has no values here yet.
        _ => assert!(key.is_secret(), "{}", key.name),
    }
    all
}

fn random(dice: &mut Dice, count: usize, pieces: &[&str], most: usize) -> Vec<Value> {
    let mut one = || (0..dice.below(most + 1)).map(|_| *dice.pick(pieces)).collect::<String>();
    (0..count).map(|_| json!(one())).collect()
}

fn lists(dice: &mut Dice, items: &[&str]) -> Vec<Value> {
    let mut all: Vec<Value> = items.iter().flat_map(|item| [json!([item]), json!(item)]).collect();
    all.extend((0..20).map(|_| {
        let mut list: Vec<&str> = (0..dice.below(4)).map(|_| *dice.pick(items)).collect();
        // That a close code stands there once cannot be said in a schema.
        list.sort_unstable();
        list.dedup();
        json!(list)
    }));
    let good = items[0];
    all.push(json!(vec![good; 1_025]));
    all
}

const LABELS: [&str; 8] = ["a", "a-b", "-a", "a-", "a_b", "\u{e9}", "", "A9"];
const V6: [&str; 14] = [
    "::",
    "::1",
    "1::",
    "1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7::",
    "1:2:3:4:5:6:7:8:9",
    "1::2::3",
    "::1.2.3.4",
    "1:2:3:4:5:6:1.2.3.4",
    "1:2:3:4:5:6:7:1.2.3.4",
    "::1.2.3.256",
    "12345::",
    "fe80::1%1",
    "1:2:3::4:5:6:7",
];

fn host(dice: &mut Dice) -> String {
    let labels: Vec<&str> = (0..=dice.below(3)).map(|_| *dice.pick(&LABELS)).collect();
    labels.join(".")
}

fn hosts(dice: &mut Dice) -> Vec<Value> {
    let (label, longest) = ("a".repeat(63), format!("{}a", "a.".repeat(126)));
    let long = [label.clone(), format!("{label}a"), longest.clone(), format!("{longest}a"), format!("{longest}.a")];
    let mut all: Vec<Value> = long.iter().map(|host| json!(host)).collect();
    all.extend((0..80).map(|_| json!(host(dice))));
    all
}

fn authorities(dice: &mut Dice, count: usize) -> Vec<String> {
    let ports = ["", ":", ":0", ":1", ":080", ":65535", ":65536", ":99999", ":+1", ":x", ":1:2"];
    let mut all: Vec<String> = V6.iter().map(|address| format!("[{address}]:1")).collect();
    let longest = format!("{}a", "a.".repeat(126));
    all.extend([format!("{longest}:1"), format!("{longest}a:1"), format!("{longest}.a:1")]);
    all.extend((0..count).map(|_| {
        let host = if dice.below(4) == 0 { format!("[{}]", dice.pick(&V6)) } else { host(dice) };
        format!("{host}{}", dice.pick(&ports))
    }));
    all
}

fn urls(dice: &mut Dice, schemes: &[&str]) -> Vec<Value> {
    let paths = ["", "/", "//", "/a", "?", "?q=1", "/a?b@c", "#f", "/#", "/ ", "/\u{e9}", "\\", "@h", "/~!$"];
    let mut all: Vec<String> = authorities(dice, 120)
        .into_iter()
        .map(|authority| format!("{}://{authority}{}", dice.pick(schemes), dice.pick(&paths)))
        .collect();
    let scheme = schemes[0];
    all.extend([format!("{scheme}:/h:1"), format!("u:p@{scheme}://h:1"), format!("{scheme}://u:p@h:1")]);
    all.extend([2_047, 2_048, 2_049].map(|len| format!("{scheme}://h:1/{}", "a".repeat(len - scheme.len() - 7))));
    all.iter().map(|url| json!(url)).collect()
}

fn exceptions(dice: &mut Dice) -> Vec<Value> {
    let mut all = authorities(dice, 100);
    let networks =
        ["10.0.0.0/8", "10.0.0.0/32", "10.0.0.0/33", "10.0.0/8", "256.0.0.0/8", "::/128", "::/129", "::/+8", "1::/08"];
    all.extend(networks.iter().chain(&["*", "**", "a*", "a/b", ""]).map(|text| (*text).to_owned()));
    all.extend(V6.iter().map(|address| (*address).to_owned()));
    let dotted: Vec<String> =
        all.iter().flat_map(|text| [format!(".{text}"), format!("*.{text}"), format!("{text}.")]).collect();
    all.extend(dotted);
    let mut values: Vec<Value> = all.iter().map(|text| json!([text])).collect();
    values.push(json!(vec!["*"; 1_024]));
    values.push(json!(vec!["*"; 1_025]));
    values
}

#[test]
fn schema_and_library_agree_on_every_key() {
    let validator = validator();
    let mut dice = Dice(20_261_123);
    let mut judged = 0;
    for key in keys() {
        let name = name(key);
        let (mut good, mut bad) = (0, 0);
        for value in values(key, &mut dice) {
            for document in spellings(&name, &value) {
                *if judge(&validator, &document) { &mut good } else { &mut bad } += 1;
            }
        }
        assert!(bad > 0 && (good > 0) != key.is_secret(), "{name}: {good} accepted, {bad} refused");
        judged += good + bad;
    }
    assert!(judged > 5_000, "{judged}");
}

#[test]
fn schema_and_library_agree_on_names() {
    let validator = validator();
    for header in [
        "X",
        "Cookie",
        "Host",
        "hOST",
        "host2",
        "Origin",
        "Sec-WebSocket-Key",
        "SEC-websocket-",
        "Sec-WebSocket",
        "a b",
        "",
        "x.y",
    ] {
        for document in [json!({"ws": {"header": {header: "1"}}}), json!({ format!("ws.header.{header}"): "1" })] {
            judge(&validator, &document);
        }
    }
    let at_limit = ["a".repeat(128), "a".repeat(129)].map(|name| judge(&validator, &json!({"ws.header": {name: "1"}})));
    assert_eq!(at_limit, [true, false]);
    for document in [
        json!({}),
        json!([]),
        json!("x"),
        json!({"regoin": "h"}),
        json!({"tokn": {}}),
        json!({"token": {}}),
        json!({"token": {"": {}}}),
        json!({"token.": 1}),
        json!({"ws": {"header": {}}}),
        json!({"ws.header": {"X": {"Y": "1"}}}),
        json!({"ws.header.X": {"Y": "1"}}),
        json!({"proxy": {"https": "none"}}),
        json!({"proxy": {"https": "none", "https.": "none"}}),
        json!({"proxy": "none", "proxy.wss": "none", "token": {"attempts": 5.0}, "delivery": ""}),
        json!({"region": {"": "h"}}),
    ] {
        judge(&validator, &document);
    }
    for key in keys().iter().filter(|key| !key.is_secret()) {
        let slip = format!("{}x", name(key));
        judge(&validator, &json!({ slip: "1" }));
        judge(&validator, &json!({ name(key).to_uppercase(): "1" }));
    }
}

/// What `to_json` writes fits the schema, once secrets and what may be one are left out.
#[test]
fn the_effective_configuration_fits_the_schema() {
    let shown: Map<String, Value> = serde_json::from_str(&Config::new().to_json()).expect("an object");
    let open: Map<String, Value> = shown.into_iter().filter(|(_, value)| !value.is_null()).collect();
    assert!(judge(&validator(), &Value::Object(open.clone())));
    let secrets = keys().iter().filter(|key| key.is_secret() || key.kind == Type::Header).count();
    assert_eq!(open.len() + secrets, keys().len());
}

#[test]
fn the_schema_says_what_the_table_says() {
    let schema = schema();
    for key in keys() {
        let definition = &schema["$defs"][key.name.replace("<Name>", "NAME")];
        let description = definition["description"].as_str().expect("a description");
        assert!(description.starts_with(key.doc), "{}: {definition}", key.name);
        assert_eq!(definition["writeOnly"] == true, key.is_secret() || key.kind == Type::Header, "{}", key.name);
        if let Type::Integer { min, max, .. } = key.kind {
            assert_eq!((definition["minimum"].as_u64(), definition["maximum"].as_u64()), (Some(min), Some(max)));
            assert_eq!(definition["default"].to_string(), key.default, "{}", key.name);
        }
        if let Type::OrZero { min, max, .. } = key.kind {
            let gap = json!({"exclusiveMinimum": 0, "exclusiveMaximum": min});
            assert_eq!((definition["maximum"].as_u64(), &definition["not"]), (Some(max), &gap), "{}", key.name);
        }
    }
}
