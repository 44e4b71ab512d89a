"""Sound from the microphone, as it comes."""

import queue
from typing import Any

import numpy as np

from moodcurve.audio import Chunks
from moodcurve.errors import InputError

_SECONDS = 0.1  # of a chunk
_PATIENCE = 5.0  # seconds without sound, after which the device must be gone


def read_microphone() -> Chunks:
    """Listen to the system's default input: chunks of (rate in Hz, (n, 1) float32), for ever.

    Raises:
        InputError: where `sounddevice` or its PortAudio is missing, there is no microphone, or
            nothing comes of it any more.
    """
    try:
        import sounddevice
    except ImportError:
        raise InputError(
            "microphone: needs sounddevice; run: pip install 'moodcurve[live]'"
        ) from None
    except OSError:  # on Linux the package comes without the library
        raise InputError(
            "microphone: needs PortAudio; install the system's package (Debian: libportaudio2)"
        ) from None
    # Taken by the sound's own thread: the device holds less than the networks take for a value.
    heard: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()

    def hear(samples: np.ndarray, *_: Any) -> None:
        heard.put(samples.copy())

    try:
        # At the rate it has: not every system's sound converts.
        rate = round(sounddevice.query_devices(kind="input")["default_samplerate"])
        size = round(_SECONDS * rate)
        with sounddevice.InputStream(rate, size, channels=1, dtype="float32", callback=hear):
            while True:
                yield rate, heard.get(timeout=_PATIENCE)
    except queue.Empty:
        raise InputError("microphone: nothing comes any more; connect it again") from None
    except (sounddevice.PortAudioError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"microphone: {reason}; connect one, or pipe the sound in") from None
