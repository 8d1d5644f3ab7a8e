//go:build cgo

package main

/*
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *volatile taken;

static void take(size_t size) {
	taken = malloc(size);
	memset(taken, 1, size);
}

// Half a second at the bottom, so that all threads are there at once.
static int deeply(int calls) {
	volatile char frame[4096];
	memset((char *)frame, calls, sizeof frame);
	return calls > 0 ? deeply(calls - 1) + frame[calls % 4096] : usleep(500000);
}

static size_t mapped_by_malloc(void) {
	return mallinfo2().hblkhd;
}
*/
import "C"

import "sync"

func init() {
	cases["merged"] = merged
	cases["deep"] = deep
}

// deep lets many threads call deeply in C at the same time, and come back.
func deep() {
	var all sync.WaitGroup
	for i := 0; i < 24; i++ {
		all.Add(1)
		go func() {
			C.deeply(500)
			all.Done()
		}()
	}
	all.Wait()
}

// merged lets C and Go map memory in turns: the kernel puts one below the other, into one mapping.
func merged() {
	for i := 0; i < 20; i++ {
		C.take(2 * mib)
		keep = append(keep, make([]byte, 64*mib)) // a new arena, and its metadata
	}
	say("hblkhd", uint64(C.mapped_by_malloc()))
}
