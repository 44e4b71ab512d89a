"""What an mp3 file tells of its own length, which libsndfile does not pass on.

Frame headers as in ISO/IEC 11172-3 and 13818-3 (MPEG audio, layer III).
"""

from io import BufferedReader, FileIO

# kbit/s by index, for MPEG-1 and for MPEG-2 and 2.5; index 0 is "free format", unknown here.
_BIT_RATES = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES = (44_100, 48_000, 32_000)  # Hz, MPEG-1; half of it for 2, a quarter for 2.5
_MPEG_1, _MPEG_2, _MPEG_25 = 3, 2, 0  # the header's two bits


def counts_frames(file: FileIO) -> bool:
    """Tell whether an mp3 carries its frame count; elsewhere libsndfile's is a guess.

    The file's position stays what it was.
    """
    position = file.tell()
    file.seek(0)
    file.seek(_tag_length(file.read(10)))
    first_frame = file.read(1024)
    file.seek(position)
    return any(mark in first_frame for mark in (b"Xing", b"Info", b"VBRI"))


def ends_within_a_frame(file: FileIO) -> bool:
    """Tell whether the file breaks off before its last frame ends, as a cut one does.

    Goes from frame to frame; where something else than a frame follows, such as a tag at the end,
    the answer is no. Leaves the file anywhere.
    """
    size, reader = file.seek(0, 2), BufferedReader(file, 1 << 16)
    try:
        reader.seek(0)
        position = _tag_length(reader.read(10))
        reader.seek(position)
        while length := _frame_length(reader.read(4)):
            position += length
            reader.seek(position)
        return position > size
    finally:
        reader.detach()  # whoever opened the file closes it


def _tag_length(head: bytes) -> int:
    """Length of the ID3 tag that the file begins with: 4 x 7 bits, and 10 bytes of its own."""
    if len(head) < 10 or not head.startswith(b"ID3"):
        return 0
    return 10 + sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))


def _frame_length(header: bytes) -> int:
    """Bytes of the frame that has this header of 4 bytes; 0 if it is none that we know."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:  # sync, layer III
        return 0
    version, rate, bits = header[1] >> 3 & 3, header[2] >> 2 & 3, header[2] >> 4
    if version == 1 or rate == 3 or bits == 15:  # reserved
        return 0
    kilobits = _BIT_RATES[version == _MPEG_1][bits]
    hertz = _SAMPLE_RATES[rate] // {_MPEG_1: 1, _MPEG_2: 2, _MPEG_25: 4}[version]
    samples = 1152 if version == _MPEG_1 else 576
    padding = header[2] >> 1 & 1
    return samples // 8 * 1000 * kilobits // hertz + padding if kilobits else 0
