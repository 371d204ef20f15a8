/* The throwing forms: what is thrown carries the whole error, and objects stay usable. */
#include "cases.hpp"

#if THROWING
namespace {

template <class Call> gwa::exception thrown_by(Call call)
{
    try {
        call();
    } catch (const gwa::exception &exception) {
        return exception;
    }
    cases::fail(__FILE__, __LINE__, "nothing was thrown");
}

void by_configuration()
{
    gwa::config config;
    const gwa::exception unknown = thrown_by([&] { config.set("tokn.url", "x"); });
    CHECK(unknown.code() == GWA_E_UNKNOWN_KEY && unknown.error().name() == "GWA_E_UNKNOWN_KEY");
    CHECK(std::string(unknown.what()).find("token.url") != std::string::npos); /* names the nearest */
    CHECK(unknown.error().stage() == "configure" && !unknown.error().hint().empty());
    CHECK(unknown.error().category() == GWA_CATEGORY_CONFIG && unknown.error().category_name() == "config");
    CHECK(unknown.error().std_code() == gwa::error_code(GWA_E_UNKNOWN_KEY));
    const std::runtime_error &as_standard = unknown;
    CHECK(*as_standard.what() != '\0');
    const gwa::exception inside = thrown_by([&] { config.set("client.id", std::string("a\0b", 3)); });
    CHECK(inside.code() == GWA_E_INVALID_ARGUMENT && inside.error().message() == gwa::status_text(inside.code()));
    CHECK(thrown_by([&] { gwa::client client(config); }).code() == GWA_E_MISSING_KEY);
    config.set("client.id", "id").set_secret("client.secret", "secret").set_json("{\"token\": {\"attempts\": 1}}");
    gwa::config moved(std::move(config));
    CHECK(thrown_by([&] { config.set("client.id", "id"); }).code() == GWA_E_BAD_HANDLE);
    gwa::client client(moved);
    CHECK(client.state() == GWA_STATE_IDLE);
    CHECK(thrown_by([&] { client.refresh_now(); }).code() == GWA_E_BAD_STATE);
    CHECK(thrown_by([&] { client.subscribe({"v2.users.a.presence"}); }).code() == GWA_E_BAD_STATE);
    CHECK(thrown_by([&] { client.unsubscribe({"v2.users.a.presence"}); }).code() == GWA_E_BAD_STATE);
    CHECK(thrown_by([&] { client.send("x"); }).code() == GWA_E_BAD_STATE);
    CHECK(thrown_by([&] { client.next_event(gwa::no_limit); }).code() == GWA_E_BAD_STATE);
    CHECK(thrown_by([] { gwa::client().start(); }).code() == GWA_E_BAD_HANDLE);
}

void by_connection()
{
    gwa::config config = cases::config_from_environment();
    config.set("token.url", "https://127.0.0.1:1/oauth/token").set("token.attempts", "1");
    gwa::client client(config);
    const gwa::exception refused = thrown_by([&] { client.connect(cases::seconds(20)); });
    CHECK(refused.code() == GWA_E_CONNECT && refused.error().stage() == "connect");
    CHECK(refused.error().os_errno() != 0 && refused.error().host() == "127.0.0.1:1");
    CHECK(refused.error().is_retriable() && !refused.error().is_fatal());
    CHECK(client.shutdown(cases::seconds(5)).complete == 1);
}

} // namespace

void cases::exceptions()
{
    by_configuration();
    by_connection();
    gwa::check_abi();
    const std::string denial = gwa::check_scopes("opaque", {"conversation:read"}).str();
    CHECK(denial.find("\"isValid\":") != std::string::npos);
    const std::string digits(64, 'a'), sealed = "{\"mac_epoch\":1,\"mac\":\"" + digits + "\"}";
    gwa::audit_verifier verifier = gwa::audit_verifier::make(digits);
    verifier.begin_after(sealed);
    verifier.expect(sealed);
    verifier.feed(sealed);
    CHECK(verifier.finish() == GWA_AUDIT_NOT_A_CHAIN);
}
#else
void cases::exceptions()
{
    fail(__FILE__, __LINE__, "needs exceptions");
}
#endif
