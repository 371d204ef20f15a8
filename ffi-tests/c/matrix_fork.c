/*
 * Functions × fork: every function with every handle it takes, in a child of the process that made the handle. One child for
 * each, because some of them end the handle. The client of the parent lives on.
 */
#include "matrix.h"

#include <sys/wait.h>

static void in_a_child(const struct function *function, const struct parameter *parameter, void *handle)
{
    int status = 0;
    pid_t child;
    fflush(NULL);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60);
        cell("fork", parameter->name, function, parameter->index, handle);
        fflush(NULL);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
}

static gwa_request_t *request;

static void *handle_of(char kind)
{
    switch (kind) {
    case 'c':
        return client;
    case 'f':
        return config;
    case 'r':
        return request;
    case 's':
        return source;
    default:
        FAIL("a kind of handle that is new: extend this");
        return NULL;
    }
}

int main(void)
{
    gwa_error_t *why = NULL;
    int32_t state = GWA_STATE_IDLE;
    size_t i;

    take_samples();
    CHECK_STATUS(gwa_event_request(asked, &request), GWA_OK);
    check_ok(__FILE__, __LINE__, "gwa_client_new", gwa_client_new_with_source(config, source, &client, &why), &why);
    check_ok(__FILE__, __LINE__, "gwa_client_connect", gwa_client_connect(client, 30000 * (uint32_t)slowness(), &why), &why);
    for (i = 0; i < COUNT_OF(functions); i++) {
        const struct parameter *one;
        for (one = functions[i].pointers; one->name; one++) {
            if (one->kind != 'p') {
                in_a_child(&functions[i], one, handle_of(one->kind));
            }
        }
    }
    CHECK_STATUS(gwa_client_state(client, &state), GWA_OK);
    CHECK(state != GWA_STATE_CLOSED && state != GWA_STATE_FAILED);
    gwa_request_free(request);
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    free_samples();
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
