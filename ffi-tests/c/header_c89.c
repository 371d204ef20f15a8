/* Strict C89, the header included twice, and nothing but the header. */
#include "genesys_ws_auth.h"
#include "genesys_ws_auth.h"

int main(void)
{
    gwa_config_t *config = NULL;
    gwa_error_t *err = NULL;
    if (GWA_CHECK_ABI() != GWA_OK || gwa_config_new(&config) != GWA_OK) {
        return 1;
    }
    if (gwa_config_set(config, "regoin", "x", &err) != GWA_E_UNKNOWN_KEY || err == NULL) {
        return 2;
    }
    gwa_error_free(err);
    gwa_config_free(config);
    return gwa_debug_live_objects() == 0 ? 0 : 3;
}
