"""A server that speaks the `auth-message` profile, made of other people's parts: `websockets`, `http.server`, `PyJWT`.

`websockets` reads no request bodies, so tokens come from a second port. Usage, options and output: ../README.md.
"""

import argparse
import asyncio
import base64
import json
import math
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

AUTH_TIMEOUT_S = 10
CLIENT_ID, CLIENT_SECRET = "peer-client", "peer-secret-~1"
FIRST_REFRESH_TOKEN = f"refresh-{uuid.uuid4()}"


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--certificate", default=str(Path(__file__).parent.parent / "certificate.sh"))
    parser.add_argument("--ready")
    parser.add_argument("--expires", type=float, default=3600.0)
    parser.add_argument("--reauth", choices=["ack", "refuse", "ignore"], default="ack")
    parser.add_argument("--pump", type=float, default=0)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--payload", choices=["text", "binary", "both"], default="both")
    parser.add_argument("--drop-after", type=float, default=0)
    parser.add_argument("--grace", default="none")
    parser.add_argument("--expiry-code", type=int, default=4401)
    parser.add_argument("--echo", action="store_true")
    parser.add_argument("--keep-refresh-token", action="store_true")
    parser.add_argument("--scope", default="conversation:read user:read analytics:read")
    parser.add_argument("--limit", type=float, default=120)
    return parser.parse_args()


class Tokens:
    """Grants, rotates and verifies; used by the HTTP threads and by the socket side."""

    def __init__(self, args):
        self.args = args
        self.key = secrets.token_bytes(32)
        self.lock = threading.Lock()
        self.refresh_token = FIRST_REFRESH_TOKEN
        self.requests = {"client_credentials": 0, "refresh_token": 0, "refused": 0}

    def answer(self, headers, body):
        with self.lock:
            status, answer = self._judge(headers, body)
            self.requests["refused"] += status != HTTPStatus.OK
            return status, answer

    def _judge(self, headers, body):
        if headers.get_content_type() != "application/x-www-form-urlencoded":
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, {"error": "unsupported_media_type"}
        if not known_client(headers.get("Authorization", "")):
            return HTTPStatus.UNAUTHORIZED, {"error": "invalid_client"}
        return self._grant({name: values[0] for name, values in urllib.parse.parse_qs(body).items()})

    def _grant(self, form):
        grant = form.get("grant_type")
        rotated = grant == "refresh_token"
        if rotated and form.get("refresh_token") != self.refresh_token:
            return HTTPStatus.BAD_REQUEST, {"error": "invalid_grant"}
        if not rotated and grant != "client_credentials":
            return HTTPStatus.BAD_REQUEST, {"error": "unsupported_grant_type"}
        self.requests[grant] += 1
        expires_in = int(self.args.expires) if self.args.expires.is_integer() else self.args.expires
        answer = {"access_token": self._access_token(), "token_type": "bearer", "expires_in": expires_in}
        answer["scope"] = self.args.scope
        if rotated:
            if not self.args.keep_refresh_token:
                self.refresh_token = f"refresh-{uuid.uuid4()}"
            answer["refresh_token"] = self.refresh_token
        return HTTPStatus.OK, answer

    def _access_token(self):
        now = time.time()
        claims = {
            "jti": str(uuid.uuid4()),
            "client_id": CLIENT_ID,
            "scope": self.args.scope,
            "iat": int(now),
            "exp": int(now) + math.ceil(self.args.expires),
            "expires_ms": (now + self.args.expires) * 1000,  # sharper than `exp`, for lifetimes of a second
        }
        return jwt.encode(claims, self.key, algorithm="HS256")

    def verify(self, token):
        """The time of expiry in milliseconds, or None."""
        try:
            claims = jwt.decode(token, self.key, algorithms=["HS256"], options={"verify_exp": False})
        except jwt.InvalidTokenError:
            return None
        return claims["expires_ms"] if time.time() * 1000 < claims["expires_ms"] else None


def known_client(header):
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        client_id, _, secret = base64.b64decode(text).decode().partition(":")
    except ValueError:
        return False
    plain = (client_id, secret)
    decoded = tuple(map(urllib.parse.unquote_plus, plain))
    return (CLIENT_ID, CLIENT_SECRET) in (plain, decoded)


