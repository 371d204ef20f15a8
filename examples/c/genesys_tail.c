/*
 * Subscribes to the topics on its command line and prints what comes: events, what became of each topic, gaps, audit
 * records. What to run first against a tenant. Ends on SIGINT or SIGTERM, and when a person has to act.
 *   cc genesys_tail.c $(pkg-config --cflags --libs genesys-ws-auth) -o genesys_tail
 *   ./genesys_tail [-c settings.json] 'v2.users.ID?presence&routingStatus' v2.routing.queues.ID.conversations
 *
 * Reads the environment: see settings.h. The JSON file may hold any key but secrets.
 */
#include "settings.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

static gwa_client_t *client;

static void on_signal(int number)
{
    (void)number, gwa_client_interrupt(client); /* ends the gwa_client_next_event() under way, or the next one */
}

static void show_topics(const gwa_event_t *event)
{
    for (size_t i = 0; i < gwa_event_topic_count(event); i++)
        if (gwa_event_topic_state(event, i) == GWA_TOPIC_PERMITTED)
            printf("topic    %s permitted\n", gwa_event_topic(event, i, NULL));
        else
            printf("topic    %s rejected: %s (missing: %s)\n", gwa_event_topic(event, i, NULL),
                   gwa_event_topic_reason(event, i, NULL), gwa_event_topic_missing(event, i, NULL));
}

/* Whether nothing more will come unless somebody acts. */
static int show(const gwa_event_t *event)
{
    const gwa_error_t *error = gwa_event_error(event);
    int32_t kind = gwa_event_kind(event), state = gwa_event_state_to(event); /* -1: no change of state */
    if (kind == GWA_EVENT_MESSAGE)
        printf("event    %s\n", (const char *)gwa_event_data(event, NULL));
    else if (kind == GWA_EVENT_STATE)
        printf("state    %s (%s)\n", gwa_state_name(state), gwa_event_reason(event, NULL));
    else if (kind == GWA_EVENT_TOPICS)
        show_topics(event);
    else if (kind == GWA_EVENT_HANDOVER)
        printf("handover to another channel; nothing was missed\n");
    else if (kind == GWA_EVENT_GAP_BEGIN)
        printf("gap      %lu begins\n", (unsigned long)gwa_event_gap_number(event));
    else if (kind == GWA_EVENT_GAP_END) /* nothing is replayed: ask the REST API */
        printf("gap      %lu ends: what happened in the %lu ms after the event of correlation id '%s' may be missing\n",
               (unsigned long)gwa_event_gap_number(event), (unsigned long)gwa_event_gap_duration_ms(event),
               gwa_event_gap_correlation_id(event, NULL));
    else if (kind == GWA_EVENT_AUDIT)
        printf("audit    %s\n", gwa_audit_json(gwa_event_audit(event), NULL));
    if (error != NULL)
        printf("why      %s\n         %s\n", gwa_error_message(error, NULL), gwa_error_hint(error, NULL));
    return state == GWA_STATE_REAUTH_REQUIRED || state == GWA_STATE_DISPLACED || state == GWA_STATE_FAILED;
}

static gwa_status_t settings(gwa_config_t *config, const char *file, gwa_error_t **error)
{
    char json[65536];
    FILE *from = file != NULL ? fopen(file, "r") : NULL;
    size_t len = from != NULL ? fread(json, 1, sizeof json, from) : 0;
    gwa_status_t status = settings_from_env(config, error);
    if (status == GWA_OK && file != NULL)
        status = gwa_config_set_json(config, json, len, error); /* refuses an empty text, and a piece of one */
    if (from != NULL)
        fclose(from);
    if (status == GWA_OK && (status = gwa_config_set(config, "profile", "notifications", error)) == GWA_OK)
        status = gwa_config_set(config, "ws.url", "", error); /* a channel says where its socket is */
    return status == GWA_OK ? gwa_config_set(config, "delivery", "poll", error) : status;
}

int main(int argc, char **argv)
{
    int first = argc > 2 && strcmp(argv[1], "-c") == 0 ? 3 : 1;
    const char *const *topics = (const char *const *)argv + first;
    gwa_event_t *event;
    gwa_error_t *error = NULL;
    gwa_config_t *config = NULL;
    gwa_status_t status = gwa_config_new(&config);
    if (status == GWA_OK && (status = settings(config, first == 3 ? argv[2] : NULL, &error)) == GWA_OK &&
        (status = gwa_client_new(config, &client, &error)) == GWA_OK &&
        (status = gwa_client_subscribe(client, topics, (size_t)(argc - first), NULL, 0, &error)) == GWA_OK)
        status = gwa_client_start(client, &error);
    gwa_config_free(config); /* the client has its copy */
    if (error != NULL)
        fprintf(stderr, "%s\n%s\n", gwa_error_message(error, NULL), gwa_error_hint(error, NULL));
    gwa_error_free(error);
    signal(SIGINT, on_signal), signal(SIGTERM, on_signal);
    while (status == GWA_OK && (status = gwa_client_next_event(client, GWA_NO_LIMIT, &event)) == GWA_OK) {
        status = show(event) ? GWA_E_CLOSED : GWA_OK;
        gwa_event_free(event);
        fflush(stdout);
    }
    if (status == GWA_E_INTERRUPTED)
        status = gwa_client_shutdown(client, 5000, NULL, NULL);
    for (; gwa_client_next_event(client, 0, &event) == GWA_OK; gwa_event_free(event))
        show(event); /* what was left */
    return gwa_client_free(client) != GWA_OK || status != GWA_OK;
}
