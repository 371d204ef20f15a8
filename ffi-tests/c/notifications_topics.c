/*
 * Topics of the profile notifications: subscribed and unsubscribed before the start and while it runs, with scopes that the
 * token has and has not; what became of each is told; they survive the loss of the socket, whose gap names the last event,
 * and that of the channel.
 */
#include "common.h"

static const char *const first[] = {"v2.users.a.presence", "v2.system.token_revoked.x"};
static const char *const scoped[] = {"v2.users.scoped.presence"};
static const char *const second[] = {"v2.users.b.presence"};
static const char *const third[] = {"v2.refused.c"};
static const char *const fourth[] = {"v2.ready.d"};
static const char *const fifth[] = {"v2.ready.e"};
static const char *const sixth[] = {"v2.users.f.presence"};
static const char *const has_not[] = {"conversation:read", "presence:write"};
static const char *const has[] = {"conversation:read"};

static gwa_client_t *client;
static char last_id[80];
static int denials, allowances;

/* What is common to all events: the last correlation id, and the audit of scopes. */
static void note(const gwa_event_t *event)
{
    static const char name[] = "\"CorrelationId\":\"";
    const char *data = gwa_event_data(event, NULL);
    const char *id = data ? strstr(data, name) : NULL;
    const gwa_audit_t *record = gwa_event_audit(event);
    if (id) {
        CHECK(sscanf(id + strlen(name), "%79[^\"]", last_id) == 1);
    }
    if (gwa_event_kind(event) == GWA_EVENT_AUDIT && strcmp(gwa_audit_kind(record, NULL), "scope_validation") == 0) {
        printf("audit: %s\n", gwa_audit_json(record, NULL));
        denials += strstr(gwa_audit_json(record, NULL), "presence:write") != NULL;
        allowances += strstr(gwa_audit_json(record, NULL), "presence:write") == NULL;
    }
}

/* The next event of this kind; what comes before it is noted. The caller frees it. */
static gwa_event_t *next(int32_t kind)
{
    gwa_event_t *event = NULL;
    for (;;) {
        CHECK_STATUS(gwa_client_next_event(client, 30000 * (uint32_t)slowness(), &event), GWA_OK);
        note(event);
        if (gwa_event_kind(event) == kind) {
            return event;
        }
        gwa_event_free(event);
    }
}

/* The next GWA_EVENT_TOPICS tells of exactly these, in this order: "+topic" permitted, "-topic" rejected. */
static gwa_event_t *next_topics(const char *const *wanted, size_t count)
{
    gwa_event_t *event = next(GWA_EVENT_TOPICS);
    size_t i, len;
    CHECK_EQ(gwa_event_topic_count(event), count);
    for (i = 0; i < count; i++) {
        CHECK(strcmp(gwa_event_topic(event, i, &len), wanted[i] + 1) == 0 && len == strlen(wanted[i] + 1));
        CHECK_EQ(gwa_event_topic_state(event, i), *wanted[i] == '+' ? GWA_TOPIC_PERMITTED : GWA_TOPIC_REJECTED);
        CHECK((*gwa_event_topic_reason(event, i, NULL) == 0) == (*wanted[i] == '+'));
    }
    CHECK(gwa_event_topic(event, count, &len) == NULL && len == 0);
    return event;
}

static void told(const char *const *wanted, size_t count)
{
    gwa_event_free(next_topics(wanted, count));
}

static void rejected_with(const char *const *wanted, size_t count, size_t index, const char *reason, const char *missing)
{
    gwa_event_t *event = next_topics(wanted, count);
    gwa_event_t *copy = NULL;
    CHECK_STATUS(gwa_event_clone(event, &copy), GWA_OK);
    gwa_event_free(event);
    CHECK(strcmp(gwa_event_topic_reason(copy, index, NULL), reason) == 0);
    CHECK(strcmp(gwa_event_topic_missing(copy, index, NULL), missing) == 0);
    gwa_event_free(copy);
}

static void event_of(const char *topic)
{
    for (;;) {
        gwa_event_t *event = next(GWA_EVENT_MESSAGE);
        const char *found = strstr(gwa_event_data(event, NULL), topic);
        gwa_event_free(event);
        if (found) {
            return;
        }
    }
}

static void before_the_start(void)
{
    static const char *const scoped_only[] = {"-v2.users.scoped.presence"};
    static const char *const first_only[] = {"+v2.users.a.presence"};
    gwa_error_t *err = NULL;
    CHECK_OK(gwa_client_subscribe(client, first, 2, NULL, 0, &err));
    CHECK_OK(gwa_client_subscribe(client, scoped, 1, has_not, 2, &err)); /* there is no token to ask yet */
    CHECK_OK(gwa_client_start(client, &err));
    rejected_with(scoped_only, 1, 0, "GWA_E_SCOPE_DENIED", "presence:write");
    told(first_only, 1);
    CHECK_EQ(denials, 1);
    event_of("v2.users.a.presence");
}

