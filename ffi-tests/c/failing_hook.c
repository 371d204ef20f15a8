/* on_audit fails for every record: it is counted and logged, on_siem is called all the same, and nothing is harmed. */
#include "common.h"

static unsigned long failed;

static int32_t fails(void *user_data, const gwa_audit_t *record)
{
    (void)user_data;
    CHECK(!gwa_audit_is_siem(record));
    failed++;
    return -7;
}

static int32_t counts(void *user_data, const gwa_audit_t *record)
{
    struct probe *probe = (struct probe *)user_data;
    probe_enter(probe);
    CHECK(gwa_audit_is_siem(record));
    probe->siems++;
    probe_leave(probe, GWA_EVENT_SIEM, record);
    return 0;
}

int main(void)
{
    static struct probe probe = PROBE_INIT;
    gwa_config_t *config = new_config();
    gwa_client_t *client = NULL;
    gwa_error_t *err = NULL;

    watch(config, &probe);
    CHECK_STATUS(gwa_config_on_audit(config, fails, NULL, NULL), GWA_OK);
    CHECK_STATUS(gwa_config_on_siem(config, counts, &probe, NULL), GWA_OK);
    CHECK_OK(gwa_client_new(config, &client, &err));
    gwa_config_free(config);
    CHECK_OK(gwa_client_connect(client, 20000 * (uint32_t)slowness(), &err));
    WAIT(&probe, 10000, probe.logs >= failed && probe.siems >= 1);
    CHECK(failed >= 2);
    CHECK_EQ(metrics_of(client).hook_failures, failed);
    finish(client, &probe);
    return 0;
}
