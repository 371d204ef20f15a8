/*
 * Questions of the library, asked at each renewal: the first is answered in the callback, the second is moved to another
 * thread and answered there, the third is left where it is, which refuses it at once and in words. The client lives on.
 */
#include "cases.hpp"

#include <thread>

namespace {

void answer(gwa::request question, cases::counters &seen)
{
    CHECK(question && question.kind() == GWA_REQUEST_PERSIST_REFRESH_TOKEN);
    CHECK(!question.try_refresh_token().value().view().empty());
    CHECK_STATUS(question.try_complete("no answer here").status(), GWA_E_INVALID_ARGUMENT);
    CHECK(question); /* it is still open */
    CHECK_OK(question.try_complete());
    CHECK(!question);
    CHECK_STATUS(question.try_complete().status(), GWA_E_BAD_HANDLE);
    seen.add("answered");
}

} // namespace

void cases::questions()
{
    counters seen;
    std::thread elsewhere;
    gwa::config config = config_from_environment();
    CHECK_OK(config.try_on_ask([&seen, &elsewhere](gwa::request &question) {
        seen.add("asked");
        const int n = seen.get("asked");
        if (n == 1) {
            answer(std::move(question), seen);
        } else if (n == 2) {
            elsewhere = std::thread([&seen](gwa::request moved) { answer(std::move(moved), seen); }, std::move(question));
        }
        CHECK(n > 2 || !question);
    }));
    CHECK_OK(config.try_on_audit([&seen](gwa::audit_view record) {
        if (record.kind() == "refresh_token_not_persisted") {
            CHECK(record.json().str().find("on_ask neither answered nor kept the question") != std::string::npos);
            seen.add("refused");
        }
        return gwa::hook::done;
    }));
    CHECK_OK(config.try_on_token([&seen](gwa::token_view) { seen.add("token"); }));
    gwa::client client = gwa::client::try_create(config).value();
    CHECK_OK(client.try_connect(seconds(20)));
    seen.wait("refused", 1);
    seen.wait("token", 4);
    elsewhere.join();
    CHECK(seen.get("answered") == 2 && client.callback_exceptions() == 0);
    CHECK_STATUS(client.try_shutdown(seconds(10)).status(), GWA_OK);
}
