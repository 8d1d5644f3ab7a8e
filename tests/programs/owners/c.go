//go:build cgo

package main

/*
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static void *volatile taken;

static void take(size_t size) {
	taken = malloc(size);
	memset(taken, 1, size);
}

static size_t mapped_by_malloc(void) {
	return mallinfo2().hblkhd;
}
*/
import "C"

func init() {
	cases["merged"] = merged
}

// merged lets C and Go map memory in turns: the kernel puts one below the other, into one mapping.
func merged() {
	for i := 0; i < 20; i++ {
		C.take(2 * mib)
		keep = append(keep, make([]byte, 64*mib)) // a new arena, and its metadata
	}
	say("hblkhd", uint64(C.mapped_by_malloc()))
}
