/*
 * A client that is destroyed inside one of its own callbacks: GWA_DEFERRED, the callback goes on with what it has
 * captured, and its captures are destroyed when it has returned.
 */
#include "cases.hpp"

namespace {

/* Tells that it is gone. */
struct farewell {
    explicit farewell(cases::counters &to) : counters(to) {}
    farewell(const farewell &) = delete;
    farewell &operator=(const farewell &) = delete;
    ~farewell() { counters.add("gone"); }

    cases::counters &counters;
};

} // namespace

void cases::freed_in_callback()
{
    counters seen;
    std::unique_ptr<gwa::client> owner(new gwa::client());
    {
        gwa::config config = config_from_environment();
        const auto alive = std::make_shared<farewell>(seen);
        CHECK_OK(config.try_on_message([&seen, &owner, alive](gwa::event_view message) {
            if (!*owner) {
                return; /* was queued already: what is due is delivered before the captures go */
            }
            const std::string text = message.data().str();
            CHECK_STATUS(owner->reset(), GWA_DEFERRED);
            CHECK(!*owner && seen.get("gone") == 0 && message.data() == text);
            seen.add("freed");
        }));
        *owner = gwa::client::try_create(config).value();
    }
    CHECK_OK(owner->try_start());
    seen.wait("freed", 1);
    seen.wait("gone", 1);
    CHECK(seen.get("freed") == 1 && seen.get("gone") == 1);
    owner.reset();
}
