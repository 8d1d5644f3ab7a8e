#include "native.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern void goCallback(int number);

static void *kept[4096];
static int used;
static int blocked;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void keep(void *block, size_t size) {
    memset(block, 0xc7, size);
    pthread_mutex_lock(&lock);
    if (used < (int)(sizeof kept / sizeof *kept))
        kept[used++] = block;
    pthread_mutex_unlock(&lock);
}

void native_allocate(int count, size_t size) {
    for (int i = 0; i < count; i++)
        keep(malloc(size), size);
}

void *native_large(size_t size) {
    void *block = malloc(size);
    keep(block, size);
    return block;
}

/* Blocks for good. The program itself ends after its time. */
void native_block(void) {
    __atomic_add_fetch(&blocked, 1, __ATOMIC_SEQ_CST);
    for (;;)
        pause();
}

void native_wait_blocked(int count) {
    struct timespec step = {0, 1000000};
    for (int i = 0; i < 5000 && __atomic_load_n(&blocked, __ATOMIC_SEQ_CST) < count; i++)
        nanosleep(&step, NULL);
}

static void *allocator(void *argument) {
    native_allocate((int)(intptr_t)argument, 128);
    native_block();
    return NULL;
}

static void *caller(void *argument) {
    goCallback((int)(intptr_t)argument);
    return NULL;
}

static void spawn(void *(*body)(void *), intptr_t argument) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, (void *)argument) != 0)
        abort();
}

void native_threads(int count, int blocks) {
    for (int i = 0; i < count; i++)
        spawn(allocator, blocks);
}

void native_callback_threads(int count) {
    for (int i = 0; i < count; i++)
        spawn(caller, i);
}

void native_call_go(int number) {
    goCallback(number);
}
