"""Compose and render `four_moods.ogg`, the example song: calm, joyful, tense, sad.

    python examples/compose.py [OUT]

Everything sounds from struck and bowed strings, a soft pad, brass, a bass, two distorted tones and
three drums, all additive or noise.
Music is written as text: "D5:1.5 F#4+A4:.5 -:1" is a note of 1.5 beats, a chord of half a beat, a
rest of one beat. The same seed gives the same samples.
"""

import sys
from collections.abc import Callable, Container
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

RATE = 44_100
RNG = np.random.default_rng(2024)
NOTES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
STARTS, END = (0.0, 18.0, 36.0, 60.0), 80.0  # s
PEAK = 10 ** (-1.7 / 20)  # Vorbis adds a little; -1 dBFS in the end

Event = tuple[float, float, list[int]]  # start and length in beats, MIDI pitches
Voice = Callable[[int, float, float], np.ndarray]  # pitch, seconds, force: sound (n, 2)


def pitch(name: str) -> int:
    """Turn "F#4" into its MIDI number, 66."""
    return 12 * (int(name[-1]) + 1) + NOTES[name[0]] + name.count("#") - name.count("b")


def parse(text: str, start: float = 0.0) -> list[Event]:
    events = []
    for token in text.split():
        names, beats = token.split(":")
        if names != "-":
            events.append((start, float(beats), [pitch(name) for name in names.split("+")]))
        start += float(beats)
    return events


def even(text: str, beats: float) -> str:
    """Give each name in `text` the same number of beats."""
    return " ".join(f"{name}:{beats}" for name in text.split())


def string(midi: int, seconds: float, force: float) -> np.ndarray:
    """Sound a struck string, (n, 2): the harder (0 to 1), the brighter; it rings as if damped."""
    release = 0.25
    time = np.arange(round((seconds + release) * RATE)) / RATE
    base = 440 * 2 ** ((midi - 69) / 12)
    detune = base * np.array([-0.0004, 0.0004])  # two strings, left and right
    sound = np.zeros((len(time), 2))
    for k in range(1, 25):
        stretch = k * np.sqrt(1 + 0.0003 * k * k)  # stiff strings are a little sharp
        if base * stretch > 9_000:
            break
        gain = k ** -(2.8 - 2.3 * force) * (0.6 + 0.4 * np.cos(k * np.pi / 8))
        decay = (0.9 + 0.25 * k) * (base / 260) ** 0.5 / 1.6  # 1/s: high partials die first
        phase = 2 * np.pi * time[:, None] * (base + detune) * stretch + RNG.uniform(0, 2 * np.pi)
        sound += gain * np.exp(-decay * time)[:, None] * np.sin(phase)
    hands = np.minimum(1, time / 0.004) * np.clip((seconds + release - time) / release, 0, 1) ** 2
    pan = np.clip((midi - 64) / 120, -0.4, 0.4)  # low left, high right, as at the keyboard
    return sound * hands[:, None] * np.sqrt([0.5 - pan, 0.5 + pan]) * force**1.5


def pad(midi: int, seconds: float, force: float) -> np.ndarray:
    time = np.arange(round((seconds + 1) * RATE)) / RATE
    swell = np.minimum(1, time / 1.2) * np.clip((seconds + 1 - time) / 1.5, 0, 1)
    base = 440 * 2 ** ((midi - 69) / 12) * np.array([0.9985, 1.0015])
    phase = 2 * np.pi * time[:, None] * base
    return force * swell[:, None] * (np.sin(phase) + 0.2 * np.sin(2 * phase))


def partials(midi: int, seconds: float, release: float, falls: float, top: float) -> np.ndarray:
    """Sound harmonics k ** -falls up to `top` Hz, two of them a little apart, (n, 2)."""
    time = np.arange(round((seconds + release) * RATE)) / RATE
    base = 440 * 2 ** ((midi - 69) / 12) * np.array([0.998, 1.002])
    sound = np.zeros((len(time), 2))
    for k in range(1, int(top / base[1]) + 1):
        sound += k**-falls * np.sin(2 * np.pi * time[:, None] * k * base + RNG.uniform(0, 6.28))
    return sound * np.clip((seconds + release - time) / release, 0, 1)[:, None]


def brass(midi: int, seconds: float, force: float) -> np.ndarray:
    """Sound a bright wind: it opens within 60 ms."""
    sound = partials(midi, seconds, 0.08, 1.1, 2000 + 6000 * force)
    time = np.arange(len(sound)) / RATE
    return 0.5 * force * sound * np.minimum(1, time / 0.03)[:, None]


