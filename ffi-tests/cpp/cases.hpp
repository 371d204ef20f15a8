/*
 * What the C++ programs of this directory share. They are one program: its first argument names the case to run; exit
 * status 0 means that all checks held. Compiled with and without exceptions: EXCEPTIONS says which.
 */
#ifndef GWA_TEST_CASES_HPP
#define GWA_TEST_CASES_HPP

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "genesys_ws_auth.hpp"

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS)
#define EXCEPTIONS 1
#else
#define EXCEPTIONS 0
#endif
#if EXCEPTIONS && !defined(GWA_NO_EXCEPTIONS)
#define THROWING 1
#else
#define THROWING 0
#endif

#define CHECK(condition) ((condition) ? static_cast<void>(0) : cases::fail(__FILE__, __LINE__, #condition))
#define CHECK_STATUS(call, wanted) cases::check_status(__FILE__, __LINE__, #call, (call), (wanted))
#define CHECK_OK(call) cases::check_ok(__FILE__, __LINE__, #call, (call))

namespace cases {

[[noreturn]] inline void fail(const char *file, int line, const char *what)
{
    std::fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
    std::fflush(nullptr);
    std::_Exit(1);
}

inline void check_status(const char *file, int line, const char *what, gwa_status_t got, gwa_status_t wanted)
{
    if (got != wanted) {
        std::fprintf(stderr, "%s, wanted %s\n", gwa_status_name(got), gwa_status_name(wanted));
        fail(file, line, what);
    }
}

template <class Result> void check_ok(const char *file, int line, const char *what, const Result &result)
{
    if (!result.ok()) {
        std::fprintf(stderr, "%s\n%s\n", result.error().message().str().c_str(), result.error().hint().str().c_str());
        fail(file, line, what);
    }
}

/** A number or text of the environment, or "". */
inline std::string environment(const char *name)
{
    const char *value = std::getenv(name);
    return value ? value : "";
}

inline std::chrono::milliseconds seconds(int n)
{
    const std::string slowness = environment("GWA_TEST_SLOWNESS");
    return std::chrono::seconds(n * (slowness.empty() ? 1 : std::atoi(slowness.c_str())));
}

/** Counts things by name; others wait for the counts, without sleeping. */
class counters {
public:
    counters() : lock_(), changed_(), counts_() {}
    void add(const std::string &name)
    {
        const std::lock_guard<std::mutex> guard(lock_);
        counts_[name]++;
        changed_.notify_all();
    }
    int get(const std::string &name)
    {
        const std::lock_guard<std::mutex> guard(lock_);
        return counts_[name];
    }
    void wait(const std::string &name, int at_least)
    {
        std::unique_lock<std::mutex> guard(lock_);
        if (!changed_.wait_for(guard, seconds(30), [&] { return counts_[name] >= at_least; })) {
            std::fprintf(stderr, "%s: %d, wanted %d\n", name.c_str(), counts_[name], at_least);
            fail(__FILE__, __LINE__, "in vain");
        }
    }

private:
    std::mutex lock_;
    std::condition_variable changed_;
    std::map<std::string, int> counts_;
};

/**
 * A configuration for the simulator the environment names, with what the harness sets by GWA_TEST_SET. Static,
 * because files compiled in different exception modes are linked together, and gwa::config is a type of each mode.
 */
static inline gwa::config config_from_environment()
{
    gwa::config config;
    CHECK_OK(config.try_set_from_env());
    CHECK_OK(config.try_set("token.url", environment("GWA_TOKEN_URL")));
    CHECK_OK(config.try_set("ws.url", environment("GWA_WS_URL")));
    CHECK_OK(config.try_set("tls.ca_file", environment("GWA_CA_FILE")));
    const std::string settings = environment("GWA_TEST_SET");
    for (std::size_t at = 0; at < settings.size();) {
        const std::size_t end = settings.find(';', at);
        const std::string setting = settings.substr(at, end == std::string::npos ? end : end - at);
        const std::size_t equals = setting.find('=');
        CHECK_OK(config.try_set(setting.substr(0, equals), setting.substr(equals + 1)));
        at = end == std::string::npos ? settings.size() : end + 1;
    }
    return config;
}

void every_item();
void lifecycle();
void releases();
void poll_mode();
void topics();
void freed_in_callback();
void two_clients();
void questions();
void callback_exceptions();
void exceptions();
void raw_exceptions();

} // namespace cases

#endif
