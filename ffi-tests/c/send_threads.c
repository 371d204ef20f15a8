/* Several threads send at once; on_sent comes exactly once for each id. What cannot be sent any more is returned. */
#include "common.h"

#define THREADS 4
#define EACH 200
#define EXTRA 20

static gwa_client_t *client;
static unsigned char seen[THREADS * EACH + EXTRA + 1];

static void once(struct probe *probe, int kind, const void *object)
{
    if (kind == GWA_EVENT_SENT) {
        const uint64_t *id = (const uint64_t *)object;
        pthread_mutex_lock(&probe->lock);
        CHECK(*id < sizeof seen);
        seen[*id]++;
        pthread_mutex_unlock(&probe->lock);
    }
}

static void *sends(void *number)
{
    char text[64];
    int i;
    for (i = 0; i < EACH; i++) {
        uint64_t id = 0;
        int len = snprintf(text, sizeof text, "%d/%d", *(int *)number, i);
        CHECK_STATUS(gwa_client_send(client, text, (size_t)len, i % 2 ? GWA_TEXT : GWA_BINARY, &id, NULL), GWA_OK);
        CHECK(id > 0);
    }
    return number;
}

int main(void)
{
    static struct probe probe = PROBE_INIT;
    pthread_t threads[THREADS];
    int numbers[THREADS], i;
    gwa_error_t *err = NULL;

    client = new_client(&probe);
    probe.extra = once;
    CHECK_OK(gwa_client_connect(client, 20000 * (uint32_t)slowness(), &err));
    for (i = 0; i < THREADS; i++) {
        numbers[i] = i;
        CHECK_EQ(pthread_create(&threads[i], NULL, sends, &numbers[i]), 0);
    }
    for (i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    WAIT(&probe, 20000, probe.sents == THREADS * EACH);
    /* At the end some are handed to the kernel and some are returned; each id comes back all the same. */
    for (i = 0; i < EXTRA; i++) {
        CHECK_STATUS(gwa_client_send(client, "late", 4, GWA_TEXT, NULL, NULL), GWA_OK);
    }
    CHECK_OK(gwa_client_shutdown(client, 5000 * (uint32_t)slowness(), NULL, &err));
    CHECK_EQ(gwa_client_send(client, "x", 1, GWA_TEXT, NULL, NULL), GWA_E_CLOSED);
    CHECK_EQ(probe.sents + probe.unsents, THREADS * EACH + EXTRA);
    for (i = 1; i <= THREADS * EACH + EXTRA; i++) {
        CHECK_EQ(seen[i], 1);
    }
    tell("sent", (long long)probe.sents);
    finish(client, &probe);
    return 0;
}
