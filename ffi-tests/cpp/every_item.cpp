/*
 * Every item of the wrapper is used once: on empty objects, which answer and do no harm, and on a configuration. The
 * harness compares the undefined symbols of this file's object with the functions of the C header. What types promise is
 * asserted at compile time.
 */
#include "cases.hpp"

#include <sstream>

namespace {

template <class T> constexpr bool owns()
{
    return !std::is_copy_constructible<T>::value && !std::is_copy_assignable<T>::value &&
           std::is_nothrow_move_constructible<T>::value && std::is_nothrow_move_assignable<T>::value &&
           std::is_nothrow_destructible<T>::value && !std::is_convertible<T, bool>::value &&
           sizeof(T) <= 3 * sizeof(void *);
}

template <class T> constexpr bool borrows()
{
    return std::is_trivially_destructible<T>::value && std::is_nothrow_copy_constructible<T>::value &&
           !std::is_convertible<T, bool>::value && sizeof(T) == sizeof(void *);
}

static_assert(owns<gwa::config>() && owns<gwa::client>() && owns<gwa::token_source>() && owns<gwa::request>(), "handles");
static_assert(owns<gwa::event>() && owns<gwa::audit_record>() && owns<gwa::error>() && owns<gwa::token>(), "objects");
static_assert(owns<gwa::text>(), "objects");
static_assert(borrows<gwa::event_view>() && borrows<gwa::audit_view>() && borrows<gwa::error_view>(), "views");
static_assert(borrows<gwa::token_view>(), "views");
static_assert(!std::is_convertible<gwa_event_t *, gwa::event>::value, "adopting is explicit");
static_assert(!std::is_convertible<gwa_config_t *, gwa::config>::value, "adopting is explicit");
static_assert(!std::is_convertible<const gwa_event_t *, gwa::event_view>::value, "so is viewing");
static_assert(!std::is_convertible<gwa::config, gwa::client>::value, "so is making a client");
static_assert(!std::is_copy_constructible<gwa::result<gwa::client>>::value, "results own what they give");
static_assert(std::is_nothrow_move_constructible<gwa::result<gwa::client>>::value, "results own what they give");
static_assert(noexcept(std::declval<gwa::client &>().try_start()), "what does not throw says so");
static_assert(noexcept(gwa::client::try_create(std::declval<const gwa::config &>())), "what does not throw says so");
#if THROWING
static_assert(std::is_base_of<std::runtime_error, gwa::exception>::value, "exceptions are of the standard's kind");
static_assert(std::is_nothrow_copy_constructible<gwa::exception>::value, "and can be copied while one is thrown");
#endif

template <class Error> void use_error(const Error &error)
{
    const std::string texts = error.name().str() + error.message().str() + error.hint().str() + error.stage().str() +
                              error.category_name().str() + error.oauth_error().str() + error.correlation_id().str() +
                              error.host().str() + error.missing_scopes().str();
    CHECK(!texts.empty());
    CHECK(error.http_status() == 0 && error.os_errno() == 0 && error.tls_alert() == -1 && error.ws_close_code() == 0);
    CHECK(error.attempt() == 0 && error.retry_after() == std::chrono::milliseconds(-1));
    CHECK(error.category() >= 0 && error.is_retriable() + error.is_fatal() <= 2);
    CHECK(error.clone().code() == error.code() && error.std_code() == gwa::error_code(error.code()));
}

template <class Token> void use_token(const Token &token)
{
    CHECK(!token && token.access_token().empty() && token.type().empty() && token.refresh_token().empty());
    CHECK(token.scope().empty() && token.expires_in() == std::chrono::milliseconds(0));
    CHECK(token.granted_at() == std::chrono::system_clock::time_point() && !token.clone());
}

template <class Audit> void use_audit(const Audit &record)
{
    CHECK(!record && record.json().empty() && record.seq() == 0 && record.kind().empty() && !record.is_siem());
    CHECK(!record.clone());
}

template <class Event> void use_event(const Event &event)
{
    CHECK(!event && event.kind() == 0 && !event.data().data() && event.message_kind() == 0 && event.connection() == 0);
    CHECK(event.state_from() == -1 && event.state_to() == -1 && event.reason().empty() && !event.error());
    CHECK(event.gap_number() == 0 && event.gap_from() == event.gap_to() && event.gap_duration() == gwa::no_limit * 0);
    CHECK(event.gap_correlation_id().empty() && event.topics().empty() && event.topics().size() == 0);
    CHECK(event.topics().begin() == event.topics().end() && event.topics()[0].id().empty());
    for (const gwa::topic_view topic : event.topics()) {
        CHECK(topic.state() == 0 && topic.reason().empty() && topic.missing().empty());
    }
    CHECK(event.topics()[1].state() == 0 && !event.topics()[1].reason().data() && !event.topics()[1].missing().data());
    CHECK(event.previous_connection() == 0 && event.clock_change() == std::chrono::milliseconds(0));
    CHECK(event.sent_id() == 0 && event.outcome() == GWA_OK && !event.token() && event.request_kind() == 0);
    CHECK_STATUS(event.try_request().status(), GWA_E_INVALID_ARGUMENT);
    CHECK(!event.audit() && event.log_level() == 0 && event.log_target().empty() && event.log_text().empty());
    CHECK(!event.clone());
}

void use_request()
{
    gwa::request request;
    CHECK(!request && request.kind() == 0 && request.get() == nullptr && request.release() == nullptr);
    CHECK(!request.try_refresh_token().ok());
    CHECK(request.authorize_url().empty());
    CHECK_STATUS(request.try_complete("answer", std::chrono::seconds(1)).status(), GWA_E_BAD_HANDLE);
    CHECK_STATUS(request.try_fail(GWA_E_TIMEOUT, "why").status(), GWA_E_BAD_HANDLE);
}

void use_config()
{
    gwa::config config;
    CHECK(config && config.get());
    CHECK_OK(config.try_set("client.id", std::string("id")));
    CHECK_OK(config.try_set(gwa::text_view("client.id+", 9), gwa::text_view("id+", 2)));
    CHECK_STATUS(config.try_set(std::string(300, 'k'), "").status(), GWA_E_UNKNOWN_KEY);
    CHECK_STATUS(config.try_set(gwa::text_view("client.id\0x", 11), "").status(), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(config.try_set("client.id", nullptr).status(), GWA_E_INVALID_ARGUMENT);
    CHECK_OK(config.try_set_secret("client.secret", "secret"));
    CHECK_OK(config.try_set_json("{\"token.attempts\": 2}"));
    CHECK_OK(config.try_set_from_env());
    CHECK(config.try_json().value().str().find("\"token.attempts\"") != std::string::npos);
    CHECK(gwa::config::try_schema().value().str().find("2020-12") != std::string::npos);
    CHECK_OK(config.try_on_message(nullptr));
    CHECK_OK(config.try_on_audit(nullptr));
    CHECK_OK(config.try_on_siem(nullptr));
    CHECK_OK(config.try_on_state(nullptr));
    CHECK_OK(config.try_on_token(nullptr));
    CHECK_OK(config.try_on_ask(nullptr));
    CHECK_OK(config.try_on_sent(nullptr));
    CHECK_OK(config.try_on_log(nullptr));
    CHECK_OK(config.try_on_thread(nullptr));
#if EXCEPTIONS
    config.on_exception([](std::exception_ptr, const char *) {});
#endif
    gwa::client client = gwa::client::try_create(config).value();
    CHECK_STATUS(client.try_unregister(0, gwa::no_limit).status(), GWA_E_INVALID_ARGUMENT);
    CHECK_OK(client.try_unregister(GWA_CALLBACK_MESSAGE, gwa::no_limit));
    CHECK(client && client.get() && client.try_state().value() == GWA_STATE_IDLE && client.event_fd() == -1);
}

void use_topics()
{
    gwa::config config;
    CHECK_OK(config.try_set("profile", "notifications"));
    CHECK_OK(config.try_set("client.id", "id"));
    CHECK_OK(config.try_set_secret("client.secret", "secret"));
    gwa::client client = gwa::client::try_create(config).value();
    const std::vector<std::string> topics = {"v2.users.a?presence&routingStatus", "v2.system.token_revoked.x"};
    CHECK_OK(client.try_subscribe(topics));
    CHECK_OK(client.try_subscribe({"v2.users.b.presence"}, {"presence"}));
    CHECK_OK(client.try_subscribe({}));
    CHECK_OK(client.try_unsubscribe(topics));
    CHECK_STATUS(client.try_subscribe({""}).status(), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(client.try_subscribe({std::string("v2.a\0b", 6)}).status(), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(client.try_subscribe({"v2.a"}, {std::string(1, '\0')}).status(), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(client.try_unsubscribe({std::string(1, '\0')}).status(), GWA_E_INVALID_ARGUMENT);
}

void use_source()
{
    gwa::token_source source;
    CHECK(!source && !source.get() && source.callback_exceptions() == 0 && source.reset() == GWA_OK);
    const gwa::config none(nullptr);
    CHECK_STATUS(gwa::token_source::try_create(none).status(), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa::client::try_create(none, source).status(), GWA_E_BAD_HANDLE);
}

void use_client()
{
    gwa::client client;
    CHECK(!client && !client.get() && client.callback_exceptions() == 0);
    CHECK_STATUS(gwa::client::try_create(gwa::config(nullptr)).status(), GWA_E_BAD_HANDLE);
    const gwa_status_t all[] = {
        client.try_start().status(),
        client.try_connect(gwa::no_limit).status(),
        client.try_send("x").status(),
        client.try_refresh_now().status(),
        client.try_drain_notice().status(),
        client.try_subscribe({"v2.users.a.presence", "v2.users.b.presence"}, {"presence"}).status(),
        client.try_unsubscribe({"v2.users.a.presence"}).status(),
        client.try_token(std::chrono::seconds(0), std::chrono::seconds(-1)).status(),
        client.try_set_secret("client.secret", "x").status(),
        client.try_unregister(GWA_CALLBACK_LOG, gwa::no_limit).status(),
        client.try_unregister_later(GWA_CALLBACK_LOG).status(),
        client.try_state().status(),
        client.try_next_event(std::chrono::hours(2000)).status(),
        client.interrupt(),
        client.try_shutdown(std::chrono::seconds(1)).status(),
        client.try_metrics().status(),
        client.try_stats().status(),
        client.try_config().status(),
    };
    for (const gwa_status_t status : all) {
        CHECK_STATUS(status, GWA_E_BAD_HANDLE);
    }
    CHECK(client.event_fd() == -1);
    CHECK_STATUS(client.reset(), GWA_OK);
}

void use_results()
{
    gwa::result<uint64_t> number(uint64_t(7));
    CHECK(number && number.ok() && *number == 7 && number.value() == 7 && number.status() == GWA_OK && !number.error());
    gwa::result<gwa::text> none(gwa::error(GWA_E_TIMEOUT));
    CHECK(!none && !none.value() && !none->view().data() && none.take_error().std_code() == std::errc::timed_out);
    CHECK(gwa::result<void>().ok() && !gwa::result<void>(gwa::error(GWA_E_DNS)));
    CHECK(gwa::result<int32_t>(1, GWA_DEFERRED).ok());
    const gwa::error plain(GWA_E_CANCELLED);
    CHECK(plain && plain.name() == "GWA_E_CANCELLED" && plain.std_code() == std::errc::operation_canceled);
    use_error(plain);
    gwa::result<void> bad = gwa::config().try_set("nonsense", "");
    CHECK(bad.error() && bad.error().get() && bad.error().view().code() == GWA_E_UNKNOWN_KEY);
    use_error(bad.error());
    use_error(bad.error().view());
    CHECK(!gwa::error() && !gwa::error_view(nullptr) && gwa::error_view(nullptr).code() == GWA_OK);
}

void use_texts()
{
    const gwa::text_view literal("abc");
    CHECK(literal == std::string("abc") && literal != "abd" && literal.str() == "abc" && literal.size() == 3);
    CHECK(gwa::text_view().empty() && gwa::text_view(nullptr) == "" && gwa::text_view().str().empty());
    CHECK(std::string(literal.begin(), literal.end()) == "abc" && *literal.data() == 'a');
    std::ostringstream out;
    out << literal << gwa::text_view();
    CHECK(out.str() == "abc");
#if __cplusplus >= 201703L
    const std::string_view view = literal;
    CHECK(view == literal && literal == view && !(view != literal) && !(literal != view));
    CHECK(gwa::text_view(view.substr(1)) == "bc" && gwa::text_view(std::string_view()).empty());
    gwa::config config;
    CHECK_OK(config.try_set(std::string_view("client.id!").substr(0, 9), std::string_view("name!").substr(0, 4)));
#endif
    CHECK(!gwa::text() && gwa::text().view().empty() && gwa::text().str().empty() && !gwa::text().get());
}

void use_functions()
{
    CHECK_OK(gwa::try_check_abi());
    CHECK(gwa::version_number() == GWA_VERSION_NUMBER && !gwa::version_string().empty());
    CHECK(gwa::status_name(GWA_E_DNS) == "GWA_E_DNS" && !gwa::status_text(GWA_E_DNS).empty());
    CHECK(gwa::statuses().size() > 50 && gwa::statuses().front() == GWA_OK);
    CHECK(gwa::state_name(GWA_STATE_READY) == "Ready");
    CHECK(!gwa::error_code(GWA_OK) && !gwa::error_code(GWA_DEFERRED) && gwa::error_code(GWA_E_DNS));
    CHECK(gwa::error_code(GWA_E_DNS).message() == gwa::status_text(GWA_E_DNS).str());
    CHECK(std::string(gwa::status_category().name()) == "gwa");
    CHECK(gwa::try_check_scopes("token", {"a:b", "c:d"}).value().view().size() > 2);
    CHECK_STATUS(gwa::try_check_scopes("token", {"with blank"}).status(), GWA_E_INVALID_ARGUMENT);
    const std::string digits(64, 'a'), sealed = "{\"mac_epoch\":1,\"mac\":\"" + digits + "\"}";
    gwa::audit_verifier verifier = std::move(gwa::audit_verifier::try_make(digits).value());
    CHECK(verifier && verifier.get() && !gwa::audit_verifier());
    CHECK_STATUS(gwa::audit_verifier::try_make("short").status(), GWA_E_BAD_VALUE);
    CHECK_STATUS(verifier.try_begin_after(sealed).status(), GWA_OK);
    CHECK_STATUS(verifier.try_expect(sealed).status(), GWA_OK);
    CHECK_STATUS(verifier.try_expect("no record").status(), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(verifier.try_feed(sealed + "\n").status(), GWA_OK);
    gwa::text found;
    CHECK(verifier.try_finish(&found).value() == GWA_AUDIT_NOT_A_CHAIN);
    CHECK(found.view().size() > 2);
    CHECK_STATUS(verifier.try_finish().status(), GWA_E_BAD_STATE);
    CHECK(gwa::debug_live_objects() == 0);
}

} // namespace

void cases::every_item()
{
    use_functions();
    use_texts();
    use_results();
    use_token(gwa::token());
    use_token(gwa::token_view(nullptr));
    CHECK(!gwa::token().view() && !gwa::token().get());
    use_audit(gwa::audit_record());
    use_audit(gwa::audit_view(nullptr));
    CHECK(!gwa::audit_record().view() && !gwa::audit_record().get());
    use_event(gwa::event());
    use_event(gwa::event_view(nullptr));
    CHECK(!gwa::event().view() && !gwa::event().get());
    use_request();
    use_config();
    use_topics();
    use_source();
    use_client();
}
