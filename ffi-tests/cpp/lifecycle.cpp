/*
 * A whole life against the simulator by the forms that do not throw: every callback is called with what it promises, what
 * is cloned outlives callback and client, and captures are destroyed when the client is.
 */
#include "cases.hpp"

namespace {

struct kept {
    kept() : lock(), message(), state(), token(), record() {}

    std::mutex lock;
    gwa::event message, state;
    gwa::token token;
    gwa::audit_record record;
};

void register_all(gwa::config &config, cases::counters &seen, kept &keep, const std::shared_ptr<int> &witness)
{
    CHECK_OK(config.try_on_message([&seen, &keep, witness](gwa::event_view message) {
        CHECK(message && message.kind() == GWA_EVENT_MESSAGE && message.data().data()[message.data().size()] == '\0');
        CHECK(message.message_kind() == GWA_TEXT || message.message_kind() == GWA_BINARY);
        const std::lock_guard<std::mutex> guard(keep.lock);
        keep.message = message.clone();
        seen.add("message");
    }));
    CHECK_OK(config.try_on_state([&seen, &keep, witness](gwa::event_view change) {
        if (change.kind() == GWA_EVENT_STATE) {
            const std::lock_guard<std::mutex> guard(keep.lock);
            keep.state = change.clone();
            seen.add(gwa::state_name(change.state_to()).str());
        }
    }));
    CHECK_OK(config.try_on_token([&seen, &keep, witness](gwa::token_view token) {
        CHECK(!token.access_token().empty() && token.type() == "bearer");
        CHECK(token.expires_in().count() > 0 && token.granted_at() <= std::chrono::system_clock::now());
        const std::lock_guard<std::mutex> guard(keep.lock);
        keep.token = token.clone();
        seen.add("token");
    }));
    CHECK_OK(config.try_on_audit([&seen, &keep, witness](gwa::audit_view record) {
        CHECK(!record.is_siem() && record.seq() > 0);
        const std::lock_guard<std::mutex> guard(keep.lock);
        keep.record = record.clone();
        seen.add("audit");
        return gwa::hook::done;
    }));
    CHECK_OK(config.try_on_siem([&seen, witness](gwa::audit_view record) {
        CHECK(record.is_siem());
        seen.add("siem");
        return gwa::hook::failed;
    }));
    CHECK_OK(config.try_on_sent([&seen, witness](uint64_t id, gwa_status_t outcome) {
        CHECK(id > 0 && outcome == GWA_OK);
        seen.add("sent");
    }));
    CHECK_OK(config.try_on_log([&seen, witness](int32_t level, gwa::text_view target, gwa::text_view text) {
        CHECK(level >= GWA_LOG_ERROR && level <= GWA_LOG_TRACE && !target.empty() && !text.empty());
        seen.add("log");
    }));
    CHECK_OK(config.try_on_thread([&seen, witness](int32_t moment, int32_t thread, gwa::text_view name) {
        CHECK(thread >= GWA_THREAD_REFRESH && thread <= GWA_THREAD_DISPATCH && name.str().find("gwa-") == 0);
        seen.add(moment == GWA_THREAD_STARTED ? "started" : "ending");
    }));
}

void go_through(gwa::client &client, cases::counters &seen)
{
    CHECK(client.try_state().value() == GWA_STATE_IDLE);
    CHECK_OK(client.try_connect(cases::seconds(20)));
    CHECK_STATUS(client.try_start().status(), GWA_E_BAD_STATE);
    seen.wait("message", 3);
    CHECK(client.try_send("hello").value() > 0);
    CHECK(client.try_send(gwa::text_view("\0\1\2", 3), GWA_BINARY).value() > 0);
    CHECK(client.try_send(std::string("text")).value() > 0);
    CHECK_STATUS(client.try_send(gwa::text_view("\xff", 1)).status(), GWA_E_INVALID_UTF8);
    seen.wait("sent", 3);
    seen.wait("siem", 1);
    seen.wait("log", 1);
    const gwa::token token = client.try_token(std::chrono::milliseconds(0), cases::seconds(5)).value();
    CHECK(token && token.granted_at() > std::chrono::system_clock::time_point());
    const gwa_metrics_t metrics = client.try_metrics().value();
    CHECK(metrics.struct_size == sizeof metrics && metrics.connects >= 1 && metrics.messages_received >= 3);
    CHECK(metrics.hook_failures > 0); /* on_siem fails on purpose */
    CHECK_OK(client.try_unregister(GWA_CALLBACK_SENT, gwa::no_limit));
    CHECK(client.try_send("nobody is told").value() > 0);
    const gwa::text stats = client.try_stats().value();
    CHECK(!stats.view().empty() && *stats.view().begin() == '{');
}

} // namespace

void cases::lifecycle()
{
    counters seen;
    kept keep;
    const auto witness = std::make_shared<int>(0);
    {
        gwa::config config = config_from_environment();
        register_all(config, seen, keep, witness);
        gwa::result<gwa::client> made = gwa::client::try_create(config);
        CHECK_OK(made);
        gwa::client client = std::move(made).value();
        config.reset();
        CHECK(witness.use_count() == 9);
        go_through(client, seen);
        CHECK_STATUS(client.interrupt(), GWA_OK);
        const gwa::result<gwa_shutdown_report_t> ended = client.try_shutdown(seconds(10));
        CHECK_STATUS(ended.status(), GWA_OK);
        CHECK(ended.value().complete == 1 && ended.value().close_handshake == 1 && !ended.value().stuck_callback);
        CHECK(client.try_state().value() == GWA_STATE_CLOSED && client.callback_exceptions() == 0);
        CHECK(witness.use_count() >= 1);
    }
    CHECK(witness.use_count() == 1);
    CHECK(seen.get("sent") == 3 && seen.get("started") == 3 && seen.get("ending") == 3);
    CHECK(seen.get("Ready") > 0 && seen.get("Closed") == 1);
    CHECK(!keep.message.data().empty() && keep.token.type() == "bearer" && !keep.record.json().empty());
    CHECK(keep.state.state_to() == GWA_STATE_CLOSED && !keep.state.reason().empty());
    keep.message = gwa::event();
    keep.state = gwa::event();
    keep.token = gwa::token();
    keep.record = gwa::audit_record();
}
