/*
 * genesys_ws_auth.hpp - the C++ face of genesys_ws_auth.h: one header for C++11 and later, nothing more to link.
 *
 * MIT OR Apache-2.0.
 *
 *     gwa::config config;
 *     config.set_from_env();
 *     config.on_message([](gwa::event_view message) { std::cout << message.data() << '\n'; });
 *     gwa::client client(config);
 *     client.connect(std::chrono::seconds(30));
 *
 *   Ownership    config, client, token_source, request, event, audit_record, error, token and text own what they hold and
 *                free it when they are destroyed; they can be moved, not copied. One that was moved from, was reset() or
 *                made by default (a config so made has all defaults) is empty: every call on it is safe, and gives
 *                GWA_E_BAD_HANDLE or an empty answer. event_view, audit_view, error_view and token_view borrow; what a
 *                callback is given lives until the callback returns, clone() keeps it longer.
 *   Two forms    Each fallible operation `x` is `try_x`, noexcept, which returns a gwa::result, and `x`, which throws
 *                gwa::exception instead. With -fno-exceptions, or with GWA_NO_EXCEPTIONS defined, `x` is not declared.
 *   Callbacks    are std::function. Captures are destroyed exactly once, when the library releases the registration:
 *                after the last call, on any thread. An exception that leaves a callback stops there: it goes to
 *                config::on_exception(), and is counted in client::callback_exceptions(); audit and SIEM callbacks have
 *                failed then (the library counts and logs that), and a question of on_ask is refused with
 *                GWA_E_CALLBACK_FAILED. Compiled with -fno-exceptions, an exception ends the process.
 *   Texts        Parameters are text_view: made from a literal, a std::string or (C++17) a std::string_view. Answers are
 *                text_view too; those end with NUL, and live as long as the object they were asked of.
 *   Times        are std::chrono; timeouts: zero does not wait, gwa::no_limit waits without limit.
 *   Threads      as the C function of the same name, whose comment says all the rest. One C++ object, as everywhere in
 *                C++, must not be moved, assigned to or destroyed while another thread uses it.
 *   Allocation   A try_ function that cannot get memory returns GWA_E_INTERNAL (with -fno-exceptions the program ends, as
 *                the standard library has it).
 */
#ifndef GWA_GENESYS_WS_AUTH_HPP
#define GWA_GENESYS_WS_AUTH_HPP

#include "genesys_ws_auth.h"

#if __cplusplus < 201103L
#error "genesys_ws_auth.hpp needs C++11"
#endif

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <iosfwd>
#include <iterator>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>
#if __cplusplus >= 201703L
#include <string_view>
#endif

/* All of these are undefined again at the end. Builds of different exception modes may meet in one program: the inline
 * namespace keeps their functions apart. */
#if defined(__cpp_exceptions) || defined(__EXCEPTIONS)
#define GWA_HPP_CATCHES 1
#define GWA_HPP_TRY try
#define GWA_HPP_CATCH_ALL catch (...)
#else
#define GWA_HPP_CATCHES 0
#define GWA_HPP_TRY if (true)
#define GWA_HPP_CATCH_ALL else
#endif

#if GWA_HPP_CATCHES && !defined(GWA_NO_EXCEPTIONS)
#define GWA_HPP_THROWS 1
#define GWA_HPP_MODE throwing
#elif GWA_HPP_CATCHES
#define GWA_HPP_THROWS 0
#define GWA_HPP_MODE catching
#else
#define GWA_HPP_THROWS 0
#define GWA_HPP_MODE no_exceptions
#endif

#if __cplusplus >= 201703L
#define GWA_HPP_NODISCARD [[nodiscard]]
#else
#define GWA_HPP_NODISCARD
#endif

