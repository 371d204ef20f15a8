/* Two clients in one process, of two configurations, live at once and independent. */
#include "common.h"

int main(void)
{
    static struct probe one = PROBE_INIT, two = PROBE_INIT;
    gwa_client_t *first = connected(&one), *second = connected(&two);
    gwa_error_t *err = NULL;
    unsigned long before;

    CHECK(first != second);
    WAIT(&one, 10000, one.messages > 3);
    WAIT(&two, 10000, two.messages > 3);
    CHECK_OK(gwa_client_shutdown(first, 5000 * (uint32_t)slowness(), NULL, &err));
    CHECK_STATUS(gwa_client_free(first), GWA_OK);
    check_clean(&one);
    pthread_mutex_lock(&two.lock);
    before = two.messages;
    pthread_mutex_unlock(&two.lock);
    WAIT(&two, 10000, two.messages > before + 3);
    finish(second, &two);
    return 0;
}
