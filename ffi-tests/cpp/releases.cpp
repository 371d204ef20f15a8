/*
 * Captures of callbacks are destroyed exactly once, and no earlier than the last thing that may call: no registration
 * leaks, whether it is replaced, refused, never used, or shared by several clients.
 */
#include "cases.hpp"

namespace {

typedef std::shared_ptr<int> captured;

gwa::config config_with(const captured &seen)
{
    gwa::config config;
    CHECK_OK(config.try_set("client.id", "id"));
    CHECK_OK(config.try_set_secret("client.secret", "secret"));
    CHECK_OK(config.try_on_message([seen](gwa::event_view) { ++*seen; }));
    return config;
}

void replaced(const captured &seen)
{
    gwa::config config = config_with(seen);
    CHECK(seen.use_count() == 2);
    CHECK_OK(config.try_on_message([seen](gwa::event_view) { *seen += 2; }));
    CHECK(seen.use_count() == 2); /* the first one is gone */
    CHECK_OK(config.try_on_message(nullptr));
    CHECK(seen.use_count() == 1);
    CHECK_OK(config.try_on_message(std::function<void(gwa::event_view)>()));
    CHECK(seen.use_count() == 1);
}

void every_kind(const captured &seen)
{
    gwa::config config;
    CHECK_OK(config.try_on_message([seen](gwa::event_view) {}));
    CHECK_OK(config.try_on_audit([seen](gwa::audit_view) { return gwa::hook::done; }));
    CHECK_OK(config.try_on_siem([seen](gwa::audit_view) { return gwa::hook::done; }));
    CHECK_OK(config.try_on_state([seen](gwa::event_view) {}));
    CHECK_OK(config.try_on_token([seen](gwa::token_view) {}));
    CHECK_OK(config.try_on_ask([seen](gwa::request &) {}));
    CHECK_OK(config.try_on_sent([seen](uint64_t, gwa_status_t) {}));
    CHECK_OK(config.try_on_log([seen](int32_t, gwa::text_view, gwa::text_view) {}));
    CHECK_OK(config.try_on_thread([seen](int32_t, int32_t, gwa::text_view) {}));
    CHECK(seen.use_count() == 10);
    config.reset();
    CHECK(seen.use_count() == 1);
}

void refused(const captured &seen)
{
    gwa::config gone(nullptr);
    CHECK_STATUS(gone.try_on_message([seen](gwa::event_view) {}).status(), GWA_E_BAD_HANDLE);
    CHECK(seen.use_count() == 1);
    CHECK_STATUS(gone.try_on_ask([seen](gwa::request &) {}).status(), GWA_E_BAD_HANDLE);
    CHECK(seen.use_count() == 1);
    CHECK_STATUS(gone.try_on_message(nullptr).status(), GWA_E_BAD_HANDLE);
}

/* What clients have outlives the configuration, and the one that is replaced there. */
void shared_by_clients(const captured &seen)
{
    gwa::config config = config_with(seen);
    gwa::client first = gwa::client::try_create(config).value();
    gwa::client second = gwa::client::try_create(config).value();
    CHECK(first && second && seen.use_count() == 2);
    CHECK_OK(config.try_on_message(nullptr));
    CHECK(seen.use_count() == 2);
    config.reset();
    gwa::client moved = std::move(first);
    CHECK_STATUS(first.reset(), GWA_OK); /* there is nothing left in it */
    CHECK(seen.use_count() == 2);
    CHECK_STATUS(moved.reset(), GWA_OK);
    CHECK(seen.use_count() == 2);
    second = gwa::client(); /* assigning frees what was there */
    CHECK(seen.use_count() == 1);
}

/* Each client lets go for itself; the last one destroys the captures, inside the waiting form. */
void unregistered(const captured &seen)
{
    gwa::config config = config_with(seen);
    gwa::client first = gwa::client::try_create(config).value();
    gwa::client second = gwa::client::try_create(config).value();
    CHECK_OK(config.try_on_message(nullptr));
    CHECK_STATUS(first.try_unregister(GWA_CALLBACK_MESSAGE, gwa::no_limit).status(), GWA_OK);
    CHECK(seen.use_count() == 2);
    CHECK_OK(second.try_unregister_later(GWA_CALLBACK_MESSAGE));
    CHECK(seen.use_count() == 2); /* not inside that call */
    CHECK_STATUS(second.try_unregister(GWA_CALLBACK_MESSAGE, gwa::no_limit).status(), GWA_OK);
    CHECK(seen.use_count() == 1);
}

/* A client keeps its source, and with it the captures of the source's callbacks. */
void shared_by_a_source(const captured &seen)
{
    gwa::config config = config_with(seen);
    gwa::token_source source = gwa::token_source::try_create(config).value();
    CHECK_OK(config.try_on_message(nullptr));
    gwa::client client = gwa::client::try_create(config, source).value();
    config.reset();
    CHECK(client && seen.use_count() == 2);
    CHECK_STATUS(source.reset(), GWA_OK);
    CHECK(!source);
    CHECK_STATUS(client.reset(), GWA_OK);
    CHECK(seen.use_count() == 1);
}

void moved_configuration(const captured &seen)
{
    gwa::config from = config_with(seen);
    gwa::config to(nullptr);
    CHECK(!to);
    to = std::move(from);
    CHECK(to && !from && seen.use_count() == 2);
    CHECK_STATUS(from.try_set("client.id", "x").status(), GWA_E_BAD_HANDLE);
    CHECK_STATUS(from.try_on_message([seen](gwa::event_view) {}).status(), GWA_E_BAD_HANDLE);
    to = config_with(seen);
    CHECK(seen.use_count() == 2);
}

} // namespace

void cases::releases()
{
    const captured seen = std::make_shared<int>(0);
    void (*const all[])(const captured &) = {replaced,          every_kind,   refused,
                                             shared_by_clients, unregistered, shared_by_a_source,
                                             moved_configuration};
    for (const auto one : all) {
        one(seen);
        CHECK(seen.use_count() == 1);
    }
    CHECK(*seen == 0);
}
