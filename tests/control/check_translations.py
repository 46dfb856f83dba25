#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The generator of the error catalogue refuses translations that are missing, superfluous, empty or
made from another English text than today's.

  check_translations.py CONTROL_FOLDER
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

CONTROL = pathlib.Path(sys.argv[1])


def attempt(folder, what, change, file, expected, *options):
    """Changes a copy of one file and says whether the generator answers as expected."""
    control = folder / "control"
    shutil.copytree(CONTROL / "errors", control / "errors", dirs_exist_ok=True)
    (control / "settings").mkdir(exist_ok=True)
    shutil.copy(CONTROL / "settings" / "catalogue.json", control / "settings")
    shutil.copy(CONTROL / "catalogue_generator.py", control)
    path = control / "errors" / file
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    done = subprocess.CompletedProcess([], 0)
    for arguments in [*options, ["--cpp", str(folder / "out")]]:
        done = subprocess.run([sys.executable, "-B", str(control / "errors" / "generate.py"), *arguments],
                              capture_output=True, text=True, timeout=60, check=False)
    if (done.returncode == 0) != (expected is None) or (expected or "") not in done.stderr:
        sys.exit(f"failed: {what}: {done.returncode} {done.stderr}")


def row_of(data, name):
    return next(row for row in data["errors"] if row["id"] == name)


GERMAN = "translations/de.json"
with tempfile.TemporaryDirectory() as temporary:
    here = pathlib.Path(temporary)
    attempt(here, "unchanged", lambda d: None, GERMAN, None)
    attempt(here, "missing", lambda d: d["errors"].pop("NET-953"), GERMAN, "no translation of NET-953")
    attempt(here, "superfluous", lambda d: d["errors"].update({"X-1": d["errors"]["CC-404"]}), GERMAN,
            "the catalogue has no X-1")
    attempt(here, "empty", lambda d: d["errors"]["CC-404"].update(cause=" "), GERMAN,
            "CC-404: the cause is empty")
    attempt(here, "without remedy", lambda d: d["errors"]["CC-404"].pop("remedy"), GERMAN, "CC-404")
    attempt(here, "missing term", lambda d: d["terms"].pop("user"), GERMAN, "no translation of user")
    reword = lambda d: row_of(d, "CC-404").update(cause="Another one.")
    attempt(here, "English changed", reword, "catalogue.json", "--looked-at de CC-404")
    attempt(here, "looked at", reword, "catalogue.json", None,
            *(["--looked-at", language, "CC-404"] for language in ("de", "fr", "es")))
print("ok")
