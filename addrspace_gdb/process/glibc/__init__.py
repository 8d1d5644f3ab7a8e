"""glibc's malloc from outside: its arenas, and what of them is in use or free (malloc/malloc.c)."""
