/*
 * delivery = poll: the program's own loop over poll(2). No thread of the library calls; the registered on_state runs in
 * gwa_client_next_event(). After the shutdown the queue gives what is left, then GWA_E_CLOSED.
 */
#include "common.h"

#include <poll.h>

static unsigned long long kinds[16];

static gwa_status_t take(gwa_client_t *client, uint32_t timeout_ms)
{
    gwa_event_t *event = NULL;
    gwa_status_t status = gwa_client_next_event(client, timeout_ms, &event);
    int kind;
    if (status != GWA_OK) {
        CHECK(event == NULL);
        return status;
    }
    kind = gwa_event_kind(event);
    CHECK(kind > 0 && kind < 16);
    kinds[kind]++;
    if (kind == GWA_EVENT_AUDIT || kind == GWA_EVENT_SIEM) {
        printf("audit: %s\n", gwa_audit_json(gwa_event_audit(event), NULL));
        CHECK_EQ(gwa_audit_is_siem(gwa_event_audit(event)), kind == GWA_EVENT_SIEM);
    }
    if (kind == GWA_EVENT_LOG) {
        fprintf(stderr, "log: %s %s\n", gwa_event_log_target(event, NULL), gwa_event_log_text(event, NULL));
    }
    gwa_event_free(event);
    return GWA_OK;
}

int main(void)
{
    static struct probe probe = PROBE_INIT;
    gwa_config_t *config = new_config();
    gwa_client_t *client = NULL;
    gwa_error_t *err = NULL;
    gwa_event_t *kept = NULL;
    struct pollfd waiting;
    uint64_t id = 0;
    gwa_status_t status;

    CHECK_STATUS(gwa_config_on_state(config, on_state, &probe, on_release), GWA_OK);
    set(config, "delivery", "poll");
    CHECK_OK(gwa_client_new(config, &client, &err));
    gwa_config_free(config);
    waiting.fd = gwa_client_event_fd(client);
    waiting.events = POLLIN;
    CHECK(waiting.fd >= 0);
    CHECK_STATUS(take(client, 0), GWA_E_TIMEOUT);
    CHECK_EQ(poll(&waiting, 1, 0), 0);
    CHECK_OK(gwa_client_start(client, &err));
    while (kinds[GWA_EVENT_MESSAGE] < 10 || kinds[GWA_EVENT_SENT] < 1) {
        CHECK_EQ(poll(&waiting, 1, (int)(10000 * slowness())), 1);
        /* Level-triggered: one event is taken for each wake-up, and none is lost. */
        CHECK_STATUS(take(client, 0), GWA_OK);
        if (id == 0 && probe.states[GWA_STATE_READY] > 0) {
            CHECK_OK(gwa_client_send(client, "polled", 6, GWA_TEXT, &id, &err));
        }
    }
    CHECK(pthread_equal(probe.thread, pthread_self()) && probe.other_threads == 0);
    CHECK(kinds[GWA_EVENT_TOKEN] > 0 && kinds[GWA_EVENT_AUDIT] > 0 && kinds[GWA_EVENT_SIEM] > 0);
    CHECK_STATUS(gwa_client_next_event(client, 10000 * (uint32_t)slowness(), &kept), GWA_OK);
    CHECK_OK(gwa_client_shutdown(client, 5000 * (uint32_t)slowness(), NULL, &err));
    CHECK_EQ(poll(&waiting, 1, 0), 1);
    while ((status = take(client, 0)) == GWA_OK) {
    }
    CHECK_STATUS(status, GWA_E_CLOSED);
    CHECK(probe.states[GWA_STATE_CLOSED] > 0);
    tell("messages", (long long)kinds[GWA_EVENT_MESSAGE]);
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    CHECK_EQ(probe.released, 1);
    CHECK(gwa_event_kind(kept) > 0); /* an event may outlive its client */
    gwa_event_free(kept);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
