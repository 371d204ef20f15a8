/*
 * GWA_TEST_CLIENTS clients that lose their sockets again and again. At each "go" all of them are live, as the harness
 * knows from the server; then this tells what the process holds. Argument 1: how many "go" there are.
 */
#include "system.h"

static long resident_kib(void)
{
    char line[256];
    long found = -1;
    FILE *status = fopen("/proc/self/status", "r");
    CHECK(status != NULL);
    while (fgets(line, sizeof line, status)) {
        if (strncmp(line, "VmRSS:", 6) == 0) {
            found = strtol(line + 6, NULL, 10);
        }
    }
    fclose(status);
    return found;
}

int main(int argc, char **argv)
{
    static struct probe probe = PROBE_INIT;
    static gwa_client_t *clients[512];
    long count = number_or("GWA_TEST_CLIENTS", 50), at;
    int descriptors = entries_of(DESCRIPTORS), rounds, round;
    unsigned long long connects = 0, drops = 0;

    CHECK(argc > 1 && count <= 512);
    rounds = atoi(argv[1]);
    probe.quiet = 1;
    for (at = 0; at < count; at++) {
        clients[at] = new_client(&probe);
    }
    for (at = 0; at < count; at++) {
        gwa_error_t *err = NULL;
        CHECK_OK(gwa_client_start(clients[at], &err));
    }
    for (round = 0; round < rounds; round++) {
        wait_for_harness();
        printf("held %ld %d %d\n", resident_kib(), entries_of(DESCRIPTORS), entries_of(THREADS) - 2);
        fflush(stdout);
    }
    for (at = 0; at < count; at++) {
        gwa_metrics_t metrics = metrics_of(clients[at]);
        gwa_error_t *err = NULL;
        gwa_shutdown_report_t report;
        connects += metrics.connects;
        drops += metrics.drops;
        CHECK_EQ(metrics.senseless_inputs, 0);
        GWA_SHUTDOWN_REPORT_INIT(&report);
        CHECK_OK(gwa_client_shutdown(clients[at], 20000, &report, &err));
        CHECK_EQ(report.complete, 1);
        CHECK_STATUS(gwa_client_free(clients[at]), GWA_OK);
    }
    tell("connects", (long long)connects);
    tell("drops", (long long)drops);
    CHECK_EQ(probe.released, PROBE_CALLBACKS * (unsigned long)count);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    settles(THREADS, ALONE);
    settles(DESCRIPTORS, descriptors);
    return 0;
}
