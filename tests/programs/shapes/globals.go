package main

import "os"

// One global for each section that a linker makes for data.
var (
	Data      = [1 << 12]*int{0: &target, 1<<12 - 1: &target}
	NoPtrData = [1 << 17]uint64{0: 1, 1<<17 - 1: 2}
	Bss       [1 << 16]*int
	NoPtrBss  [8 << 20]byte
	Text      = "a string constant in rodata"
	target    = 42
)

func touchGlobals() {
	for i := 0; i < len(Bss); i += 1024 {
		Bss[i] = &target
	}
	for i := 0; i < len(NoPtrBss)/2; i += os.Getpagesize() {
		NoPtrBss[i] = byte(i)
	}
	NoPtrData[7] = uint64(len(os.Args))
	Data[7] = &target
}