namespace gwa {
inline namespace GWA_HPP_MODE {

class config;
class token_source;
class client;
class request;
class event;
class audit_record;
class audit_verifier;
class error;
class token;
class text;
namespace detail {
class c_string;
#if __cplusplus >= 201703L
/** bool, for an exact match where both kinds of view can be made of each other. */
template <class View>
using if_string_view = typename std::enable_if<std::is_same<View, std::string_view>::value, bool>::type;
#endif
} // namespace detail

/** For timeouts: wait without limit. */
constexpr std::chrono::milliseconds no_limit = std::chrono::milliseconds::max();

/** What an audit or SIEM callback did with its record. */
enum class hook : int32_t {
    done = 0,  /**< It has it. */
    failed = 1 /**< It could not take it: counted and logged by the library, and otherwise harmless. */
};

/* ---- texts ------------------------------------------------------------------------------------------------ */

/** A borrowed text or run of bytes. Made implicitly, because it is what parameters are. Never owns, never allocates. */
class text_view {
public:
    /** An empty one. */
    text_view() noexcept : data_(nullptr), size_(0), ends_with_nul_(false) {}
    /** A text that ends with NUL; NULL is the empty one. */
    text_view(const char *text) noexcept : data_(text), size_(text ? std::strlen(text) : 0), ends_with_nul_(true) {}
    /** The whole of a string, which has to outlive this. */
    text_view(const std::string &text) noexcept : data_(text.c_str()), size_(text.size()), ends_with_nul_(true) {}
    /** `size` bytes from `data` on. */
    text_view(const char *data, std::size_t size) noexcept : data_(data), size_(size), ends_with_nul_(false) {}
#if __cplusplus >= 201703L
    /** The same bytes. */
    text_view(std::string_view text) noexcept : data_(text.data()), size_(text.size()), ends_with_nul_(false) {}
    /** The same bytes. */
    operator std::string_view() const noexcept { return std::string_view(data_, size_); }
#endif

    /** Its first byte; NULL if there is no text at all. Ends with NUL where the library gave it. */
    const char *data() const noexcept { return data_; }
    /** How many bytes, without a NUL at the end. */
    std::size_t size() const noexcept { return size_; }
    /** Whether there are none. */
    bool empty() const noexcept { return size_ == 0; }
    /** The first byte. */
    const char *begin() const noexcept { return data_; }
    /** Behind the last byte. */
    const char *end() const noexcept { return data_ + size_; }
    /** A copy. */
    std::string str() const { return data_ ? std::string(data_, size_) : std::string(); }

    /** Whether the bytes are equal. */
    friend bool operator==(text_view a, text_view b) noexcept { return a.equals(b); }
    /** Whether they are not. */
    friend bool operator!=(text_view a, text_view b) noexcept { return !a.equals(b); }
#if __cplusplus >= 201703L
    /** Whether the bytes are equal. */
    template <class View> friend detail::if_string_view<View> operator==(text_view a, View b) noexcept
    {
        return a.equals(b);
    }
    /** Whether the bytes are equal. */
    template <class View> friend detail::if_string_view<View> operator==(View a, text_view b) noexcept
    {
        return b.equals(a);
    }
    /** Whether they are not. */
    template <class View> friend detail::if_string_view<View> operator!=(text_view a, View b) noexcept
    {
        return !a.equals(b);
    }
    /** Whether they are not. */
    template <class View> friend detail::if_string_view<View> operator!=(View a, text_view b) noexcept
    {
        return !b.equals(a);
    }
#endif

private:
    friend class detail::c_string;

    bool equals(text_view other) const noexcept
    {
        return size_ == other.size_ && (size_ == 0 || std::memcmp(data_, other.data_, size_) == 0);
    }

    const char *data_;
    std::size_t size_;
    bool ends_with_nul_;
};

/** Writes the bytes of a text. */
template <class Traits>
std::basic_ostream<char, Traits> &operator<<(std::basic_ostream<char, Traits> &out, text_view text)
{
    return out.write(text.data(), static_cast<std::streamsize>(text.size()));
}

namespace detail {

/** A text as C functions without a length want it; no copy where it ends with NUL already. */
class c_string {
public:
    explicit c_string(text_view text) noexcept : status_(GWA_OK), text_(text.data_), small_(), large_()
    {
        if (text.size_ != 0 && std::memchr(text.data_, 0, text.size_) != nullptr) {
            status_ = GWA_E_INVALID_ARGUMENT;
        } else if (!text.ends_with_nul_ && text.data_ != nullptr) {
            copy(text);
        }
    }
    c_string(const c_string &) = delete;
    c_string &operator=(const c_string &) = delete;

    /** GWA_E_INVALID_ARGUMENT if there is a NUL inside, GWA_E_INTERNAL if there is no memory. */
    gwa_status_t status() const noexcept { return status_; }
    const char *get() const noexcept { return text_; }

private:
    void copy(text_view text) noexcept
    {
        char *to = small_;
        if (text.size_ >= sizeof small_) {
            large_.reset(new (std::nothrow) char[text.size_ + 1]);
            to = large_.get();
        }
        if (to == nullptr) {
            status_ = GWA_E_INTERNAL;
            return;
        }
        if (text.size_ != 0) {
            std::memcpy(to, text.data_, text.size_);
        }
        to[text.size_] = '\0';
        text_ = to;
    }

    gwa_status_t status_;
    const char *text_;
    char small_[128];
    std::unique_ptr<char[]> large_;
};

/** Texts as C functions want an array of them; they have to outlive it. Throws if there is no memory. */
class c_strings {
public:
    explicit c_strings(const std::vector<std::string> &texts) : status_(GWA_OK), all_()
    {
        all_.reserve(texts.size());
        for (const std::string &text : texts) {
            if (text.find('\0') != std::string::npos) {
                status_ = GWA_E_INVALID_ARGUMENT;
            }
            all_.push_back(text.c_str());
        }
    }

    /** GWA_E_INVALID_ARGUMENT if one has a NUL inside. */
    gwa_status_t status() const noexcept { return status_; }
    const char *const *data() const noexcept { return all_.data(); }
    std::size_t size() const noexcept { return all_.size(); }

private:
    gwa_status_t status_;
    std::vector<const char *> all_;
};

/** Frees whatever the library gives away. */
struct freer {
    void operator()(gwa_config_t *it) const noexcept { gwa_config_free(it); }
    void operator()(gwa_client_t *it) const noexcept { static_cast<void>(gwa_client_free(it)); }
    void operator()(gwa_token_source_t *it) const noexcept { static_cast<void>(gwa_token_source_free(it)); }
    void operator()(gwa_request_t *it) const noexcept { gwa_request_free(it); }
    void operator()(gwa_event_t *it) const noexcept { gwa_event_free(it); }
    void operator()(gwa_audit_t *it) const noexcept { gwa_audit_free(it); }
    void operator()(gwa_audit_verify_t *it) const noexcept { gwa_audit_verify_free(it); }
    void operator()(gwa_error_t *it) const noexcept { gwa_error_free(it); }
    void operator()(gwa_token_t *it) const noexcept { gwa_token_free(it); }
    void operator()(gwa_text_t *it) const noexcept { gwa_text_free(it); }
};

/** timeout_ms of a duration. */
inline uint32_t timeout_ms(std::chrono::milliseconds timeout) noexcept
{
    if (timeout == no_limit) {
        return GWA_NO_LIMIT;
    }
    if (timeout <= std::chrono::milliseconds::zero()) {
        return 0;
    }
    const int64_t longest = GWA_NO_LIMIT - 1;
    return static_cast<uint32_t>(timeout.count() < longest ? timeout.count() : longest);
}

/** A duration of the library's. */
inline std::chrono::milliseconds milliseconds(uint64_t count) noexcept
{
    return count < static_cast<uint64_t>(INT64_MAX) ? std::chrono::milliseconds(static_cast<int64_t>(count)) : no_limit;
}

/** A moment of the library's: milliseconds since 1970 (UTC). */
inline std::chrono::system_clock::time_point moment(uint64_t since_1970_ms) noexcept
{
    return std::chrono::system_clock::time_point(milliseconds(since_1970_ms));
}

/** What an accessor `const char *f(object, size_t *len)` gives. */
template <class Object>
text_view text_of(const char *(*accessor)(const Object *, std::size_t *), const Object *object) noexcept
{
    std::size_t size = 0;
    const char *data = accessor(object, &size);
    return data ? text_view(data, size) : text_view();
}

/** The category of statuses as std::error_code knows it. */
class status_category_type : public std::error_category {
public:
    const char *name() const noexcept override { return "gwa"; }
    std::string message(int status) const override { return gwa_status_text(status); }
    std::error_condition default_error_condition(int status) const noexcept override
    {
        switch (status) {
        case GWA_E_INVALID_ARGUMENT:
        case GWA_E_BAD_HANDLE:
        case GWA_E_INVALID_UTF8:
        case GWA_E_BAD_VALUE:
            return std::errc::invalid_argument;
        case GWA_E_CANCELLED:
            return std::errc::operation_canceled;
        case GWA_E_TIMEOUT:
        case GWA_E_CONNECT_TIMEOUT:
        case GWA_E_TLS_TIMEOUT:
            return std::errc::timed_out;
        case GWA_E_INTERRUPTED:
            return std::errc::interrupted;
        case GWA_E_QUEUE_FULL:
            return std::errc::no_buffer_space;
        case GWA_E_TOO_LARGE:
            return std::errc::message_size;
        case GWA_E_REENTRANT:
            return std::errc::resource_deadlock_would_occur;
        default:
            return std::error_condition(status, *this);
        }
    }
};

} // namespace detail

/* ---- statuses and errors ---------------------------------------------------------------------------------- */

/** The category of statuses; some of them are equal to a std::errc, e.g. GWA_E_TIMEOUT to timed_out. */
inline const std::error_category &status_category() noexcept
{
    /* Never destroyed: destructors of static objects may still ask it. */
    alignas(detail::status_category_type) static unsigned char place[sizeof(detail::status_category_type)];
    static const detail::status_category_type *const category = new (place) detail::status_category_type;
    return *category;
}

/** A status as std::error_code; GWA_OK and GWA_DEFERRED are no error. */
inline std::error_code error_code(gwa_status_t status) noexcept
{
    return std::error_code(status == GWA_DEFERRED ? GWA_OK : status, status_category());
}

/** The stable name of a status: gwa_status_name(). */
inline text_view status_name(gwa_status_t status) noexcept { return gwa_status_name(status); }

/** What a status means: gwa_status_text(). */
inline text_view status_text(gwa_status_t status) noexcept { return gwa_status_text(status); }

/** All statuses the library knows: gwa_status_at(). */
inline std::vector<gwa_status_t> statuses()
{
    std::vector<gwa_status_t> all;
    gwa_status_t status = GWA_OK;
    while (gwa_status_at(all.size(), &status) == GWA_OK) {
        all.push_back(status);
    }
    return all;
}

/** The name of a state, one of GWA_STATE_...: gwa_state_name(). */
inline text_view state_name(int32_t state) noexcept { return gwa_state_name(state); }

namespace detail {

/** What error and error_view have in common. */
template <class Self> class error_access {
public:
    /** The stable name of the code, e.g. "GWA_E_DNS". */
    text_view name() const noexcept { return raw() ? text_of(gwa_error_name, raw()) : status_name(self().code()); }
    /** The whole error in one line for a log; never holds a secret. */
    text_view message() const noexcept { return raw() ? text_of(gwa_error_message, raw()) : status_text(self().code()); }
    /** What to do about it, in one sentence. */
    text_view hint() const noexcept { return text_of(gwa_error_hint, raw()); }
    /** The part of the work that failed, one of GWA_CATEGORY_..., or 0. */
    int32_t category() const noexcept { return gwa_error_category(raw()); }
    /** The category as a word, e.g. "oauth". */
    text_view category_name() const noexcept { return text_of(gwa_error_category_name, raw()); }
    /** The step during which it happened, as a word, e.g. "upgrade". */
    text_view stage() const noexcept { return text_of(gwa_error_stage, raw()); }
    /** HTTP status of the answer, or 0. */
    int32_t http_status() const noexcept { return gwa_error_http_status(raw()); }
    /** The `error` member of an OAuth answer, e.g. "invalid_grant", or "". */
    text_view oauth_error() const noexcept { return text_of(gwa_error_oauth_error, raw()); }
    /** `errno` of the system call that failed, or 0. */
    int32_t os_errno() const noexcept { return gwa_error_os_errno(raw()); }
    /** Number of the TLS alert, or -1. */
    int32_t tls_alert() const noexcept { return gwa_error_tls_alert(raw()); }
    /** WebSocket close code, or 0. */
    int32_t ws_close_code() const noexcept { return gwa_error_ws_close_code(raw()); }
    /** Correlation id of the answer, for Genesys support, or "". */
    text_view correlation_id() const noexcept { return text_of(gwa_error_correlation_id, raw()); }
    /** Host and port of the peer, or "". */
    text_view host() const noexcept { return text_of(gwa_error_host, raw()); }
    /** Which attempt of its round failed, from 1, or 0. */
    uint32_t attempt() const noexcept { return gwa_error_attempt(raw()); }
    /** Whether the same may succeed later without anybody acting. */
    bool is_retriable() const noexcept { return gwa_error_retriable(raw()) != 0; }
    /** Whether nothing but the application or an administrator can help now. */
    bool is_fatal() const noexcept { return gwa_error_fatal(raw()) != 0; }
    /** How long the server asked to wait; -1 ms if it did not ask. */
    std::chrono::milliseconds retry_after() const noexcept
    {
        return std::chrono::milliseconds(gwa_error_retry_after_ms(raw()));
    }
    /** The scopes that are missing, separated by one space, or "". */
    text_view missing_scopes() const noexcept { return text_of(gwa_error_missing_scopes, raw()); }
    /** The code as std::error_code. */
    std::error_code std_code() const noexcept { return error_code(self().code()); }
    /** An owned copy. */
    error clone() const noexcept;

protected:
    error_access() = default;
    ~error_access() = default;
    error_access(const error_access &) = default;
    error_access &operator=(const error_access &) = default;

private:
    const Self &self() const noexcept { return static_cast<const Self &>(*this); }
    const gwa_error_t *raw() const noexcept { return self().get(); }
};

} // namespace detail

/** An error that belongs to something else, e.g. to an event, and lives as long. May be empty. */
class error_view : public detail::error_access<error_view> {
public:
    /** A view of it; NULL is the empty one. */
    explicit error_view(const gwa_error_t *raw) noexcept : raw_(raw) {}
    /** Whether there is an error. */
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    /** One of GWA_E_..., or GWA_OK if there is none. */
    gwa_status_t code() const noexcept { return gwa_error_code(raw_); }
    /** For C functions. */
    const gwa_error_t *get() const noexcept { return raw_; }

private:
    const gwa_error_t *raw_;
};

/** What went wrong, where, and what to do next. Where the C function gives no error object, a status and its texts. */
class error : public detail::error_access<error> {
public:
    /** No error. */
    error() noexcept : code_(GWA_OK), raw_() {}
    /** Takes an error of a C function, which may be NULL, and the status it came with. */
    explicit error(gwa_status_t code, gwa_error_t *raw = nullptr) noexcept : code_(code), raw_(raw) {}
    /** Whether there is an error. */
    explicit operator bool() const noexcept { return code_ != GWA_OK && code_ != GWA_DEFERRED; }
    /** One of GWA_E_..., or GWA_OK or GWA_DEFERRED if there is none. */
    gwa_status_t code() const noexcept { return code_; }
    /** For C functions; NULL if there is but a status. */
    const gwa_error_t *get() const noexcept { return raw_.get(); }
    /** The same, borrowed. */
    error_view view() const noexcept { return error_view(raw_.get()); }

private:
    gwa_status_t code_;
    std::unique_ptr<gwa_error_t, detail::freer> raw_;
};

template <class Self> error detail::error_access<Self>::clone() const noexcept
{
    return error(self().code(), gwa_error_clone(raw()));
}

#if GWA_HPP_THROWS
/** What the throwing forms throw. Copies share the error. */
class exception : public std::runtime_error {
public:
    /** Made of an error. */
    explicit exception(gwa::error why)
        : std::runtime_error(why.message().str()), why_(std::make_shared<const gwa::error>(std::move(why)))
    {
    }
    /** The whole error. */
    const gwa::error &error() const noexcept { return *why_; }
    /** Its code, one of GWA_E_.... */
    gwa_status_t code() const noexcept { return why_->code(); }

private:
    std::shared_ptr<const gwa::error> why_;
};
#endif

/** How a call ended, and what it gave. */
template <class T> class GWA_HPP_NODISCARD result {
public:
    /** A value, with GWA_OK or GWA_DEFERRED. */
    explicit result(T value, gwa_status_t status = GWA_OK) noexcept : value_(std::move(value)), why_(status) {}
    /** An error; the value is an empty one. */
    explicit result(gwa::error why) noexcept : value_(none<T>(nullptr)), why_(std::move(why)) {}

    /** Whether there is a value. */
    bool ok() const noexcept { return !why_; }
    /** Whether there is a value. */
    explicit operator bool() const noexcept { return ok(); }
    /** GWA_OK, GWA_DEFERRED, or the error's code. */
    gwa_status_t status() const noexcept { return why_.code(); }
    /** The error, if it is one. */
    const gwa::error &error() const noexcept { return why_; }
    /** The error, moved out. */
    gwa::error take_error() noexcept { return std::move(why_); }

    /** The value; empty or 0 after an error. */
    T &value() &noexcept { return value_; }
    /** The value; empty or 0 after an error. */
    const T &value() const &noexcept { return value_; }
    /** The value, moved out; empty or 0 after an error. */
    T value() &&noexcept { return std::move(value_); }
    /** The value. */
    T &operator*() noexcept { return value_; }
    /** Into the value. */
    T *operator->() noexcept { return &value_; }
#if GWA_HPP_THROWS
    /** The value, or throws the error. */
    T or_throw()
    {
        if (!ok()) {
            throw gwa::exception(std::move(why_));
        }
        return std::move(value_);
    }
#endif

private:
    template <class U> static typename std::enable_if<std::is_constructible<U, std::nullptr_t>::value, U>::type
    none(std::nullptr_t) noexcept
    {
        return U(nullptr);
    }
    template <class U> static typename std::enable_if<!std::is_constructible<U, std::nullptr_t>::value, U>::type
    none(std::nullptr_t) noexcept
    {
        return U();
    }

    T value_;
    gwa::error why_;
};

/** How a call ended. */
template <> class GWA_HPP_NODISCARD result<void> {
public:
    /** A success: GWA_OK. */
    result() noexcept : why_() {}
    /** An error, or none. */
    explicit result(gwa::error why) noexcept : why_(std::move(why)) {}

    /** Whether it was done. */
    bool ok() const noexcept { return !why_; }
    /** Whether it was done. */
    explicit operator bool() const noexcept { return ok(); }
    /** GWA_OK, GWA_DEFERRED, or the error's code. */
    gwa_status_t status() const noexcept { return why_.code(); }
    /** The error, if it is one. */
    const gwa::error &error() const noexcept { return why_; }
    /** The error, moved out. */
    gwa::error take_error() noexcept { return std::move(why_); }
#if GWA_HPP_THROWS
    /** Throws the error, if it is one. */
    void or_throw()
    {
        if (!ok()) {
            throw gwa::exception(std::move(why_));
        }
    }
#endif

private:
    gwa::error why_;
};

namespace detail {

/** Takes what a call writes through `gwa_error_t **`. */
class failure {
public:
    failure() noexcept : raw_(nullptr) {}
    ~failure() { gwa_error_free(raw_); }
    failure(const failure &) = delete;
    failure &operator=(const failure &) = delete;

    gwa_error_t **out() noexcept { return &raw_; }
    /** How the call ended. */
    result<void> of(gwa_status_t status) noexcept { return result<void>(take(status)); }
    /** How the call ended, and what it gave. */
    template <class T> result<T> of(gwa_status_t status, T value) noexcept
    {
        const bool done = status == GWA_OK || status == GWA_DEFERRED;
        return done ? result<T>(std::move(value), status) : result<T>(take(status));
    }

private:
    gwa::error take(gwa_status_t status) noexcept
    {
        gwa_error_t *raw = raw_;
        raw_ = nullptr;
        return gwa::error(status, raw);
    }

    gwa_error_t *raw_;
};

} // namespace detail

/** GWA_VERSION_NUMBER of the library in use. */
inline uint32_t version_number() noexcept { return gwa_version_number(); }

/** Version of the library in use, e.g. "0.1.0". */
inline text_view version_string() noexcept { return gwa_version_string(); }

/** Whether the library in use fits the header this is compiled with: GWA_CHECK_ABI(). */
inline result<void> try_check_abi() noexcept { return result<void>(error(gwa_check_abi(GWA_VERSION_NUMBER))); }

/** How many objects of the library are alive in the process; for tests. */
inline uint64_t debug_live_objects() noexcept { return gwa_debug_live_objects(); }

#if GWA_HPP_THROWS
/** Throws if the library in use does not fit the header this is compiled with. */
inline void check_abi() { try_check_abi().or_throw(); }
#endif

/* ---- what the library gives --------------------------------------------------------------------------------- */

/** A text of the library's, e.g. statistics. Wiped when it is freed. */
class text {
public:
    /** An empty one. */
    text() noexcept : raw_() {}
    /** Takes a text of a C function. */
    explicit text(gwa_text_t *raw) noexcept : raw_(raw) {}
    /** Whether there is one. */
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    /** Its bytes, borrowed. */
    text_view view() const noexcept { return detail::text_of(gwa_text_data, get()); }
    /** A copy. */
    std::string str() const { return view().str(); }
    /** For C functions. */
    const gwa_text_t *get() const noexcept { return raw_.get(); }

private:
    std::unique_ptr<gwa_text_t, detail::freer> raw_;
};

namespace detail {

/** What token and token_view have in common. */
template <class Self> class token_access {
public:
    /** The access token, a secret. */
    text_view access_token() const noexcept { return text_of(gwa_token_access_token, raw()); }
    /** Its type as the server wrote it, e.g. "bearer". */
    text_view type() const noexcept { return text_of(gwa_token_type, raw()); }
    /** The refresh token in force with it, a secret, or "". */
    text_view refresh_token() const noexcept { return text_of(gwa_token_refresh_token, raw()); }
    /** The scopes the server granted, separated by blanks, or "" if it did not say. */
    text_view scope() const noexcept { return text_of(gwa_token_scope, raw()); }
    /** Lifetime, counted from granted_at(). */
    std::chrono::milliseconds expires_in() const noexcept { return milliseconds(gwa_token_expires_in_ms(raw())); }
    /** When the request that brought it began. */
    std::chrono::system_clock::time_point granted_at() const noexcept { return moment(gwa_token_granted_at_ms(raw())); }
    /** An owned copy. */
    token clone() const noexcept;

protected:
    token_access() = default;
    ~token_access() = default;
    token_access(const token_access &) = default;
    token_access &operator=(const token_access &) = default;

private:
    const gwa_token_t *raw() const noexcept { return static_cast<const Self &>(*this).get(); }
};

/** What audit_record and audit_view have in common. */
template <class Self> class audit_access {
public:
    /** The record as one line without its break: a JSON object, unless audit.format or audit.siem_format is cef or rfc5424. */
    text_view json() const noexcept { return text_of(gwa_audit_json, raw()); }
    /** Position in the order of the client's records, from 1, counted once for both sinks. */
    uint64_t seq() const noexcept { return gwa_audit_seq(raw()); }
    /** `event_type` or `action` of the record, e.g. "authentication_attempt". */
    text_view kind() const noexcept { return text_of(gwa_audit_kind, raw()); }
    /** Whether it is in the SIEM form. */
    bool is_siem() const noexcept { return gwa_audit_is_siem(raw()) != 0; }
    /** An owned copy. */
    audit_record clone() const noexcept;

protected:
    audit_access() = default;
    ~audit_access() = default;
    audit_access(const audit_access &) = default;
    audit_access &operator=(const audit_access &) = default;

private:
    const gwa_audit_t *raw() const noexcept { return static_cast<const Self &>(*this).get(); }
};

} // namespace detail

/** A token that belongs to something else, and lives as long. May be empty. */
class token_view : public detail::token_access<token_view> {
public:
    /** A view of it; NULL is the empty one. */
    explicit token_view(const gwa_token_t *raw) noexcept : raw_(raw) {}
    /** Whether there is a token. */
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    /** For C functions. */
    const gwa_token_t *get() const noexcept { return raw_; }

private:
    const gwa_token_t *raw_;
};

/** An access token. Holds copies of secrets, wiped when it is freed. */
class token : public detail::token_access<token> {
public:
    /** An empty one. */
    token() noexcept : raw_() {}
    /** Takes a token of a C function. */
    explicit token(gwa_token_t *raw) noexcept : raw_(raw) {}
    /** Whether there is one. */
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    /** The same, borrowed. */
    token_view view() const noexcept { return token_view(raw_.get()); }
    /** For C functions. */
    const gwa_token_t *get() const noexcept { return raw_.get(); }

private:
    std::unique_ptr<gwa_token_t, detail::freer> raw_;
};

template <class Self> token detail::token_access<Self>::clone() const noexcept { return token(gwa_token_clone(raw())); }

/** A record that belongs to something else, and lives as long. May be empty. */
class audit_view : public detail::audit_access<audit_view> {
public:
    /** A view of it; NULL is the empty one. */
    explicit audit_view(const gwa_audit_t *raw) noexcept : raw_(raw) {}
    /** Whether there is a record. */
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    /** For C functions. */
    const gwa_audit_t *get() const noexcept { return raw_; }

private:
    const gwa_audit_t *raw_;
};

/** An audit record or SIEM event: one JSON object and what is needed to file it. */
class audit_record : public detail::audit_access<audit_record> {
public:
    /** An empty one. */
    audit_record() noexcept : raw_() {}
    /** Takes a record of a C function. */
    explicit audit_record(gwa_audit_t *raw) noexcept : raw_(raw) {}
    /** Whether there is one. */
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    /** The same, borrowed. */
    audit_view view() const noexcept { return audit_view(raw_.get()); }
    /** For C functions. */
    const gwa_audit_t *get() const noexcept { return raw_.get(); }

private:
    std::unique_ptr<gwa_audit_t, detail::freer> raw_;
};

template <class Self> audit_record detail::audit_access<Self>::clone() const noexcept
{
    return audit_record(gwa_audit_clone(raw()));
}

/**
 * A question of the library. Answer it once, from any thread, now or later. Destroying it unanswered leaves the question
 * to other handles of it, or to its deadline.
 */
class request {
public:
    /** An empty one. */
    request() noexcept : raw_() {}
    /** Takes a request of a C function. */
    explicit request(gwa_request_t *raw) noexcept : raw_(raw) {}
    /** Whether it can be answered: it is not once it was. */
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    /** What is asked, one of GWA_REQUEST_...; fail questions you do not know. */
    int32_t kind() const noexcept { return gwa_request_kind(raw_.get()); }
    /** The refresh token to store (GWA_REQUEST_PERSIST_REFRESH_TOKEN), a secret; wiped when it is freed. */
    result<text> try_refresh_token() const noexcept
    {
        gwa_text_t *out = nullptr;
        const gwa_status_t status = gwa_request_refresh_token(raw_.get(), &out);
        return detail::failure().of(status, text(out));
    }
    /** The URL at which a person signs in (GWA_REQUEST_AUTHORIZATION_CODE), or an empty text; valid while this is. */
    text_view authorize_url() const noexcept { return detail::text_of(gwa_request_authorize_url, raw_.get()); }
    /** Answers it; `answer` is what this kind of question asks for, or nothing. Empty afterwards, unless it failed. */
    result<void> try_complete(text_view answer = text_view(),
                              std::chrono::milliseconds expires_in = std::chrono::milliseconds::zero()) noexcept
    {
        const uint64_t expires_in_ms = expires_in.count() > 0 ? static_cast<uint64_t>(expires_in.count()) : 0;
        return done(gwa_request_complete(raw_.get(), answer.data(), answer.size(), expires_in_ms));
    }
    /** Says that there will be no answer, and why; `why` goes into errors and log. Empty afterwards, unless it failed. */
    result<void> try_fail(gwa_status_t status, text_view why = text_view()) noexcept
    {
        const detail::c_string words(why);
        return done(words.status() == GWA_OK ? gwa_request_fail(raw_.get(), status, words.get()) : words.status());
    }
#if GWA_HPP_THROWS
    /** try_refresh_token(), or throws. */
    text refresh_token() const { return try_refresh_token().or_throw(); }
    /** try_complete(), or throws. */
    void complete(text_view answer = text_view(),
                  std::chrono::milliseconds expires_in = std::chrono::milliseconds::zero())
    {
        try_complete(answer, expires_in).or_throw();
    }
    /** try_fail(), or throws. */
    void fail(gwa_status_t status, text_view why = text_view()) { try_fail(status, why).or_throw(); }
#endif
    /** For C functions. */
    gwa_request_t *get() const noexcept { return raw_.get(); }
    /** Gives it to the caller, who answers or frees it. */
    gwa_request_t *release() noexcept { return raw_.release(); }

private:
    result<void> done(gwa_status_t status) noexcept
    {
        if (status == GWA_OK) {
            static_cast<void>(raw_.release()); /* the answer ended the handle */
        }
        return result<void>(error(status));
    }

    std::unique_ptr<gwa_request_t, detail::freer> raw_;
};

/** What became of one topic of a subscription; lives as long as its event. */
class topic_view {
public:
    /** The topic of this number. */
    topic_view(const gwa_event_t *event, std::size_t index) noexcept : event_(event), index_(index) {}
    /** As it was subscribed to. */
    text_view id() const noexcept { return text(gwa_event_topic); }
    /** GWA_TOPIC_PERMITTED or GWA_TOPIC_REJECTED. */
    int32_t state() const noexcept { return gwa_event_topic_state(event_, index_); }
    /** Why it was rejected, or empty. */
    text_view reason() const noexcept { return text(gwa_event_topic_reason); }
    /** Permissions that are missing, separated by commas, or empty. */
    text_view missing() const noexcept { return text(gwa_event_topic_missing); }

private:
    text_view text(const char *(*accessor)(const gwa_event_t *, std::size_t, std::size_t *)) const noexcept
    {
        std::size_t size = 0;
        const char *data = accessor(event_, index_, &size);
        return data ? text_view(data, size) : text_view();
    }

    const gwa_event_t *event_;
    std::size_t index_;
};

/** The topics of an event, for a range-based for; lives as long as the event. */
class topic_range {
public:
    /** Goes through them. */
    class iterator {
    public:
        typedef std::input_iterator_tag iterator_category; /**< What it gives is made as it goes. */
        typedef topic_view value_type;                     /**< What it gives. */
        typedef std::ptrdiff_t difference_type;            /**< Between two of them. */
        typedef const topic_view *pointer;                 /**< There is none. */
        typedef topic_view reference;                      /**< A value. */

        /** At the topic of this number. */
        iterator(const gwa_event_t *event, std::size_t index) noexcept : event_(event), index_(index) {}
        /** The topic. */
        topic_view operator*() const noexcept { return topic_view(event_, index_); }
        /** To the next one. */
        iterator &operator++() noexcept
        {
            ++index_;
            return *this;
        }
        /** To the next one; gives where it was. */
        iterator operator++(int) noexcept { return iterator(event_, index_++); }
        /** Whether both are at the same topic. */
        friend bool operator==(iterator a, iterator b) noexcept { return a.index_ == b.index_; }
        /** Whether they are not. */
        friend bool operator!=(iterator a, iterator b) noexcept { return a.index_ != b.index_; }

    private:
        const gwa_event_t *event_;
        std::size_t index_;
    };

    /** Those of this event. */
    explicit topic_range(const gwa_event_t *event) noexcept : event_(event) {}
    /** The first one. */
    iterator begin() const noexcept { return iterator(event_, 0); }
    /** Behind the last one. */
    iterator end() const noexcept { return iterator(event_, size()); }
    /** How many there are. */
    std::size_t size() const noexcept { return gwa_event_topic_count(event_); }
    /** Whether there are none. */
    bool empty() const noexcept { return size() == 0; }
    /** The topic of this number, from 0 on. */
    topic_view operator[](std::size_t index) const noexcept { return topic_view(event_, index); }

private:
    const gwa_event_t *event_;
};

namespace detail {

/** What event and event_view have in common. */
template <class Self> class event_access {
public:
    /** What it is, one of GWA_EVENT_...; ignore kinds you do not know. */
    int32_t kind() const noexcept { return gwa_event_kind(raw()); }
    /** The payload of a message, byte for byte; a NUL that is not part of it follows. */
    text_view data() const noexcept
    {
        std::size_t size = 0;
        const void *bytes = gwa_event_data(raw(), &size);
        return bytes ? text_view(static_cast<const char *>(bytes), size) : text_view();
    }
    /** GWA_TEXT or GWA_BINARY for a message, else 0. */
    int32_t message_kind() const noexcept { return gwa_event_message_kind(raw()); }
    /** Number of the socket a message came by, or that took over. */
    uint64_t connection() const noexcept { return gwa_event_connection(raw()); }
    /** The state before (GWA_EVENT_STATE), else -1. */
    int32_t state_from() const noexcept { return gwa_event_state_from(raw()); }
    /** The state now (GWA_EVENT_STATE), else -1. */
    int32_t state_to() const noexcept { return gwa_event_state_to(raw()); }
    /** Why the state changed, in a few stable words. */
    text_view reason() const noexcept { return text_of(gwa_event_reason, raw()); }
    /** The error behind it, or an empty view. */
    error_view error() const noexcept { return error_view(gwa_event_error(raw())); }
    /** Number of the gap; begin and end carry the same. */
    uint64_t gap_number() const noexcept { return gwa_event_gap_number(raw()); }
    /** When the lost socket was last heard (both gap events); ask the server for what happened since then. */
    std::chrono::system_clock::time_point gap_from() const noexcept { return moment(gwa_event_gap_from_ms(raw())); }
    /** When messages flowed again (GWA_EVENT_GAP_END). */
    std::chrono::system_clock::time_point gap_to() const noexcept { return moment(gwa_event_gap_to_ms(raw())); }
    /** How long the gap was (GWA_EVENT_GAP_END). */
    std::chrono::milliseconds gap_duration() const noexcept { return milliseconds(gwa_event_gap_duration_ms(raw())); }
    /** Correlation id of the last event before the gap (both gap events), or empty: begin to ask the REST API there. */
    text_view gap_correlation_id() const noexcept { return text_of(gwa_event_gap_correlation_id, raw()); }
    /** What became of each topic (GWA_EVENT_TOPICS), else none; to be looked at while the event is there. */
    topic_range topics() const noexcept { return topic_range(raw()); }
    /** Number of the socket that was left (GWA_EVENT_HANDOVER). */
    uint64_t previous_connection() const noexcept { return gwa_event_previous_connection(raw()); }
    /** How long the machine slept (GWA_EVENT_RESUMED), or by how much the clock was set (GWA_EVENT_CLOCK_STEP). */
    std::chrono::milliseconds clock_change() const noexcept
    {
        return std::chrono::milliseconds(gwa_event_clock_ms(raw()));
    }
    /** The id send() gave (GWA_EVENT_SENT). */
    uint64_t sent_id() const noexcept { return gwa_event_sent_id(raw()); }
    /** How a sent message ended (GWA_EVENT_SENT); else the code of error(), or GWA_OK. */
    gwa_status_t outcome() const noexcept { return gwa_event_outcome(raw()); }
    /** The new token (GWA_EVENT_TOKEN), or an empty view. */
    token_view token() const noexcept { return token_view(gwa_event_token(raw())); }
    /** What is asked (GWA_EVENT_REQUEST), one of GWA_REQUEST_..., else 0. */
    int32_t request_kind() const noexcept { return gwa_event_request_kind(raw()); }
    /** A handle of the question (GWA_EVENT_REQUEST) to answer; may outlive the event. The first answer counts. */
    result<gwa::request> try_request() const noexcept
    {
        gwa_request_t *out = nullptr;
        const gwa_status_t status = gwa_event_request(raw(), &out);
        return failure().of(status, gwa::request(out));
    }
#if GWA_HPP_THROWS
    /** try_request(), or throws. */
    gwa::request request() const { return try_request().or_throw(); }
#endif
    /** The record (GWA_EVENT_AUDIT and GWA_EVENT_SIEM), or an empty view. */
    audit_view audit() const noexcept { return audit_view(gwa_event_audit(raw())); }
    /** Level of a line of log (GWA_EVENT_LOG), one of GWA_LOG_..., else 0. */
    int32_t log_level() const noexcept { return gwa_event_log_level(raw()); }
    /** The part of the library a line of log comes from. */
    text_view log_target() const noexcept { return text_of(gwa_event_log_target, raw()); }
    /** A line of log, without its line end. */
    text_view log_text() const noexcept { return text_of(gwa_event_log_text, raw()); }
    /** An owned copy, which may outlive callback and client. */
    event clone() const noexcept;

protected:
    event_access() = default;
    ~event_access() = default;
    event_access(const event_access &) = default;
    event_access &operator=(const event_access &) = default;

private:
    const gwa_event_t *raw() const noexcept { return static_cast<const Self &>(*this).get(); }
};

} // namespace detail

/** An event that is lent to a callback for the time of the call. */
class event_view : public detail::event_access<event_view> {
public:
    /** A view of it; NULL is the empty one. */
    explicit event_view(const gwa_event_t *raw) noexcept : raw_(raw) {}
    /** Whether there is an event. */
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    /** For C functions. */
    const gwa_event_t *get() const noexcept { return raw_; }

private:
    const gwa_event_t *raw_;
};

/** An event of one's own. May outlive its client. */
class event : public detail::event_access<event> {
public:
    /** An empty one. */
    event() noexcept : raw_() {}
    /** Takes an event of a C function. */
    explicit event(gwa_event_t *raw) noexcept : raw_(raw) {}
    /** Whether there is one. */
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    /** The same, borrowed. */
    event_view view() const noexcept { return event_view(raw_.get()); }
    /** For C functions. */
    const gwa_event_t *get() const noexcept { return raw_.get(); }

private:
    std::unique_ptr<gwa_event_t, detail::freer> raw_;
};

template <class Self> event detail::event_access<Self>::clone() const noexcept
{
    gwa_event_t *out = nullptr;
    static_cast<void>(gwa_event_clone(raw(), &out)); /* fails for the empty one alone */
    return event(out);
}

/* ---- callbacks ---------------------------------------------------------------------------------------------- */

namespace detail {

/** Where exceptions of callbacks go; shared by a configuration, its registrations and the clients made from it. */
class exception_sink {
public:
    exception_sink() : count_(0) {}
    exception_sink(const exception_sink &) = delete;
    exception_sink &operator=(const exception_sink &) = delete;

    uint64_t count() const noexcept { return count_.load(std::memory_order_relaxed); }
#if GWA_HPP_CATCHES
    typedef std::function<void(std::exception_ptr, const char *)> handler_type;

    void handle_by(handler_type handler)
    {
        auto fresh = std::make_shared<const handler_type>(std::move(handler));
        const std::lock_guard<std::mutex> lock(mutex_);
        handler_.swap(fresh);
    }
    /** Inside a catch block. The handler runs without a lock. */
    void report(const char *callback) noexcept
    {
        count_.fetch_add(1, std::memory_order_relaxed);
        const auto handler = current();
        if (handler == nullptr || !*handler) {
            return;
        }
        try {
            (*handler)(std::current_exception(), callback);
        } catch (...) {
            count_.fetch_add(1, std::memory_order_relaxed);
        }
    }

private:
    std::shared_ptr<const handler_type> current()
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        return handler_;
    }

    std::mutex mutex_{};
    std::shared_ptr<const handler_type> handler_{};
#else
    void report(const char *) noexcept {}

private:
#endif
    std::atomic<uint64_t> count_;
};

/** What user_data of a registration points to; the library's release function deletes it. */
template <class Signature> struct registration {
    registration(std::function<Signature> to_call, std::shared_ptr<exception_sink> to_report, const char *on) noexcept
        : function(std::move(to_call)), sink(std::move(to_report)), name(on)
    {
    }
    registration(const registration &) = delete;
    registration &operator=(const registration &) = delete;

    std::function<Signature> function;
    std::shared_ptr<exception_sink> sink;
    const char *name;
};

/** gwa_release_fn of all registrations. */
template <class Signature> void release(void *user_data) noexcept
{
    delete static_cast<registration<Signature> *>(user_data);
}

/** Calls the function of a registration; false if it threw, which is then reported. */
template <class... Parameters, class... Arguments>
bool call(registration<void(Parameters...)> &to, Arguments &&...arguments) noexcept
{
    GWA_HPP_TRY
    {
        to.function(std::forward<Arguments>(arguments)...);
        return true;
    }
    GWA_HPP_CATCH_ALL
    {
        to.sink->report(to.name);
    }
    return false;
}

/* What callbacks look like, and the functions the library calls for them. No exception gets past these. */

typedef void message_signature(event_view);
typedef hook audit_signature(audit_view);
typedef void token_signature(token_view);
typedef void ask_signature(request &);
typedef void sent_signature(uint64_t, gwa_status_t);
typedef void log_signature(int32_t, text_view, text_view);
typedef void thread_signature(int32_t, int32_t, text_view);

template <class Signature> registration<Signature> &registered(void *user_data) noexcept
{
    return *static_cast<registration<Signature> *>(user_data);
}

inline void call_event(void *user_data, const gwa_event_t *event) noexcept
{
    static_cast<void>(call(registered<message_signature>(user_data), event_view(event)));
}

inline int32_t call_audit(void *user_data, const gwa_audit_t *record) noexcept
{
    registration<audit_signature> &to = registered<audit_signature>(user_data);
    GWA_HPP_TRY
    {
        return static_cast<int32_t>(to.function(audit_view(record)));
    }
    GWA_HPP_CATCH_ALL
    {
        to.sink->report(to.name);
    }
    return static_cast<int32_t>(hook::failed);
}

inline void call_token(void *user_data, const gwa_token_t *token) noexcept
{
    static_cast<void>(call(registered<token_signature>(user_data), token_view(token)));
}

inline void call_ask(void *user_data, gwa_request_t *raw) noexcept
{
    request question(raw);
    const bool returned = call(registered<ask_signature>(user_data), question);
    if (question) { /* nobody has it any more who could answer it */
        const char *why = returned ? "on_ask neither answered nor kept the question" : "on_ask ended with an exception";
        static_cast<void>(question.try_fail(GWA_E_CALLBACK_FAILED, why));
    }
}

inline void call_sent(void *user_data, uint64_t id, gwa_status_t outcome) noexcept
{
    static_cast<void>(call(registered<sent_signature>(user_data), id, outcome));
}

inline void call_log(void *user_data, int32_t level, const char *target, const char *text) noexcept
{
    static_cast<void>(call(registered<log_signature>(user_data), level, text_view(target), text_view(text)));
}

inline void call_thread(void *user_data, int32_t moment, int32_t thread, const char *name) noexcept
{
    static_cast<void>(call(registered<thread_signature>(user_data), moment, thread, text_view(name)));
}

} // namespace detail

/* ---- configuration ------------------------------------------------------------------------------------------ */

/**
 * Keys, values and callbacks of clients to be made, which copy it. Callbacks of one configuration are shared by all its
 * clients: two of them may call one std::function at the same time. In a registering call an empty std::function (or
 * nullptr) takes the callback away. Captures of a callback that is replaced are destroyed before the call returns, unless
 * a client has it too.
 */
class config {
public:
#if GWA_HPP_THROWS
    /** One with the default of every key; throws if the system has no memory. */
    config() : config(try_create().or_throw()) {}
#else
    /** One with the default of every key; empty if the system has no memory. */
    config() noexcept : config(try_create().value()) {}
#endif
    /** Takes a configuration of a C function; NULL for an empty one. */
    explicit config(gwa_config_t *raw) : raw_(raw), sink_(raw ? std::make_shared<detail::exception_sink>() : nullptr) {}
    /** One with the default of every key. */
    static result<config> try_create() noexcept
    {
        GWA_HPP_TRY
        {
            gwa_config_t *out = nullptr;
            const gwa_status_t status = gwa_config_new(&out);
            return detail::failure().of(status, config(out));
        }
        GWA_HPP_CATCH_ALL
        {
        }
        return result<config>(error(GWA_E_INTERNAL));
    }