def bass(midi: int, seconds: float, force: float) -> np.ndarray:
    sound = partials(midi, seconds, 0.05, 1.2, 1500)
    time = np.arange(len(sound)) / RATE
    return force * sound * (np.minimum(1, time / 0.005) * np.exp(-2 * time))[:, None]


def distorted(midi: int, seconds: float, force: float, interval: int = 7) -> np.ndarray:
    """Sound two tones through an amplifier that is driven far too hard."""
    low, high = (partials(m, seconds, 0.06, 1.0, 5000) for m in (midi, midi + interval))
    return force * 0.6 * np.tanh(5 * (low + high))


tritone = partial(distorted, interval=6)


def bowed(midi: int, seconds: float, force: float) -> np.ndarray:
    """Sound a bowed string, dark, with a slow vibrato."""
    time = np.arange(round((seconds + 0.5) * RATE)) / RATE
    base = 440 * 2 ** ((midi - 69) / 12)
    bend = 0.006 / (2 * np.pi * 5.2) * (1 - np.cos(2 * np.pi * 5.2 * time)) * np.minimum(1, time)
    sound = np.zeros((len(time), 2))
    for k in range(1, int(3000 / base) + 1):
        phase = 2 * np.pi * k * base * (time + bend)
        sound += (k**-1.4 * np.sin(phase + RNG.uniform(0, 6.28)))[:, None] * np.array([0.7, 0.5])
    swell = np.minimum(1, time / 0.25) * np.clip((seconds + 0.5 - time) / 0.5, 0, 1)
    return force * sound * swell[:, None]


def drum(kind: str, force: float) -> np.ndarray:
    time = np.arange(round(0.4 * RATE)) / RATE
    noise = RNG.standard_normal((len(time), 2))
    if kind == "kick":
        beat = np.sin(2 * np.pi * (48 * time + 4 * (1 - np.exp(-30 * time)))) * np.exp(-11 * time)
        return force * 1.6 * beat[:, None] * np.ones(2)
    if kind == "snare":
        body = 0.5 * np.sin(2 * np.pi * 185 * time) * np.exp(-22 * time)
        return force * (body[:, None] + 0.3 * noise * np.exp(-20 * time)[:, None])
    hiss = np.diff(noise, axis=0, prepend=0)  # hat: the highs of the noise
    return force * 0.2 * hiss * np.exp(-55 * time)[:, None]


class Mix:
    """A stereo tape; `at` is where beat 0 lies, `beat` how long one lasts, in seconds."""

    def __init__(self) -> None:
        self.tape = np.zeros((round((END + 3) * RATE), 2))
        self.at, self.beat = 0.0, 1.0

    def add(self, start: float, sound: np.ndarray) -> None:
        """Lay a sound of shape (n, 2) at a beat, up to 5 ms late, as a human would."""
        first = round((self.at + start * self.beat) * RATE) + RNG.integers(0, 220)
        piece = self.tape[first : first + len(sound)]
        piece += sound[: len(piece)]

    def play(
        self,
        events: list[Event],
        force: float,
        legato: float = 1.0,
        voice: Voice = string,
        accents: Container[float] = (),
    ) -> None:
        """Play with `force` 0 to 1, notes held `legato` times their length, accented beats ×1.3."""
        for start, beats, pitches in events:
            strong = 1.3 if start in accents else 1.0
            for midi in pitches:
                hand = min(1, force * strong * RNG.uniform(0.92, 1.05))
                self.add(start, voice(midi, beats * self.beat * legato, hand))


def calm(mix: Mix) -> None:
    """G major, eight slow bars of three, high, all legato: G Em C D | G C Am-D G."""
    melody = """B5:2 D6:1  G5:2 B5:1  E6:1.5 D6:.5 C6:1  A5:3
                B5:1 D6:1 G6:1  E6:2 C6:1  B5:1 A5:1 F#5:1  G5:3"""
    broken = """G3 D4 G4 B4 G4 D4  E3 B3 E4 G4 E4 B3  C4 E4 G4 C5 G4 E4  F#3 D4 A4 D5 A4 D4
                G3 D4 B4 D5 B4 D4  E3 C4 G4 C5 G4 C4  A3 E4 C5 D4 F#4 C5  G3 D4 G4 B4 D5 G5"""
    chords = """G4+B4+D5:3 G4+B4+E5:3 G4+C5+E5:3 F#4+A4+D5:3
                G4+B4+D5:3 G4+C5+E5:3 E4+A4+C5:1.5 F#4+A4+C5:1.5 D4+G4+B4:3"""
    mix.at, mix.beat = STARTS[0], 0.75
    mix.play(parse(melody), 0.50, legato=1.8)
    mix.play(parse(even(broken, 0.5)), 0.34, legato=3)
    mix.play(parse(chords), 0.014, voice=pad)


