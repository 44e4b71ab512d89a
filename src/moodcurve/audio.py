"""From a sound file to mono float32 at 44.1 kHz, block by block.

    for block in read_blocks("song.mp3"):   # (n,) float32, about 10 s each
        ...

Memory stays constant whatever the length of the file. Any number of channels is mixed by their
mean. Whatever cannot be used raises `InputError`, possibly after blocks have been yielded: a cut in
a file may show only where it happens.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from moodcurve import mp3
from moodcurve.errors import InputError

SAMPLE_RATE = 44_100  # Hz, of everything that leaves this module
MIN_SECONDS = 0.5  # one row of features

# What `find_songs` picks from folders.
_FFMPEG = (".m4a", ".aac", ".mp4")  # what libsndfile cannot decode
EXTENSIONS = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aiff", ".aif", *_FFMPEG)
# FFmpeg would take a playlist of other files, or of addresses, for a song.
_ONLY_SOUND_FILES = {"format_whitelist": "aac,mov,mp4,m4a,3gp,3g2,mj2", "protocol_whitelist": ""}
_RATES = (4_000, 768_000)  # Hz; outside, it is the header that is wrong
_SLACK_SECONDS = 0.2  # headers of good files are off by a few codec frames
_AGAIN = "copy or download it again"

Chunks = Iterator[tuple[int, np.ndarray]]  # (sample rate in Hz, (n, channels) float32)


def read_blocks(
    path: str | Path, block_seconds: float = 10.0, file: FileIO | None = None
) -> Iterator[np.ndarray]:
    """Decode a sound file to blocks of shape (n,), mono float32 at 44.1 kHz, nominally in [-1, 1].

    Blocks hold about `block_seconds` each; joined, they are the song, whatever their size. Where
    `file` is given, it is the file, open and read from its beginning; `path` is then but its name.

    Raises InputError for a file that is missing, empty, no sound, shorter than 0.5 s, cut off or
    damaged (as far as its format lets one know), at an implausible rate, or that holds NaN or
    infinity; and for m4a, aac and mp4 where PyAV is not installed.
    """
    path = Path(path)
    decode = _decode_ffmpeg if path.suffix.lower() in _FFMPEG else _decode_soundfile
    with _opened(path) if file is None else nullcontext(file) as opened:
        opened.seek(0)
        if not opened.read(1):
            raise InputError(f"{path}: empty (0 bytes); {_AGAIN}")
        opened.seek(0)
        yield from convert(str(path), decode(path, opened, block_seconds))


def read(path: str | Path) -> np.ndarray:
    """Decode a whole sound file: shape (n,), mono float32 at 44.1 kHz; errors of `read_blocks`."""
    return np.concatenate(list(read_blocks(path)))


def sample_rate(path: str | Path, file: FileIO | None = None) -> int:
    """The rate in Hz of a sound file that `read_blocks` reads, as its header says it.

    `path` and `file` as for `read_blocks`.
    """
    path = Path(path)
    with _opened(path) if file is None else nullcontext(file) as opened:
        opened.seek(0)
        if path.suffix.lower() in _FFMPEG:
            import av

            with av.open(opened, options=_ONLY_SOUND_FILES) as container:
                return int(container.streams.audio[0].rate)
        import soundfile

        return int(soundfile.info(opened).samplerate)


def resample(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Bring samples of shape (n,) or (n, channels) at any rate to (n,) mono float32 at 44.1 kHz.

    Floats are nominally in [-1, 1]. Raises InputError for another shape, integers, a rate outside
    4 to 768 kHz, less than 0.5 s, NaN or infinity.
    """
    audio = np.asarray(audio)
    if audio.ndim not in (1, 2) or (audio.ndim == 2 and not 0 < audio.shape[1] <= len(audio)):
        raise InputError(f"audio: shape {audio.shape}; give (samples,) or (samples, channels)")
    if audio.dtype.kind != "f":
        raise InputError(f"audio: {audio.dtype} samples; give floats in [-1, 1]")
    frames = np.atleast_2d(audio.T).T.astype(np.float32, copy=False)
    return np.concatenate(list(convert("audio", iter([(sample_rate, frames)]))))