    /** Whether there is one. */
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    /** For C functions. */
    gwa_config_t *get() const noexcept { return raw_.get(); }
    /** Frees it now; clients made from it keep their copies. */
    void reset() noexcept
    {
        raw_.reset();
        sink_.reset();
    }

    /** Sets a key that is no secret; an empty value brings back the default. Keys stand at the head of the C header. */
    result<void> try_set(text_view key, text_view value) noexcept
    {
        const detail::c_string k(key), v(value);
        if (k.status() != GWA_OK || v.status() != GWA_OK) {
            return result<void>(error(k.status() != GWA_OK ? k.status() : v.status()));
        }
        detail::failure why;
        return why.of(gwa_config_set(get(), k.get(), v.get(), why.out()));
    }
    /** Sets a secret key, or any other by a value of any length (tls.ca_pem). */
    result<void> try_set_secret(text_view key, text_view value) noexcept
    {
        const detail::c_string k(key);
        if (k.status() != GWA_OK) {
            return result<void>(error(k.status()));
        }
        detail::failure why;
        return why.of(gwa_config_set_secret(get(), k.get(), value.data(), value.size(), why.out()));
    }
    /** Sets keys from one JSON object, flat or nested: all of them, or none. */
    result<void> try_set_json(text_view json) noexcept
    {
        detail::failure why;
        return why.of(gwa_config_set_json(get(), json.data(), json.size(), why.out()));
    }
    /** Sets region, client.id, client.secret and token.refresh_token from GENESYS_REGION and so on. */
    result<void> try_set_from_env() noexcept
    {
        detail::failure why;
        return why.of(gwa_config_set_from_env(get(), why.out()));
    }
    /** Its effective values as one flat JSON object; secrets redacted. */
    result<text> try_json() const noexcept
    {
        gwa_text_t *out = nullptr;
        const gwa_status_t status = gwa_config_json(get(), &out);
        return detail::failure().of(status, text(out));
    }
    /** JSON Schema (2020-12) of what set_json() takes: every key with type, range, default and meaning. */
    static result<text> try_schema() noexcept
    {
        gwa_text_t *out = nullptr;
        const gwa_status_t status = gwa_config_schema(&out);
        return detail::failure().of(status, text(out));
    }

