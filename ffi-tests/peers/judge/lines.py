"""Judges audit records by the published schema of OCSF, and parses CEF with a parser of other people.

Standard input: one JSON object a line, {"format": …, "line": …}. Standard output: for each one "JUDGED {…}" with
`problems` (a list of texts) and, of CEF, what the parser made of the line.
"""

import json
import re
import sys

import jsonschema
import pycef
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

VERSION = "1.8.0"
RAW = get_ocsf_schema(version=VERSION)
SCHEMA = OcsfJsonSchemaEmbedded(RAW)
VALIDATORS = {}


def ocsf(line):
    event = json.loads(line)
    if event["metadata"]["version"] != VERSION:
        return {"problems": ["another version of the schema"]}
    profiles = event["metadata"].get("profiles", [])
    name = SCHEMA.lookup_class_name_from_uid(class_uid=event["class_uid"])
    key = (name, tuple(profiles))
    if key not in VALIDATORS:
        VALIDATORS[key] = jsonschema.Draft202012Validator(SCHEMA.get_class_schema(class_name=name, profiles=profiles))
    problems = [error.message for error in VALIDATORS[key].iter_errors(event)]
    return {"problems": problems + captions(event, RAW["classes"][name]), "class": name}


def captions(event, schema):
    """What the JSON Schema cannot say: ids and their captions go together, and the type is class and activity."""
    wanted = {"class_name": schema["caption"], "type_uid": event["class_uid"] * 100 + event["activity_id"]}
    for attribute in ("activity", "severity", "status", "auth_protocol", "logon_type"):
        sibling = "activity_name" if attribute == "activity" else attribute
        value = event.get(attribute + "_id")
        if value is None:
            continue
        if value == 99:  # Other: the sibling has the source's own word
            wanted[sibling] = event.get(sibling) or "a name of its own"
        else:
            wanted[sibling] = schema["attributes"][attribute + "_id"]["enum"][str(value)]["caption"]
    return [f"{name} is {event.get(name)!r}, not {value!r}" for name, value in wanted.items() if event.get(name) != value]


def cef(line):
    parsed = pycef.parse(line)
    if parsed is None:
        return {"problems": ["not CEF"]}
    # The parser leaves escapes as they are (CEF, "Character Encoding").
    unescape = {"\\n": "\n", "\\r": "\r", "\\\\": "\\", "\\=": "="}
    values = {key: re.sub(r"\\[nr\\=]", lambda m: unescape[m[0]], value) for key, value in parsed.items()}
    return {"problems": [], "parsed": values}


JUDGES = {"ocsf": ocsf, "cef": cef}

for text in sys.stdin:
    case = json.loads(text)
    try:
        judged = JUDGES[case["format"]](case["line"])
    except Exception as error:  # whatever a parser throws is a verdict
        judged = {"problems": [repr(error)]}
    print("JUDGED " + json.dumps(judged), flush=True)