def find_songs(paths: Sequence[str | Path]) -> tuple[list[Path], list[InputError]]:
    """List the songs in files and folders, each once, with one error for each path that gives none.

    Files are kept as given; folders are searched recursively, in sorted order, for `EXTENSIONS`,
    hidden files and folders (".name") left out. Nothing is raised, so that one bad path does not
    stop the others.
    """
    songs: dict[Path, Path] = {}  # resolved: as found
    problems = []
    for path in map(Path, paths):
        if not path.exists():
            problems.append(InputError(f"{path}: no such file or folder; check the path"))
            continue
        found = _songs_in(path) if path.is_dir() else [path]
        if not found:
            kinds = " ".join(EXTENSIONS)
            problems.append(InputError(f"{path}: no song in this folder; looked for {kinds}"))
        for song in found:
            songs.setdefault(song.resolve(), song)
    return list(songs.values()), problems


def _songs_in(folder: Path) -> list[Path]:
    def is_song(path: Path) -> bool:
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        return path.suffix.lower() in EXTENSIONS and not hidden and path.is_file()

    return sorted(filter(is_song, folder.rglob("*")))


def _opened(path: Path) -> FileIO:
    if path.is_dir():
        raise InputError(f"{path}: a folder, not a sound file; give a file in it")
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its rights") from None


def convert(name: str, chunks: Chunks) -> Iterator[np.ndarray]:
    """Mix and resample chunks (rate in Hz, (n, channels) floats) of one rate, as they come.

    Gives blocks of shape (n,), mono float32 at 44.1 kHz. `name` starts every error: InputError for
    a rate outside 4 to 768 kHz, NaN or infinity, and, at the end, less than 0.5 s.
    """
    import soxr

    rate, frames, stream = SAMPLE_RATE, 0, None
    for rate, chunk in chunks:
        if frames == 0:
            low, high = _RATES
            if not low <= rate <= high:
                raise InputError(
                    f"{name}: sample rate {rate} Hz; needs {low} to {high} Hz, export it again"
                )
            if rate != SAMPLE_RATE:
                stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
        bad = np.flatnonzero(~np.isfinite(chunk).all(axis=1))
        if len(bad):
            at = (frames + bad[0]) / rate
            raise InputError(f"{name}: NaN or infinity at {at:.2f} s; export it again")
        frames += len(chunk)
        mono = chunk.mean(axis=1, dtype=np.float32)
        block = stream.resample_chunk(mono) if stream else mono
        if len(block):
            yield block
    if frames < MIN_SECONDS * rate:
        raise InputError(
            f"{name}: shorter than half a second ({frames / rate:.2f} s); "
            f"a curve needs at least {MIN_SECONDS} s of sound"
        )
    if stream:
        yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _decode_soundfile(path: Path, file: FileIO, block_seconds: float) -> Chunks:
    import soundfile

    # By its descriptor, where the system lets one: a Ctrl-C during a call back into Python is lost.
    source = file if os.name == "nt" else file.fileno()
    try:
        sound = soundfile.SoundFile(source, closefd=False)
    except (soundfile.SoundFileError, TypeError):  # TypeError: headerless .raw
        raise InputError(_not_sound(path)) from None
    with sound:
        rate, done = sound.samplerate, 0
        promised = _promised_seconds(file, sound)
        _check_header(path, sound, promised)
        try:
            while len(chunk := sound.read(_frames(block_seconds, rate), "float32", True)):
                done += len(chunk)
                yield rate, chunk
        except soundfile.SoundFileError:
            raise InputError(_damaged(path, done / rate)) from None
        if promised is not None:
            _check_complete(path, done / rate, promised)
        elif done == sound.frames and file.tell() < 0.98 * os.fstat(file.fileno()).st_size:
            # libsndfile stops at its own guess of an mp3's length.
            raise InputError(
                f"{path}: its header lacks its length, only {done / rate:.1f} s decode; "
                "convert it again"
            )
        elif sound.format.startswith("MP") and mp3.ends_within_a_frame(file):
            raise InputError(f"{path}: cut off after {done / rate:.1f} s, within a frame; {_AGAIN}")


