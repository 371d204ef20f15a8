/*
 * examples/c/minimal.c in C++: shows every change of state, every audit record and one line a second, and shuts down on
 * Ctrl-C, or after as many seconds as its argument says. Reads GENESYS_REGION, GENESYS_CLIENT_ID, GENESYS_CLIENT_SECRET
 * and GENESYS_REFRESH_TOKEN, and as minimal.c GWA_PROFILE, GWA_TOPICS, GWA_PROXY, GWA_TOKEN_URL, GWA_WS_URL, GWA_CA_FILE.
 *   c++ -pthread minimal.cpp $(pkg-config --cflags --libs genesys-ws-auth) -o minimal
 */
#include <genesys_ws_auth.hpp>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <thread>

namespace {

volatile std::sig_atomic_t interrupted = 0;

extern "C" void on_interrupt(int) { interrupted = 1; }

gwa::config config_from_env()
{
    static const char *const given[][2] = {
        {"GWA_TOKEN_URL", "token.url"}, {"GWA_WS_URL", "ws.url"}, {"GWA_CA_FILE", "tls.ca_file"},
        {"GWA_PROFILE", "profile"}, {"GWA_TOPICS", "notifications.topics"}, {"GWA_PROXY", "proxy"}};
    gwa::config config;
    for (const auto &pair : given) {
        if (const char *value = std::getenv(pair[0]))
            config.set(pair[1], value);
    }
    config.set_from_env().set("scopes.required", "conversation:read");
    return config;
}

/* In one piece: callbacks come from a thread of the library, at the same time as main() goes on. */
void say(const std::string &line) { std::cout << line + '\n' << std::flush; }

/* What callbacks are given lives until they return. */
void show_events(gwa::config &config)
{
    if (std::getenv("GWA_SHOW_MESSAGES")) {
        config.on_message([](gwa::event_view message) { say("message  " + message.data().str()); });
    }
    config.on_state([](gwa::event_view event) {
        const std::string gap = "gap      " + std::to_string(event.gap_number());
        if (event.kind() == GWA_EVENT_STATE) {
            say("state    " + gwa::state_name(event.state_to()).str() + " (" + event.reason().str() + ")");
        } else if (event.kind() == GWA_EVENT_GAP_BEGIN) {
            say(gap + " begins: " + gwa::status_text(event.outcome()).str());
        } else if (event.kind() == GWA_EVENT_GAP_END) {
            say(gap + " ends after " + std::to_string(event.gap_duration().count()) + " ms");
        }
    });
    config.on_audit([](gwa::audit_view record) {
        say("audit    " + record.json().str());
        return std::cout ? gwa::hook::done : gwa::hook::failed; /* failed: counted as a failure of this sink */
    });
    config.on_exception([](std::exception_ptr, const char *callback) { say(std::string(callback) + " threw"); });
}

void show(gwa::client &client, const char *end_of_line)
{
    const gwa_metrics_t m = client.metrics();
    long long age = -1; /* no token in use */
    if (auto token = client.try_token(std::chrono::seconds(0), std::chrono::seconds(0))) {
        const auto since = std::chrono::system_clock::now() - token->granted_at();
        age = std::chrono::duration_cast<std::chrono::seconds>(since).count();
    }
    std::ostringstream line;
    line << "now      state=" << gwa::state_name(client.state()) << " token_age_s=" << age
         << " messages=" << m.messages_received << " renewals=" << m.renewals << " connects=" << m.connects
         << " gaps=" << m.gaps << end_of_line;
    say(line.str());
}

} // namespace

int main(int argc, char **argv)
{
    try {
        gwa::config config = config_from_env();
        show_events(config);
        gwa::client client(config);
        client.connect(std::chrono::seconds(30));
        std::signal(SIGINT, on_interrupt);
        for (long seconds = argc > 1 ? std::atol(argv[1]) : -1; !interrupted && seconds != 0; seconds -= seconds > 0) {
            std::this_thread::sleep_for(std::chrono::seconds(1));
            show(client, "");
        }
        if (!client.shutdown(std::chrono::seconds(5)).complete) {
            return 1;
        }
        show(client, " shutdown=clean");
        return 0;
    } catch (const gwa::exception &why) {
        std::cerr << why.what() << '\n' << why.error().hint() << '\n';
        return 1;
    }
}
