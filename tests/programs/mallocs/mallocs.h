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

void fill(const char *mode, int threads, int blocks);
void count_arenas(struct counted *found);
void count(struct counted *found);
