/* A program with no Go in it: c_only ORACLE */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char zeroed[1 << 20];
static void *blocks[100];

__attribute__((noinline)) void breakpoint(void) {
    __asm__ volatile("" ::: "memory");
}

static void *waiter(void *argument) {
    blocks[0] = memset(malloc(1000), 1, 1000);
    for (;;)
        pause();
    return argument;
}

int main(void) {
    pthread_t thread;
    for (int i = 1; i < 100; i++)
        blocks[i] = memset(malloc((size_t)i * 1000), 1, (size_t)i * 1000);
    memset(zeroed, 1, sizeof zeroed / 2);
    if (pthread_create(&thread, NULL, waiter, NULL) != 0)
        return 1;
    breakpoint();
    puts("ready");
    fflush(stdout);
    sleep(120);
    return 0;
}
