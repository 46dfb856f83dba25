#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the administrator's page, and the messages of the error catalogue in English with the words
of the provider profile, as C++.

  embed.py OUT CATALOGUE PROFILE PAGE_FOLDER
"""
import json
import pathlib
import sys

ASSETS = {"/admin": ("index.html", "text/html; charset=utf-8"),
          "/admin/admin.css": ("admin.css", "text/css; charset=utf-8"),
          "/admin/admin.js": ("admin.js", "text/javascript; charset=utf-8")}
# A compiler need not take longer literals; neighbours become one.
CHUNK = 8000


def literal(text):
    data = text.encode()
    parts = []
    while data:
        end = min(CHUNK, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        parts.append('R"~~(' + data[:end].decode() + ')~~"')
        data = data[end:]
    return "\n".join(parts) or '""'


def main():
    out, catalogue, profile, folder = (pathlib.Path(argument) for argument in sys.argv[1:])
    lines = ["// Made by service/admin/embed.py.", "constexpr Asset kAssets[] = {"]
    for path, (name, kind) in ASSETS.items():
        text = (folder / name).read_text(encoding="utf-8")
        lines.append(f'{{"{path}", "{kind}",\n{literal(text)}}},')
    lines += ["};", "constexpr ErrorText kErrorTexts[] = {"]
    texts = json.loads(profile.read_text(encoding="utf-8"))
    words = {"provider": texts.get("name", ""), "phone": "phone", **texts.get("texts", {})}
    for row in json.loads(catalogue.read_text(encoding="utf-8"))["errors"]:
        message = row["message"]
        for name, word in words.items():
            message = message.replace("{" + name + "}", word)
        lines.append(f'{{"{row["id"]}", {literal(message)}}},')
    lines.append("};\n")
    out.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(lines)
    if not out.exists() or out.read_text(encoding="utf-8") != text:
        out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
