/*
 * A client whose clocks move (shim_clock.c). Each argument but the first is a step "boot:wall" in milliseconds, made when
 * the harness says "go"; after one more "go" the client ends. Argument 1: "connect", or "throttled": it starts and is told
 * to wait.
 */
#include "system.h"

int main(int argc, char **argv)
{
    static struct probe probe = PROBE_INIT;
    gwa_client_t *client;
    gwa_metrics_t metrics;
    int step;

    CHECK(argc > 1);
    client = strcmp(argv[1], "connect") == 0 ? connected(&probe) : started(&probe);
    WAIT(&probe, 20000, probe.state == (strcmp(argv[1], "connect") == 0 ? GWA_STATE_READY : GWA_STATE_THROTTLED));
    for (step = 2; step < argc; step++) {
        char *rest;
        long boot_ms = strtol(argv[step], &rest, 10);
        CHECK(*rest == ':');
        wait_for_harness();
        clock_step(boot_ms, strtol(rest + 1, NULL, 10));
    }
    wait_for_harness();
    WAIT(&probe, 20000, probe.state == GWA_STATE_READY);
    metrics = metrics_of(client);
    tell("connects", (long long)metrics.connects);
    tell("drops", (long long)metrics.drops);
    tell("ready", probe.state == GWA_STATE_READY);
    /* The server may see what a step does before the application is told: what was told is counted at the end. */
    finish(client, &probe);
    tell("tokens", (long long)probe.tokens);
    tell("resumes", (long long)probe.resumes);
    tell("clock_steps", (long long)probe.clock_steps);
    tell("slept_ms", probe.slept_ms);
    tell("set_back_ms", -probe.stepped_ms);
    settles(THREADS, ALONE);
    return 0;
}