    /**
     * A message arrived. On gwa-dispatch (delivery = inline: on gwa-socket; delivery = poll, as all callbacks: on the
     * thread in next_event()); may block, which delays other callbacks; may call the library.
     */
    result<void> try_on_message(std::function<void(event_view)> function) noexcept
    {
        return attach(gwa_config_on_message, detail::call_event, std::move(function), "on_message");
    }
    /** Audit records, in order. On gwa-dispatch; may block, records then wait in their queue; may call the library. */
    result<void> try_on_audit(std::function<hook(audit_view)> function) noexcept
    {
        return attach(gwa_config_on_audit, detail::call_audit, std::move(function), "on_audit");
    }
    /** SIEM events, each after its audit record. Otherwise as try_on_audit(). */
    result<void> try_on_siem(std::function<hook(audit_view)> function) noexcept
    {
        return attach(gwa_config_on_siem, detail::call_audit, std::move(function), "on_siem");
    }
    /** State changes, gaps, hand-overs, clock changes. On gwa-dispatch, in one order with messages. */
    result<void> try_on_state(std::function<void(event_view)> function) noexcept
    {
        return attach(gwa_config_on_state, detail::call_event, std::move(function), "on_state");
    }
    /** A new token is in use. On gwa-dispatch. */
    result<void> try_on_token(std::function<void(token_view)> function) noexcept
    {
        return attach(gwa_config_on_token, detail::call_token, std::move(function), "on_token");
    }
    /**
     * The library asks something: request::kind(). A client with a token source is not asked, its source is. On
     * gwa-dispatch. Answer it, or std::move it away to answer later, from any thread; a question that is left where it is,
     * or behind an exception, is refused with GWA_E_CALLBACK_FAILED.
     */
    result<void> try_on_ask(std::function<void(request &)> function) noexcept
    {
        return attach(gwa_config_on_ask, detail::call_ask, std::move(function), "on_ask");
    }
    /** A message given to client::send() was sent (GWA_OK) or returned unsent. On gwa-dispatch. */
    result<void> try_on_sent(std::function<void(uint64_t, gwa_status_t)> function) noexcept
    {
        return attach(gwa_config_on_sent, detail::call_sent, std::move(function), "on_sent");
    }
    /** Lines of log: level (GWA_LOG_...), part of the library, text. On gwa-dispatch. Without it nothing is logged. */
    result<void> try_on_log(std::function<void(int32_t, text_view, text_view)> function) noexcept
    {
        return attach(gwa_config_on_log, detail::call_log, std::move(function), "on_log");
    }
    /**
     * A thread of the client begins or ends: GWA_THREAD_STARTED or GWA_THREAD_ENDING, which one (GWA_THREAD_REFRESH,
     * _SOCKET, _DISPATCH), its name. On that thread: several may call at the same time. Must not block.
     */
    result<void> try_on_thread(std::function<void(int32_t, int32_t, text_view)> function) noexcept
    {
        return attach(gwa_config_on_thread, detail::call_thread, std::move(function), "on_thread");
    }

#if GWA_HPP_THROWS
    /** try_set(), or throws. */
    config &set(text_view key, text_view value) { return after(try_set(key, value)); }
    /** try_set_secret(), or throws. */
    config &set_secret(text_view key, text_view value) { return after(try_set_secret(key, value)); }
    /** try_set_json(), or throws. */
    config &set_json(text_view json) { return after(try_set_json(json)); }
    /** try_set_from_env(), or throws. */
    config &set_from_env() { return after(try_set_from_env()); }
    /** try_json(), or throws. */
    text json() const { return try_json().or_throw(); }
    /** try_schema(), or throws. */
    static text schema() { return try_schema().or_throw(); }
    /** try_on_message(), or throws. */
    config &on_message(std::function<void(event_view)> function) { return after(try_on_message(std::move(function))); }
    /** try_on_audit(), or throws. */
    config &on_audit(std::function<hook(audit_view)> function) { return after(try_on_audit(std::move(function))); }
    /** try_on_siem(), or throws. */
    config &on_siem(std::function<hook(audit_view)> function) { return after(try_on_siem(std::move(function))); }
    /** try_on_state(), or throws. */
    config &on_state(std::function<void(event_view)> function) { return after(try_on_state(std::move(function))); }
    /** try_on_token(), or throws. */
    config &on_token(std::function<void(token_view)> function) { return after(try_on_token(std::move(function))); }
    /** try_on_ask(), or throws. */
    config &on_ask(std::function<void(request &)> function) { return after(try_on_ask(std::move(function))); }
    /** try_on_sent(), or throws. */
    config &on_sent(std::function<void(uint64_t, gwa_status_t)> function)
    {
        return after(try_on_sent(std::move(function)));
    }
    /** try_on_log(), or throws. */
    config &on_log(std::function<void(int32_t, text_view, text_view)> function)
    {
        return after(try_on_log(std::move(function)));
    }
    /** try_on_thread(), or throws. */
    config &on_thread(std::function<void(int32_t, int32_t, text_view)> function)
    {
        return after(try_on_thread(std::move(function)));
    }
#endif

#if GWA_HPP_CATCHES
    /**
     * Takes exceptions that leave callbacks, with the name of the callback, e.g. "on_message", on the thread it ran on:
     * several threads may call it at the same time. For all clients made from this configuration, before or after. Its own
     * exceptions are dropped, and counted.
     */
    void on_exception(std::function<void(std::exception_ptr, const char *)> handler)
    {
        if (sink_) {
            sink_->handle_by(std::move(handler));
        }
    }
#endif

private:
    friend class token_source;
    friend class client;

