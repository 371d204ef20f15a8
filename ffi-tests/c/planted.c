/*
 * Defects planted on purpose, for the tools to find: argument 1 is leak (an object of the library is never freed), after
 * (a freed object is read) or none.
 */
#include "common.h"

static gwa_text_t *check(void)
{
    gwa_text_t *text = NULL;
    CHECK_STATUS(gwa_scopes_check("opaque", 6, NULL, 0, &text, NULL), GWA_OK);
    return text;
}

int main(int argc, char **argv)
{
    CHECK_EQ(argc, 2);
    if (strcmp(argv[1], "leak") == 0) {
        gwa_text_t *volatile lost = check();
        lost = check();
        gwa_text_free(lost);
        lost = NULL;
        CHECK_EQ(gwa_debug_live_objects(), 1);
        return lost != NULL;
    }
    if (strcmp(argv[1], "after") == 0) {
        gwa_text_t *text = check();
        gwa_text_free(text);
        return gwa_text_data(text, NULL) == argv[1];
    }
    gwa_text_free(check());
    return 0;
}
