//go:build goexperiment.arenas

package main

import "arena"

// Arena is a user arena in use.
var Arena *arena.Arena

// Inside is an object of Arena, dangling one of an arena that was freed: it keeps its addresses from reuse.
var Inside, dangling *[1000]uint64

func fillArenas() {
	Arena = arena.NewArena()
	for i := 0; i < 2000; i++ {
		Inside = arena.New[[1000]uint64](Arena)
		Inside[0] = 1
	}
	freed := arena.NewArena()
	for i := 0; i < 2000; i++ {
		made := arena.New[[1000]uint64](freed)
		made[0] = 1
		if i == 0 {
			dangling = made
		}
	}
	freed.Free()
}
