"""A client of the `auth-message` profile over `websockets` and `urllib`: the cross-check of the servers, and of the simulator.

Usage, options and output: ../README.md.
"""

import argparse
import asyncio
import base64
import json
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

NOTES = ['{"type":"note","text":"\u00fc"}', bytes([0, 1, 254, 255])]
ENV = os.environ
TLS = ssl.create_default_context(cafile=ENV["GWA_CA_FILE"])


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=10)
    parser.add_argument("--renew-at", type=int, default=0)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--echo", action="store_true")
    parser.add_argument("--limit", type=float, default=30)
    return parser.parse_args()


def request_token(refresh_token):
    """The status and the JSON of the answer."""
    form = urllib.parse.urlencode({"grant_type": "refresh_token", "refresh_token": refresh_token})
    pair = ":".join(urllib.parse.quote_plus(ENV[name]) for name in ("GENESYS_CLIENT_ID", "GENESYS_CLIENT_SECRET"))
    headers = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode(), "Accept": "application/json"}
    request = urllib.request.Request(ENV["GWA_TOKEN_URL"], form.encode(), headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=TLS))
    try:
        with opener.open(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)


class Tokens:
    def __init__(self):
        self.refresh_token = ENV["GENESYS_REFRESH_TOKEN"]

    async def new(self):
        status, answer = await asyncio.to_thread(request_token, self.refresh_token)
        if status != 200:
            raise RuntimeError(f"token endpoint: {status} {answer}")
        self.refresh_token = answer.get("refresh_token", self.refresh_token)
        return answer["access_token"]


class Conversation:
    """One connection, from the upgrade to the close."""

    def __init__(self, args, tokens):
        self.args, self.tokens, self.renewing, self.last = args, tokens, None, None
        self.seen = {"text": 0, "binary": 0, "disorder": 0, "echoed": 0, "auth": None, "renewal": None}
        self.seen |= {"sessionId": None, "renewedSessionId": None}

    async def run(self, offered):
        token = await self.tokens.new()
        async with connect(ENV["GWA_WS_URL"], ssl=TLS, proxy=None) as self.socket:
            await self.auth({"token": token, "sessionId": offered} if offered else {"token": token})
            try:
                async for message in self.socket:
                    await self.on_message(message)
                    if self.is_done():
                        await self.socket.close(1000, "done")
            except ConnectionClosed:
                pass
        if self.renewing:
            await self.renewing
        return self.seen | {"code": self.socket.close_code, "reason": self.socket.close_reason}

    async def auth(self, fields):
        await self.socket.send(json.dumps({"type": "auth", **fields}))

    async def on_message(self, message):
        if message in NOTES:
            self.seen["echoed"] += 1
            return
        if isinstance(message, bytes):
            self.on_event(binary_seq(message), "binary")
            return
        frame = json.loads(message)
        if frame["type"] == "auth":
            await self.on_auth(frame)
        else:
            self.on_event(frame["seq"], "text")

    async def on_auth(self, frame):
        which, session = ("auth", "sessionId") if self.seen["auth"] is None else ("renewal", "renewedSessionId")
        self.seen[which] = frame.get("message", frame["status"])
        self.seen[session] = frame.get("sessionId")
        if which == "auth" and self.args.echo and frame["status"] == "ok":
            for note in NOTES:
                await self.socket.send(note)

    def on_event(self, seq, kind):
        self.seen["disorder"] += self.last is not None and seq != self.last + 1
        self.last = seq
        self.seen[kind] += 1
        if self.received() == self.args.renew_at:
            self.renewing = asyncio.ensure_future(self.renew())

    async def renew(self):
        await self.auth({"token": await self.tokens.new()})

    def received(self):
        return self.seen["text"] + self.seen["binary"]

    def is_done(self):
        enough = 0 < self.args.messages <= self.received()
        renewed = self.args.renew_at == 0 or self.seen["renewal"] is not None
        return enough and renewed and (not self.args.echo or self.seen["echoed"] == len(NOTES))


def binary_seq(message):
    """The peers send JSON as binary, the simulator eight big-endian bytes first."""
    return json.loads(message)["seq"] if message.startswith(b"{") else int.from_bytes(message[:8], "big")


async def main():
    args, tokens, connections = arguments(), Tokens(), []
    first = tokens.refresh_token
    for _ in range(args.connections):
        offered = connections[-1]["sessionId"] if connections else None
        connections.append(await asyncio.wait_for(Conversation(args, tokens).run(offered), args.limit))
    status, answer = await asyncio.to_thread(request_token, first)
    print(json.dumps({"peer": "python", "connections": connections, "spentRefreshToken": answer.get("error", status)}))


asyncio.run(main())
