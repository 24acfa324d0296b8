"""The sixteen things' own sounds: one short function each, from a random generator to a recording (32768,).

Every draw varies in pitch, tempo, onset and balance, but stays a sound of its kind. The level is set by `sound.py`.
"""

from __future__ import annotations

import numpy as np

from anygen.nano.world.synthesis import (
    SECONDS, beats, decay, glide, lay, noise, pulse, swell, time, tone, voice,
)  # fmt: skip


def bell(rng: np.random.Generator) -> np.ndarray:
    """Strikes whose inharmonic partials (hum, prime, tierce, nominal, ...) die away, the high ones first."""
    strike_note = rng.uniform(420, 620)
    first = rng.uniform(0.02, 0.12)
    partials = ((0.5, 0.5), (1.0, 0.9), (1.19, 0.6), (2.0, 1.0), (2.74, 0.45), (4.1, 0.25))
    sustain = rng.uniform(0.35, 0.5)
    strike = sum(
        gain * tone(glide(SECONDS, ratio * strike_note)) * decay(SECONDS, sustain / ratio**0.6, attack=0.002)
        for ratio, gain in partials
    )
    if rng.random() < 0.5:
        return lay((first, strike))
    return lay((first, strike), (first + rng.uniform(0.85, 1.05), 0.9 * strike))


def drum(rng: np.random.Generator) -> np.ndarray:
    """A beat of thumps: a skin whose pitch drops, and the noise of the stick; every other one accented."""
    pitch = rng.uniform(110, 150)
    skin = tone(glide(0.3, 2.2 * pitch, 1.1 * pitch, pitch, pitch), (1.0, 0.3)) * decay(0.3, 0.045)
    stick = noise(rng, 0.08, 300, rng.uniform(2500, 3500)) * decay(0.08, 0.01, attack=0.001)
    thump = skin + lay((0, 0.35 * stick))[: len(skin)]
    onsets = beats(rng, rng.uniform(0.24, 0.36), rng.uniform(0.02, 0.15), jitter=0.01)
    return lay(*((onset, thump * (1.0, 0.6)[i % 2]) for i, onset in enumerate(onsets)))


def clock(rng: np.random.Generator) -> np.ndarray:
    """Tick, tock: two dry clicks in turn, the second a third lower."""
    pitch = rng.uniform(2600, 3400)

    def click(frequency: float) -> np.ndarray:
        body = tone(glide(0.06, frequency)) + 0.6 * tone(glide(0.06, 1.53 * frequency)) + 0.5 * tone(glide(0.06, 900))
        return body * decay(0.06, 0.006, attack=0.0008)

    onsets = beats(rng, rng.uniform(0.3, 0.42), rng.uniform(0.03, 0.25))
    return lay(*((onset, click(pitch * (1.0, 0.78)[i % 2])) for i, onset in enumerate(onsets)))


def car(rng: np.random.Generator) -> np.ndarray:
    """An engine that is revved: many harmonics of the firing rate with a body resonance, over a low rumble."""
    idle = rng.uniform(42, 55)
    rate = idle * glide(SECONDS, 1.0, rng.uniform(1.0, 1.2), rng.uniform(1.4, 1.8), rng.uniform(1.2, 1.5))
    gains = [1 / (1 + ((k - 3) / 3) ** 2) for k in range(1, 19)]
    return tone(rate, gains) * pulse(rng.uniform(9, 12), 0.3) + 0.5 * noise(rng, SECONDS, 40, 350)


def train(rng: np.random.Generator) -> np.ndarray:
    """A steam engine: chuffs of noise in groups of four, and a whistle of three notes on top."""
    chuff = noise(rng, 0.16, 250, 1500) * decay(0.16, 0.035, attack=0.012)
    onsets = beats(rng, rng.uniform(0.17, 0.22), rng.uniform(0.0, 0.1))
    chuffs = lay(*((onset, chuff * (1.0, 0.55, 0.75, 0.55)[i % 4]) for i, onset in enumerate(onsets)))
    seconds, pitch = rng.uniform(0.6, 0.85), rng.uniform(640, 740)
    bend = glide(seconds, 0.94, 1.0, 1.0, 1.0, 0.97)
    whistle = sum(tone(pitch * ratio * bend, (1.0, 0.25)) for ratio in (1.0, 1.2, 1.5)) * swell(seconds, 0.06, 0.12)
    return chuffs + lay((rng.uniform(0.5, 1.1), 0.35 * whistle))


