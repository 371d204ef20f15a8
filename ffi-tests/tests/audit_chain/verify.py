"""A second verifier of audit logs, made from include/doc/audit-chain.md alone; Python's standard library and nothing else.

    python3 verify.py KEYFILE [--expect RECORDFILE] [--after RECORDFILE] LOG...

prints one JSON object: {"result", "line", "gaps": [[kind, line], ...]}.
"""
import hashlib
import hmac
import json
import re
import sys

JSON = re.compile(rb'\{.*"mac_epoch":([0-9]+),"mac":"([0-9a-f]{64})"\}+')
CEF = re.compile(rb'[^{<].* gwaEpoch=([0-9]+) gwaMac=([0-9a-f]{64})')
# Six fields, then elements in brackets whose values may hold anything, its quotes escaped (RFC 5424 6.3).
SYSLOG = re.compile(
    rb'<(?:[^ ]* ){6}(?:\[(?:[^"\]]|"(?:[^"\\]|\\.)*")*\])*'
    rb'\[[^ \]]+ epoch="([0-9]+)" mac="([0-9a-f]{64})"\](?: .*)?'
)
LABEL = b"gwa audit chain 1: "
NOTHING = bytes(32)


def sign(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def evolved(key, times):
    for _ in range(times):
        key = sign(key, LABEL + b"evolve")
    return key


def seal(text):
    """The epoch, the MAC, and the text with zeros for its digits; None without a seal."""
    found = next(filter(None, (form.fullmatch(text) for form in (JSON, CEF, SYSLOG))), None)
    if found is None or int(found.group(1)) >= 2**64:
        return None
    start, end = found.span(2)
    blank = text[:start] + b"0" * 64 + text[end:]
    return int(found.group(1)), bytes.fromhex(found.group(2).decode()), blank


def says(text):
    """Kind, run, number, reason of a checkpoint, and whether lost numbers are named: each from its place in the format."""
    if text[:1] == b"{":
        try:
            record = json.loads(text)
        except ValueError:
            return None, None, None, None, False
        if "class_uid" in record:
            kind, own, seq = record["metadata"]["log_name"], record["unmapped"], record["metadata"]["sequence"]
        elif "ecs" in record:
            kind, own, seq = record["event"]["action"], record["genesys_ws_auth"], record["event"]["sequence"]
        else:
            kind, own, seq = record.get("event_type"), record, record.get("seq")
        reason = own.get("reason", own.get("metadata", {}).get("reason"))
        return kind, own.get("boot_id"), seq, reason, "first_lost" in own
    text = text.decode()
    if text[:1] == "<":
        kind, data = (text.split(" ", 6)[5:] + [""])[:2]
        element = re.match(r'\[[^ \]]+((?: [^ =]+="(?:[^"\\]|\\.)*")*)\]', data)
        own = dict(re.findall(r' ([^ =]+)="((?:[^"\\]|\\.)*)"', element.group(1) if element else ""))
    else:
        fields = text.split("|", 7)
        kind = {"7": "audit_loss", "25": "audit_checkpoint"}.get(fields[4])
        pairs = dict(re.findall(r"(?:^| )([^ =\\]+)=([^ ]*)", fields[7]))
        names = {"boot_id": "cs1", "seq": "cn1", "reason": "gwaReason", "first_lost": "gwaFirstLost"}
        own = {name: pairs[key] for name, key in names.items() if key in pairs}
    return kind, own.get("boot_id"), int(own["seq"]), own.get("reason"), "first_lost" in own


def tail(told):
    kind, _, _, reason, _ = told
    return "record" if kind != "audit_checkpoint" else "close" if reason == "close" else "checkpoint"


class Chain:
    def __init__(self, k0, mode, sink, after=None):
        self.root = sign(k0, LABEL + mode + b" " + sink)
        self.is_run, self.epoch, self.key = mode == b"run", 0, self.root
        self.start = self.last = NOTHING
        # A record that was verified before: the log goes on behind it.
        if after is not None:
            self.epoch, self.last, _ = seal(after)
            self.key, self.start = evolved(self.root, self.epoch), None
        # What the last record was: "nothing", "record", "checkpoint", or "close".
        self.tail = "nothing" if after is None else tail(says(after))

    def step(self, record, text):
        """How the record follows: "next", "closed", "skipped", "crashed", "unlinked", or None; moves on if it does."""
        epoch, mac, _ = record
        kind, _, _, _, names_lost = says(text)
        found = self.follows(*record, kind == "audit_loss" and names_lost)
        if found:
            how, self.key, self.start = found
            # A run that closes has one more if its state could not be kept.
            still_closes = self.tail == "close" and how == "next" and tail(says(text)) == "checkpoint"
            self.tail = "close" if still_closes else tail(says(text))
            self.epoch, self.last = epoch, mac
            return how
        return None

    def follows(self, epoch, mac, blank, is_marker):
        """How, the key of the record's epoch, and the mac that the state held when that epoch began."""
        def fits(key, prev):
            return hmac.compare_digest(sign(key, prev, blank), mac)

        def linked(key, end, m):
            return fits(key, sign(key, LABEL + end, m))

        if epoch == self.epoch > 0 and fits(self.key, self.last):
            return "next", self.key, self.start
        if self.epoch < epoch <= self.epoch + (1 if self.is_run and not is_marker else 10**6):
            key = evolved(self.key, epoch - self.epoch)
            # A sink that refused checkpoints has a marker in their place.
            may_end = self.tail != "record" and epoch == self.epoch + 1
            if (may_end or is_marker) and self.epoch and fits(key, self.last):
                return "next", key, self.last
            if self.tail != "record" and linked(key, b"closed", self.last):
                run_begins = self.epoch + (2 if self.tail == "close" else 1)
                if epoch == run_begins and self.tail != "checkpoint":
                    return "closed", key, self.last
                return ("skipped", key, self.last) if epoch > run_begins else None
            if epoch > self.epoch + 1 and linked(key, b"crashed", self.last):
                return "crashed", key, self.last
            if self.epoch and self.start is not None and linked(key, b"crashed", self.start):
                return "crashed", key, self.start
        if self.is_run and epoch == 1:
            key = evolved(self.root, 1)
            if linked(key, b"closed", NOTHING):
                return "unlinked", key, NOTHING
        return None


def verify(k0, lines, expected, after, is_cut, skipped=0):
    chain, gaps, torn, met, runs, last, ends_torn = None, [], None, False, set(), (None, None), False
    if after is not None:
        runs.add(says(after)[1])
    for number, text in enumerate(lines, 1):
        if not text or number <= skipped:
            continue
        found, how = seal(text), None
        cut_short = chain is not None and chain.tail != "close"
        if chain is None and after is not None:
            cut_short = tail(says(after)) != "close"
        if chain is None:
            tried = [Chain(k0, mode, sink, after) for mode in (b"state", b"run") for sink in (b"audit", b"siem")]
            for chain in tried:
                how = found and chain.step(found, text)
                if how == "unlinked" and says(text)[1] in runs:
                    how = None
                if how:
                    break
            else:
                if after in lines and not skipped:
                    return verify(k0, lines, expected, after, is_cut, lines.index(after) + 1)
                return first_is_bad(k0, lines, number)
        elif found:
            how = chain.step(found, text)
        if how == "unlinked" and says(text)[1] in runs:
            how = None
        if torn and how in (None, "next", "closed"):
            return {"result": "tampered", "line": torn, "gaps": gaps}
        if how is None:
            if is_cut and number == len(lines) and (not found or text[:1] == b"<" or says(text)[0] is None):
                ends_torn = True
                continue
            if found:
                return {"result": "tampered", "line": number, "gaps": gaps}
            torn = number
            continue
        torn = None
        if how == "unlinked" and cut_short:
            gaps.append(["crashed", number])
        if how in ("skipped", "crashed", "unlinked"):
            gaps.append([how, number])
        kind, boot_id, seq, _, names_lost = says(text)
        if kind == "audit_loss" and names_lost:
            gaps.append(["lost", number])
        runs.add(boot_id)
        last = boot_id, seq
        met = met or (expected is not None and found[1] == seal(expected)[1])
    if torn:
        return {"result": "tampered", "line": torn, "gaps": gaps}
    if expected is not None and after is not None:
        is_in_order = chain is None or not chain.is_run or says(expected)[1] == says(after)[1]
        met = met or (is_in_order and (seal(expected)[0], says(expected)[2]) <= (seal(after)[0], says(after)[2]))
    if expected is not None and not met:
        is_past = chain is not None and goes_past(chain, runs, last, expected)
        return {"result": "tampered" if is_past else "truncated", "line": None, "gaps": gaps}
    if ends_torn:
        return {"result": "truncated", "line": None, "gaps": gaps}
    if chain is None:
        return {"result": "not_a_chain", "line": None, "gaps": []}
    return {"result": "declared_gap" if gaps else "intact", "line": None, "gaps": gaps}


def goes_past(chain, runs, last, expected):
    """Whether the expected record would have been there by now."""
    epoch, (_, boot_id, seq, _, _) = seal(expected)[0], says(expected)
    if boot_id == last[0]:
        return (epoch, seq) <= (chain.epoch, last[1])
    return boot_id in runs if chain.is_run else epoch <= chain.epoch


def first_is_bad(k0, lines, number):
    """The key, or the record? If any record follows what the one before it says of itself, the record."""
    sealed = [seal(text) for text in lines[number - 1:] if text]
    roots = [sign(k0, LABEL + mode + b" " + sink) for mode in (b"state", b"run") for sink in (b"audit", b"siem")]
    at, keys, left = 0, roots, 10**6
    for before, after in zip(sealed, sealed[1:]):
        if before and after and 0 <= after[0] - before[0] <= 1:
            if after[0] < at:
                at, keys = 0, roots
            if after[0] - at > left:
                continue
            left -= after[0] - at
            keys, at = [evolved(key, after[0] - at) for key in keys], after[0]
            if any(sign(key, before[1], after[2]) == after[1] for key in keys):
                return {"result": "tampered", "line": number, "gaps": []}
    return {"result": "not_a_chain", "line": None, "gaps": []}


def main(arguments):
    with open(arguments.pop(0), encoding="ascii") as file:
        k0 = bytes.fromhex(file.readline().strip())
    known = {"--expect": None, "--after": None}
    while arguments[0] in known:
        with open(arguments[1], "rb") as file:
            known[arguments[0]] = file.readline().rstrip(b"\n")
        arguments = arguments[2:]
    data = b""
    for path in arguments:
        with open(path, "rb") as file:
            data += file.read()
    lines = data.split(b"\n")
    is_cut = lines[-1] != b""
    if not is_cut:
        lines.pop()
    print(json.dumps(verify(k0, lines, known["--expect"], known["--after"], is_cut)))


main(sys.argv[1:])
