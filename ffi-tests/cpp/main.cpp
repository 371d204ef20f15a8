/* Runs the case that the first argument names. */
#include "cases.hpp"

namespace {

struct named {
    const char *name;
    void (*run)();
};

const named all[] = {
    {"every_item", cases::every_item},
    {"lifecycle", cases::lifecycle},
    {"releases", cases::releases},
    {"poll_mode", cases::poll_mode},
    {"topics", cases::topics},
    {"freed_in_callback", cases::freed_in_callback},
    {"two_clients", cases::two_clients},
    {"questions", cases::questions},
    {"callback_exceptions", cases::callback_exceptions},
    {"exceptions", cases::exceptions},
    {"raw_exceptions", cases::raw_exceptions},
};

} // namespace

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    for (const named &one : all) {
        if (std::string(one.name) == argv[1]) {
            one.run();
            CHECK(gwa::debug_live_objects() == 0);
            return 0;
        }
    }
    cases::fail(__FILE__, __LINE__, "no such case");
}
