/* The C++ wrapper of the installed package, and the archive. */
#include <genesys_ws_auth.hpp>

int main()
{
    {
        gwa::config config;
        config.set("region", "mypurecloud.ie");
    }
    return GWA_CHECK_ABI() == GWA_OK && gwa_debug_live_objects() == 0 ? 0 : 1;
}
