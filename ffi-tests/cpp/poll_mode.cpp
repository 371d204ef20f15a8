/* delivery = poll: the program's own loop; what try_next_event() gives outlives the client. */
#include "cases.hpp"

#include <poll.h>

void cases::poll_mode()
{
    gwa::config config = config_from_environment();
    CHECK_OK(config.try_set("delivery", "poll"));
    int states = 0, messages = 0;
    CHECK_OK(config.try_on_state([&states](gwa::event_view) { states++; }));
    gwa::client client = gwa::client::try_create(config).value();
    CHECK(client && client.event_fd() >= 0);
    CHECK_STATUS(client.try_next_event(std::chrono::milliseconds(0)).status(), GWA_E_TIMEOUT);
    CHECK_OK(client.try_start());
    gwa::event kept;
    while (messages < 5) {
        pollfd waiting = {client.event_fd(), POLLIN, 0};
        CHECK(::poll(&waiting, 1, static_cast<int>(seconds(20).count())) == 1);
        gwa::result<gwa::event> next = client.try_next_event(std::chrono::milliseconds(0));
        CHECK_OK(next);
        if (next->kind() == GWA_EVENT_MESSAGE) {
            messages++;
            kept = std::move(next).value();
        }
    }
    CHECK(states > 0);
    CHECK_OK(client.try_shutdown(seconds(10)));
    gwa_status_t status = GWA_OK;
    while (status == GWA_OK) {
        status = client.try_next_event(std::chrono::milliseconds(0)).status();
    }
    CHECK_STATUS(status, GWA_E_CLOSED);
    CHECK_STATUS(client.reset(), GWA_OK);
    CHECK(!kept.data().empty());
}
