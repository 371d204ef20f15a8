#!/usr/bin/env python3
"""Prints messages, states and gaps, as `tail -f` would, until SIGINT or SIGTERM. ctypes and the shared library alone.

    GWA_LIBRARY=/usr/local/lib/libgenesys_ws_auth.so python3 tail.py

Reads GENESYS_REGION, GENESYS_CLIENT_ID, GENESYS_CLIENT_SECRET and GENESYS_REFRESH_TOKEN; for an organisation in Genesys
Cloud GWA_PROFILE=notifications and GWA_TOPICS; for the simulator GWA_TOKEN_URL, GWA_WS_URL and GWA_CA_FILE. delivery = poll: callbacks run in gwa_client_next_event() on this thread, so
that Python needs no thread; tokens are renewed by the library's threads, also while Python is busy. A child made by
os.fork() may not use the client: start children before it, or by subprocess.
"""
import ctypes
import os
import select
import signal
import socket
import sys

OK, E_TIMEOUT, E_CLOSED = 0, 4109, 4111  # GWA_OK, GWA_E_TIMEOUT, GWA_E_CLOSED
EVENT_STATE, EVENT_GAP_BEGIN, EVENT_GAP_END = 2, 3, 4
PTR, TEXT, STATUS, U32 = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_uint32
CALLBACK = ctypes.CFUNCTYPE(None, PTR, PTR)  # gwa_message_fn and gwa_state_fn

gwa = ctypes.CDLL(os.environ.get("GWA_LIBRARY", "libgenesys_ws_auth.so"))
for name, result, *arguments in (
    ("gwa_config_new", STATUS, PTR), ("gwa_config_free", None, PTR),
    ("gwa_config_set", STATUS, PTR, TEXT, TEXT, PTR), ("gwa_config_set_from_env", STATUS, PTR, PTR),
    ("gwa_config_on_message", STATUS, PTR, CALLBACK, PTR, PTR),
    ("gwa_config_on_state", STATUS, PTR, CALLBACK, PTR, PTR),
    ("gwa_client_new", STATUS, PTR, PTR, PTR), ("gwa_client_start", STATUS, PTR, PTR),
    ("gwa_client_event_fd", ctypes.c_int, PTR), ("gwa_client_next_event", STATUS, PTR, U32, PTR),
    ("gwa_client_shutdown", STATUS, PTR, U32, PTR, PTR), ("gwa_client_free", STATUS, PTR),
    ("gwa_event_free", None, PTR), ("gwa_event_kind", STATUS, PTR), ("gwa_event_data", PTR, PTR, PTR),
    ("gwa_event_state_to", STATUS, PTR), ("gwa_event_reason", TEXT, PTR, PTR),
    ("gwa_event_gap_duration_ms", ctypes.c_uint64, PTR), ("gwa_state_name", TEXT, STATUS),
    ("gwa_status_name", TEXT, STATUS), ("gwa_error_message", TEXT, PTR, PTR), ("gwa_error_free", None, PTR),
):  # without these, pointers would be cut to 32 bits
    getattr(gwa, name).restype, getattr(gwa, name).argtypes = result, arguments


def check(call, *arguments):
    """Calls a function that takes `gwa_error_t **err` last."""
    error = PTR()
    status = call(*arguments, ctypes.byref(error))
    if status != OK:
        why = (gwa.gwa_error_message(error, None) or gwa.gwa_status_name(status)).decode()
        gwa.gwa_error_free(error)
        sys.exit(why)


@CALLBACK
def on_message(_user_data, message):
    length = ctypes.c_size_t()
    data = gwa.gwa_event_data(message, ctypes.byref(length))  # lent for the call: copied here
    print("message ", ctypes.string_at(data, length.value).decode(errors="replace"), flush=True)


@CALLBACK
def on_state(_user_data, event):
    kind = gwa.gwa_event_kind(event)
    if kind == EVENT_STATE:
        state = gwa.gwa_state_name(gwa.gwa_event_state_to(event)).decode()
        print(f"state    {state} ({gwa.gwa_event_reason(event, None).decode()})", flush=True)
    elif kind in (EVENT_GAP_BEGIN, EVENT_GAP_END):
        end = f"ends after {gwa.gwa_event_gap_duration_ms(event)} ms" if kind == EVENT_GAP_END else "begins"
        print("gap     ", end, flush=True)


config, client = PTR(), PTR()
check(lambda err: gwa.gwa_config_new(ctypes.byref(config)))
for name, key in (("GWA_TOKEN_URL", b"token.url"), ("GWA_WS_URL", b"ws.url"), ("GWA_CA_FILE", b"tls.ca_file"),
                  ("GWA_PROFILE", b"profile"), ("GWA_TOPICS", b"notifications.topics"), ("GWA_PROXY", b"proxy")):
    check(gwa.gwa_config_set, config, key, os.environ.get(name, "").encode())  # empty: the default
check(gwa.gwa_config_set, config, b"delivery", b"poll")
check(gwa.gwa_config_set_from_env, config)
check(lambda err: gwa.gwa_config_on_message(config, on_message, None, None))
check(lambda err: gwa.gwa_config_on_state(config, on_state, None, None))
check(gwa.gwa_client_new, config, ctypes.byref(client))
gwa.gwa_config_free(config)
wakened, waker = socket.socketpair()  # Python's own signal handlers write to it: select() ends without a race
waker.setblocking(False)
signal.set_wakeup_fd(waker.fileno())
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: gwa.gwa_client_shutdown(client, 0, None, None))  # 0: does not wait
check(gwa.gwa_client_start, client)
status, event = OK, PTR()
while status in (OK, E_TIMEOUT):  # until GWA_E_CLOSED: the last event after a shutdown was taken
    if status == E_TIMEOUT:
        readable, _, _ = select.select([gwa.gwa_client_event_fd(client), wakened], [], [])
        if wakened in readable:
            wakened.recv(64)
    status = gwa.gwa_client_next_event(client, 0, ctypes.byref(event))
    if status == OK:
        gwa.gwa_event_free(event)
ended = gwa.gwa_client_free(client)
signal.set_wakeup_fd(-1)
wakened.close(), waker.close()
sys.exit(0 if (status, ended) == (E_CLOSED, OK) else gwa.gwa_status_name(status).decode())
