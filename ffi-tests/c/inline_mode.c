/* delivery = inline: on_message comes by the socket's thread, everything else by the dispatcher's. */
#include "common.h"

static struct probe messages = PROBE_INIT;

int main(void)
{
    static struct probe probe = PROBE_INIT;
    gwa_config_t *config = new_config();
    gwa_client_t *client = NULL;
    gwa_error_t *err = NULL;

    watch(config, &probe);
    CHECK_STATUS(gwa_config_on_message(config, on_message, &messages, on_release), GWA_OK);
    set(config, "delivery", "inline");
    CHECK_OK(gwa_client_new(config, &client, &err));
    gwa_config_free(config);
    CHECK_OK(gwa_client_connect(client, 20000 * (uint32_t)slowness(), &err));
    WAIT(&messages, 10000, messages.messages >= 10);
    CHECK_EQ(gwa_client_event_fd(client), -1);
    CHECK(!pthread_equal(messages.thread, probe.thread));
    CHECK_EQ(messages.other_threads, 0);
    tell("received", (long long)messages.messages);
    finish(client, &probe);
    CHECK_EQ(messages.released, 1);
    return 0;
}
