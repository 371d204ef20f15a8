/* In a child every call on a handle of the parent gives GWA_E_FORKED and does no harm; the parent's client lives on. */
#include "common.h"

#include <sys/wait.h>

int main(void)
{
    static struct probe probe = PROBE_INIT;
    gwa_client_t *client = connected(&probe);
    unsigned long before;
    int status = 0, verdict[2];
    char word[4] = "";
    pid_t child;

    WAIT(&probe, 10000, probe.messages > 0);
    CHECK_EQ(pipe(verdict), 0);
    fflush(NULL);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        gwa_config_t *config = NULL;
        int32_t state;
        gwa_metrics_t metrics;
        GWA_METRICS_INIT(&metrics);
        alarm(20);
        CHECK_STATUS(gwa_client_state(client, &state), GWA_E_FORKED);
        CHECK_STATUS(gwa_client_send(client, "x", 1, GWA_TEXT, NULL, NULL), GWA_E_FORKED);
        CHECK_STATUS(gwa_client_metrics(client, &metrics), GWA_E_FORKED);
        CHECK_STATUS(gwa_client_refresh_now(client, NULL), GWA_E_FORKED);
        CHECK_STATUS(gwa_client_drain_notice(client, NULL), GWA_E_FORKED);
        CHECK_STATUS(gwa_client_interrupt(client), GWA_E_BAD_HANDLE);
        CHECK_EQ(gwa_client_event_fd(client), -1);
        CHECK_STATUS(gwa_client_shutdown(client, 1000, NULL, NULL), GWA_E_FORKED);
        CHECK_STATUS(gwa_client_free(client), GWA_E_FORKED);
        CHECK_STATUS(gwa_config_new(&config), GWA_OK); /* for use in the child */
        gwa_config_free(config);
        CHECK_EQ(write(verdict[1], "ok", 2), 2);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    /* By a pipe: under valgrind the status of a child whose other threads are gone tells of leaks. */
    CHECK(WIFEXITED(status));
    CHECK(read(verdict[0], word, 2) == 2 && strcmp(word, "ok") == 0);
    close(verdict[0]);
    close(verdict[1]);
    pthread_mutex_lock(&probe.lock);
    before = probe.messages;
    pthread_mutex_unlock(&probe.lock);
    WAIT(&probe, 10000, probe.messages > before + 3);
    CHECK_EQ(probe.gap_begins, 0);
    finish(client, &probe);
    return 0;
}
