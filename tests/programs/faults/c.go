//go:build cgo

package main

/*
#include <string.h>
static void c_write(char *p) { *p = 1; }
static int c_deep(int n) {
	volatile char room[4096];
	room[n % 4096] = 1;
	return c_deep(n + 1) + room[0];
}
static void c_misaligned(void) {
	static char bytes[64];
	// The alignment check flag (AC) makes the hardware refuse what it usually allows.
	__asm__ volatile("pushfq\n orl $0x40000,(%%rsp)\n popfq\n movl $1,(%0)" : : "r"(bytes + 1) : "memory");
}
*/
import "C"

import "unsafe"

func c(way string) {
	switch way {
	case "c-null":
		C.c_write(nil)
	case "c-rodata":
		C.c_write((*C.char)(unsafe.Pointer(unsafe.StringData(Literal))))
	case "c-overflow":
		C.c_deep(1)
	case "c-misaligned":
		C.c_misaligned()
	case "checkptr":
		bytes := make([]byte, 64)
		Sink = *(*uint64)(unsafe.Pointer(&bytes[1]))
		Sink = uint64(uintptr(unsafe.Pointer((**int)(unsafe.Pointer(&bytes[1])))))
	}
}
