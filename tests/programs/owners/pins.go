//go:build go1.21

package main

import "runtime"

func init() {
	cases["pinned"] = pinned
}

var pins []*runtime.Pinner

// pinned holds objects in place for C, and never lets go of them.
func pinned() {
	for i := 0; i < 100_000; i++ {
		block := new([1024]byte)
		block[0] = 1
		pin := new(runtime.Pinner)
		pin.Pin(block)
		pins = append(pins, pin)
	}
	runtime.GC()
	runtime.GC() // a heap profile is of the collection before the last one
}
