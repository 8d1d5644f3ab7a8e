#include <stddef.h>

struct counted {
    size_t arenas;   /* how many malloc_info names */
    size_t system;   /* as mallinfo2 has it: arena, hblkhd, uordblks, fordblks, fsmblks, keepcost */
    size_t mapped;
    size_t in_use;
    size_t not_in_use;
    size_t fast;
    size_t top;
};

struct extents {
    size_t active;   /* as jemalloc's stats have it: bytes in use, kept dirty, and retained */
    size_t dirty;
    size_t retained;
    size_t allocated;
};

int count_extents(struct extents *found); /* 0 where malloc is not jemalloc's */
void fill(const char *mode, int threads, int blocks);
void count_arenas(struct counted *found);
void count(struct counted *found);