def _check_header(path: Path, sound: Any, promised: float | None) -> None:
    """Find what can be known before decoding."""
    seconds = sound.frames / sound.samplerate
    if sound.frames > 2**62:  # flac from a pipe; soundfile fails at its end
        raise InputError(f"{path}: its header lacks its length; convert it again")
    if promised is not None:
        _check_complete(path, seconds, promised)
    if "Junk after the last page" in sound.extra_info:  # Ogg: a page cut short
        raise InputError(f"{path}: cut off after {seconds:.1f} s; {_AGAIN}")


def _decode_ffmpeg(path: Path, file: FileIO, block_seconds: float) -> Chunks:
    try:
        import av
    except ImportError:
        raise InputError(
            f"{path}: {path.suffix} needs PyAV; run: pip install 'moodcurve[m4a]'"
        ) from None
    errors = (av.error.FFmpegError, ValueError)  # ValueError: layout or rate changes midway
    try:
        container = av.open(file, options=_ONLY_SOUND_FILES)
    except errors:
        raise InputError(_not_sound(path)) from None
    with container:
        if not container.streams.audio:
            raise InputError(f"{path}: holds no sound; give a file with an audio track")
        done = 0.0
        try:
            for rate, chunk in _ffmpeg_chunks(container, av.AudioResampler("fltp"), block_seconds):
                done += len(chunk) / rate
                yield rate, chunk
        except errors:
            raise InputError(_damaged(path, done)) from None
        # A bare .aac stream has no header: FFmpeg guesses its length from the bit rate.
        stream: Any = container.streams.audio[0]
        if stream.duration and "mp4" in container.format.name:
            _check_complete(path, done, float(stream.duration * stream.time_base))


def _ffmpeg_chunks(container: Any, to_float: Any, block_seconds: float) -> Chunks:
    """Gather the codec's frames (some 20 ms each) into chunks of `block_seconds`."""
    rate, parts, count = 0, [], 0
    for packed in container.decode(audio=0):
        for frame in to_float.resample(packed):
            rate = frame.sample_rate
            parts.append(frame.to_ndarray().T)
            count += frame.samples
        if count >= _frames(block_seconds, rate):
            yield rate, np.concatenate(parts)
            parts, count = [], 0
    if parts:
        yield rate, np.concatenate(parts)


def _frames(seconds: float, rate: int) -> int:
    return max(1, round(seconds * rate))


def _promised_seconds(file: FileIO, sound: Any) -> float | None:
    """Return the length that the header promises, None where it does not."""
    seconds: float = sound.frames / sound.samplerate
    if sound.format.startswith("MP"):
        return seconds if mp3.counts_frames(file) else None
    # libsndfile takes the length of wav, aiff, au and caf from the bytes that are there, and only
    # its log tells what the header says: "data : 3528000 (should be 1763978)".
    log = re.search(
        r"^ *(?:data|SSND|Data Size|[Rr]iff(?: size)?) *: (\d+) \(should be (\d+)\)",
        sound.extra_info,
        re.MULTILINE,
    )
    if not log:
        return seconds
    declared, actual = map(int, log.groups())
    # Programs that write into a pipe put the largest size there is: unknown.
    return seconds * declared / actual if actual > 0 and declared < 0x7FFF_0000 else None


def _check_complete(path: Path, seconds: float, promised: float) -> None:
    if seconds < promised - _SLACK_SECONDS:
        raise InputError(
            f"{path}: cut off: {seconds:.1f} s of the {promised:.1f} s its header promises; "
            f"{_AGAIN}"
        )


def _damaged(path: Path, seconds: float) -> str:
    return (
        f"{path}: cut off or damaged: decoding fails at some point after {seconds:.1f} s; {_AGAIN}"
    )


def _not_sound(path: Path) -> str:
    return f"{path}: not a sound file that can be decoded; convert it to wav, flac, mp3 or ogg"
