"""Judges of formats that nobody here wrote: what they read, as JSON on stdout. A refusal is an exception and exit 1."""

import json
import sys


def samples(families):
    """Every family as the parser has it."""
    return [
        {
            "name": family.name,
            "type": family.type,
            "unit": family.unit,
            "help": family.documentation,
            "samples": [[s.name, dict(s.labels), s.value] for s in family.samples],
        }
        for family in families
    ]


def names(expression):
    """The metrics a PromQL expression selects."""
    import promql_parser

    found = []

    def walk(node):
        if isinstance(node, promql_parser.VectorSelector):
            found.append([node.name, {m.name: m.value for m in node.matchers.matchers}])
        for part in ("expr", "lhs", "rhs", "vector_selector", "param"):
            child = getattr(node, part, None)
            if child is not None and not isinstance(child, (str, int, float)):
                walk(child)
        for child in getattr(node, "args", None) or []:
            walk(child)

    walk(promql_parser.parse(expression))
    return found


def main():
    kind, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if kind == "openmetrics":
        from prometheus_client.openmetrics.parser import text_string_to_metric_families

        print(json.dumps(samples(text_string_to_metric_families(text))))
    elif kind == "prometheus":
        from prometheus_client.parser import text_string_to_metric_families

        print(json.dumps(samples(text_string_to_metric_families(text))))
    elif kind == "rules":
        import yaml

        print(json.dumps(yaml.safe_load(text)))
    elif kind == "promql":
        print(json.dumps([names(line) for line in text.splitlines()]))
    else:
        sys.exit("unknown kind")


main()
