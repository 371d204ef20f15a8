/*
 * Without the wrapper: an exception that leaves a callback registered by the C functions ends the process, with SIGABRT,
 * whichever callback it is and whichever thread calls it. Each in a child of its own.
 */
#include "cases.hpp"

#if EXCEPTIONS
#include <csignal>
#include <stdexcept>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

[[noreturn]] void leave() { throw std::runtime_error("leaves a C callback"); }

void on_event(void *, const gwa_event_t *) { leave(); }
int32_t on_record(void *, const gwa_audit_t *) { leave(); }
void on_token(void *, const gwa_token_t *) { leave(); }
void on_log(void *, int32_t, const char *, const char *) { leave(); }
void on_thread(void *, int32_t, int32_t, const char *) { leave(); }
void on_release(void *) { leave(); }

struct plan {
    const char *delivery;
    gwa_status_t (*install)(gwa_config_t *config);
};

const plan plans[] = {
    {"callbacks", [](gwa_config_t *config) { return gwa_config_on_message(config, on_event, nullptr, nullptr); }},
    {"inline", [](gwa_config_t *config) { return gwa_config_on_message(config, on_event, nullptr, nullptr); }},
    {"poll", [](gwa_config_t *config) { return gwa_config_on_message(config, on_event, nullptr, nullptr); }},
    {"callbacks", [](gwa_config_t *config) { return gwa_config_on_state(config, on_event, nullptr, nullptr); }},
    {"callbacks", [](gwa_config_t *config) { return gwa_config_on_token(config, on_token, nullptr, nullptr); }},
    {"callbacks", [](gwa_config_t *config) { return gwa_config_on_audit(config, on_record, nullptr, nullptr); }},
    {"poll", [](gwa_config_t *config) { return gwa_config_on_siem(config, on_record, nullptr, nullptr); }},
    {"callbacks", [](gwa_config_t *config) { return gwa_config_on_log(config, on_log, nullptr, nullptr); }},
    {"inline", [](gwa_config_t *config) { return gwa_config_on_thread(config, on_thread, nullptr, nullptr); }},
    {"callbacks", [](gwa_config_t *config) { return gwa_config_on_sent(config, nullptr, nullptr, on_release); }},
};

/** Lives until the exception comes; 30 seconds without one are a failure. */
[[noreturn]] void live(const plan &of)
{
    const rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    gwa::config config = cases::config_from_environment();
    CHECK_OK(config.try_set("delivery", of.delivery));
    CHECK_STATUS(of.install(config.get()), GWA_OK);
    gwa_client_t *client = nullptr;
    CHECK_STATUS(gwa_client_new(config.get(), &client, nullptr), GWA_OK);
    CHECK_STATUS(gwa_client_start(client, nullptr), GWA_OK);
    const auto until = std::chrono::steady_clock::now() + cases::seconds(30);
    while (std::chrono::steady_clock::now() < until) {
        gwa_event_t *event = nullptr;
        if (gwa_client_next_event(client, 1000, &event) == GWA_E_BAD_STATE) {
            pause();
        }
        gwa_event_free(event);
    }
    cases::fail(__FILE__, __LINE__, "the exception went nowhere");
}

} // namespace

void cases::raw_exceptions()
{
    for (const plan &one : plans) {
        const pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(static_cast<unsigned>(seconds(30).count() / 1000));
            live(one);
        }
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}
#else
void cases::raw_exceptions()
{
    fail(__FILE__, __LINE__, "needs exceptions");
}
#endif
