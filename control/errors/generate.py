#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the C++ table and the documentation from control/errors/catalogue.json and the translations
beside it.

  generate.py --cpp DIR     writes DIR/catalogue_table.inc
  generate.py --docs FILE   writes the documentation; errors.de.md is the German one
  generate.py --check FILE  fails when FILE is not what --docs would write
  generate.py --looked-at LANGUAGE ID ...  notes that these translations fit today's English text

Every translation keeps a hash of the English text it was made from ("of"). A translation that is
missing, superfluous or made from another text than today's fails everything above.
"""
import hashlib
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from catalogue_generator import (check_fields, head, main, text,  # noqa: E402
                                 with_provider_words, write_if_changed)

GENERATOR = "control/errors/generate.py"
FIELDS = {"id": str, "code": int, "stage": str, "message": str, "cause": str, "remedy": str,
          "who": str, "retryable": bool, "settings": list, "guide": list}
TEXTS = ("message", "cause", "remedy")
# In the order of enum class Language in catalogue.h, English before them.
LANGUAGES = ("de", "fr", "es")
INTRODUCTION = ("The id is the same on screen, in the web interface, shell, log and API.",
                "A code alone is not unique (404 has two meanings): stage and code make the id.",
                "*Again* says whether the phone may try again by itself.")
COLUMNS = ("Id", "Code", "Message", "Cause", "Remedy", "Who acts", "Again", "Settings", "Guide")


def translation_file(language):
    return HERE / "translations" / f"{language}.json"


def fingerprint(row):
    return hashlib.sha256("\0".join(row[key] for key in TEXTS).encode()).hexdigest()[:12]


def terms_of(rows):
    """Words of the tables that are no row's own: all of them need a translation."""
    return {*(row["who"] for row in rows), *(row["stage"] for row in rows), *INTRODUCTION, *COLUMNS,
            "Error messages", "yes", "no"}


def check_translation(rows, language, translation):
    where = f"translations/{language}.json"
    for kind, wanted in (("errors", {row["id"] for row in rows}), ("terms", terms_of(rows))):
        have = set(translation.get(kind, {}))
        if wanted - have:
            sys.exit(f"{where}: {kind}: no translation of {', '.join(sorted(wanted - have))}")
        if have - wanted:
            sys.exit(f"{where}: {kind}: the catalogue has no {', '.join(sorted(have - wanted))}")
    for term, words in translation["terms"].items():
        if not isinstance(words, str) or not words.strip():
            sys.exit(f"{where}: the term '{term}' is empty")
    for row in rows:
        texts = translation["errors"][row["id"]]
        if set(texts) != {"of", *TEXTS}:
            sys.exit(f"{where}: {row['id']}: must have 'of', {', '.join(TEXTS)} and nothing else")
        for key in TEXTS:
            if not isinstance(texts[key], str) or not texts[key].strip():
                sys.exit(f"{where}: {row['id']}: the {key} is empty")
        if texts["of"] != fingerprint(row):
            sys.exit(f"{where}: {row['id']}: the English text is another than the one translated; "
                     f"mend the translation, then run {GENERATOR} --looked-at {language} {row['id']}")


def looked_at(language, ids):
    if language not in LANGUAGES:
        sys.exit(f"there is no translation into '{language}'; there are {', '.join(LANGUAGES)}")
    rows = {row["id"]: row for row in load_catalogue()}
    path = translation_file(language)
    translation = json.loads(path.read_text(encoding="utf-8"))
    for name in ids:
        if name not in rows or name not in translation["errors"]:
            sys.exit(f"there is no {name} in the catalogue and {path.name}")
        translation["errors"][name]["of"] = fingerprint(rows[name])
    write_if_changed(path, json.dumps(translation, ensure_ascii=False, indent=1) + "\n")


def load_catalogue():
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


