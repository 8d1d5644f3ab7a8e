// Faults dies in the way it is told.
//
//	faults WAY [FILE]
//
// FILE is one it may write. Run it with GOTRACEBACK=crash for a core.
package main

import (
	"errors"
	"os"
	"runtime/debug"
	"syscall"
	"unsafe"
)

// Node has a field at +0x18.
type Node struct {
	Next *Node
	Text string
	Last *Node
}

// Gone is nil, to the compiler's surprise.
var Gone *Node

// Call is a nil func.
var Call func(int) int

// Literal is read-only data.
var Literal = "a string in the read-only data"

// Far and NoAddress lie outside of the heap, and of what x86-64 can address; 32 bits hold a part of them.
var Far, NoAddress uint64 = 0x123456789000, 0xdead00000000beef

// Sink keeps loads alive.
var Sink uint64

// Broken is an error of our own.
var Broken = errors.New("a broken thing")

//go:noinline
func pointer(address uintptr) *uint64 {
	return *(**uint64)(unsafe.Pointer(&address))
}

//go:noinline
func readField(n *Node) { Sink = uint64(uintptr(unsafe.Pointer(n.Last))) }

//go:noinline
func writeField(n *Node) { n.Last = n }

//go:noinline
func callNil() { Sink = uint64(Call(1)) }

//go:noinline
func deep(n int) int {
	var room [64]int
	room[n%64] = n
	return deep(n+1) + room[(n+1)%64]
}

//go:noinline
func writeLiteral() {
	*(*byte)(unsafe.Pointer(unsafe.StringData(Literal))) = 'A'
}

//go:noinline
func load(address uintptr) { Sink = *pointer(address) }

//go:noinline
func store(address uintptr) { *pointer(address) = 1 }

func mapped(protection int) []byte {
	data, err := syscall.Mmap(-1, 0, 64<<10, protection, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	return data
}

func at(data []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(data))) }

func unmapped() {
	data := mapped(syscall.PROT_READ)
	address := at(data)
	syscall.Munmap(data)
	load(address + 0x40)
}

func truncated(path string) {
	file, err := os.Create(path)
	if err != nil {
		panic(err)
	}
	file.Truncate(64 << 10)
	data, err := syscall.Mmap(int(file.Fd()), 0, 64<<10, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	file.Truncate(4096)
	load(at(data) + 0x8000)
}

//go:noinline
func index(list []int, n int) { Sink = uint64(list[n]) }

//go:noinline
func divide(a, b uint64) { Sink = a / b }

func race() {
	table := map[int]int{}
	for i := 0; i < 4; i++ {
		go func() {
			for n := 0; ; n++ {
				table[n%64]++
			}
		}()
	}
	select {}
}

func die(way, path string) {
	switch way {
	case "nil-read":
		readField(Gone)
	case "nil-write":
		writeField(Gone)
	case "nil-call":
		callNil()
	case "overflow":
		Sink = uint64(deep(1))
	case "overflow-early":
		debug.SetMaxStack(48_000_000)
		Sink = uint64(deep(1))
	case "rodata":
		writeLiteral()
	case "unmapped":
		unmapped()
	case "wild":
		load(uintptr(Far))
	case "noncanonical":
		load(uintptr(NoAddress))
	case "noaccess":
		store(at(mapped(syscall.PROT_NONE)) + 0x10)
	case "truncated":
		truncated(path)
	case "panic":
		panic("a string to panic with")
	case "panic-error":
		panic(Broken)
	case "panic-number":
		panic(4711)
	case "index":
		index(make([]int, 3), 7)
	case "divide":
		divide(1, Sink)
	case "maps":
		race()
	case "deadlock":
		select {}
	case "memory":
		var limit syscall.Rlimit
		limit.Cur, limit.Max = 600<<20, 600<<20
		syscall.Setrlimit(syscall.RLIMIT_AS, &limit)
		for {
			keep = append(keep, make([]byte, 64<<20))
		}
	default:
		c(way)
	}
}

var keep [][]byte

func main() {
	debug.SetGCPercent(-1)
	way, path := os.Args[1], ""
	if len(os.Args) > 2 {
		path = os.Args[2]
	}
	die(way, path)
	os.Stderr.WriteString("still alive\n")
	os.Exit(9)
}
