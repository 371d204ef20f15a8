/*
 * A sink that stands still until audit.queue_records is exceeded, under the policy and in the delivery the harness sets
 * (poll: argument 1; nobody polls meanwhile). Every number that on_audit or on_siem does not see lies within a loss
 * marker that this sink was given; of scope checks, which are not for on_siem, on_audit was given the record, and
 * prev_seq says that nothing is missing between two events of on_siem.
 */
#include "common.h"

#define MOST 100000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int is_open;
/* Of each number: 1 seen by on_audit, 2 within a marker of it, 4 scopes; 8 and 16 the same of on_siem. */
static unsigned char seen[MOST];
static unsigned long long last_audit, last_siem, lost_audit, lost_siem;

static unsigned long long number_of(const char *json, const char *member)
{
    const char *place = strstr(json, member);
    CHECK(place != NULL);
    return strtoull(place + strlen(member), NULL, 10);
}

static void note(const gwa_audit_t *record)
{
    const char *json = gwa_audit_json(record, NULL);
    const char *kind = gwa_audit_kind(record, NULL);
    unsigned long long seq = gwa_audit_seq(record), first = seq, number;
    int siem = gwa_audit_is_siem(record), loss = strcmp(kind, "audit_loss") == 0;
    unsigned long long *last = siem ? &last_siem : &last_audit;
    CHECK(seq < MOST);
    if (loss) {
        first = number_of(json, "\"first_lost\":");
        CHECK_EQ(number_of(json, "\"last_lost\":"), seq);
        CHECK_EQ(number_of(json, "\"count\":"), seq - first + 1);
        *(siem ? &lost_siem : &lost_audit) += seq - first + 1;
    }
    if (siem) {
        CHECK_EQ(number_of(json, "\"prev_seq\":"), last_siem);
        CHECK(strcmp(kind, "scope_validation") != 0);
    } else {
        CHECK_EQ(first, last_audit + 1);
    }
    CHECK(first > *last);
    *last = seq;
    for (number = first; number <= seq; number++) {
        seen[number] |= (unsigned char)((loss ? 2 : 1) << (siem ? 3 : 0));
    }
    if (strcmp(kind, "scope_validation") == 0) {
        seen[seq] |= 4;
    }
}

static int32_t on_sink(void *user_data, const gwa_audit_t *record)
{
    (void)user_data;
    pthread_mutex_lock(&lock);
    while (!is_open) {
        pthread_cond_wait(&changed, &lock);
    }
    note(record);
    pthread_mutex_unlock(&lock);
    return 0;
}

static void drain(gwa_client_t *client, gwa_status_t wanted)
{
    gwa_event_t *event = NULL;
    gwa_status_t status;
    while ((status = gwa_client_next_event(client, 0, &event)) == GWA_OK) {
        gwa_event_free(event);
    }
    CHECK_STATUS(status, wanted);
}

int main(int argc, char **argv)
{
    gwa_config_t *config = new_config();
    gwa_client_t *client = NULL;
    gwa_error_t *err = NULL;
    gwa_metrics_t metrics;
    unsigned long long number;
    int is_poll = argc > 1 && strcmp(argv[1], "poll") == 0;
    long long until = now_ms() + 60000 * slowness();

    CHECK_STATUS(gwa_config_on_audit(config, on_sink, NULL, NULL), GWA_OK);
    CHECK_STATUS(gwa_config_on_siem(config, on_sink, NULL, NULL), GWA_OK);
    CHECK_OK(gwa_client_new(config, &client, &err));
    gwa_config_free(config);
    is_open = is_poll;
    CHECK_OK(gwa_client_start(client, &err));
    while (metrics_of(client).audit_lost < 3) {
        struct timespec tick = {0, 10000000};
        nanosleep(&tick, NULL);
        CHECK(now_ms() < until);
    }
    if (is_poll) {
        drain(client, GWA_E_TIMEOUT);
    }
    pthread_mutex_lock(&lock);
    is_open = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    CHECK_OK(gwa_client_shutdown(client, (uint32_t)(20000 * slowness()), NULL, &err));
    if (is_poll) {
        drain(client, GWA_E_CLOSED);
    }
    metrics = metrics_of(client);
    for (number = 1; number <= metrics.audit_records; number++) {
        int audit = seen[number] & 3, siem = seen[number] >> 3;
        CHECK(audit == 1 || audit == 2);
        CHECK_EQ(siem, seen[number] & 4 ? 0 : audit);
    }
    CHECK_EQ(last_audit, metrics.audit_records);
    CHECK_EQ(lost_audit, metrics.audit_lost);
    CHECK_EQ(lost_siem, metrics.audit_lost);
    tell("lost", (long long)metrics.audit_lost);
    tell("records", (long long)metrics.audit_records);
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
