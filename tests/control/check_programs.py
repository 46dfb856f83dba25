#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The programs from outside: conclaved's ready line, web, local door, report and end; the command
line's catalogues.

  check_programs.py CONCLAVED CONCLAVE
"""
import json
import pathlib
import signal
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

CONCLAVED, CONCLAVE = sys.argv[1], sys.argv[2]
PROFILE = str(pathlib.Path(__file__).resolve().parents[2] / "control/provider/profiles/example.json")


def run(*arguments):
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)


def expect(condition, what):
    if not condition:
        sys.exit(f"failed: {what}")


def check_command_line():
    settings = json.loads(run(CONCLAVE, "settings", "list", "--json").stdout)
    expect(len(settings) >= 90, "conclave settings list")
    expect(all(row["name"] and row["help"] for row in settings), "settings have names and help")
    errors = json.loads(run(CONCLAVE, "errors", "list", "--json").stdout)
    expect(len(errors) == 54, "conclave errors list")
    expect(run(CONCLAVE, "errors", "show", "953").stdout.startswith("NET-953"), "errors show")
    german = json.loads(run(CONCLAVE, "errors", "list", "--json", "--language", "de").stdout)
    expect(len(german) == 54 and german[0]["id"] == errors[0]["id"]
           and all(a["remedy"] != b["remedy"] for a, b in zip(german, errors)), "errors in German")
    expect("Prüfen Sie" in run(CONCLAVE, "errors", "list", "--language", "de-AT").stdout, "umlauts")
    french = run(CONCLAVE, "errors", "show", "953", "--language", "fr").stdout
    expect("Le serveur est introuvable." in french and "solution" in french, "show in French: " + french)
    other = run(CONCLAVE, "errors", "show", "953", "--language", "xx")
    expect(other.returncode == 0 and "cannot be found" in other.stdout and "'xx'" in other.stderr,
           "an unknown language is told, and answered in English")
    missing = run(CONCLAVE, "ctl", "--data", "/nonexistent", "ping")
    expect(missing.returncode == 1 and missing.stderr.count("\n") == 1, "ctl without a phone")
    expect(run(CONCLAVE, "ctl", "--data", "/x", "ping", "[1").returncode == 2, "ctl with wrong use")


def check_configuration_files(folder):
    """A file in force at the start, one imported with an include, one refused, and the way back."""
    data = str(folder)
    exported = run(CONCLAVE, "settings", "export", "--data", data).stdout
    expect("lock Audio.Agc.Target = -21" in exported and "Room 4" in exported, "export: " + exported)
    (folder / "b.conf").write_text("conclave-configuration 1\n[local]\nAudio.Speaker.Volume = -9\n")
    (folder / "a.conf").write_text("conclave-configuration 1\ninclude b.conf\n")
    for options, verdict in ((["--dry-run"], "would apply"), ([], "applied")):
        done = run(CONCLAVE, "settings", "import", str(folder / "a.conf"), "--data", data, *options)
        expect(done.returncode == 0 and verdict in done.stdout, "import: " + done.stdout + done.stderr)
    expect("Audio.Speaker.Volume = -9" in run(CONCLAVE, "settings", "export", "--data", data).stdout,
           "an imported value")
    (folder / "bad.conf").write_text("conclave-configuration 1\n[local]\nAudio.Speaker.Volume = -3\n"
                                     "Audio.Agc.Target = -30\n")
    bad = run(CONCLAVE, "settings", "import", str(folder / "bad.conf"), "--data", data)
    expect(bad.returncode == 1 and "bad.conf:4: Audio.Agc.Target" in bad.stderr, "import of a locked value")
    expect("Audio.Speaker.Volume = -9" in run(CONCLAVE, "settings", "export", "--data", data).stdout,
           "nothing is half applied")


def check_factory_reset(folder):
    """F95, F96: everything goes but the service CA, and the phone is there again by itself."""
    data = folder / "phone"
    data.mkdir()
    secret = "planted-secret-7261"
    ca = data / "certificates" / "service-ca.pem"
    ca.parent.mkdir()
    ca.write_text("the service's CA")
    (data / "recordings").mkdir()
    for name in ("recordings/sent.wav", "certificates/device.pem", "notes", "factory-reset-not"):
        (data / name).write_text(secret)
    (data / "link").symlink_to(folder / "outside")
    (folder / "outside").write_text("not the phone's")
    phone = subprocess.Popen(
        [CONCLAVED, "--data", str(data), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        expect(json.loads(phone.stdout.readline())["ready"], "ready line")
        values = {"values": {"Dvms.Proxy.Password": secret, "Dvms.Activation.Pin": secret,
                             "Sip.Account.DisplayName": secret,
                             "Security.Certificates.ServiceCa": str(ca)}}
        expect(run(CONCLAVE, "ctl", "--data", str(data), "settings.set", json.dumps(values)).returncode == 0,
               "secrets are set")
        state = json.loads(run(CONCLAVE, "ctl", "--data", str(data), "state.resync").stdout)["state"]
        serial = state["device"]["serial"]
        expect(secret in (data / "settings.conclave").read_text(), "secrets are there")
        key = (data / "web-key.pem").read_text()
        for confirm in ('{}', '{"confirm":false}'):
            expect(run(CONCLAVE, "ctl", "--data", str(data), "phone.factory_reset", confirm).returncode == 1,
                   "a reset needs confirmation")
        asked = run(CONCLAVE, "ctl", "--data", str(data), "phone.factory_reset", '{"confirm":true}')
        expect(json.loads(asked.stdout) == {"restarting": True}, "reset: " + asked.stderr)
        expect(json.loads(phone.stdout.readline())["ready"], "a second ready line of the same process")
        left = "".join(str(p) + p.read_text(errors="replace") for p in data.rglob("*") if p.is_file())
        for gone in (secret, serial, key):
            expect(gone not in left, "something is left after the reset: " + gone[:20])
        expect(ca.read_text() == "the service's CA" and str(ca) in left, "the service CA is kept")
        expect((folder / "outside").exists(), "links are not followed")
        expect(not (data / "factory-reset").exists(), "the order is done")
    finally:
        phone.send_signal(signal.SIGTERM)
    expect(phone.wait(timeout=30) == 0, "SIGTERM ends with 0")


def check_provider(folder):
    """The profile that --provider named: shown, published, and its addresses in force."""
    shown = json.loads(run(CONCLAVE, "ctl", "--data", str(folder), "provider.show").stdout)
    expect(shown["id"] == "example" and shown["support"][0]["email"] == "help@example.com",
           f"provider.show: {shown}")
    expect(any(rule["destination"] == "meet.example.com" and rule["ports"] == "443"
               for rule in shown["firewall"]["requirements"]), "firewall requirements")
    rows = json.loads(run(CONCLAVE, "ctl", "--data", str(folder), "settings.list").stdout)
    address = next(row for row in rows if row["name"] == "Dvms.Server.Address")
    expect(address["layer"] == "provider" and "meet.example.com" in address["value"], f"layer: {address}")


def check_phone(folder):
    expect(run(CONCLAVED, "--version", "--json").stdout.startswith("{"), "--version --json")
    expect(run(CONCLAVED, "--no-such-option").returncode == 2, "wrong use ends with 2")
    wrong = run(CONCLAVED, "--data", f"{folder}/x", "--set", "Dvms.Proxy.Port=99999",
                "--provider", "/nonexistent/provider.json")
    expect(wrong.returncode == 1 and "65535" in wrong.stderr, "a wrong setting ends with 1")
    expect("cannot read the provider profile /nonexistent" in wrong.stderr, "a profile that is not there is told")
    report = folder / "report.json"
    (folder / "site.conf").write_text(
        "conclave-configuration 1\nrevision 1\n[site]\nlock Audio.Agc.Target = -21\n")
    phone = subprocess.Popen(
        [CONCLAVED, "--data", str(folder), "--port", "0", "--report", str(report),
         "--provider", PROFILE, "--configuration", str(folder / "site.conf"), "--set", "Sip.Account.DisplayName=Room 4"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        ready = json.loads(phone.stdout.readline())
        expect(ready["ready"] is True and ready["user"] == "admin", "ready line")
        context = ssl.create_default_context(cafile=str(folder / "web-cert.pem"))
        try:
            urllib.request.urlopen(ready["url"] + "api/v1/session", context=context, timeout=10)
            sys.exit("failed: a session without login")
        except urllib.error.HTTPError as refused:
            expect(refused.code == 401, "session without login is 401")
        check_provider(folder)
        muted = run(CONCLAVE, "ctl", "--data", str(folder), "call.mute", '{"muted":true}')
        expect(json.loads(muted.stdout) == {"muted": True}, "ctl call.mute: " + muted.stderr)
        spanish = json.loads(run(CONCLAVE, "ctl", "--data", str(folder), "errors.list",
                                 '{"language":"es"}').stdout)
        expect(spanish[0]["language"] == "es" and spanish[0]["message"].startswith("No se ha"), "errors.list")
        refused = run(CONCLAVE, "ctl", "--data", str(folder), "call.join", '{"passcode":"x"}')
        expect(refused.returncode == 1 and "passcode" in refused.stderr, "ctl tells the catalogue's message")
        state = json.loads(run(CONCLAVE, "ctl", "--data", str(folder), "state.resync").stdout)["state"]
        expect(state["call"]["muted"] is True, "state")
        check_configuration_files(folder)
    finally:
        phone.send_signal(signal.SIGTERM)
    expect(phone.wait(timeout=30) == 0, "SIGTERM ends with 0")
    figures = json.loads(report.read_text())
    expect(figures["joined"] is False and figures["violations"] == 0, "report")
    expect(not (folder / "control.sock").exists(), "the socket is gone")
    # Settings are there again after a restart.
    expect("Room 4" in (folder / "settings.conclave").read_text(), "settings are kept")


check_command_line()
with tempfile.TemporaryDirectory() as temporary:
    check_phone(pathlib.Path(temporary))
with tempfile.TemporaryDirectory() as temporary:
    check_factory_reset(pathlib.Path(temporary))
print("ok")
