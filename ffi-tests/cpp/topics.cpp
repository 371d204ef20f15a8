/* profile = notifications: topics come and go, and what becomes of each is a range that a copy of the event keeps. */
#include "cases.hpp"

#include <algorithm>

namespace {

/** The next GWA_EVENT_TOPICS; owned. */
gwa::event next_topics(gwa::client &client)
{
    for (;;) {
        gwa::result<gwa::event> next = client.try_next_event(cases::seconds(30));
        CHECK_OK(next);
        CHECK((next->kind() == GWA_EVENT_TOPICS) != next->topics().empty());
        if (next->kind() == GWA_EVENT_TOPICS) {
            return next->clone();
        }
    }
}

} // namespace

void cases::topics()
{
    gwa::config config = config_from_environment();
    CHECK_OK(config.try_set("profile", "notifications"));
    CHECK_OK(config.try_set("ws.url", ""));
    CHECK_OK(config.try_set("api.url", environment("GWA_API_URL")));
    CHECK_OK(config.try_set("notifications.streaming_host", environment("GWA_STREAMING_HOST")));
    CHECK_OK(config.try_set("delivery", "poll"));
    gwa::client client = gwa::client::try_create(config).value();
    CHECK_OK(client.try_subscribe({"v2.users.a.presence", "v2.refused.b"}));
    CHECK_OK(client.try_start());

    const gwa::event first = next_topics(client);
    CHECK(first.topics().size() == 2 && first.view().topics()[0].id() == "v2.users.a.presence");
    const gwa::topic_range range = first.topics();
    const auto rejected = std::find_if(range.begin(), range.end(), [](gwa::topic_view topic) {
        return topic.state() == GWA_TOPIC_REJECTED;
    });
    CHECK(rejected != range.end() && (*rejected).id() == "v2.refused.b");
    CHECK((*rejected).reason() == "no permission" && (*rejected).missing() == "routing:queue:view");

    const std::vector<std::string> more(1, "v2.users.c.presence");
    CHECK_OK(client.try_subscribe(more));
    CHECK(next_topics(client).topics().size() == 3);
    CHECK_OK(client.try_unsubscribe({"v2.refused.b", "v2.users.a.presence"}));
    const gwa::event last = next_topics(client);
    for (const gwa::topic_view topic : last.topics()) {
        CHECK(topic.id() == "v2.users.c.presence" && topic.state() == GWA_TOPIC_PERMITTED && topic.missing().empty());
    }
    CHECK(last.topics().size() == 1);
    CHECK_OK(client.try_shutdown(seconds(10)));
    CHECK_STATUS(client.reset(), GWA_OK);
}
