# SPDX-License-Identifier: Apache-2.0
"""Scenes for the learned mask: a near talker, a room, its noise, and a loudspeaker's echo in it.

Nothing of a scene is tuned to a recording; every quantity is drawn from a wide range, so that the mask learns physics.
"""
import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

from sources import RATE, babble, coloured, equalised, hum, level, noise, slow, talk


def response(rng, near_source, rt60):
    """A room's answer without geometry: direct sound, early reflections, a tail that decays faster at high pitch.

    near_source: metres from source to microphone."""
    n = int(min(0.6, rt60 * 1.1 + 0.05) * RATE)
    t = np.arange(n) / RATE
    h = np.zeros(n)
    start = 8
    critical = rng.uniform(0.4, 1.2) * np.sqrt(0.4 / rt60)  # distance at which tail and direct sound are equal
    ratio = (critical / near_source) ** 2
    h[start] = 1
    for _ in range(rng.integers(4, 14)):  # table, walls
        d = rng.uniform(0.0004, 0.04)
        at = start + d * RATE
        i = int(at)
        if i + 1 < n:
            a = rng.uniform(-0.7, 0.7) * near_source / (near_source + 343 * d) * rng.uniform(0.3, 1)
            h[i] += a * (1 - at + i)
            h[i + 1] += a * (at - i)
    tail = np.zeros(n)
    noise_ = rng.standard_normal(n)
    edges = [60, 600, 2500, 7600]
    for k in range(3):
        band = sosfilt(butter(2, [edges[k], edges[k + 1]], "band", fs=RATE, output="sos"), noise_)
        tail += band * 10 ** (-3 * t / (rt60 * [1.15, 1.0, 0.7][k] * rng.uniform(0.85, 1.15)))
    onset = int(rng.uniform(0.002, 0.02) * RATE)
    tail[:onset] *= np.linspace(0, 1, onset) ** 2
    tail = np.roll(tail, start)
    tail[:start] = 0
    tail *= np.sqrt(1 / ratio / np.sum(tail ** 2))
    h = h + tail
    return (h / np.sqrt(np.sum(h ** 2))).astype(np.float32)


class Rooms:
    """A shelf of responses: drawing them anew for each scene would cost more than the rest."""

    def __init__(self, rng, count=260):
        self.near, self.far, self.wide = [], [], []
        for _ in range(count):
            rt = rng.uniform(0.12, 0.9)
            self.far.append(response(rng, rng.uniform(0.04, 0.5), rt))
            self.near.append(response(rng, rng.uniform(0.3, 2.0), rt))
            self.wide.append(response(rng, rng.uniform(2, 5), rt))


def saturate(x, rng):
    """One of several ways in which small loudspeakers bend a signal; x has active RMS 0.05 or so."""
    peak = np.percentile(np.abs(x), 99.9) + 1e-9
    u = x / peak
    kind = rng.integers(0, 6)
    d = rng.uniform(0.3, 3)
    if kind == 0:
        y = np.tanh(d * u) / d
    elif kind == 1:
        limit = rng.uniform(0.15, 0.9)
        y = np.clip(u, -limit, limit * rng.uniform(0.7, 1.0))
    elif kind == 2:
        b = 1.5 * d * u - 0.3 * (d * u) ** 2
        y = (2 / (1 + np.exp(-np.where(b > 0, 4.0, 0.5) * b)) - 1) / max(1.0, d)
        y = y - np.mean(y)
    elif kind == 3:
        y = u + rng.uniform(-0.3, 0.3) * u ** 2 + rng.uniform(-0.3, 0.1) * u ** 3
    elif kind == 4:  # the cone's way limits the bass, and with it everything
        excursion = lfilter([0.08], [1, -0.92], u)
        y = u / (1 + d * np.abs(excursion) * 3)
    else:
        y = np.sign(u) * np.abs(u) ** rng.uniform(0.75, 1.0)
    return y * peak


