//! Which counter a loss, a failure and an audit record raise: closed lists, so that a client's memory is fixed.

use super::table::Counter;
use crate::config::settings::CloseClass;
use crate::error::{Category, Code, Error};

/// Why a live socket was lost. `class`: what the close code asks for, if it is one.
pub(crate) fn counter_of_loss(error: &Error, class: CloseClass) -> Counter {
    match error.code() {
        Code::WsClosed => match class {
            CloseClass::Retry => Counter::DropsCloseRetry,
            CloseClass::Drain => Counter::DropsCloseDrain,
            CloseClass::Token => Counter::DropsCloseToken,
            CloseClass::Final => Counter::DropsCloseFinal,
        },
        Code::PeerDead => Counter::DropsSilence,
        Code::WsProtocol | Code::MessageTooLarge => Counter::DropsProtocol,
        Code::TokenExpired | Code::TokenRevoked => Counter::DropsToken,
        Code::ChannelGone | Code::ChannelRefused | Code::ChannelUri => Counter::DropsChannel,
        Code::Displaced => Counter::DropsDisplaced,
        code => match code.category() {
            Category::Tcp => Counter::DropsReset,
            Category::Tls => Counter::DropsTls,
            _ => Counter::DropsOther,
        },
    }
}

/// What is counted when a socket that was lost for this is live again. `loss` is from [`counter_of_loss`].
pub(crate) fn counter_of_reconnect(loss: Counter) -> Counter {
    match loss {
        Counter::DropsReset => Counter::ReconnectsReset,
        Counter::DropsSilence => Counter::ReconnectsSilence,
        Counter::DropsCloseRetry => Counter::ReconnectsCloseRetry,
        Counter::DropsCloseDrain => Counter::ReconnectsCloseDrain,
        Counter::DropsCloseToken => Counter::ReconnectsCloseToken,
        Counter::DropsCloseFinal => Counter::ReconnectsCloseFinal,
        Counter::DropsTls => Counter::ReconnectsTls,
        Counter::DropsProtocol => Counter::ReconnectsProtocol,
        Counter::DropsToken => Counter::ReconnectsToken,
        Counter::DropsChannel => Counter::ReconnectsChannel,
        Counter::DropsDisplaced => Counter::ReconnectsDisplaced,
        _ => Counter::ReconnectsOther,
    }
}

/// Where an authentication attempt failed.
pub(crate) fn counter_of_failure(error: &Error) -> Counter {
    match error.code().category() {
        Category::Dns => Counter::FailuresDns,
        Category::Tcp => Counter::FailuresTcp,
        Category::Proxy => Counter::FailuresProxy,
        Category::Tls => Counter::FailuresTls,
        Category::Http => Counter::FailuresHttp,
        Category::Oauth => Counter::FailuresOauth,
        Category::Ws => Counter::FailuresWs,
        Category::Scope => Counter::FailuresScope,
        Category::Config | Category::Callback | Category::Panic | Category::Internal => Counter::FailuresOther,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Stage;
    use crate::metrics::table::ROWS;
    use crate::metrics::Counters;

    /// The label of the sample that a counter is told as.
    fn label(counter: Counter) -> &'static str {
        let counters = Counters::default();
        counters.set(counter, 1);
        let snapshot = counters.snapshot();
        ROWS.iter().find(|row| (row.read)(&snapshot) == 1).unwrap().label
    }

    #[test]
    fn a_failure_is_told_by_the_name_of_its_category() {
        for code in Code::ALL {
            let told = label(counter_of_failure(&Error::new(*code, Stage::Live, "")));
            let name = code.category().name();
            assert!(told == name || told == "other" && ["config", "callback", "panic", "internal"].contains(&name));
        }
    }

    #[test]
    fn the_table_of_causes() {
        let of = |code, class| {
            let loss = counter_of_loss(&Error::new(code, Stage::Live, ""), class);
            assert_eq!(label(counter_of_reconnect(loss)), label(loss));
            label(loss)
        };
        for (class, told) in [
            (CloseClass::Retry, "close_retry"),
            (CloseClass::Drain, "close_drain"),
            (CloseClass::Token, "close_token"),
            (CloseClass::Final, "close_final"),
        ] {
            assert_eq!(of(Code::WsClosed, class), told);
        }
        for (code, told) in [
            (Code::Dropped, "reset"),
            (Code::PeerDead, "silence"),
            (Code::Tls, "tls"),
            (Code::WsProtocol, "protocol"),
            (Code::TokenExpired, "token"),
            (Code::ChannelGone, "channel"),
            (Code::Displaced, "displaced"),
            (Code::Internal, "other"),
        ] {
            assert_eq!(of(code, CloseClass::Retry), told);
        }
    }
}