    /** The library calls detail::release in every outcome, so the registration is its own from here on. */
    template <class Signature, class Function>
    result<void> attach(gwa_status_t (*on)(gwa_config_t *, Function, void *, gwa_release_fn),
                        typename std::common_type<Function>::type trampoline, std::function<Signature> function,
                        const char *name) noexcept
    {
        if (!function) {
            return result<void>(error(on(get(), nullptr, nullptr, nullptr)));
        }
        auto *held = new (std::nothrow) detail::registration<Signature>(std::move(function), sink_, name);
        if (held == nullptr) {
            return result<void>(error(GWA_E_INTERNAL));
        }
        return result<void>(error(on(get(), trampoline, held, detail::release<Signature>)));
    }
#if GWA_HPP_THROWS
    config &after(result<void> outcome)
    {
        outcome.or_throw();
        return *this;
    }
#endif

    std::unique_ptr<gwa_config_t, detail::freer> raw_;
    std::shared_ptr<detail::exception_sink> sink_;
};

/**
 * Gets tokens for any number of clients, by one request for all of them. Its callbacks are those of its configuration.
 * Clients keep what they need of it: it may be destroyed before them, and ends with the last one. Destroying and reset()
 * wait at most free.timeout_ms, and only when no client uses it.
 */
class token_source {
public:
    /** An empty one, to be assigned to. */
    token_source() noexcept : raw_(), sink_() {}
    /** Takes a source of a C function. */
    explicit token_source(gwa_token_source_t *raw) noexcept : raw_(raw), sink_() {}
#if GWA_HPP_THROWS
    /** try_create(), or throws. */
    explicit token_source(const config &from) : token_source(try_create(from).or_throw()) {}
#endif
    /** Made with a copy of the configuration. Starts no thread, calls no callback. */
    static result<token_source> try_create(const config &from) noexcept
    {
        gwa_token_source_t *out = nullptr;
        detail::failure why;
        const gwa_status_t status = gwa_token_source_new(from.get(), &out, why.out());
        return why.of(status, token_source(out, from.sink_));
    }

