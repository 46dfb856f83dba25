#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The administrator's page in Chromium, against a running service.

  check_admin_page.py CONCLAVE_SERVICE
"""
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def main():
    with tempfile.TemporaryDirectory() as folder:
        with subprocess.Popen([sys.argv[1], "--data", folder + "/service", "--quiet"],
                              stdout=subprocess.PIPE, text=True) as service:
            try:
                ready = json.loads(service.stdout.readline())
                token = pathlib.Path(ready["admin_token_file"]).read_text(encoding="utf-8").strip()
                return subprocess.run(
                    ["node", str(HERE / "admin_page.mjs"), ready["admin"], token, folder],
                    timeout=150, check=False).returncode
            finally:
                service.terminate()


if __name__ == "__main__":
    sys.exit(main())
