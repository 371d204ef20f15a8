/*
 * A client with a chain over its audit records. Both sinks write a line a record, at once, to files of their own in
 * GWA_TEST_LOGS: audit.0, siem.0, and the next number after GWA_TEST_ROTATE records. Argument 1: how many tokens it gets
 * before it shuts down; "live": until it is killed; "made": it is made and freed; "refused": it cannot be made.
 */
#include "common.h"

#include <fcntl.h>

static int files[2] = {-1, -1};
static unsigned long long written[2];

static void reopen(int siem)
{
    unsigned long each = strtoul(environment("GWA_TEST_ROTATE"), NULL, 10);
    char path[4096];
    if (files[siem] >= 0 && (each == 0 || written[siem] % each != 0)) {
        return;
    }
    snprintf(path, sizeof path, "%s/%s.%llu", needed("GWA_TEST_LOGS"), siem ? "siem" : "audit",
             each ? written[siem] / each : 0);
    if (files[siem] >= 0) {
        close(files[siem]);
    }
    files[siem] = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    CHECK(files[siem] >= 0);
}

static void append(struct probe *probe, int kind, const void *object)
{
    char line[16384];
    const char *json;
    size_t len = 0;
    int siem = kind == GWA_EVENT_SIEM;
    (void)probe;
    if (kind != GWA_EVENT_AUDIT && kind != GWA_EVENT_SIEM) {
        if (kind == GWA_EVENT_REQUEST) {
            gwa_request_free((gwa_request_t *)(uintptr_t)object);
        }
        return;
    }
    json = gwa_audit_json((const gwa_audit_t *)object, &len);
    CHECK(len + 1 < sizeof line);
    memcpy(line, json, len);
    line[len] = '\n';
    reopen(siem);
    CHECK_EQ(write(files[siem], line, len + 1), (long long)len + 1);
    written[siem]++;
}

static gwa_status_t make(struct probe *probe, gwa_client_t **client, gwa_error_t **err)
{
    const char *key = environment("GWA_TEST_CHAIN_KEY");
    gwa_config_t *config = new_config();
    gwa_status_t status;
    watch(config, probe);
    CHECK_STATUS(gwa_config_set_secret(config, "audit.chain_key", key, strlen(key), NULL), GWA_OK);
    status = gwa_client_new(config, client, err);
    gwa_config_free(config);
    return status;
}

int main(int argc, char **argv)
{
    static struct probe probe = PROBE_INIT;
    gwa_client_t *client = NULL;
    gwa_error_t *err = NULL;
    unsigned long wanted, n;

    CHECK_EQ(argc, 2);
    probe.extra = append;
    probe.quiet = 1;
    if (strcmp(argv[1], "refused") == 0) {
        CHECK(make(&probe, &client, &err) != GWA_OK);
        printf("name: %s\nmessage: %s\n", gwa_error_name(err, NULL), gwa_error_message(err, NULL));
        gwa_error_free(err);
        return 0;
    }
    CHECK_OK(make(&probe, &client, &err));
    if (strcmp(argv[1], "made") == 0) {
        CHECK_STATUS(gwa_client_free(client), GWA_OK);
        return 0;
    }
    wanted = strcmp(argv[1], "live") == 0 ? (unsigned long)-1 : strtoul(argv[1], NULL, 10);
    CHECK_OK(gwa_client_connect(client, (uint32_t)(20000 * slowness()), &err));
    tell("connected", 1);
    for (n = 2; n <= wanted; n++) {
        CHECK_OK(gwa_client_refresh_now(client, &err));
        WAIT(&probe, 60000, probe.tokens >= n);
    }
    tell("failures", (long long)probe.failures);
    finish(client, &probe);
    return 0;
}
