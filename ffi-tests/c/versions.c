/* Every version macro, evaluated, against the library and the crate's version (argument 1). */
#include "common.h"

#if GWA_VERSION_NUMBER < 1
#error "GWA_VERSION_NUMBER is not fit for #if"
#endif

int main(int argc, char **argv)
{
    char text[64];
    CHECK_EQ(argc, 2);
    snprintf(text, sizeof text, "%d.%d.%d", (int)GWA_VERSION_MAJOR, (int)GWA_VERSION_MINOR, (int)GWA_VERSION_PATCH);
    CHECK(strcmp(text, argv[1]) == 0);
    CHECK(strcmp(text, gwa_version_string()) == 0);
    CHECK_EQ(GWA_VERSION_NUMBER, gwa_version_number());
    CHECK_EQ(GWA_VERSION_NUMBER, GWA_VERSION_MAJOR * 1000000 + GWA_VERSION_MINOR * 1000 + GWA_VERSION_PATCH);
    CHECK_STATUS(GWA_CHECK_ABI(), GWA_OK);
    CHECK_STATUS(gwa_check_abi(2000000), GWA_E_ABI_MISMATCH);
    return 0;
}
