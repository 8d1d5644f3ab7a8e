#define _GNU_SOURCE
#include "mallocs.h"

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *how;
static int number;
static void **kept[256];
static pthread_barrier_t made, done;

static size_t a_size(uint64_t *chance) {
    *chance ^= *chance << 13;
    *chance ^= *chance >> 7;
    *chance ^= *chance << 17;
    switch (*chance % 16) {
    case 0:
        return 4096 + *chance / 16 % 60000;
    case 1:
    case 2:
        return 1024 + *chance / 16 % 4000;
    case 3:
    case 4:
    case 5:
        return 1 + *chance / 16 % 100;
    default:
        return 200 + *chance / 16 % 600;
    }
}

/* Blocks, of which all, none or every other one in no order are freed; the last of them pins the arena. */
static void *work(void *argument) {
    intptr_t own = (intptr_t)argument;
    uint64_t chance = 88172645463325252ull + (uint64_t)own;
    void **blocks = kept[own] = calloc((size_t)number, sizeof *blocks);
    for (int i = 0; i < number; i++) {
        size_t size = a_size(&chance);
        blocks[i] = memset(malloc(size), 1, size);
    }
    pthread_barrier_wait(&made);
    for (int i = 0; i + 1 < number; i++) {
        if (!strcmp(how, "freed") || (!strcmp(how, "mixed") && a_size(&chance) % 2)) {
            free(blocks[i]);
            blocks[i] = NULL;
        }
    }
    pthread_barrier_wait(&done);
    for (;;)
        pause();
}

void fill(const char *mode, int threads, int blocks) {
    how = mode;
    number = blocks;
    pthread_barrier_init(&made, NULL, (unsigned)threads + 1);
    pthread_barrier_init(&done, NULL, (unsigned)threads + 1);
    for (intptr_t i = 0; i < threads; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, work, (void *)i);
    }
    pthread_barrier_wait(&made);
    for (int i = 0; i < 5; i++)
        memset(malloc((size_t)(1 + i) << 20), 1, 4096);
    pthread_barrier_wait(&done);
}

void count_arenas(struct counted *found) {
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);
    malloc_info(0, file);
    fclose(file);
    found->arenas = 0;
    for (char *at = text; (at = strstr(at, "<heap nr=")) != NULL; at++)
        found->arenas++;
    free(text);
}

void count(struct counted *found) {
#if __GLIBC_PREREQ(2, 33)
    struct mallinfo2 info = mallinfo2();
#else
    struct mallinfo info = mallinfo();
#endif
    found->system = (size_t)info.arena;
    found->mapped = (size_t)info.hblkhd;
    found->in_use = (size_t)info.uordblks;
    found->not_in_use = (size_t)info.fordblks;
    found->fast = (size_t)info.fsmblks;
    found->top = (size_t)info.keepcost;
}

static size_t counter(int (*mallctl)(const char *, void *, size_t *, void *, size_t), const char *name) {
    size_t value = 0, length = sizeof value;
    mallctl(name, &value, &length, NULL, 0);
    return value;
}

int count_extents(struct extents *found) {
    int (*mallctl)(const char *, void *, size_t *, void *, size_t);
    *(void **)&mallctl = dlsym(RTLD_DEFAULT, "mallctl");
    if (mallctl == NULL)
        return 0;
    uint64_t epoch = 1;
    mallctl("epoch", NULL, NULL, &epoch, sizeof epoch);
    found->active = counter(mallctl, "stats.active");
    found->dirty = 4096 * (counter(mallctl, "stats.arenas.4096.pdirty") + counter(mallctl, "stats.arenas.4096.pmuzzy"));
    found->retained = counter(mallctl, "stats.retained");
    found->allocated = counter(mallctl, "stats.allocated");
    return 1;
}