def bird(rng: np.random.Generator) -> np.ndarray:
    """A song of short, high chirps, each of them sweeping up and down, with a rest between two phrases."""
    pitch, period = rng.uniform(2600, 3400), rng.uniform(0.13, 0.19)
    events, onset = [], rng.uniform(0.02, 0.2)
    while onset < SECONDS - 0.15:
        for _ in range(rng.integers(3, 6)):
            seconds, sweep = rng.uniform(0.07, 0.1), rng.uniform(1.2, 1.5)
            chirp = tone(pitch * glide(seconds, 1.0, sweep, 0.85)) * swell(seconds, 0.02, 0.03)
            events.append((onset, chirp))
            onset += period
        onset += rng.uniform(0.15, 0.3)
    return lay(*events)


def cat(rng: np.random.Generator) -> np.ndarray:
    """A meow: the voice rises and falls while the mouth opens and closes, which moves the formants."""
    seconds, pitch = rng.uniform(0.9, 1.3), rng.uniform(420, 520)
    frequency = glide(seconds, pitch, 1.45 * pitch, 1.35 * pitch, 1.1 * pitch, 0.8 * pitch)
    mouth = glide(seconds, 700, 1500, 1900, 1400, 800)
    meow = voice(frequency, ((mouth, 260.0), (1.9 * mouth, 300.0)), num_harmonics=9) * swell(seconds, 0.12, 0.3)
    return lay((rng.uniform(0.1, 0.6), meow))


def dog(rng: np.random.Generator) -> np.ndarray:
    """Barks, in ones and twos: a short rough voice with a burst of breath."""
    pitch = rng.uniform(230, 320)
    seconds = rng.uniform(0.15, 0.2)
    throat = voice(glide(seconds, pitch, 1.6 * pitch, 0.8 * pitch), ((800.0, 250.0), (1500.0, 300.0)), num_harmonics=10)
    bark = (throat + 0.45 * noise(rng, seconds, 500, 2200)) * swell(seconds, 0.02, 0.1)
    events, onset = [], rng.uniform(0.03, 0.25)
    while onset < SECONDS - seconds:
        events += [(onset, bark), (onset + 1.35 * seconds, 0.85 * bark)][: rng.integers(1, 3)]
        onset += rng.uniform(0.5, 0.75)
    return lay(*events)


def bee(rng: np.random.Generator) -> np.ndarray:
    """A buzz of about 200 Hz that wavers in pitch and loudness as the bee flies about."""
    pitch = rng.uniform(180, 230)
    waver = 1 + 0.05 * np.sin(2 * np.pi * (rng.uniform(1.2, 2.5) * time() + rng.random()))
    buzz = tone(pitch * waver, [1 / k**0.6 for k in range(1, 16)])
    return buzz * pulse(rng.uniform(11, 16), 0.5) * pulse(rng.uniform(0.4, 0.8), 0.5, start=rng.random())


def rain(rng: np.random.Generator) -> np.ndarray:
    """A steady hiss, and drops: many short pings at random times."""
    drops = []
    for onset in rng.uniform(0, SECONDS - 0.03, size=rng.integers(35, 60)):
        ping = tone(glide(0.03, rng.uniform(1800, 4800))) * decay(0.03, 0.005, attack=0.001)
        drops.append((onset, rng.uniform(0.5, 2.5) * ping))
    return noise(rng, SECONDS, rng.uniform(700, 1100), rng.uniform(4000, 4800)) + lay(*drops)


def boat(rng: np.random.Generator) -> np.ndarray:
    """A ship's horn: one long or two shorter blasts, deep, two reeds that beat against each other."""
    pitch = rng.uniform(85, 115)
    lengths = (rng.uniform(1.4, 1.8),) if rng.random() < 0.5 else (rng.uniform(0.5, 0.6), rng.uniform(0.8, 0.95))
    gains = (0.8, 1.0, 0.8, 0.6, 0.45, 0.3, 0.2, 0.12, 0.08)
    events, onset = [], rng.uniform(0.03, 0.15)
    for seconds in lengths:
        blast = tone(glide(seconds, pitch), gains) + 0.6 * tone(glide(seconds, 1.01 * pitch), gains)
        events.append((onset, blast * swell(seconds, 0.12, 0.15)))
        onset += seconds + 0.15
    return lay(*events)


