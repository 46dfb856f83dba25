#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a trained mask as the file that the build puts into the program, and a reference answer for the test.

  export.py model.pt [--weights dsp/neural/mask_weights.bin] [--reference tests/dsp/neural/mask_reference.inc]

Form, little-endian: "CMSK", version 1, five sizes (features, dense, first, second, outputs) as 32-bit integers; then for
each matrix (dense; first layer from below, from itself; second layer the same; heads) a float scale and a float bias for
each row and the 8-bit weights, row by row. The normalisation of the features is folded into the first matrix.
"""
import argparse
import pathlib
import struct
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from train import BANDS, DENSE, FEATURES, FIRST, SECOND, Mask


def quantised(w):
    """8-bit rows: the scale that makes the least square error, not the one that only just holds the largest weight."""
    best = None
    peak = np.abs(w).max(1, keepdims=True) + 1e-12
    for part in (1.0, 0.92, 0.84, 0.76):
        s = peak * part / 127
        q = np.clip(np.round(w / s), -127, 127)
        e = np.sum((q * s - w) ** 2, 1, keepdims=True)
        if best is None:
            best = [q, s, e]
        else:
            better = e < best[2]
            best = [np.where(better, q, best[0]), np.where(better, s, best[1]), np.minimum(e, best[2])]
    return best[0].astype(np.int8), best[1][:, 0].astype(np.float32)


def main():
    here = pathlib.Path(__file__).resolve().parent.parent.parent
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model")
    ap.add_argument("--weights", default=here / "dsp/neural/mask_weights.bin")
    ap.add_argument("--reference", default=here / "tests/dsp/neural/mask_reference.inc")
    a = ap.parse_args()
    m = Mask()
    m.load_state_dict(torch.load(a.model, map_location="cpu"))
    with torch.no_grad():
        w = m.dense.weight * m.scale
        m.dense.bias -= w @ m.mean
        m.dense.weight.copy_(w)
        m.mean.zero_()
        m.scale.fill_(1)
        out = struct.pack("<4s6I", b"CMSK", 1, FEATURES, DENSE, FIRST, SECOND, 2 * BANDS + 1)
        for weight, bias in ((m.dense.weight, m.dense.bias), (m.first.weight_ih_l0, m.first.bias_ih_l0), (m.first.weight_hh_l0, m.first.bias_hh_l0),
                             (m.second.weight_ih_l0, m.second.bias_ih_l0), (m.second.weight_hh_l0, m.second.bias_hh_l0), (m.heads.weight, m.heads.bias)):
            q, s = quantised(weight.numpy())
            weight.copy_(torch.from_numpy(q.astype(np.float32) * s[:, None]))
            out += s.tobytes() + bias.numpy().astype("<f4").tobytes() + q.tobytes()
        pathlib.Path(a.weights).write_bytes(out)
        t, i = np.arange(24)[:, None], np.arange(FEATURES)[None]
        x = 0.4 + 1.2 * np.sin(0.37 * t + 0.11 * i) * np.cos(0.05 * t * (i % 7))
        y = torch.sigmoid(m(torch.from_numpy(x[None].astype(np.float32)))[0])[0].numpy()
    reference = pathlib.Path(a.reference)
    reference.parent.mkdir(parents=True, exist_ok=True)
    lines = ["// Made by tools/training/export.py: what the network of dsp/neural/mask_weights.bin answers to the test's input.", "// clang-format off"]
    for k in (0, 7, 23):
        lines.append("{" + f"{k}, {{" + ", ".join(f"{v:.5f}F" for v in y[k]) + "}},")
    reference.write_text("\n".join(lines) + "\n// clang-format on\n")
    print(f"{len(out)} bytes of weights")


if __name__ == "__main__":
    main()