def joyful(mix: Mix) -> None:
    """D major, twelve fast bars of four with bass, brass and drums: a dance in three lines."""
    line = "A5:.5 F#5:.5 A5:.5 D6:1 C#6:.5 D6:.5 E6:.5"
    melody = f"""{line}  C#6:1 A5:.5 E6:1 C#6:.5 A5:1
        D6:.5 C#6:.5 B5:.5 F#6:1 E6:.5 D6:.5 B5:.5  G6:1 F#6:.5 E6:1 D6:.5 B5:1
        {line}  C#6:.5 E6:.5 A6:1 G6:.5 F#6:.5 E6:1
        D6:.5 B5:.5 D6:.5 G6:.5 F#6:.5 E6:.5 C#6:.5 E6:.5  D6:1.5 A5:.5 D6:2
        B5:.5 D6:.5 G6:1 F#6:.5 G6:.5 A6:1  F#6:1 D6:.5 A5:1 D6:.5 F#6:1
        G6:.5 F#6:.5 E6:.5 B5:.5 C#6:.5 D6:.5 E6:1  D6:1 -:.5 A5:.5 D6:1"""
    harmony = "DDAABBGG DDAAGADD GGDDEAD".replace(" ", "")  # two chords a bar
    upper = {"D": "A3+D4+F#4", "A": "A3+C#4+E4", "B": "B3+D4+F#4"}
    upper |= {"G": "B3+D4+G4", "E": "B3+E4+G4"}
    low = {"D": "D2 A2", "A": "A1 E2", "B": "B1 F#2", "G": "G1 D2", "E": "E2 B2"}
    mix.at, mix.beat = STARTS[1], 0.375
    tune = parse(melody)
    mix.play(tune, 0.95, legato=0.85, accents=range(0, 48, 2))
    down = [(start, beats, [p - 12 for p in ps]) for start, beats, ps in tune]
    mix.play(down, 0.12, 0.9, brass)
    for half, chord in enumerate(harmony):
        root, fifth = low[chord].split()
        off = parse(f"-:.5 {upper[chord]}:.5 -:.5 {upper[chord]}:.5", 2 * half)
        mix.play(off, 1.0, 0.7)
        mix.play(off, 0.12, 0.7, brass)
        mix.play(parse(f"{root}:.5 {root}:.5 {fifth}:.5 {root}:.5", 2 * half), 0.25, 0.9, bass)
        power = " ".join([root.replace("1", "2") + ":.5"] * 4)
        mix.play(parse(power, 2 * half), 0.8, 0.9, distorted)
        mix.add(2 * half, drum("kick", 0.6))
        mix.add(2 * half + 1, drum("kick", 0.6))
        mix.add(2 * half + 1, drum("snare", 0.5))
        for eighth in range(8):
            mix.add(2 * half + eighth / 4, drum("hat", 0.8 if eighth % 4 == 2 else 0.4))
    mix.play(parse("D2+D3+A3+D4+F#4:1.5", 46), 0.8)
    mix.add(46, drum("kick", 0.6))


