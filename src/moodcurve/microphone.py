"""Sound from the microphone, as it comes."""

from moodcurve.audio import Chunks
from moodcurve.errors import InputError

_SECONDS = 0.1  # of a chunk


def read_microphone() -> Chunks:
    """Listen to the system's default input: chunks of (rate in Hz, (n, 1) float32), for ever.

    Raises:
        InputError: where `sounddevice` or its PortAudio is missing, there is no microphone, or it
            stops.
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
    try:
        # At the rate it has: not every system's sound converts.
        rate = round(sounddevice.query_devices(kind="input")["default_samplerate"])
        with sounddevice.InputStream(samplerate=rate, channels=1, dtype="float32") as stream:
            while True:
                yield rate, stream.read(round(_SECONDS * rate))[0]
    except (sounddevice.PortAudioError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"microphone: {reason}; connect one, or pipe the sound in") from None
