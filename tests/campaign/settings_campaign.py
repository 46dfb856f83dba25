#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills and power cuts while settings are written: is anything lost that was acknowledged?

  settings_campaign.py WRITER_PROGRAM [--kills 1000] [--cuts 100] [--seed 1]

A kill is SIGKILL at a random moment. A power cut is what a disk holds at a random moment: the writer
writes to an ext4 file system within a file; stopped, that file is copied (twice, until both are
equal), the writer is killed, and the copy is mounted and read. Power cuts need root and loop
devices; without them they are left out, with a word about it. The same is done to writers that do
lose, so that it is known that a loss would be seen.
"""
import argparse
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time


class Writer:
    """Runs the program, and knows the last revision that it has acknowledged."""

    def __init__(self, program, kind, folder, first):
        self.process = subprocess.Popen([program, "write", kind, str(folder), str(first)],
                                        stdout=subprocess.PIPE, bufsize=0)
        self.acknowledged = 0
        self.rest = b""

    def take(self, data):
        lines = (self.rest + data).split(b"\n")
        self.rest = lines.pop()
        if lines:
            self.acknowledged = int(lines[-1])

    def wait_for_one(self):
        while self.acknowledged == 0:
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                sys.exit("settings_campaign: the writer ended by itself")
            self.take(data)

    def drain(self):
        os.set_blocking(self.process.stdout.fileno(), False)
        while True:
            try:
                data = os.read(self.process.stdout.fileno(), 65536)
            except BlockingIOError:
                break
            if not data:
                break
            self.take(data)
        os.set_blocking(self.process.stdout.fileno(), True)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.drain()
        self.process.stdout.close()


def read(program, kind, folder):
    return subprocess.run([program, "read", kind, str(folder)], capture_output=True, text=True,
                          check=True).stdout.strip()


class Count:
    def __init__(self):
        self.done = self.lost = self.unreadable = 0

    def judge(self, found, acknowledged):
        self.done += 1
        if found == "unreadable":
            self.unreadable += 1
        elif int(found) < acknowledged:
            self.lost += 1

    @property
    def bad(self):
        return self.lost + self.unreadable


def linger(chance):
    """A random moment, within a write as well as between two."""
    until = time.perf_counter() + chance.uniform(0, 0.02)
    while time.perf_counter() < until:
        pass


def kills(program, kind, number, chance):
    count = Count()
    with tempfile.TemporaryDirectory() as folder:
        first = 1
        for _ in range(number):
            writer = Writer(program, kind, folder, first)
            writer.wait_for_one()
            linger(chance)
            writer.kill()
            count.judge(read(program, kind, folder), writer.acknowledged)
            first = writer.acknowledged + 2
    return count


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def same_copy(image, copy):
    """Copies until two copies in a row are equal: nothing is on its way any more."""
    before = None
    for _ in range(20):
        shutil.copyfile(image, copy)
        now = copy.read_bytes()
        if now == before:
            return
        before = now
    sys.exit("settings_campaign: the disk does not come to rest")


class Disk:
    """An ext4 file system in a file, mounted."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.image = self.folder / "disk"
        self.mounted = self.folder / "mounted"
        self.mounted.mkdir()
        with open(self.image, "wb") as out:
            out.truncate(8 << 20)
        made = run("mkfs.ext4", "-q", "-F", str(self.image))
        self.why = made.stderr if made.returncode else ""
        if not self.why:
            mount = run("mount", "-o", "loop", str(self.image), str(self.mounted))
            self.why = mount.stderr if mount.returncode else ""

    def close(self):
        run("umount", str(self.mounted))


def cuts(program, kind, number, chance):
    """None where this machine cannot do it."""
    count = Count()
    with tempfile.TemporaryDirectory() as folder:
        disk = Disk(folder)
        if disk.why:
            print(f"power cuts are left out: {disk.why.strip().splitlines()[0]}")
            return None
        try:
            first = 1
            copy = disk.folder / "copy"
            after = disk.folder / "after"
            after.mkdir()
            for _ in range(number):
                writer = Writer(program, kind, disk.mounted, first)
                writer.wait_for_one()
                linger(chance)
                writer.process.send_signal(signal.SIGSTOP)
                writer.drain()
                acknowledged = writer.acknowledged
                same_copy(disk.image, copy)
                writer.kill()
                first = writer.acknowledged + 2
                if run("mount", "-o", "loop", str(copy), str(after)).returncode:
                    count.judge("unreadable", acknowledged)
                    continue
                try:
                    count.judge(read(program, kind, after), acknowledged)
                finally:
                    run("umount", str(after))
        finally:
            disk.close()
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    bad = False

    def tell(what, count, must_lose):
        nonlocal bad
        verdict = "as it must" if (count.bad > 0) == must_lose else "WRONG"
        bad = bad or verdict == "WRONG"
        print(f"{what:34} {count.done:5} times: {count.lost} acknowledged but lost, "
              f"{count.unreadable} unreadable: {verdict}", flush=True)

    tell("kill, the phone's settings", kills(options.program, "registry", options.kills, chance), False)
    tell("kill, overwriting (control)",
         kills(options.program, "overwrite", max(40, options.kills // 10), chance), True)
    if options.cuts > 0:
        if os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
            print("power cuts are left out: they need root and mkfs.ext4")
        else:
            count = cuts(options.program, "registry", options.cuts, chance)
            if count is not None:
                tell("power cut, the phone's settings", count, False)
                tell("power cut, no flush (control)",
                     cuts(options.program, "rename", max(4, options.cuts // 5), chance), True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
