//! Where a channel's `connectUri` may lead: it comes from the network, and its owner gets everything that the channel carries.

use crate::config::settings::Settings;
use crate::config::url;
use crate::error::{Code, Error, Stage};
use crate::proto::mutant::{active, Mutant};

/// Whether a channel's `connectUri` is a `wss` URL of the streaming host that is set, and of its port, with neither
/// credentials nor a fragment. `ws` only where the settings allow it, and to a loopback address. The error does not
/// repeat the URI, which is a secret.
pub fn check(uri: &str, settings: &Settings) -> Result<(), Error> {
    if active(Mutant::UriUnchecked) {
        return Ok(());
    }
    let bad = |why: &str| Error::new(Code::ChannelUri, Stage::Channel, format!("Not dialled: {why}."));
    let parsed = url::parse(uri, "wss", "ws").map_err(&bad)?;
    if parsed.plain && !(settings.allow_plain_loopback && parsed.is_loopback()) {
        return Err(bad("it is without TLS"));
    }
    let port = if parsed.plain { 80 } else { 443 };
    let authority = uri.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?']).next().unwrap_or_default();
    let (host, given) = url::authority(authority).map_err(&bad)?;
    let (own_host, own) = url::authority(&settings.streaming_host).map_err(&bad)?;
    if !host.eq_ignore_ascii_case(own_host) {
        return Err(bad("its host is not the streaming host"));
    }
    if given.unwrap_or(port) != own.unwrap_or(port) {
        return Err(bad("its port is another than the streaming host's"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(uri: &str, host: &str, plain: bool) -> bool {
        let settings = Settings { streaming_host: host.into(), allow_plain_loopback: plain, ..Settings::default() };
        let outcome = check(uri, &settings);
        if let Err(error) = &outcome {
            assert_eq!(error.code(), Code::ChannelUri);
            assert!(!format!("{error} {error:?}").contains("streaming-0"), "{error}");
        }
        outcome.is_err()
    }

    #[test]
    fn only_the_streaming_host_by_wss() {
        let host = "streaming.mypurecloud.com";
        assert!(!fails("wss://streaming.mypurecloud.com/channels/streaming-0-a", host, false));
        assert!(!fails("WSS://Streaming.MyPureCloud.com:443/channels/streaming-0-a", host, false));
        for uri in [
            "ws://streaming.mypurecloud.com/channels/streaming-0-a",
            "https://streaming.mypurecloud.com/channels/streaming-0-a",
            "wss://streaming.mypurecloud.com.evil.example/channels/streaming-0-a",
            "wss://evil.example/streaming.mypurecloud.com/streaming-0-a",
            "wss://streaming.mypurecloud.com@evil.example/streaming-0-a",
            "wss://user:streaming-0@streaming.mypurecloud.com/",
            "wss://streaming.mypurecloud.com:8443/channels/streaming-0-a",
            "wss://streaming.mypurecloud.com/channels/streaming-0-a#x",
            "wss://streaming.mypurecloud.com/channels/streaming-0 a",
            "wss:///channels/streaming-0-a",
            "/channels/streaming-0-a",
            "",
        ] {
            assert!(fails(uri, host, true), "{uri}");
        }
    }

    #[test]
    fn without_tls_only_to_this_machine_and_where_it_is_allowed() {
        assert!(!fails("ws://127.0.0.1:8080/channels/streaming-0-a", "127.0.0.1:8080", true));
        assert!(!fails("ws://[::1]:8080/channels/streaming-0-a", "[::1]:8080", true));
        assert!(!fails("wss://localhost:8443/channels/streaming-0-a", "localhost:8443", false));
        assert!(fails("ws://127.0.0.1:8080/channels/streaming-0-a", "127.0.0.1:8080", false));
        assert!(fails("ws://127.0.0.1:8081/channels/streaming-0-a", "127.0.0.1:8080", true));
        assert!(fails("ws://10.0.0.1:8080/channels/streaming-0-a", "10.0.0.1:8080", true));
    }
}
