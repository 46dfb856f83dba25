#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the C++ table and the documentation from control/errors/catalogue.json.

  generate.py --cpp DIR     writes DIR/catalogue_table.inc
  generate.py --docs FILE   writes the documentation
  generate.py --check FILE  fails when FILE is not what --docs would write
"""
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from catalogue_generator import check_fields, head, main, text, write_if_changed  # noqa: E402

GENERATOR = "control/errors/generate.py"
FIELDS = {"id": str, "code": int, "stage": str, "message": str, "cause": str, "remedy": str,
          "who": str, "retryable": bool, "settings": list, "guide": list}


def load():
    rows = json.loads((HERE / "catalogue.json").read_text(encoding="utf-8"))["errors"]
    known = {row["name"] for row in json.loads(
        (HERE.parent / "settings" / "catalogue.json").read_text(encoding="utf-8"))["settings"]}
    seen = set()
    for row in rows:
        where = row.get("id", "?")
        check_fields(where, row, FIELDS)
        if not row["message"] or not row["cause"] or not row["remedy"]:
            sys.exit(f"catalogue.json: {where}: message, cause and remedy must say something")
        if where in seen:
            sys.exit(f"catalogue.json: the id {where} stands twice")
        seen.add(where)
        for name in row["settings"]:
            if name not in known:
                sys.exit(f"catalogue.json: {where}: the setting {name} is not in the settings catalogue")
    return rows


def write_cpp(rows, folder):
    table = head(GENERATOR)
    for i, row in enumerate(rows):
        for field in ("settings", "guide"):
            if row[field]:
                items = ", ".join(text(v) for v in row[field])
                table += f"constexpr std::string_view k_{field}_{i}[] = {{{items}}};\n"
    table += f"constexpr ErrorRow kRows[{len(rows)}] = {{\n"
    for i, row in enumerate(rows):
        fields = [f".id = {text(row['id'])}", f".code = {row['code']}", f".stage = {text(row['stage'])}",
                  f".message = {text(row['message'])}", f".cause = {text(row['cause'])}",
                  f".remedy = {text(row['remedy'])}", f".who = {text(row['who'])}",
                  f".retryable = {'true' if row['retryable'] else 'false'}",
                  f".settings = {f'k_settings_{i}' if row['settings'] else '{}'}",
                  f".guide = {f'k_guide_{i}' if row['guide'] else '{}'}"]
        table += "    {" + ",\n     ".join(fields) + "},\n"
    table += "};\n"
    write_if_changed(folder / "catalogue_table.inc", table)


def documentation(rows):
    out = ["# Error messages", "",
           "Made from `control/errors/catalogue.json` by `control/errors/generate.py`; do not edit.",
           "",
           "The id is the same on screen, in the web interface, shell, log and API. A code alone is not "
           "unique (404 has two meanings): stage and code make the id. "
           "*Again* says whether the phone may try again by itself.", ""]
    stages = {}
    for row in rows:
        stages.setdefault(row["stage"], []).append(row)
    for stage, members in stages.items():
        out += [f"## {stage[0].upper()}{stage[1:]}", "",
                "| Id | Code | Message | Cause | Remedy | Who acts | Again | Settings | Guide |",
                "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
        for row in members:
            cells = [row["id"], str(row["code"] or ""), row["message"], row["cause"], row["remedy"],
                     row["who"], "yes" if row["retryable"] else "no", ", ".join(row["settings"]),
                     ", ".join(row["guide"])]
            out.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
        notes = [f"- {row['id']}: {row['note']}" for row in members if row.get("note")]
        out += [""] + notes + ([""] if notes else [])
    return "\n".join(out).rstrip() + "\n"


if __name__ == "__main__":
    main(__doc__, GENERATOR, load, write_cpp, documentation)
