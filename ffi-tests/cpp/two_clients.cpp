/* Two clients with one source of tokens, which is destroyed before them: the harness counts the token requests. */
#include "cases.hpp"

void cases::two_clients()
{
    counters seen;
    gwa::config config = config_from_environment();
    CHECK_OK(config.try_on_token([&seen](gwa::token_view token) {
        CHECK(!token.access_token().empty());
        seen.add("source");
    }));
    gwa::token_source source = gwa::token_source::try_create(config).value();
    CHECK(source);
    CHECK_OK(config.try_on_token(nullptr));
    CHECK_OK(config.try_on_message([&seen](gwa::event_view) { seen.add("message"); }));
    gwa::client first = gwa::client::try_create(config, source).value();
    gwa::client second = gwa::client::try_create(config, source).value();
    CHECK_STATUS(source.reset(), GWA_OK);
    CHECK_OK(first.try_connect(seconds(20)));
    CHECK_OK(second.try_connect(seconds(20)));
    seen.wait("message", 10);
    seen.wait("source", 1);
    CHECK(seen.get("source") == 1);
    CHECK_STATUS(second.reset(), GWA_OK);
    CHECK_OK(first.try_send("still there"));
    CHECK_STATUS(first.reset(), GWA_OK);
}
