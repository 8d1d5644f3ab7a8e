//go:build cgo

package main

/*
#include <unistd.h>

static void sleeping(void) {
	for (;;)
		pause();
}
*/
import "C"

// more stands in C.
func more() { C.sleeping() }