    /** Whether there is one. */
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    /** For C functions. */
    gwa_token_source_t *get() const noexcept { return raw_.get(); }
    /** Lets go of it now: GWA_OK, or GWA_DEFERRED if no client uses it and a callback of it is still running. */
    gwa_status_t reset() noexcept { return gwa_token_source_free(raw_.release()); }
    /** Exceptions that left callbacks of its configuration, this source's included. */
    uint64_t callback_exceptions() const noexcept { return sink_ ? sink_->count() : 0; }

private:
    token_source(gwa_token_source_t *raw, std::shared_ptr<detail::exception_sink> sink) noexcept
        : raw_(raw), sink_(std::move(sink))
    {
    }

    std::unique_ptr<gwa_token_source_t, detail::freer> raw_;
    std::shared_ptr<detail::exception_sink> sink_;
};

/* ---- client ------------------------------------------------------------------------------------------------- */

/**
 * One authenticated WebSocket and the threads that keep it alive.
 *
 * Destroying, assigning to and reset() stop it if it runs, wait at most free.timeout_ms (5 s), and free it. If a callback
 * is still running then, or if this is done inside one of its callbacks, that is GWA_DEFERRED, as reset() returns it:
 * renewal and socket are stopped; what was queued already, audit records first of all, may still be delivered, and
 * captures of callbacks are destroyed after that. What a callback refers to without owning it must live until then;
 * shutdown(no_limit) beforehand, outside callbacks, makes sure.
 */
class client {
public:
    /** An empty one, to be assigned to. */
    client() noexcept : raw_(), sink_() {}
    /** Takes a client of a C function. */
    explicit client(gwa_client_t *raw) noexcept : raw_(raw), sink_() {}
#if GWA_HPP_THROWS
    /** try_create(), or throws. */
    explicit client(const gwa::config &from) : client(try_create(from).or_throw()) {}
    /** try_create(), or throws. */
    client(const gwa::config &from, const token_source &tokens) : client(try_create(from, tokens).or_throw()) {}
#endif
    /** Made with a copy of the configuration, which is checked as a whole. Starts no thread, calls no callback. */
    static result<client> try_create(const gwa::config &from) noexcept
    {
        gwa_client_t *out = nullptr;
        detail::failure why;
        const gwa_status_t status = gwa_client_new(from.get(), &out, why.out());
        return why.of(status, client(out, from.sink_));
    }
    /** The same, with tokens from a source that other clients may use too; it may be destroyed before the client. */
    static result<client> try_create(const gwa::config &from, const token_source &tokens) noexcept
    {
        gwa_client_t *out = nullptr;
        detail::failure why;
        const gwa_status_t status = gwa_client_new_with_source(from.get(), tokens.get(), &out, why.out());
        return why.of(status, client(out, from.sink_));
    }