def ambulance(rng: np.random.Generator) -> np.ndarray:
    """A siren of two notes in turn, a fourth apart."""
    low, period, start = rng.uniform(640, 720), rng.uniform(0.36, 0.5), rng.random()
    is_high = np.sin(2 * np.pi * (time() / (2 * period) + start))
    glued = np.clip(is_high * 12, -1, 1)
    return tone(low * (4 / 3) ** (0.5 + 0.5 * glued), (1.0, 0.45, 0.35, 0.15, 0.08)) * swell(SECONDS, 0.03, 0.03)


def phone(rng: np.random.Generator) -> np.ndarray:
    """Rings in pairs: a trill that hurries between two notes."""
    pitch, trill, seconds = rng.uniform(1300, 1600), rng.uniform(17, 22), rng.uniform(0.32, 0.4)
    is_high = np.sin(2 * np.pi * trill * time(seconds)) > 0
    ring = tone(pitch * np.where(is_high, 1.26, 1.0), (1.0, 0.3, 0.2)) * swell(seconds, 0.01, 0.04)
    first = rng.uniform(0.02, 0.15)
    gap = seconds + rng.uniform(0.1, 0.15)
    second = first + gap + seconds + rng.uniform(0.25, 0.35)
    return lay(*((onset, ring) for onset in (first, first + gap, second, second + gap) if onset < SECONDS))


def piano(rng: np.random.Generator) -> np.ndarray:
    """A little tune of hammered, ringing notes out of a pentatonic scale between C4 and C6."""
    scale = 261.63 * 2 ** (np.array([0, 2, 4, 7, 9, 12, 14, 16, 19]) / 12)
    step, period, events = rng.integers(0, len(scale)), rng.uniform(0.28, 0.4), []
    hammered, bright = decay(0.8, 0.13), decay(0.8, 0.1)
    for onset in beats(rng, period, rng.uniform(0.02, 0.12)):
        note = tone(glide(0.8, scale[step]), (1.0, 0.6, 0.45, 0.2 * bright, 0.15 * bright, 0.1 * bright))
        events.append((onset, rng.uniform(0.7, 1.0) * note * hammered))
        step = np.clip(step + rng.choice((-2, -1, 1, 2)), 0, len(scale) - 1)
    return lay(*events)


def rocket(rng: np.random.Generator) -> np.ndarray:
    """A lift-off: a rumble that swells into a roar, ever louder and brighter."""
    climb = np.clip((time() - rng.uniform(0.0, 0.25)) / rng.uniform(1.3, 1.7), 0, 1)
    rumble = noise(rng, SECONDS, 50, 250) * (0.15 + 0.85 * climb)
    roar = noise(rng, SECONDS, 150, 1200) * climb**1.5 + 0.6 * noise(rng, SECONDS, 1000, 3500) * climb**3
    return (rumble + roar) * swell(SECONDS, 0.05, 0.08)


def heart(rng: np.random.Generator) -> np.ndarray:
    """Lub-dub: pairs of deep, soft, muffled beats, the second shorter and a little higher."""
    pitch, period = rng.uniform(55, 70), rng.uniform(0.6, 0.85)
    lub = tone(glide(0.18, 1.3 * pitch, pitch, 0.9 * pitch), (1.0, 0.4)) * decay(0.18, 0.035, attack=0.02)
    dub = tone(glide(0.14, 1.7 * pitch, 1.4 * pitch), (1.0, 0.3)) * decay(0.14, 0.025, attack=0.015)
    first, gap = rng.uniform(0.03, 0.3), rng.uniform(0.2, 0.26)
    return lay(*(event for onset in beats(rng, period, first) for event in ((onset, lub), (onset + gap, 0.75 * dub))))


THING_SOUNDS = {
    "bell": bell,
    "drum": drum,
    "clock": clock,
    "car": car,
    "train": train,
    "bird": bird,
    "cat": cat,
    "dog": dog,
    "bee": bee,
    "rain": rain,
    "boat": boat,
    "ambulance": ambulance,
    "phone": phone,
    "piano": piano,
    "rocket": rocket,
    "heart": heart,
}