static void while_it_runs(void)
{
    static const char *const both[] = {"+v2.users.a.presence", "+v2.users.b.presence"};
    static const char *const all[] = {"+v2.users.a.presence", "+v2.users.b.presence", "-v2.refused.c"};
    static const char *const rest[] = {"+v2.users.b.presence", "-v2.refused.c"};
    gwa_error_t *err = NULL;
    CHECK_STATUS(gwa_client_subscribe(client, second, 1, has_not, 2, &err), GWA_E_SCOPE_DENIED);
    CHECK(strcmp(gwa_error_missing_scopes(err, NULL), "presence:write") == 0);
    gwa_error_free(err);
    CHECK_OK(gwa_client_subscribe(client, second, 1, has, 1, &err));
    told(both, 2);
    CHECK_EQ(denials, 2);
    CHECK_EQ(allowances, 2); /* one for the token itself, which needs nothing */
    event_of("v2.users.b.presence");
    CHECK_OK(gwa_client_subscribe(client, third, 1, NULL, 0, &err));
    rejected_with(all, 3, 2, "no permission", "routing:queue:view,routing:queue:edit");
    CHECK_OK(gwa_client_unsubscribe(client, first, 2, &err));
    told(rest, 2);
}

/* The harness drops the socket when it sees the fourth topic. */
static void after_a_loss(void)
{
    gwa_error_t *err = NULL;
    gwa_event_t *event = NULL;
    size_t len = 0;
    CHECK_OK(gwa_client_subscribe(client, fourth, 1, NULL, 0, &err));
    event = next(GWA_EVENT_GAP_BEGIN);
    CHECK(last_id[0] && strcmp(gwa_event_gap_correlation_id(event, &len), last_id) == 0 && len == strlen(last_id));
    gwa_event_free(event);
    event = next(GWA_EVENT_GAP_END);
    CHECK(*gwa_event_gap_correlation_id(event, NULL) != 0);
    gwa_event_free(event);
    event_of("v2.users.b.presence");
}

/*
 * The harness evicts the channel without a word when it sees the fifth topic. No event comes any more, and whoever subscribes
 * then learns why.
 */
static void after_an_eviction(void)
{
    gwa_error_t *err = NULL;
    gwa_event_t *event = NULL;
    gwa_status_t outcome = GWA_OK;
    unsigned turn = 0;
    CHECK_OK(gwa_client_subscribe(client, fifth, 1, NULL, 0, &err));
    while (outcome == GWA_OK) {
        gwa_status_t status = gwa_client_next_event(client, 500, &event);
        if (status == GWA_E_TIMEOUT) {
            CHECK_OK(turn++ % 2 == 0 ? gwa_client_subscribe(client, sixth, 1, NULL, 0, &err)
                                     : gwa_client_unsubscribe(client, sixth, 1, &err));
            continue;
        }
        CHECK_STATUS(status, GWA_OK);
        if (gwa_event_kind(event) == GWA_EVENT_GAP_BEGIN) {
            outcome = gwa_event_outcome(event);
        }
        gwa_event_free(event);
    }
    CHECK_STATUS(outcome, GWA_E_CHANNEL_GONE);
    CHECK_OK(gwa_client_subscribe(client, sixth, 1, NULL, 0, &err));
    gwa_event_free(next(GWA_EVENT_GAP_END));
    event_of("v2.users.f.presence");
}

int main(void)
{
    gwa_config_t *config = new_config();
    gwa_error_t *err = NULL;
    gwa_event_t *event = NULL;
    set(config, "profile", "notifications");
    set(config, "ws.url", "");
    set(config, "api.url", needed("GWA_API_URL"));
    set(config, "notifications.streaming_host", needed("GWA_STREAMING_HOST"));
    set(config, "delivery", "poll");
    CHECK_OK(gwa_client_new(config, &client, &err));
    gwa_config_free(config);
    before_the_start();
    while_it_runs();
    after_a_loss();
    after_an_eviction();
    CHECK_OK(gwa_client_shutdown(client, 5000 * (uint32_t)slowness(), NULL, &err));
    CHECK_STATUS(gwa_client_subscribe(client, first, 1, NULL, 0, NULL), GWA_E_CLOSED);
    while (gwa_client_next_event(client, 0, &event) == GWA_OK) {
        gwa_event_free(event);
    }
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