def loudspeaker(x, rng):
    low = rng.uniform(80, 450)
    high = rng.uniform(3500, 7800)
    x = sosfilt(butter(rng.integers(1, 4), [low, high], "band", fs=RATE, output="sos"), x)
    x = equalised(x, rng, 6, 2)
    if rng.random() < 0.75:
        x = saturate(x, rng)
    if rng.random() < 0.25:  # something rattles with the bass
        excursion = np.abs(lfilter([0.06], [1, -0.94], x))
        touch = np.maximum(0, excursion - rng.uniform(0.3, 0.9) * np.max(excursion))
        rattle = lfilter([1, -0.9], [1, -rng.uniform(0, 0.8)], rng.standard_normal(len(x)))
        x = x + rng.uniform(0.05, 0.6) * np.std(x) * touch / (np.max(touch) + 1e-9) * rattle
    if rng.random() < 0.2:  # a limiter or compressor after the tap
        env = np.sqrt(lfilter([0.002], [1, -0.998], x ** 2) + 1e-10)
        x = x * (env / np.mean(env)) ** -rng.uniform(0.1, 0.5)
    return equalised(x, rng, 8, 4)


def drifted(x, ppm):
    t = np.arange(len(x)) * (1 + ppm * 1e-6)
    i = np.clip(t.astype(int), 8, len(x) - 9)
    f = t - i
    y = np.zeros(len(x))
    for k in range(-7, 9):
        z = k - f
        y += x[i + k] * np.sinc(z) * (0.5 + 0.5 * np.cos(np.pi * np.clip(z / 8, -1, 1)))
    return y


def activity(n, rng, kind):
    """When somebody talks: always, in turns, late, or until a moment; 0..1 with soft edges."""
    m = np.zeros(n)
    if kind == "always":
        m[:] = 1
    elif kind == "turns":
        at = rng.uniform(0, 2)
        while at < n / RATE:
            end = at + rng.uniform(1, 5)
            m[int(at * RATE):int(end * RATE)] = 1
            at = end + rng.uniform(0.5, 4)
    elif kind == "late":
        m[int(rng.uniform(0.15, 0.7) * n):] = 1
    elif kind == "early":
        m[:int(rng.uniform(0.3, 0.8) * n)] = 1
    r = RATE // 50
    return uniform_filter1d(m, r)


def far_signal(n, voices, music, rng):
    kind = rng.random()
    if kind < 0.06:
        at = rng.integers(0, len(music) - n)
        x = music[at:at + n].astype(float)
        x = x / level(x) * 0.05
    elif kind < 0.10:
        x = 0.05 * coloured(n, rng) * slow(n, rng, 2, 12)
    else:
        x = talk(voices, n / RATE, rng, gap=(0.05, rng.choice([0.3, 1.5])))
        if rng.random() < 0.15:
            x = x + talk(voices, n / RATE, rng)
    x = x * activity(n, rng, rng.choice(["always", "turns", "early", "late"], p=[0.5, 0.3, 0.1, 0.1]))
    if rng.random() < 0.4:
        x = x + 0.05 * 10 ** (-rng.uniform(20, 50) / 20) * coloured(n, rng)
    return x * 10 ** (rng.uniform(-14, 8) / 20)


def echo_of(far, rooms, rng, n):
    """The echo at the microphone, and (delay in ms) what the scene must know of it."""
    sound = loudspeaker(far, rng)
    h = rooms.far[rng.integers(len(rooms.far))]
    echo = fftconvolve(sound, h)[:n]
    if rng.random() < 0.25:  # the phone or somebody's hand moves
        other = fftconvolve(sound, rooms.far[rng.integers(len(rooms.far))])[:n]
        c = int(rng.uniform(0.25, 0.85) * n)
        w = np.clip((np.arange(n) - c) / (rng.uniform(0.02, 1.0) * RATE), 0, 1)
        other *= 10 ** (rng.uniform(-6, 6) / 20)
        echo = echo * (1 - w) + other * w
    if rng.random() < 0.15:
        echo = echo * slow(n, rng, 1, 4)
    if rng.random() < 0.15:
        echo = drifted(echo, rng.uniform(-120, 120))
    return echo