def load():
    """The rows; each has its texts by language in row["in"]."""
    rows = load_catalogue()
    for row in rows:
        row["in"] = {}
    for language in LANGUAGES:
        translation = json.loads(translation_file(language).read_text(encoding="utf-8"))
        check_translation(rows, language, translation)
        for row in rows:
            row["in"][language] = {**translation["errors"][row["id"]],
                                   "who": translation["terms"][row["who"]]}
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
        translated = ",\n                    ".join(
            "ErrorText{" + ", ".join(text(row["in"][language][key]) for key in (*TEXTS, "who")) + "}"
            for language in LANGUAGES)
        fields.append(f".translated = {{{translated}}}")
        table += "    {" + ",\n     ".join(fields) + "},\n"
    table += "};\n"
    # For those who print a message: the words before its texts.
    terms = [{}] + [json.loads(translation_file(language).read_text(encoding="utf-8"))["terms"]
                    for language in LANGUAGES]
    table += f"constexpr ErrorText kLabels[{len(terms)}] = {{\n"
    for words in terms:
        items = ", ".join(text(words.get(word, word))
                          for word in ("Message", "Cause", "Remedy", "Who acts"))
        table += f"    {{{items}}},\n"
    table += "};\n"
    write_if_changed(folder / "catalogue_table.inc", table)


def fault_kinds():
    """Id and stage of what the fault desk can be asked for."""
    source = (HERE.parent.parent / "service" / "fault_desk.cpp").read_text(encoding="utf-8")
    stages = {"Activation": "activation", "Login": "login", "Join": "join",
              "CallControl": "call-control"}
    return {name: stages[stage] for name, status, stage in re.findall(
        r'\{"([^"]+)", (\d+), S::k(\w+)\}', source) if status != "0"}


def reproduction(rows):
    real = json.loads((HERE / "reproduce.json").read_text(encoding="utf-8"))["errors"]
    kinds = fault_kinds()
    ids = [row["id"] for row in rows]
    if set(kinds) != set(ids) or set(real) - set(ids):
        sys.exit("reproduce.json or the fault desk names other errors than the catalogue: " +
                 ", ".join(sorted((set(kinds) ^ set(ids)) | (set(real) - set(ids)))))
    out = ["## Producing each on purpose", "",
           "With `conclave-service` each error can be ordered at the fault desk: on the administrator's "
           "page, or by", "",
           "    curl --cacert DIR/ca.pem -H \"Authorization: Bearer $(cat DIR/admin.token)\" "
           "-H 'Content-Type: application/json' \\",
           "         -d '{\"id\":\"ID\",\"phone\":\"SERIAL\"}' https://ADDRESS/admin/faults", "",
           "The next request of that phone at the stage of the table gets it (order `JOIN-UNABLE` at "
           "`join` twice: a token is renewed once). "
           "Many can be had by their real cause too.", "",
           "| Id | Ordered, it comes at | By its real cause |", "| --- | --- | --- |"]
    return out + [f"| {name} | {kinds[name]} | {real.get(name, '–')} |" for name in ids]


def documentation(rows, language="en"):
    terms = {}
    if language != "en":
        terms = json.loads(translation_file(language).read_text(encoding="utf-8"))["terms"]
    say = lambda words: terms.get(words, words)
    out = [f"# {say('Error messages')}", "",
           "Made from `control/errors/catalogue.json` by `control/errors/generate.py`; do not edit.",
           "", " ".join(say(sentence) for sentence in INTRODUCTION), ""]
    stages = {}
    for row in rows:
        stages.setdefault(row["stage"], []).append(row)
    for stage, members in stages.items():
        title = say(stage)
        out += [f"## {title[0].upper()}{title[1:]}", "",
                "| " + " | ".join(say(column) for column in COLUMNS) + " |",
                "| " + " | ".join("---" for _ in COLUMNS) + " |"]
        for row in members:
            texts = row["in"].get(language, row)
            cells = [row["id"], str(row["code"] or ""), texts["message"], texts["cause"],
                     texts["remedy"], texts["who"], say("yes" if row["retryable"] else "no"),
                     ", ".join(row["settings"]), ", ".join(row["guide"])]
            out.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
        # Notes are for those who keep the catalogue: in English only.
        notes = [f"- {row['id']}: {row['note']}" for row in members
                 if row.get("note") and language == "en"]
        out += [""] + notes + ([""] if notes else [])
    if language == "en":
        out += reproduction(rows)
    return with_provider_words("\n".join(out).rstrip()) + "\n"


def language_of(path):
    """errors.md is English, errors.de.md German."""
    parts = path.name.split(".")
    return parts[1] if len(parts) == 3 else "en"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--looked-at"] and len(sys.argv) > 3:
        looked_at(sys.argv[2], sys.argv[3:])
    else:
        main(__doc__, GENERATOR, load, write_cpp,
             lambda rows, path: documentation(rows, language_of(path)))
