/*
 * Functions × NULL: every function with NULL for every pointer it takes, one at a time, the other arguments being right.
 * Functions × stale: every function with a handle that is none: freed, freed and its place used again, of another type,
 * and values that never were handles.
 */
#include "matrix.h"

static void null_for_every_pointer(const struct function *function)
{
    const struct parameter *one;
    for (one = function->pointers; one->name; one++) {
        gwa_client_t *live = client;
        gwa_client_t *own = NULL;
        if (function->ends) {
            CHECK_STATUS(gwa_client_new(config, &own, NULL), GWA_OK);
            client = own;
        }
        cell("NULL", one->name, function, one->index, NULL);
        client = live;
        if (own && gwa_client_free(own) != GWA_OK) {
            CHECK_STATUS(gwa_client_free(own), GWA_E_BAD_HANDLE);
        }
    }
}

/* Makes a handle of the type and frees it. */
static void *freed(char kind)
{
    gwa_config_t *own_one = NULL;
    gwa_client_t *client_one = NULL;
    gwa_request_t *request_one = NULL;
    gwa_token_source_t *source_one = NULL;
    switch (kind) {
    case 'f':
        CHECK_STATUS(gwa_config_new(&own_one), GWA_OK);
        gwa_config_free(own_one);
        return own_one;
    case 'c':
        CHECK_STATUS(gwa_client_new(config, &client_one, NULL), GWA_OK);
        CHECK_STATUS(gwa_client_free(client_one), GWA_OK);
        return client_one;
    case 'r':
        CHECK_STATUS(gwa_event_request(asked, &request_one), GWA_OK);
        gwa_request_free(request_one);
        return request_one;
    case 's':
        CHECK_STATUS(gwa_token_source_new(config, &source_one, NULL), GWA_OK);
        CHECK_STATUS(gwa_token_source_free(source_one), GWA_OK);
        return source_one;
    default:
        FAIL("a kind of handle that is new: extend this");
        return NULL;
    }
}

static gwa_config_t *crowd[200];
static void *in_use_again[128];

/* The places of the handles freed before have other owners from here on: the crowd takes every place there is. */
static void take_places(void)
{
    size_t i;
    in_use_again['c'] = freed('c'), in_use_again['f'] = freed('f'), in_use_again['r'] = freed('r');
    in_use_again['s'] = freed('s');
    for (i = 0; i < COUNT_OF(crowd); i++) {
        CHECK_STATUS(gwa_config_new(&crowd[i]), GWA_OK);
        CHECK(crowd[i] != in_use_again['c'] && crowd[i] != in_use_again['f'] && crowd[i] != in_use_again['r'] &&
              crowd[i] != in_use_again['s']);
    }
}

static void stale_for_every_handle(const struct function *function)
{
    const struct parameter *one;
    static int never;
    gwa_request_t *request = NULL;
    CHECK_STATUS(gwa_event_request(asked, &request), GWA_OK);
    for (one = function->pointers; one->name; one++) {
        const uintptr_t other_generation = (uintptr_t)(one->kind == 'f' ? (void *)crowd[0] : client) + (1u << 28);
        const struct {
            const char *name;
            void *value;
        } values[] = {{"freed", freed(one->kind == 'p' ? 'f' : one->kind)},
                      {"in use again", in_use_again[(int)one->kind]},
                      {"a client", one->kind == 'c' ? NULL : client},
                      {"a configuration", one->kind == 'f' ? NULL : crowd[0]},
                      {"a request", one->kind == 'r' ? NULL : request},
                      {"of a later generation", (void *)other_generation},
                      {"1", (void *)1},
                      {"an address", &never},
                      {"all ones", (void *)UINTPTR_MAX}};
        size_t i;
        for (i = 0; i < COUNT_OF(values) && one->kind != 'p'; i++) {
            char column[64];
            snprintf(column, sizeof column, "%s: %s", one->name, values[i].name);
            if (values[i].value) {
                cell("stale", column, function, one->index, values[i].value);
            }
        }
    }
    CHECK_EQ(gwa_request_kind(request), GWA_REQUEST_PERSIST_REFRESH_TOKEN);
    gwa_request_free(request);
}

int main(void)
{
    gwa_error_t *why = NULL;
    int32_t state = GWA_STATE_IDLE;
    size_t i;

    take_samples();
    check_ok(__FILE__, __LINE__, "gwa_client_new", gwa_client_new(config, &client, &why), &why);
    check_ok(__FILE__, __LINE__, "gwa_client_connect", gwa_client_connect(client, 30000 * (uint32_t)slowness(), &why), &why);
    for (i = 0; i < COUNT_OF(functions); i++) {
        null_for_every_pointer(&functions[i]);
    }
    take_places();
    for (i = 0; i < COUNT_OF(functions); i++) {
        stale_for_every_handle(&functions[i]);
    }
    /* None of it has touched the client. */
    CHECK_STATUS(gwa_client_state(client, &state), GWA_OK);
    CHECK(state != GWA_STATE_CLOSED && state != GWA_STATE_FAILED);
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    for (i = 0; i < COUNT_OF(crowd); i++) {
        CHECK_STATUS(gwa_config_set(crowd[i], "region", "example.com", NULL), GWA_OK);
        gwa_config_free(crowd[i]);
    }
    free_samples();
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
