#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the C++ tables and the documentation from control/settings/catalogue.json.

  generate.py --cpp DIR     writes DIR/keys.h and DIR/catalogue_table.inc
  generate.py --docs FILE   writes the documentation
  generate.py --check FILE  fails when FILE is not what --docs would write
"""
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from catalogue_generator import check_fields, head, main, text, write_if_changed  # noqa: E402

GENERATOR = "control/settings/generate.py"
TYPES = {"bool": "kBool", "int": "kInt", "string": "kString", "enum": "kEnum", "set": "kSet",
         "list": "kList", "url": "kUrl", "host": "kHost", "port": "kPort", "ipv4": "kIpv4",
         "netmask": "kNetmask", "domain": "kDomain", "email": "kEmail", "file": "kFile",
         "password": "kPassword"}
KINDS = {"setting": "kSetting", "state": "kState", "per_call": "kPerCall"}
RESTARTS = {"none": "kNone", "call": "kCall", "reboot": "kReboot"}
REQUIRED = {"name": str, "title": str, "type": str, "kind": str, "default": object, "secret": bool,
            "restart": str, "group": str, "place": str, "help": str, "owner": str, "aliases": list,
            "guide": list, "named_in_guide": bool}
OPTIONAL = {"values", "min", "max", "unit", "max_length", "schemes", "pattern", "note"}


def load():
    rows = json.loads((HERE / "catalogue.json").read_text(encoding="utf-8"))["settings"]
    seen = {}
    for row in rows:
        where = row.get("name", "?")
        check_fields(where, row, REQUIRED)
        for key in row:
            if key not in REQUIRED and key not in OPTIONAL:
                sys.exit(f"catalogue.json: {where}: unknown key '{key}'")
        for name in [row["name"], *row["aliases"]]:
            if name.lower() in seen:
                sys.exit(f"catalogue.json: the name {name} stands twice (also {seen[name.lower()]})")
            seen[name.lower()] = where
        for table, key in ((TYPES, "type"), (KINDS, "kind"), (RESTARTS, "restart")):
            if row[key] not in table:
                sys.exit(f"catalogue.json: {where}: {key} '{row[key]}' is not one of {sorted(table)}")
        if row["type"] in ("enum", "set") and not row.get("values"):
            sys.exit(f"catalogue.json: {where}: an {row['type']} needs 'values'")
        if row["type"] in ("int", "port") and ("min" not in row or "max" not in row):
            sys.exit(f"catalogue.json: {where}: a number needs 'min' and 'max'")
    return rows


def symbol(name):
    return "k" + "".join(w[0].upper() + w[1:] for w in re.split(r"[^A-Za-z0-9]+", name) if w)


def default_text(row):
    value = row["default"]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(value)
    return str(value)


def write_cpp(rows, folder):
    keys = head(GENERATOR) + "#pragma once\n\n#include <cstdint>\n\nnamespace conclave::control {\n\n"
    keys += "/// One for each row of the settings catalogue, in its order.\n"
    keys += "enum class Key : std::uint16_t {\n"
    for row in rows:
        keys += f"  {symbol(row['name'])},  // {row['name']}\n"
    keys += f"}};\ninline constexpr int kKeyCount = {len(rows)};\n\n}}  // namespace conclave::control\n"
    write_if_changed(folder / "keys.h", keys)

    table = head(GENERATOR)
    for i, row in enumerate(rows):
        for field, values in (("values", row.get("values", [])), ("aliases", row["aliases"]),
                              ("guide", row["guide"])):
            if values:
                items = ", ".join(text(v) for v in values)
                table += f"constexpr std::string_view k_{field}_{i}[] = {{{items}}};\n"
    table += f"constexpr SettingRow kRows[{len(rows)}] = {{\n"
    for i, row in enumerate(rows):
        span = lambda field, values: f"k_{field}_{i}" if values else "{}"
        fields = [
            f".key = Key::{symbol(row['name'])}", f".name = {text(row['name'])}",
            f".title = {text(row['title'])}", f".type = Type::{TYPES[row['type']]}",
            f".kind = Kind::{KINDS[row['kind']]}", f".min = {row.get('min', 0)}",
            f".max = {row.get('max', 0)}", f".max_length = {row.get('max_length', 256)}",
            f".unit = {text(row.get('unit', ''))}", f".values = {span('values', row.get('values'))}",
            f".schemes = {text(row.get('schemes', 'https,http'))}",
            f".default_text = {text(default_text(row))}",
            f".secret = {'true' if row['secret'] else 'false'}",
            f".restart = Restart::{RESTARTS[row['restart']]}", f".group = {text(row['group'])}",
            f".place = {text(row['place'])}", f".help = {text(row['help'])}",
            f".owner = {text(row['owner'])}", f".aliases = {span('aliases', row['aliases'])}",
            f".guide = {span('guide', row['guide'])}",
            f".named_in_guide = {'true' if row['named_in_guide'] else 'false'}",
            f".note = {text(row.get('note', ''))}"]
        table += "    {" + ",\n     ".join(fields) + "},\n"
    table += "};\n"
    write_if_changed(folder / "catalogue_table.inc", table)


def shown_range(row):
    if row["type"] in ("enum", "set"):
        return ", ".join(row["values"])
    if row["type"] in ("int", "port"):
        unit = f" {row['unit']}" if row.get("unit") else ""
        return f"{row['min']} to {row['max']}{unit}" if row["min"] != row["max"] else "fixed"
    if row["type"] == "url":
        return row.get("schemes", "https,http").replace(",", ", ") + " address"
    return ""


def documentation(rows, _path):
    out = ["# Settings", "",
           "Made from `control/settings/catalogue.json` by `control/settings/generate.py`; do not edit.",
           "",
           "Layers, weakest first: factory, provider, site, device, local. A layer can lock a setting; "
           "then no stronger layer changes it. Names are accepted in any case, aliases too. "
           "Names in bold stand in the guide; the others are ours. "
           "Kinds: a *setting* is kept; *state* is read-only; *per call* is given with a call and never "
           "kept.", ""]
    groups = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    for group, members in groups.items():
        out += [f"## {group}", "",
                "| Name | Title | Type, range | Default | Kind | Takes effect | Guide |",
                "| --- | --- | --- | --- | --- | --- | --- |"]
        for row in members:
            name = f"**{row['name']}**" if row["named_in_guide"] else row["name"]
            if row["aliases"]:
                name += "<br>alias " + ", ".join(row["aliases"])
            kind = row["kind"].replace("_", " ") + (", secret" if row["secret"] else "")
            span = shown_range(row)
            effect = {"none": "at once", "call": "next call", "reboot": "restart"}[row["restart"]]
            default = default_text(row)
            cells = [name, row["title"], row["type"] + (f": {span}" if span else ""),
                     f"`{default}`" if default else "", kind, effect, ", ".join(row["guide"])]
            out.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
        out.append("")
        for row in members:
            note = f" {row['note']}" if row.get("note") else ""
            out.append(f"- `{row['name']}`: {row['help']}{note}")
        out.append("")
    return "\n".join(out).rstrip() + "\n"


if __name__ == "__main__":
    main(__doc__, GENERATOR, load, write_cpp, documentation)