    /** Whether there is one. */
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    /** For C functions. */
    gwa_client_t *get() const noexcept { return raw_.get(); }
    /** Stops and frees it now: GWA_OK, or GWA_DEFERRED (see above). */
    gwa_status_t reset() noexcept { return gwa_client_free(raw_.release()); }
    /** Exceptions that left callbacks of clients of its configuration, this one's included. */
    uint64_t callback_exceptions() const noexcept { return sink_ ? sink_->count() : 0; }

    /** Starts the threads and returns at once; callbacks tell what happens. */
    result<void> try_start() noexcept
    {
        detail::failure why;
        return why.of(gwa_client_start(get(), why.out()));
    }
    /** Starts it and waits until it is Ready; else everything is stopped again. Not from callbacks. */
    result<void> try_connect(std::chrono::milliseconds timeout) noexcept
    {
        detail::failure why;
        return why.of(gwa_client_connect(get(), detail::timeout_ms(timeout), why.out()));
    }
    /** Queues a message, GWA_TEXT (UTF-8) or GWA_BINARY; gives the id that on_sent will name. Any thread, never waits. */
    result<uint64_t> try_send(text_view data, int32_t kind = GWA_TEXT) noexcept
    {
        uint64_t id = 0;
        detail::failure why;
        const gwa_status_t status = gwa_client_send(get(), data.data(), data.size(), kind, &id, why.out());
        return why.of(status, id);
    }
    /** Asks for a new token now, and returns at once. */
    result<void> try_refresh_now() noexcept
    {
        detail::failure why;
        return why.of(gwa_client_refresh_now(get(), why.out()));
    }
    /** The application has learned that the server will end the socket: another one takes over without a gap. */
    result<void> try_drain_notice() noexcept
    {
        detail::failure why;
        return why.of(gwa_client_drain_notice(get(), why.out()));
    }
    /**
     * Subscribes to more topics (profile = notifications), before the start or later: subscribe({"v2.users.ID.presence"}).
     * `scopes`: what the token must grant for them. What became of each is told by a GWA_EVENT_TOPICS: event::topics().
     */
    result<void> try_subscribe(const std::vector<std::string> &topics,
                               const std::vector<std::string> &scopes = std::vector<std::string>()) noexcept
    {
        GWA_HPP_TRY
        {
            const detail::c_strings t(topics);
            const detail::c_strings s(scopes);
            if (t.status() != GWA_OK || s.status() != GWA_OK) {
                return result<void>(error(GWA_E_INVALID_ARGUMENT));
            }
            detail::failure why;
            const gwa_status_t status =
                gwa_client_subscribe(get(), t.data(), t.size(), s.data(), s.size(), why.out());
            return why.of(status);
        }
        GWA_HPP_CATCH_ALL
        {
        }
        return result<void>(error(GWA_E_INTERNAL));
    }
    /** Unsubscribes from topics, each written as it was subscribed to. */
    result<void> try_unsubscribe(const std::vector<std::string> &topics) noexcept
    {
        GWA_HPP_TRY
        {
            const detail::c_strings t(topics);
            if (t.status() != GWA_OK) {
                return result<void>(error(t.status()));
            }
            detail::failure why;
            return why.of(gwa_client_unsubscribe(get(), t.data(), t.size(), why.out()));
        }
        GWA_HPP_CATCH_ALL
        {
        }
        return result<void>(error(GWA_E_INTERNAL));
    }
    /** A token for calls of one's own, with at least `min_left` of life; waits for one that is being fetched. */
    result<gwa::token> try_token(std::chrono::milliseconds min_left, std::chrono::milliseconds timeout) noexcept
    {
        gwa_token_t *out = nullptr;
        detail::failure why;
        const gwa_status_t status =
            gwa_client_token(get(), detail::timeout_ms(min_left), detail::timeout_ms(timeout), &out, why.out());
        return why.of(status, gwa::token(out));
    }
    /**
     * Takes a callback, GWA_CALLBACK_..., from this client. GWA_OK: it is not called again, and its captures are
     * destroyed (unless the configuration or another client has it too). GWA_DEFERRED (no error): the time was up, or this
     * is that callback; captures are destroyed when it has returned. Not while holding a mutex that the callback takes.
     */
    result<void> try_unregister(int32_t callback, std::chrono::milliseconds timeout) noexcept
    {
        return result<void>(error(gwa_client_unregister(get(), callback, detail::timeout_ms(timeout))));
    }
    /** The same, but returns at once, and destroys no captures inside this call: for callers who hold their own mutex. */
    result<void> try_unregister_later(int32_t callback) noexcept
    {
        return result<void>(error(gwa_client_unregister_later(get(), callback)));
    }
    /** Replaces client.secret or token.refresh_token, running or not. */
    result<void> try_set_secret(text_view key, text_view value) noexcept
    {
        const detail::c_string k(key);
        if (k.status() != GWA_OK) {
            return result<void>(error(k.status()));
        }
        detail::failure why;
        return why.of(gwa_client_set_secret(get(), k.get(), value.data(), value.size(), why.out()));
    }
    /** What it is doing, one of GWA_STATE_.... */
    result<int32_t> try_state() const noexcept
    {
        int32_t state = GWA_STATE_IDLE;
        const gwa_status_t status = gwa_client_state(get(), &state);
        return detail::failure().of(status, state);
    }
    /** For delivery = poll: readable while events wait; owned by the client. -1 for another delivery. */
    int event_fd() const noexcept { return gwa_client_event_fd(get()); }
    /**
     * For delivery = poll: the next event; a callback that is registered for it has run on this thread already.
     * GWA_E_TIMEOUT if there is none, after a shutdown what is left and then GWA_E_CLOSED: loops look at status().
     */
    result<event> try_next_event(std::chrono::milliseconds timeout) noexcept
    {
        gwa_event_t *out = nullptr;
        const gwa_status_t status = gwa_client_next_event(get(), detail::timeout_ms(timeout), &out);
        return detail::failure().of(status, event(out));
    }
    /** Ends the current or next blocking call of every thread with GWA_E_INTERRUPTED. Made for signal handlers. */
    gwa_status_t interrupt() noexcept { return gwa_client_interrupt(get()); }
    /**
     * Stops it for good, under one deadline. GWA_OK: every thread is joined, no callback will run again. GWA_DEFERRED (no
     * error; `complete` of the report is 0): the time was up, or this is a callback; the rest is done later.
     */
    result<gwa_shutdown_report_t> try_shutdown(std::chrono::milliseconds timeout) noexcept
    {
        gwa_shutdown_report_t report;
        GWA_SHUTDOWN_REPORT_INIT(&report);
        detail::failure why;
        const gwa_status_t status = gwa_client_shutdown(get(), detail::timeout_ms(timeout), &report, why.out());
        return why.of(status, report);
    }
    /** Its counters. */
    result<gwa_metrics_t> try_metrics() const noexcept
    {
        gwa_metrics_t metrics;
        GWA_METRICS_INIT(&metrics);
        const gwa_status_t status = gwa_client_metrics(get(), &metrics);
        return detail::failure().of(status, metrics);
    }
    /** Counters and state as text, e.g. GWA_STATS_JSON. Holds no secret. */
    result<text> try_stats(int32_t format = GWA_STATS_JSON) const noexcept
    {
        gwa_text_t *out = nullptr;
        const gwa_status_t status = gwa_client_stats(get(), format, &out);
        return detail::failure().of(status, text(out));
    }
    /** The configuration in force, as config::try_json() writes it. */
    result<text> try_config() const noexcept
    {
        gwa_text_t *out = nullptr;
        const gwa_status_t status = gwa_client_config(get(), &out);
        return detail::failure().of(status, text(out));
    }

#if GWA_HPP_THROWS
    /** try_start(), or throws. */
    void start() { try_start().or_throw(); }
    /** try_connect(), or throws. */
    void connect(std::chrono::milliseconds timeout) { try_connect(timeout).or_throw(); }
    /** try_send(), or throws. */
    uint64_t send(text_view data, int32_t kind = GWA_TEXT) { return try_send(data, kind).or_throw(); }
    /** try_refresh_now(), or throws. */
    void refresh_now() { try_refresh_now().or_throw(); }
    /** try_drain_notice(), or throws. */
    void drain_notice() { try_drain_notice().or_throw(); }
    /** try_subscribe(), or throws. */
    void subscribe(const std::vector<std::string> &topics,
                   const std::vector<std::string> &scopes = std::vector<std::string>())
    {
        try_subscribe(topics, scopes).or_throw();
    }
    /** try_unsubscribe(), or throws. */
    void unsubscribe(const std::vector<std::string> &topics) { try_unsubscribe(topics).or_throw(); }
    /** try_token(), or throws. */
    gwa::token token(std::chrono::milliseconds min_left, std::chrono::milliseconds timeout)
    {
        return try_token(min_left, timeout).or_throw();
    }
    /** try_unregister(), or throws; GWA_OK or GWA_DEFERRED. */
    gwa_status_t unregister(int32_t callback, std::chrono::milliseconds timeout)
    {
        result<void> outcome = try_unregister(callback, timeout);
        outcome.or_throw();
        return outcome.status();
    }
    /** try_unregister_later(), or throws. */
    void unregister_later(int32_t callback) { try_unregister_later(callback).or_throw(); }
    /** try_set_secret(), or throws. */
    void set_secret(text_view key, text_view value) { try_set_secret(key, value).or_throw(); }
    /** try_state(), or throws. */
    int32_t state() const { return try_state().or_throw(); }
    /** try_next_event(), or throws, also for GWA_E_TIMEOUT and GWA_E_CLOSED. */
    event next_event(std::chrono::milliseconds timeout) { return try_next_event(timeout).or_throw(); }
    /** try_shutdown(), or throws; look at `complete` of the report. */
    gwa_shutdown_report_t shutdown(std::chrono::milliseconds timeout) { return try_shutdown(timeout).or_throw(); }
    /** try_metrics(), or throws. */
    gwa_metrics_t metrics() const { return try_metrics().or_throw(); }
    /** try_stats(), or throws. */
    text stats(int32_t format = GWA_STATS_JSON) const { return try_stats(format).or_throw(); }
    /** try_config(), or throws. */
    text config() const { return try_config().or_throw(); }
#endif

private:
    client(gwa_client_t *raw, std::shared_ptr<detail::exception_sink> sink) noexcept
        : raw_(raw), sink_(std::move(sink))
    {
    }

