#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the learned mask on what make_data.py made.

  train.py --data DIR [--held-out DIR] --out model.pt [--minutes 60] [--seed 1] [--from model.pt]

Parts that appear in DIR while it runs are used. The learning rate falls with the time, so that --minutes is the whole
recipe; with --steps N it falls with the steps instead and a run can be repeated exactly.
"""
import argparse
import math
import pathlib
import time

import numpy as np
import torch
from torch import nn

BANDS, FEATURES, DENSE, FIRST, SECOND = 36, 180, 112, 128, 96
POWER = 0.3
RATIO_WEIGHT = 0.002  # of the logarithm of the fault-to-talker ratio in the loss


class Mask(nn.Module):
    """dense -> GRU -> GRU -> gain without echo, gain of near speech alone, near speech present."""

    def __init__(self):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(FEATURES), requires_grad=False)
        self.scale = nn.Parameter(torch.ones(FEATURES), requires_grad=False)
        self.dense = nn.Linear(FEATURES, DENSE)
        self.first = nn.GRU(DENSE, FIRST, batch_first=True)
        self.second = nn.GRU(FIRST, SECOND, batch_first=True)
        self.heads = nn.Linear(FIRST + SECOND, 2 * BANDS + 1)

    def forward(self, x, state=None):
        h = torch.tanh(self.dense((x - self.mean) * self.scale))
        a, sa = self.first(h, None if state is None else state[0])
        b, sb = self.second(a, None if state is None else state[1])
        y = self.heads(torch.cat([a, b], -1))
        return y, (sa, sb)


def somebody_talks(near):
    """1 in frames where the near talker is within 35 dB of his loudest of the scene; near: compressed band magnitudes."""
    power = (near ** (2 / POWER)).sum(-1)
    return (power > 3e-4 * power.amax(1, keepdim=True)).float() * (near.amax((1, 2), keepdim=True)[..., 0] > 0.02)


def losses(y, error, both, near, present, far):
    """error, both, near: compressed band magnitudes. present: a near talker. far: 1 where the scene has a far end."""
    echo_gain, near_gain = torch.sigmoid(y[..., :BANDS]), torch.sigmoid(y[..., BANDS:2 * BANDS])
    loud = error.amax((1, 2), keepdim=True) + 1e-3

    def compare(gain, wanted, swallow):
        left = (gain + 1e-6) ** POWER * error / loud
        off = left - torch.minimum(wanted, error) / loud
        # Too little left of what should stay is worse than too much left of what should go.
        compressed = torch.where(off < 0, swallow, 1.0) * off ** 2
        # The same without compression: where the talker is loud, a gain of 0.7 is a fault that an ear hears and that
        # the power of 0.3 hides.
        plain = (error / loud) ** (1 / POWER)
        off = gain * plain - torch.minimum(wanted, error).div(loud) ** (1 / POWER)
        wrong = torch.where(off < 0, swallow, 1.0) * off ** 2
        # The ratio of fault to what should stay, as a logarithm: without it a scene in which the canceller did well
        # already counts for nothing, and just there a careless 0.9 spoils the talker.
        stays = (torch.minimum(wanted, error) / loud) ** (2 / POWER)
        ratio = wrong.mean((1, 2)) / (stays.mean((1, 2)) + 1e-7)
        return (compressed + 2 * wrong).mean((1, 2)) + RATIO_WEIGHT * torch.log(ratio + 1e-3)
    echo = (compare(echo_gain, both, 2.5) * far).sum() / (far.sum() + 1e-3)
    # In a noise-free stretch both heads see the same target: the second learns the rest on top.
    noise = compare(near_gain, near, 1.6).mean()
    vad = nn.functional.binary_cross_entropy_with_logits(y[..., 2 * BANDS], present)
    return echo, noise, vad


def batch_of(parts, picks):
    x = np.stack([parts[p][i] for p, i in picks]).astype(np.float32)
    x = torch.from_numpy(x)
    far = (x[:, :, 2 * BANDS:3 * BANDS].amax((1, 2)) > -1.99).float()
    near = x[..., FEATURES + 2 * BANDS:]
    return x[..., :FEATURES], x[..., FEATURES:FEATURES + BANDS], x[..., FEATURES + BANDS:FEATURES + 2 * BANDS], near, somebody_talks(near), far


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--data", required=True)
    ap.add_argument("--held-out")
    ap.add_argument("--out", required=True)
    ap.add_argument("--minutes", type=float, default=60)
    ap.add_argument("--steps", type=int, default=0)
    ap.add_argument("--batch", type=int, default=16)
    ap.add_argument("--chunk", type=int, default=200)
    ap.add_argument("--rate", type=float, default=1.5e-3)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--from", dest="start")
    a = ap.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(a.seed)
    rng = np.random.default_rng(a.seed)
    model = Mask()
    if a.start:
        model.load_state_dict(torch.load(a.start))
    parts = {}

    def look():
        for file in sorted(pathlib.Path(a.data).glob("part_*.npy")):
            if file.name not in parts:
                parts[file.name] = np.load(file, mmap_mode="r")
    look()
    if not parts:
        raise SystemExit(f"{a.data} holds no part_*.npy; make_data.py makes them")
    if not a.start:
        some = np.concatenate([p[::4].astype(np.float32).reshape(-1, FEATURES + 3 * BANDS)[:, :FEATURES] for p in parts.values()])
        # One mean and scale for each kind of feature: levels stay comparable between bands.
        for k in range(5):
            s = slice(k * BANDS, (k + 1) * BANDS)
            model.mean.data[s] = float(some[:, s].mean())
            model.scale.data[s] = 1 / float(some[:, s].std() + 1e-3)
    held = []
    if a.held_out:
        files = sorted(pathlib.Path(a.held_out).glob("part_*.npy"))
        held = [np.load(f, mmap_mode="r") for f in files]
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], a.rate, betas=(0.9, 0.98))
    began, step, sums, hours = time.time(), 0, np.zeros(3), 0.0
    queue = []
    while True:
        done = step / a.steps if a.steps else (time.time() - began) / 60 / a.minutes
        if done >= 1:
            break
        rate = a.rate * min(1, (step + 1) / 20) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1, done))))
        for g in optimiser.param_groups:
            g["lr"] = rate
        if len(queue) < a.batch:
            look()
            everything = [(p, i) for p in parts for i in range(len(parts[p]))]
            queue = [everything[k] for k in rng.permutation(len(everything))]
        picks, queue = queue[:a.batch], queue[a.batch:]
        x, error, both, near, present, far = batch_of(parts, picks)
        state = None
        for at in range(0, x.shape[1], a.chunk):  # the state goes on, the gradient does not
            s = slice(at, at + a.chunk)
            y, state = model(x[:, s], state)
            state = tuple(h.detach() for h in state)
            parts_of_loss = losses(y, error[:, s], both[:, s], near[:, s], present[:, s], far)
            loss = parts_of_loss[0] + parts_of_loss[1] + 0.01 * parts_of_loss[2]
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            sums += [float(v) for v in parts_of_loss]
        step += 1
        hours += a.batch * x.shape[1] / 360000
        if step % 20 == 0:
            line = f"step {step} {(time.time() - began) / 60:.1f} min {hours:.1f} h, {len(parts)} parts, rate {rate:.1e}, echo/noise/vad " + " ".join(f"{v:.5f}" for v in sums / 20 / math.ceil(x.shape[1] / a.chunk))
            sums[:] = 0
            if held and step % 100 == 0:
                with torch.no_grad():
                    b = batch_of({0: held[0]}, [(0, i) for i in range(48)])
                    line += "  held out " + " ".join(f"{float(v):.5f}" for v in losses(model(b[0])[0], *b[1:]))
            print(line, flush=True)
        if step % 100 == 0:
            torch.save(model.state_dict(), a.out)
    torch.save(model.state_dict(), a.out)


if __name__ == "__main__":
    main()
