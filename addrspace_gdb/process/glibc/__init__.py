"""glibc's malloc from outside: its arenas, and what of them is in use, free, or at the end (malloc/malloc.c)."""
