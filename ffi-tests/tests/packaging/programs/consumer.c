/*
 * Somebody who has nothing but the installed package: receives as many messages as argument 1 says, ends cleanly, and
 * prints the version of the header and that of the library.
 */
#include "receive.h"

int main(int argc, char **argv)
{
    if (argc != 2 || session(strtoul(argv[1], NULL, 10)))
        return 1;
    if (gwa_debug_live_objects() != 0 || gwa_version_number() != GWA_VERSION_NUMBER)
        return 2;
    printf("header=%d.%d.%d\n", (int)GWA_VERSION_MAJOR, (int)GWA_VERSION_MINOR, (int)GWA_VERSION_PATCH);
    printf("library=%s\n", gwa_version_string());
    return 0;
}
