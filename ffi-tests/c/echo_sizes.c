/* Messages of 0 bytes, 64 KiB and 4 MiB, text and binary, out and back byte for byte; one byte more is refused. */
#include "common.h"

#define LARGEST (4u << 20)

static const size_t sizes[] = {0, 1, 125, 126, 65535, 65536, LARGEST};
static unsigned char data[LARGEST + 1], came[LARGEST];
static size_t came_len;
static int came_kind;

static void keep(struct probe *probe, int kind, const void *object)
{
    if (kind == GWA_EVENT_MESSAGE) {
        const gwa_event_t *message = (const gwa_event_t *)object;
        size_t len = 0;
        const void *payload = gwa_event_data(message, &len);
        pthread_mutex_lock(&probe->lock);
        CHECK(len <= sizeof came);
        memcpy(came, payload, len);
        came_len = len;
        came_kind = gwa_event_message_kind(message);
        pthread_mutex_unlock(&probe->lock);
    }
}

/* The echo of a message comes after the message was sent; on_sent and on_message keep that order. */
static void there_and_back(gwa_client_t *client, struct probe *probe, size_t len, int kind)
{
    gwa_error_t *err = NULL;
    uint64_t id = 0;
    unsigned long before = probe->messages;
    size_t i;
    for (i = 0; i < len; i++) {
        data[i] = (unsigned char)(kind == GWA_TEXT ? 'a' + i % 26 : i * 7 + len);
    }
    came_kind = 0;
    CHECK_OK(gwa_client_send(client, len ? data : NULL, len, kind, &id, &err));
    CHECK(id > 0);
    WAIT(probe, 20000, probe->messages == before + 1);
    WAIT(probe, 20000, came_kind == kind && came_len == len);
    CHECK(memcmp(came, data, len) == 0);
}

int main(void)
{
    static struct probe probe = PROBE_INIT;
    gwa_client_t *client;
    gwa_error_t *err = NULL;
    size_t i;

    probe.quiet = 1;
    client = new_client(&probe);
    probe.extra = keep;
    CHECK_STATUS(gwa_client_send(client, "x", 1, GWA_TEXT, NULL, NULL), GWA_E_BAD_STATE);
    CHECK_OK(gwa_client_connect(client, 20000 * (uint32_t)slowness(), &err));
    for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        there_and_back(client, &probe, sizes[i], GWA_TEXT);
        there_and_back(client, &probe, sizes[i], GWA_BINARY);
    }
    CHECK_STATUS(gwa_client_send(client, data, LARGEST + 1, GWA_BINARY, NULL, NULL), GWA_E_TOO_LARGE);
    CHECK_STATUS(gwa_client_send(client, "\xff\xfe", 2, GWA_TEXT, NULL, NULL), GWA_E_INVALID_UTF8);
    CHECK_STATUS(gwa_client_send(client, "x", 1, 3, NULL, NULL), GWA_E_INVALID_ARGUMENT);
    WAIT(&probe, 5000, probe.sents == 2 * sizeof sizes / sizeof sizes[0]);
    CHECK_EQ(probe.unsents, 0);
    finish(client, &probe);
    return 0;
}
