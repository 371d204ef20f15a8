/*
 * Every callback throws every time: each exception is told to on_exception with the callback's name, each is counted,
 * hooks have failed, a question is refused at once, and the client lives on: messages keep coming, tokens are renewed.
 * Then the same with a handler that throws itself, and with none.
 */
#include "cases.hpp"

#include <stdexcept>

#if EXCEPTIONS
namespace {

[[noreturn]] void fails(const char *what) { throw std::runtime_error(what); }

void throw_everywhere(gwa::config &config, cases::counters &seen)
{
    CHECK_OK(config.try_on_message([&seen](gwa::event_view) {
        seen.add("message");
        fails("on_message");
    }));
    CHECK_OK(config.try_on_state([](gwa::event_view) { fails("on_state"); }));
    CHECK_OK(config.try_on_token([&seen](gwa::token_view) {
        seen.add("token");
        fails("on_token");
    }));
    CHECK_OK(config.try_on_audit([&seen](gwa::audit_view record) -> gwa::hook {
        if (record.kind() == "refresh_token_not_persisted") {
            CHECK(record.json().str().find("on_ask ended with an exception") != std::string::npos);
            seen.add("refused");
        }
        fails("on_audit");
    }));
    CHECK_OK(config.try_on_siem([](gwa::audit_view) -> gwa::hook { throw 1; }));
    CHECK_OK(config.try_on_ask([](gwa::request &) { fails("on_ask"); }));
    CHECK_OK(config.try_on_sent([](uint64_t, gwa_status_t) { fails("on_sent"); }));
    CHECK_OK(config.try_on_log([](int32_t, gwa::text_view, gwa::text_view) { fails("on_log"); }));
    CHECK_OK(config.try_on_thread([](int32_t, int32_t, gwa::text_view) { fails("on_thread"); }));
}

void report_to(gwa::config &config, cases::counters &seen)
{
    config.on_exception([&seen](std::exception_ptr why, const char *callback) {
        try {
            std::rethrow_exception(why);
        } catch (const std::runtime_error &error) {
            CHECK(std::string(error.what()) == callback);
        } catch (int) {
            CHECK(std::string("on_siem") == callback);
        }
        seen.add("reported");
        seen.add(callback);
    });
}

void live_on(gwa::client &client, cases::counters &seen)
{
    CHECK_OK(client.try_connect(cases::seconds(30)));
    const int before = seen.get("message");
    CHECK_OK(client.try_send("hello"));
    CHECK_OK(client.try_refresh_now());
    seen.wait("token", 2); /* renewed on the live socket */
    seen.wait("refused", 1);
    seen.wait("message", before + 10);
}

} // namespace

void cases::callback_exceptions()
{
    counters seen;
    gwa::config config = config_from_environment();
    throw_everywhere(config, seen);
    report_to(config, seen);
    {
        gwa::client client = gwa::client::try_create(config).value();
        live_on(client, seen);
        for (const char *name : {"on_message", "on_state", "on_token", "on_audit", "on_siem", "on_ask", "on_sent", "on_log",
                                 "on_thread"}) {
            seen.wait(name, 1);
        }
        CHECK_STATUS(client.try_shutdown(seconds(10)).status(), GWA_OK);
        const uint64_t hooks = client.try_metrics().value().hook_failures;
        CHECK(hooks == static_cast<uint64_t>(seen.get("on_audit") + seen.get("on_siem")));
        CHECK(client.callback_exceptions() == static_cast<uint64_t>(seen.get("reported")));
    }
    config.on_exception([](std::exception_ptr, const char *) { throw 2; });
    counters again;
    throw_everywhere(config, again);
    gwa::client client = gwa::client::try_create(config).value();
    const uint64_t before = client.callback_exceptions();
    live_on(client, again);
    CHECK_STATUS(client.try_shutdown(seconds(10)).status(), GWA_OK);
    const uint64_t twice = client.callback_exceptions() - before; /* the callback's, and the handler's */
    CHECK(twice >= 20 && twice % 2 == 0);
    config.on_exception(nullptr);
    counters unreported;
    throw_everywhere(config, unreported);
    gwa::client last = gwa::client::try_create(config).value();
    live_on(last, unreported);
    CHECK(last.callback_exceptions() > before + twice);
}
#else
void cases::callback_exceptions()
{
    fail(__FILE__, __LINE__, "needs exceptions");
}
#endif
