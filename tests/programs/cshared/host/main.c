/* A C program with a Go library: host ORACLE LIBRARY. With -DARCHIVE it is linked in: host ORACLE. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) void breakpoint(void) {
    __asm__ volatile("" ::: "memory");
}

#ifdef ARCHIVE
void GoPopulate(char *);
void GoSnapshot(void);
void GoReady(void);

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: host ORACLE\n");
        return 2;
    }
    GoPopulate(argv[1]);
    GoSnapshot();
    breakpoint();
    GoReady();
    return 0;
}
#else
static void *find(void *library, const char *name) {
    void *function = dlsym(library, name);
    if (!function) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    return function;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: host ORACLE LIBRARY\n");
        return 2;
    }
    void *library = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    void (*populate)(char *) = (void (*)(char *))find(library, "GoPopulate");
    void (*snapshot)(void) = (void (*)(void))find(library, "GoSnapshot");
    void (*ready)(void) = (void (*)(void))find(library, "GoReady");
    populate(argv[1]);
    snapshot();
    breakpoint();
    ready();
    return 0;
}
#endif