def token_server(tokens, tls):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            if self.path.partition("?")[0] == "/oauth/token":
                status, answer = tokens.answer(self.headers, body)
            else:
                status, answer = HTTPStatus.NOT_FOUND, {"error": "not_found"}
            self.reply(status, json.dumps(answer).encode())

        def reply(self, status, body):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Cache-Control", "no-store")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request, client_address):
            if not isinstance(sys.exc_info()[1], OSError):  # which is a client that hangs up, or does not trust the CA
                super().handle_error(request, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    # The handshake happens in the handler's thread: a client that never speaks holds up nobody else.
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Sockets:
    """What the connections of one server share."""

    def __init__(self, args, tokens):
        self.args, self.tokens = args, tokens
        self.sessions = set()
        self.connections = []
        self.live = set()

    def total(self, what):
        return sum(record[what] for record in self.connections)


class Connection:
    def __init__(self, sockets, socket):
        self.sockets, self.args, self.socket = sockets, sockets.args, socket
        self.authenticated, self.session_id, self.expiry, self.tasks = False, None, None, set()
        self.record = {"id": len(sockets.connections) + 1, "auths": 0, "reauths": 0, "refusals": 0}
        self.record |= {"resumed": False, "sent": 0, "received": 0, "endedBy": None}
        sockets.connections.append(self.record)

    async def run(self):
        self.sockets.live.add(self)
        self.auth_timer = self.later(AUTH_TIMEOUT_S, lambda: self.close(1008, "authentication timeout"))
        try:
            async for message in self.socket:
                await self.on_message(message)
        except ConnectionClosed:
            pass
        finally:
            for task in self.tasks:
                task.cancel()
            self.record["endedBy"] = self.record["endedBy"] or "client"
            self.record["code"] = self.socket.close_code
            self.sockets.live.discard(self)
            say("CLOSED", self.record["id"], self.socket.close_code)

    def spawn(self, work):
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        return task

    def later(self, seconds, action):
        async def wait():
            await asyncio.sleep(seconds)
            await action()

        return self.spawn(wait())

    async def on_message(self, message):
        frame = parse(message)
        if isinstance(frame, dict) and frame.get("type") == "auth":
            await self.on_auth(frame)
        elif not self.authenticated:
            await self.close(1008, "not authenticated")
        else:
            self.record["received"] += 1
            if self.args.echo:
                await self.socket.send(message)

    async def on_auth(self, frame):
        if self.authenticated and self.args.reauth == "ignore":
            return
        expires_ms = self.sockets.tokens.verify(frame.get("token", ""))
        if expires_ms is None:
            await self.refuse("invalid token")
        elif self.authenticated and self.args.reauth == "refuse":
            await self.refuse("already authenticated")
        else:
            await self.accept(frame, expires_ms)

    async def refuse(self, message):
        self.record["refusals"] += 1
        say("REFUSED", self.record["id"])
        await self.reply({"type": "auth", "status": "error", "message": message})
        if not self.authenticated:
            await self.close(1008, message)

    async def accept(self, frame, expires_ms):
        self.record["reauths" if self.authenticated else "auths"] += 1
        self.auth_timer.cancel()
        self.session_id = self.session_id or self.session(frame.get("sessionId"))
        await self.reply({"type": "auth", "status": "ok", "sessionId": self.session_id})
        self.watch_expiry(expires_ms)
        if not self.authenticated:
            self.start()
        say("REAUTH" if self.authenticated else "AUTH", self.record["id"])
        self.authenticated = True

    def session(self, offered):
        self.record["resumed"] = offered in self.sockets.sessions
        session_id = offered if self.record["resumed"] else str(uuid.uuid4())
        self.sockets.sessions.add(session_id)
        return session_id

    def watch_expiry(self, expires_ms):
        if self.args.grace == "none":
            return
        if self.expiry:
            self.expiry.cancel()
        delay = expires_ms / 1000 - time.time() + float(self.args.grace)
        self.expiry = self.later(delay, lambda: self.close(self.args.expiry_code, "token expired"))

    def start(self):
        if self.args.drop_after > 0:
            self.later(self.args.drop_after, self.drop)
        if self.args.pump > 0:
            self.spawn(self.pump())

    async def pump(self):
        """Even numbers go as text and odd ones as binary, unless one of the two is asked for alone."""
        while self.args.count == 0 or self.record["sent"] < self.args.count:
            await asyncio.sleep(self.args.pump / 1000)
            seq = self.record["sent"]
            binary = self.args.payload == "binary" or (self.args.payload == "both" and seq % 2 == 1)
            text = json.dumps({"type": "event", "connection": self.record["id"], "seq": seq}, separators=(",", ":"))
            try:
                await self.socket.send(text.encode() if binary else text)
            except ConnectionClosed:
                return
            self.record["sent"] += 1

    async def reply(self, frame):
        await self.socket.send(json.dumps(frame, separators=(",", ":")))

    async def close(self, code, reason):
        self.record["endedBy"] = self.record["endedBy"] or "server"
        await self.socket.close(code, reason)

    async def drop(self):
        self.record["endedBy"] = self.record["endedBy"] or "drop"
        self.socket.transport.abort()


def say(*words):
    print(*words, flush=True)


def parse(message):
    if not isinstance(message, str):
        return None
    try:
        return json.loads(message)
    except ValueError:
        return None


def announce(args, ca_file, token_port, ws_port):
    exports = {
        "GENESYS_REGION": "mypurecloud.com",
        "GENESYS_CLIENT_ID": CLIENT_ID,
        "GENESYS_CLIENT_SECRET": CLIENT_SECRET,
        "GENESYS_REFRESH_TOKEN": FIRST_REFRESH_TOKEN,
        "GWA_TOKEN_URL": f"https://localhost:{token_port}/oauth/token",
        "GWA_WS_URL": f"wss://localhost:{ws_port}/ws",
        "GWA_CA_FILE": ca_file,
    }
    text = "".join(f"export {name}='{value}'\n" for name, value in exports.items())
    if args.ready:
        part = Path(f"{args.ready}.part")
        part.touch(mode=0o600)
        part.write_text(text)
        part.rename(args.ready)
    say(f"{text}READY")


async def until_stopped(limit):
    """SIGTERM, the end of stdin, or the limit."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)

    def watch_stdin():
        while os.read(0, 4096):
            pass
        loop.call_soon_threadsafe(stopped.set)

    threading.Thread(target=watch_stdin, daemon=True).start()
    try:
        await asyncio.wait_for(stopped.wait(), limit)
    except asyncio.TimeoutError:
        pass


async def run(args, directory):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(Path(directory, "leaf.pem"), Path(directory, "leaf.key"))
    tokens = Tokens(args)
    sockets = Sockets(args, tokens)

    def route(connection, request):
        if request.path.partition("?")[0] != "/ws":
            return connection.respond(HTTPStatus.NOT_FOUND, "not found\n")
        return None

    async def handler(socket):
        await Connection(sockets, socket).run()

    http = token_server(tokens, tls)
    server = await serve(handler, "127.0.0.1", 0, ssl=tls, process_request=route, max_size=4 << 20)
    ports = http.server_address[1], server.sockets[0].getsockname()[1]
    announce(args, str(Path(directory, "ca.pem")), *ports)
    await until_stopped(args.limit)

    closing = [asyncio.ensure_future(connection.close(1001, "going away")) for connection in sockets.live]
    if closing:
        await asyncio.wait(closing, timeout=1)
    summary = {"peer": "python", "tokenRequests": tokens.requests, "connects": len(sockets.connections)}
    summary |= {what: sockets.total(what) for what in ("auths", "reauths", "refusals")}
    say("SUMMARY", json.dumps(summary | {"connections": sockets.connections}))


def main():
    args = arguments()
    directory = tempfile.mkdtemp(prefix="gwa-peer-")
    try:
        subprocess.run(["sh", args.certificate, directory], check=True)
        asyncio.run(asyncio.wait_for(run(args, directory), args.limit + 5))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        sys.stdout.flush()
    os._exit(0)  # threads that still wait for a client end here


main()
