# SPDX-License-Identifier: Apache-2.0
"""Where the training's sounds come from: Debian packages for voices and music, arithmetic for the rest.

Everything is 16 kHz float32, active level about -26 dBFS, and depends on the seed alone.
"""
import os
import pathlib
import re
import subprocess
import tempfile

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

RATE = 16000
SOUNDS = pathlib.Path("/usr/share/asterisk/sounds")
MUSIC = pathlib.Path("/usr/share/asterisk/moh")
# One voice each; June's is held out: no weight ever saw her.
VOICES = ["en_US_f_Allison", "es_MX_f_Allison", "it_IT_m_Carlo", "ru_RU_f_IvrvoiceRU"]
HELD_OUT = ["fr_CA_f_June"]
SYNTHETIC = ["kal16", "awb", "rms", "slt"]  # of flite; mostly men, whom the prompts lack


def decode_g722(path):
    out = subprocess.run(["ffmpeg", "-v", "error", "-f", "g722", "-i", str(path), "-f", "f32le", "-ar", str(RATE), "-"],
                         stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(out, np.float32)


def level(x):
    """RMS of what is not pause."""
    n = RATE // 50
    e = np.mean(x[:len(x) // n * n].reshape(-1, n) ** 2, 1) if len(x) >= n else np.array([np.mean(x ** 2)])
    return np.sqrt(np.mean(e[e > 1e-3 * np.max(e)]) + 1e-20) if len(e) and np.max(e) > 0 else 1e-10


def dressed(x):
    """Without the silence at its ends, at RMS 0.05."""
    n = RATE // 50
    if len(x) < 10 * n:
        return None
    e = np.mean(x[:len(x) // n * n].reshape(-1, n) ** 2, 1)
    on = np.flatnonzero(e > 1e-4 * np.max(e))
    if len(on) < 10 or np.max(e) < 1e-8:
        return None
    x = x[max(0, on[0] - 2) * n:(on[-1] + 3) * n].copy()
    return (x / level(x) * 0.05).astype(np.float32)


def prompts(voice):
    folder = SOUNDS / voice
    if not folder.is_dir():
        raise SystemExit(f"{folder} is missing: apt install asterisk-core-sounds-{voice[:2]}-g722")
    files = sorted(p for p in folder.rglob("*.g722") if p.stat().st_size > 6000 and "silence" not in p.parts)
    joined = [d for p in files if (d := dressed(decode_g722(p))) is not None]
    return joined


def flite(voice, sentences):
    pieces = []
    with tempfile.TemporaryDirectory() as folder:
        for i, text in enumerate(sentences):
            wav = os.path.join(folder, f"{i}.wav")
            subprocess.run(["flite", "-voice", voice, "-t", text, "-o", wav], check=True)
            from scipy.io import wavfile
            rate, x = wavfile.read(wav)
            if rate != RATE:
                raise SystemExit(f"flite's voice {voice} speaks at {rate} Hz, not at {RATE}")
            if (d := dressed(x.astype(np.float32) / 32768)) is not None:
                pieces.append(d)
    return pieces


def sentences(count):
    """Plain English that every Debian has: the text of its licences."""
    words = []
    for name in ("GFDL-1.3", "GPL-3", "MPL-2.0", "LGPL-2.1"):
        text = pathlib.Path("/usr/share/common-licenses", name).read_text(errors="replace")
        words += [w for w in re.sub(r"[^A-Za-z,.' ]", " ", text).split() if len(w) < 15]
    return [" ".join(words[i * 11:(i + 1) * 11]).lower() for i in range(count)]


def load_voices(cache, held_out=False):
    """{voice: [utterance]}, decoded once into the file `cache`."""
    cache = pathlib.Path(cache)
    cache.mkdir(parents=True, exist_ok=True)
    voices = {}
    names = HELD_OUT if held_out else VOICES + ["flite:" + v for v in SYNTHETIC]
    for name in names:
        file = cache / (name.replace(":", "_") + ".npz")
        if not file.exists():
            pieces = flite(name[6:], sentences(90)) if name.startswith("flite:") else prompts(name)
            np.savez(file, ends=np.cumsum([len(p) for p in pieces]), samples=np.concatenate(pieces))
        data = np.load(file)
        voices[name] = np.split(data["samples"], data["ends"][:-1])
    return voices


def load_music(cache):
    file = pathlib.Path(cache) / "music.npy"
    if not file.exists():
        if not MUSIC.is_dir():
            raise SystemExit(f"{MUSIC} is missing: apt install asterisk-moh-opsound-g722")
        np.save(file, np.concatenate([decode_g722(p)[:RATE * 120] for p in sorted(MUSIC.glob("*.g722"))]))
    return np.load(file)


def speeded(x, factor):
    """Pitch, formants and speed together: another, smaller or larger, person."""
    n = int(len(x) / factor)
    if abs(factor - 1) < 0.01 or n < 10:
        return x
    if factor > 1:  # what would fold is cut first
        x = sosfilt(butter(6, min(0.98, 0.98 / factor), output="sos"), x)
    t = np.arange(n) * factor
    i = np.minimum(t.astype(int), len(x) - 3)
    f = (t - i).astype(np.float32)
    i = np.maximum(i, 1)
    a, b, c, d = x[i - 1], x[i], x[i + 1], x[i + 2]  # cubic (Catmull-Rom)
    return b + 0.5 * f * (c - a + f * (2 * a - 5 * b + 4 * c - d + f * (3 * (b - c) + d - a)))


def biquad_peak(x, hz, gain_db, q):
    a = 10 ** (gain_db / 40)
    w = 2 * np.pi * hz / RATE
    s = np.sin(w) / (2 * q)
    b = np.array([1 + s * a, -2 * np.cos(w), 1 - s * a])
    d = np.array([1 + s / a, -2 * np.cos(w), 1 - s / a])
    return lfilter(b / d[0], d / d[0], x)


def equalised(x, rng, most_db=8, peaks=3):
    for _ in range(rng.integers(0, peaks + 1)):
        x = biquad_peak(x, np.exp(rng.uniform(np.log(80), np.log(7500))), rng.uniform(-most_db, most_db), rng.uniform(0.4, 3))
    return x


def talk(voices, seconds, rng, gap=(0.1, 0.9), names=None):
    """A person: utterances of one voice, changed in size, with pauses, to `seconds`."""
    names = names or list(voices)
    weights = np.array([0.35 if n.startswith("flite:") else 1.0 for n in names])
    name = names[rng.choice(len(names), p=weights / weights.sum())]
    low, high = (0.86, 1.3) if "_m_" in name or name.startswith("flite:") else (0.72, 1.12)
    factor = rng.uniform(low, high) if rng.random() < 0.8 else 1.0
    out, have, need = [], 0, int(seconds * RATE)
    while have < need:
        pool = voices[name]
        piece = speeded(pool[rng.integers(len(pool))], factor) * 10 ** (rng.uniform(-3, 3) / 20)
        pause = np.zeros(int(rng.uniform(*gap) * RATE), np.float32)
        out += [piece, pause]
        have += len(piece) + len(pause)
    x = equalised(np.concatenate(out)[:need], rng, 6)
    if rng.random() < 0.1:  # a telephone far away
        x = sosfilt(butter(4, [300, 3400], "band", fs=RATE, output="sos"), x)
    return (x / level(x) * 0.05).astype(np.float32)


def coloured(n, rng, slope=None):
    """Gaussian noise whose density falls by a power of frequency, with a few bumps."""
    f = np.fft.rfftfreq(n, 1 / RATE)
    slope = rng.uniform(0, 1.1) if slope is None else slope
    shape = np.maximum(f, rng.uniform(30, 150)) ** -slope
    for _ in range(rng.integers(0, 4)):
        centre, width = np.exp(rng.uniform(np.log(60), np.log(7000))), rng.uniform(0.05, 0.6)
        shape = shape * (1 + rng.uniform(0, 4) * np.exp(-(np.log(np.maximum(f, 1) / centre) / width) ** 2))
    x = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * shape, n)
    return x / np.std(x)


def slow(n, rng, hz, depth_db):
    """A gain that wanders."""
    points = max(2, int(n / RATE * hz) + 2)
    g = np.interp(np.linspace(0, points - 1, n), np.arange(points), rng.standard_normal(points))
    return 10 ** (g * depth_db / 2 / 20)


def hum(n, rng):
    t = np.arange(n) / RATE
    base = rng.choice([50, 60, 100, 120, rng.uniform(40, 400)])
    x = np.zeros(n)
    for k in range(1, rng.integers(2, 20)):
        if base * k < 7900:
            x += rng.uniform(0, 1) / k ** rng.uniform(0.3, 1.5) * np.sin(2 * np.pi * base * k * t + rng.uniform(0, 6.28))
    return x / (np.std(x) + 1e-9)


def clicks(n, rng):
    """Keyboard, cups, papers: short resonant bursts, alone or in runs."""
    x = np.zeros(n)
    at = 0
    run = rng.uniform(2, 12)
    ring = rng.uniform(0.002, 0.03)
    centre = np.exp(rng.uniform(np.log(300), np.log(6000)))
    while at < n:
        length = int(rng.uniform(0.5, 6) * ring * RATE) + 40
        burst = rng.standard_normal(length) * np.exp(-np.arange(length) / (ring * RATE))
        if rng.random() < 0.5:
            w = 2 * np.pi * centre * rng.uniform(0.7, 1.4) / RATE
            burst = burst * 0.4 + lfilter([0.1], [1, -2 * 0.97 * np.cos(w), 0.94], burst)
        end = min(n, at + length)
        x[at:end] += burst[:end - at] * rng.uniform(0.2, 1)
        at += int(RATE * (rng.exponential(1 / run) if rng.random() < 0.9 else rng.uniform(0.5, 3))) + 10
    return x / (np.std(x) + 1e-9)


def babble(n, voices, rng, reverb):
    x = np.zeros(n)
    for _ in range(rng.integers(3, 9)):
        x += talk(voices, n / RATE, rng, gap=(0, 0.3)) * 10 ** (rng.uniform(-6, 3) / 20)
    x = reverb(x) if rng.random() < 0.7 else x
    return x / (np.std(x) + 1e-9)


def noise(n, voices, music, rng, reverb):
    """A room's noise at RMS 1: one or two kinds."""
    kinds = ["air", "babble", "hum", "clicks", "traffic", "music", "white"]
    p = np.array([0.38, 0.24, 0.09, 0.11, 0.09, 0.03, 0.06])
    x = np.zeros(n)
    for _ in range(1 + (rng.random() < 0.35)):
        kind = kinds[rng.choice(len(kinds), p=p)]
        g = 10 ** (rng.uniform(-8, 0) / 20)
        if kind == "air":
            y = coloured(n, rng) * slow(n, rng, 0.5, rng.choice([0, 3]))
            if rng.random() < 0.4:
                y = y + rng.uniform(0.05, 0.6) * hum(n, rng)
        elif kind == "babble":
            y = babble(n, voices, rng, reverb) + (rng.random() < 0.5) * rng.uniform(0.1, 1) * coloured(n, rng)
        elif kind == "hum":
            y = hum(n, rng) + 0.3 * coloured(n, rng)
        elif kind == "clicks":
            y = clicks(n, rng) + rng.uniform(0.02, 0.3) * coloured(n, rng)
        elif kind == "traffic":
            y = coloured(n, rng, rng.uniform(0.8, 1.6)) * slow(n, rng, 1.5, 10)
        elif kind == "music":
            at = rng.integers(0, len(music) - n)
            y = music[at:at + n] / (np.std(music[at:at + n]) + 1e-6)
        else:
            y = rng.standard_normal(n)
        x += g * y
    return x / (np.std(x) + 1e-9)