    std::unique_ptr<gwa_client_t, detail::freer> raw_;
    std::shared_ptr<detail::exception_sink> sink_;
};

/* ---- without a client --------------------------------------------------------------------------------------- */

/** Compares the scopes of a token with those needed, as JSON: gwa_scopes_check(). A denial is a result, not an error. */
inline result<text> try_check_scopes(text_view token, const std::vector<std::string> &required) noexcept
{
    GWA_HPP_TRY
    {
        std::vector<const char *> scopes;
        for (const std::string &scope : required) {
            scopes.push_back(scope.c_str());
        }
        gwa_text_t *out = nullptr;
        detail::failure why;
        const gwa_status_t status =
            gwa_scopes_check(token.data(), token.size(), scopes.data(), scopes.size(), &out, why.out());
        return why.of(status, text(out));
    }
    GWA_HPP_CATCH_ALL
    {
    }
    return result<text>(error(GWA_E_INTERNAL));
}

#if GWA_HPP_THROWS
/** try_check_scopes(), or throws. */
inline text check_scopes(text_view token, const std::vector<std::string> &required)
{
    return try_check_scopes(token, required).or_throw();
}
#endif

/** Verifies the audit log of one sink, without a client. */
class audit_verifier {
public:
    /** An empty one. */
    audit_verifier() noexcept : raw_() {}
    /** Takes a verifier of a C function. */
    explicit audit_verifier(gwa_audit_verify_t *raw) noexcept : raw_(raw) {}
    /** One for logs whose K0 this is: 64 hexadecimal digits. */
    static result<audit_verifier> try_make(text_view key) noexcept
    {
        gwa_audit_verify_t *out = nullptr;
        detail::failure why;
        const gwa_status_t status = gwa_audit_verify_new(key.data(), key.size(), &out, why.out());
        return why.of(status, audit_verifier(out));
    }
    /** Whether there is one. */
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    /** The log has to go as far as this record. */
    result<void> try_expect(text_view record) noexcept
    {
        detail::failure why;
        return why.of(gwa_audit_verify_expect(raw_.get(), record.data(), record.size(), why.out()));
    }
    /** The log begins right after this checkpoint. */
    result<void> try_begin_after(text_view record) noexcept
    {
        detail::failure why;
        return why.of(gwa_audit_verify_begin_after(raw_.get(), record.data(), record.size(), why.out()));
    }
    /** The next bytes of the log. */
    result<void> try_feed(text_view data) noexcept
    {
        detail::failure why;
        return why.of(gwa_audit_verify_feed(raw_.get(), data.data(), data.size(), why.out()));
    }
    /** The log ends here: one of GWA_AUDIT_..., and the report as JSON if there is a place for it. */
    result<int32_t> try_finish(text *report = nullptr) noexcept
    {
        int32_t found = 0;
        gwa_text_t *out = nullptr;
        detail::failure why;
        const gwa_status_t status = gwa_audit_verify_finish(raw_.get(), &found, report ? &out : nullptr, why.out());
        if (report) {
            *report = text(out);
        }
        return why.of(status, found);
    }
#if GWA_HPP_THROWS
    /** try_make(), or throws. */
    static audit_verifier make(text_view key) { return try_make(key).or_throw(); }
    /** try_expect(), or throws. */
    void expect(text_view record) { try_expect(record).or_throw(); }
    /** try_begin_after(), or throws. */
    void begin_after(text_view record) { try_begin_after(record).or_throw(); }
    /** try_feed(), or throws. */
    void feed(text_view data) { try_feed(data).or_throw(); }
    /** try_finish(), or throws. */
    int32_t finish(text *report = nullptr) { return try_finish(report).or_throw(); }
#endif
    /** For C functions. */
    gwa_audit_verify_t *get() const noexcept { return raw_.get(); }

private:
    std::unique_ptr<gwa_audit_verify_t, detail::freer> raw_;
};

} // namespace GWA_HPP_MODE
} // namespace gwa

#undef GWA_HPP_CATCHES
#undef GWA_HPP_TRY
#undef GWA_HPP_CATCH_ALL
#undef GWA_HPP_THROWS
#undef GWA_HPP_MODE
#undef GWA_HPP_NODISCARD

#endif
