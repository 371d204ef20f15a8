/* Audit records: seq without a hole, on_audit before on_siem, scopes to on_audit alone, all by one thread. */
#include "common.h"

int main(void)
{
    static struct probe probe = PROBE_INIT;
    gwa_client_t *client = connected(&probe);
    gwa_error_t *err = NULL;

    /* connect returns after the records of its outcome were delivered. */
    pthread_mutex_lock(&probe.lock);
    CHECK(probe.attempts == 1 && probe.siems >= 1 && probe.scopes >= 1);
    pthread_mutex_unlock(&probe.lock);
    CHECK_OK(gwa_client_refresh_now(client, &err));
    WAIT(&probe, 20000, probe.attempts == 2 && probe.scopes == 2 && probe.tokens >= 2);
    CHECK_OK(gwa_client_shutdown(client, 5000 * (uint32_t)slowness(), NULL, &err));
    CHECK_EQ(probe.siems + probe.scopes, probe.audits);
    CHECK_EQ(probe.failures, 0);
    finish(client, &probe);
    return 0;
}
