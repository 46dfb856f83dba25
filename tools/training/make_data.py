#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the training data of the learned mask: scenes, through our canceller, to features and targets.

  make_data.py --tool build/release/bin/mask_scenes --out DIR [--scenes 3600] [--seed 1] [--held-out]

Writes DIR/part_NNN.npy, each of 100 scenes x frames x 288 half floats: 180 features, then the 36 band magnitudes of
the canceller's error, of near speech with noise, and of near speech, all to the power 0.3.
"""
import argparse
import pathlib
import subprocess
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import scenes as sc
import sources

PART = 100


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--tool", required=True)
    ap.add_argument("--out", required=True)
    ap.add_argument("--cache", help="decoded voices; default OUT/voices")
    ap.add_argument("--scenes", type=int, default=3600)
    ap.add_argument("--first", type=int, default=0, help="part to begin with, to go on where a run ended")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--held-out", action="store_true", help="near voice that the training never hears")
    a = ap.parse_args()
    out = pathlib.Path(a.out)
    out.mkdir(parents=True, exist_ok=True)
    cache = a.cache or out / "voices"
    voices, music = sources.load_voices(cache), sources.load_music(cache)
    held = sources.load_voices(cache, True) if a.held_out else None
    rooms = sc.Rooms(np.random.default_rng([a.seed, 7]))
    tool = subprocess.Popen([a.tool], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    width = 180 + 3 * 36
    for part in range(a.first, (a.scenes + PART - 1) // PART):
        rows = []
        for i in range(PART):
            rng = np.random.default_rng([a.seed, part, i, int(a.held_out)])
            header, signals = sc.scene(voices, music, rooms, rng, held_out=held)
            tool.stdin.write(header.tobytes())
            tool.stdin.write(signals.tobytes())
            tool.stdin.flush()
            frames = int(header[0]) // (sources.RATE // 100)
            need = frames * width * 4
            y = np.frombuffer(tool.stdout.read(need), np.float32).reshape(frames, width).copy()
            y[:, 180:] = np.maximum(y[:, 180:], 0) ** 0.15
            if not np.all(np.isfinite(y)):
                raise SystemExit(f"scene {part}/{i} is not finite")
            rows.append(y.astype(np.float16))
        np.save(out / f"tmp_{part:03d}.npy", np.stack(rows))
        (out / f"tmp_{part:03d}.npy").rename(out / f"part_{part:03d}.npy")
        print(f"part {part}", flush=True)
    tool.stdin.close()
    tool.wait()


if __name__ == "__main__":
    main()
