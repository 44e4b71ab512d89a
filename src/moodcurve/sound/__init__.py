"""From a file, a pipe or a microphone to mono audio at 44.1 kHz, and how loud it is."""
