"""The runtime of a program without symbols, found by what is in its memory."""