def tense(mix: Mix) -> None:
    """Thirteen bars of ten fast eighths around D diminished, low; accents fall unevenly."""
    ostinato = even("D2 D2 Eb2 D2 D2 F2 E2 Eb2 Ab2 G2", 1)
    wail = """Ab3:3 G3:3 F#3:2 F3:2  Ab3:3 B3:3 Bb3:2 A3:2  C4:3 B3:3 Bb3:4  A3:2 Ab3:3 G3:2 F#3:3
              Eb4:3 D4:3 C#4:2 C4:2  Eb4:3 F#4:3 F4:2 E4:2  B3:3 C4:3 Eb4:4  D4:2 C#4:3 C4:2 B3:3
              Ab4:3 G4:2 Eb4:3 D4:2  C4:3 B3:3 Bb3:4  Ab3:3 B3:3 Bb3:2 A3:2
              A3:2 Ab3:3 G3:2 F#3:3"""
    groups = [(0, 3, 6, 8), (0, 3, 6, 8), (0, 3, 6), (0, 2, 5, 7)] * 3
    shifts = [-2, -2, -1, -2, 0, 0, -1, -2, 1, 1, -1, -2]
    mix.at, mix.beat = STARTS[2], 0.18
    mix.play(parse(wail), 0.15, accents=range(120))
    mix.play([(s, b, [p + 1 for p in ps]) for s, b, ps in parse(wail)], 0.15, voice=brass)
    mix.play([(s, b, [p + 12 for p in ps]) for s, b, ps in parse(wail)], 0.15, voice=brass)
    for bar, (shift, hits) in enumerate(zip(shifts, groups, strict=True)):
        low = [(s, b, [p + shift, p + shift - 12]) for s, b, (p,) in parse(ostinato, 10 * bar)]
        mix.play(low, 0.6, 0.8, accents=[10 * bar + hit for hit in hits])
        grind = [(s, b, [p + shift]) for s, b, (p,) in parse(ostinato, 10 * bar)]
        mix.play(grind, 1.0, 0.9, tritone, [10 * bar + hit for hit in hits])
        for hit in hits:
            stab = [pitch(name) + shift for name in ("D2", "Eb2", "Ab2", "B2")]
            mix.play([(10 * bar + hit, 1.2, stab)], RNG.uniform(0.95, 1.0))
            mix.add(10 * bar + hit, drum("kick", RNG.uniform(0.5, 0.7)))
            mix.add(10 * bar + hit, drum("snare", RNG.uniform(0.5, 0.7)))
        for eighth in range(10):
            for beat in (10 * bar + eighth, 10 * bar + eighth + 0.5):
                mix.add(beat, drum("kick", 0.5))
            mix.add(10 * bar + eighth, drum("hat", 1.0))
    # The last bar: three blows on the dominant, then nothing.
    mix.play(parse("A1+A2+Bb3+C#4+E4+G4:2 -:1 A1+A2+Bb3+C#4+E4+G4:2 -:1 A1+A2+A3:3", 120), 0.9)
    mix.play(parse("A1+Eb2:2 -:1 A1+Eb2:2 -:1 A1+Bb1:3", 120), 1.0, 0.9, tritone)
    for hit in (120, 123, 126):
        mix.add(hit, drum("kick", 0.6))


def sad(mix: Mix) -> None:
    """D minor, five slow bars, bowed, over a falling bass: Dm C Bb Gm A | Dm."""
    melody = """A4:2 G4:1 F4:1  F4:1 E4:2 D4:1  D4:2 C4:1 Bb3:1
                G4:1.5 F4:.5 E4:1 D4:1  D4:2 C#4:2  D4:4"""
    broken = """D3 A3 D4 F4  C3 E3 G3 C4  Bb2 F3 Bb3 D4  G2 D3 G3 Bb3  A2 E3 A3 E3"""
    mix.at, mix.beat = STARTS[3], 10 / 3 / 4
    mix.play(parse(melody), 0.3, voice=bowed)
    mix.play(parse(even(broken, 1)), 0.1, legato=2.5)
    mix.play(parse("D3+A3+D4+F4:5", 20), 0.1)


def room(dry: np.ndarray) -> np.ndarray:
    """Add a small hall: noise that dies in 1.4 s and darkens, other on each side."""
    time = np.arange(round(1.4 * RATE)) / RATE
    tail = RNG.standard_normal((len(time), 2)) * np.exp(-5 * time)[:, None]
    tail = (tail + np.roll(tail, 1, axis=0) + np.roll(tail, 2, axis=0)) / 3
    tail *= 0.25 / np.sqrt((tail**2).sum(axis=0))
    size = 2 ** int(np.ceil(np.log2(len(dry) + len(tail))))
    wet = np.fft.irfft(np.fft.rfft(dry, size, axis=0) * np.fft.rfft(tail, size, axis=0), axis=0)
    return dry + wet[: len(dry)]


def main(out: str) -> None:
    mix = Mix()
    for section in (calm, joyful, tense, sad):
        section(mix)
    song = room(mix.tape)[: round(END * RATE)]
    song = np.tanh(2.2 * song / np.abs(song).max())  # rounds the loudest peaks
    song *= PEAK / np.abs(song).max()
    song *= np.clip((END - np.arange(len(song)) / RATE) / 2.5, 0, 1)[:, None]  # fade out
    ogg = {"format": "OGG", "subtype": "VORBIS", "compression_level": 0.7}
    with soundfile.SoundFile(out, "w", RATE, 2, **ogg) as file:
        for start in range(0, len(song), RATE):  # libsndfile can crash in one long Vorbis write
            file.write(song[start : start + RATE])


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else str(Path(__file__).with_name("four_moods.ogg")))
