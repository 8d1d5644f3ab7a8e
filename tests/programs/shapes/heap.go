package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

type tree struct {
	left, right *tree
	key         int
	name        string
}

// Heap keeps alive what populateHeap made.
var Heap struct {
	Small     []any
	Large     [][]byte
	Untouched []byte
	Pointers  []*tree
	Tree      *tree
	ByName    map[string]*tree
	ByNumber  map[int]int
	Text      []string
	Channel   chan tree
	Function  func() int
}

var classes = []int{
	1, 8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 176, 256, 320, 512, 768, 1024, 1536,
	2048, 3072, 4096, 6144, 8192, 10240, 16384, 20480, 27264, 32768,
}

func populateHeap() {
	rate := runtime.MemProfileRate
	runtime.MemProfileRate = 1
	smallObjects()
	runtime.MemProfileRate = rate
	largeObjects()
	Heap.Tree = grow(12)
	Heap.ByName = map[string]*tree{}
	Heap.ByNumber = map[int]int{}
	for i := 0; i < 3000; i++ {
		name := fmt.Sprintf("name %d", i)
		Heap.ByName[name] = &tree{key: i, name: name}
		Heap.ByNumber[i] = i
		Heap.Text = append(Heap.Text, strings.Repeat("x", i%100))
	}
	Heap.Channel = make(chan tree, 100)
	Heap.Channel <- tree{key: 1}
	captured := 7
	Heap.Function = func() int { captured++; return captured }
	returnFreed()
}

func smallObjects() {
	for _, size := range classes {
		for i := 0; i < 60; i++ {
			bytes := make([]byte, size)
			pointers := make([]*tree, size/int(ptrSize)+1)
			if i%3 != 0 {
				Heap.Small = append(Heap.Small, bytes, pointers)
			}
		}
	}
}

func largeObjects() {
	for _, size := range []int{33 << 10, 100 << 10, 1 << 20, 5<<20 + 17} {
		object := make([]byte, size)
		touch(object)
		Heap.Large = append(Heap.Large, object)
	}
	Heap.Pointers = make([]*tree, 200000)
	for i := range Heap.Pointers {
		if i%1000 == 0 {
			Heap.Pointers[i] = &tree{key: i}
		}
	}
	Heap.Untouched = make([]byte, 80<<20) // more than an arena of 64 MiB, never written
}

func grow(depth int) *tree {
	if depth == 0 {
		return nil
	}
	return &tree{grow(depth - 1), grow(depth - 1), depth, "node"}
}

func touch(object []byte) {
	for i := 0; i < len(object); i += os.Getpagesize() {
		object[i] = 1
	}
}

// returnFreed frees 24 MiB and gives them back to the OS.
func returnFreed() {
	for i := 0; i < 24; i++ {
		touch(make([]byte, 1<<20))
	}
	debug.FreeOSMemory()
}

// keepFreed leaves 12 MiB of garbage to the collection that follows: freed, but resident.
func keepFreed() {
	for i := 0; i < 12; i++ {
		touch(make([]byte, 1<<20))
	}
}