def scene(voices, music, rooms, rng, seconds=12, held_out=None):
    """Four signals at the microphone and a header for mask_scenes."""
    n = int(seconds * RATE)
    near_voices = held_out or voices
    wide = rooms.wide[rng.integers(len(rooms.wide))]

    def reverb(x):
        return fftconvolve(x, wide)[:n]
    has_far = rng.random() < 0.68
    has_near = rng.random() < (0.72 if has_far else 0.93)
    near = np.zeros(n)
    if has_near:
        near = talk(near_voices, seconds, rng, gap=(0.1, rng.choice([0.5, 1.5])))
        kinds = ["always", "turns", "late", "early"]
        near = near * activity(n, rng, kinds[rng.choice(4, p=[0.3, 0.35, 0.25, 0.1])])
        if rng.random() < 0.85:
            near = fftconvolve(near, rooms.near[rng.integers(len(rooms.near))])[:n]
        if np.any(near):
            near = near / level(near) * 0.05
    far = far_signal(n, voices, music, rng) if has_far else np.zeros(n)
    echo = np.zeros(n)
    delay = 0.0
    if has_far and np.any(far):
        delay = rng.choice([rng.uniform(0, 60), rng.uniform(0, 400)], p=[0.75, 0.25])
        d = int(delay * RATE / 1000)
        late = np.concatenate([np.zeros(d), far])[:n]
        if rng.random() < 0.06:
            jump = d + int(rng.uniform(-40, 100) * RATE / 1000)
            later = np.concatenate([np.zeros(max(0, jump)), far])[:n]
            c = int(rng.uniform(0.3, 0.8) * n)
            late = np.concatenate([late[:c], later[c:]])
        echo = echo_of(late, rooms, rng, n)
        echo = echo / level(echo) * 0.05 * 10 ** (rng.uniform(-18, 18) / 20)
    snr = rng.choice([rng.uniform(-5, 12), rng.uniform(5, 30), rng.uniform(30, 55)], p=[0.45, 0.35, 0.2] if not has_far else [0.15, 0.35, 0.5])
    din = noise(n, voices, music, rng, reverb) * 0.05 * 10 ** (-snr / 20)
    # The microphone's own colour and gain, the same for all that it hears.
    state = rng.integers(1 << 60)
    if rng.random() < 0.6:
        near, din, echo = (equalised(x, np.random.default_rng(state), 6, 3) for x in (near, din, echo))
    if rng.random() < 0.5:
        cut = butter(2, rng.uniform(40, 180), "high", fs=RATE, output="sos")
        near, din, echo = (sosfilt(cut, x) for x in (near, din, echo))
    gain = 10 ** (rng.uniform(-26, 12) / 20)
    if rng.random() < 0.1:  # a level control before our input, slow
        gain = gain * slow(n, rng, 0.3, 5)
    peak = np.max(np.abs((near + din + echo) * gain))
    if peak > 0.99:
        gain = gain * 0.99 / peak
    near, din, echo = near * gain, din * gain, echo * gain
    if rng.random() < 0.05:  # the converter clips: what it cuts counts as echo or noise
        whole = near + din + echo
        limit = rng.uniform(0.3, 0.8) * np.max(np.abs(whole))
        cut = np.clip(whole, -limit, limit) - whole
        if has_far:
            echo = echo + cut
        else:
            din = din + cut
    # Mostly the engine searches the delay; the rest has the reference where it belongs, early by up to 40 ms.
    lead = 0 if rng.random() < 0.7 else max(0, int(delay - rng.uniform(1, 40)))
    reset = int(rng.uniform(0, n)) if rng.random() < 0.1 else -1
    header = np.array([n, lead, reset, int(has_far), RATE], np.int32)
    return header, np.stack([far, near, din, echo]).astype(np.float32)
