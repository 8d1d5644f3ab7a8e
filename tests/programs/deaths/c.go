//go:build cgo

package main

/*
#cgo CFLAGS: -O1 -Wno-nonnull -Wno-unused-result
#cgo LDFLAGS: -lpthread
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct account { char owner[0x3000]; long balance; };

static volatile int zero, minus_one = -1;
static unsigned long (*volatile length)(const char *) = strlen;

static __attribute__((noinline)) long balance_of(struct account *one) { return one->balance; }
static __attribute__((noinline)) unsigned long name_length(void) { return length(0) + 1; }
static __attribute__((noinline)) int divided(int by) { return by / zero; }
static __attribute__((noinline)) int negated(void) { int least = 1 << 31; return least / minus_one; }
static __attribute__((noinline)) int called_back(int (*back)(int)) { return back(1) + 1; }
static __attribute__((noinline)) void checked(int amount) { assert(amount == 42); }
static __attribute__((noinline)) void gave_up(void) { abort(); }
static __attribute__((noinline)) void freed_twice(void) { char *volatile p = malloc(64); free(p); free(p); }
static __attribute__((noinline)) void trapped(void) { __builtin_trap(); }
static __attribute__((noinline)) void raised(void) { raise(SIGSEGV); }
static __attribute__((noinline)) void overwritten(long with) { volatile long *p = __builtin_frame_address(0); p[1] = with; }
static __attribute__((noinline)) void masked(void *to) {
	__asm__ volatile("movl $0x0f,%%eax\n kmovw %%eax,%%k1\n vpxord %%zmm17,%%zmm17,%%zmm17\n"
		"vmovdqu32 %%zmm17,(%0)%{%%k1%}" : : "r"(to) : "eax", "memory");
}

static void *entry_of_balance(void *one) { return (void *)balance_of(one); }
static void *entry_of_check(void *amount) { checked((int)(long)amount); return 0; }
static __attribute__((noinline)) void threaded(void *(*entry)(void *)) {
	pthread_t thread;
	pthread_create(&thread, 0, entry, 0);
	pthread_join(thread, 0);
}
static __attribute__((noinline)) void thread_faults(void) { threaded(entry_of_balance); }
static __attribute__((noinline)) void thread_asserts(void) { threaded(entry_of_check); }
static __attribute__((noinline)) int call_null(void) { return called_back(0); }
static __attribute__((noinline)) int call_wild(void) { return called_back((int (*)(int))0x123456789000); }
static __attribute__((noinline)) int call_odd(void) { return called_back((int (*)(int))0x4141414141414141); }
*/
import "C"

func c(way string) {
	switch way {
	case "far-field":
		C.balance_of(nil)
	case "in-libc":
		C.name_length()
	case "divide":
		C.divided(7)
	case "divide-overflow":
		C.negated()
	case "call-null":
		C.call_null()
	case "call-wild":
		C.call_wild()
	case "call-odd":
		C.call_odd()
	case "assert":
		C.checked(7)
	case "abort":
		C.gave_up()
	case "free-twice":
		C.freed_twice()
	case "trap":
		C.trapped()
	case "raise":
		C.raised()
	case "smashed-odd":
		C.overwritten(0x4141414141414141)
	case "smashed":
		C.overwritten(0x123456789000)
	case "masked":
		C.masked(nil)
	case "thread-fault":
		C.thread_faults()
	case "thread-assert":
		C.thread_asserts()
	}
}
