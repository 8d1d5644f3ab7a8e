// Spent spends its memory on one thing, so that what stands out is known.
//
//	spent ORACLE WHAT
//
// WHAT is nothing, goroutines, ended, free, limit, garbage, fragments, live, mapped, file, returned,
// collapsed or C.
package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
	"unsafe"

	"addrspace.test/kit"
)

const mib = 1 << 20

var (
	// Oracle is what the runtime says of its memory at the breakpoint.
	Oracle runtime.MemStats

	keep    [][]byte
	small   []*[16]uint64
	forever = make(chan int)
)

//go:noinline
func breakpoint() {
	runtime.KeepAlive(&Oracle)
}

func main() {
	if len(os.Args) != 3 {
		os.Stderr.WriteString("usage: spent ORACLE WHAT\n")
		os.Exit(2)
	}
	collect, what := true, os.Args[2]
	switch what {
	case "nothing":
	case "goroutines":
		goroutines(20000, func() { leak(40) })
	case "ended":
		goroutines(20000, func() { grow(200) })
	case "free", "limit":
		touched(96)
		if what == "limit" {
			debug.SetMemoryLimit(1 << 30)
		}
		keep = nil
	case "garbage":
		debug.SetGCPercent(-1)
		touched(96)
		keep, collect = nil, false
	case "fragments":
		fragments()
	case "live":
		touched(128)
	case "mapped":
		mapped(-1, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	case "file":
		file(os.Args[1] + ".data")
	case "returned", "collapsed":
		returned()
	case "C":
		allocateInC(96 * mib)
	default:
		kit.Fail(what, syscall.EINVAL)
	}
	kit.Settle(os.Args[1], collect, false)
	if what == "collapsed" {
		collapse()
	}
	runtime.ReadMemStats(&Oracle)
	kit.Metrics()
	breakpoint()
	kit.Ready(&Oracle)
}

func touched(count int) {
	for i := 0; i < count; i++ {
		block := make([]byte, mib)
		for at := 0; at < mib; at += 4096 {
			block[at] = 1
		}
		keep = append(keep, block)
	}
}

func goroutines(count int, body func()) {
	for i := 0; i < count; i++ {
		go body()
	}
	time.Sleep(300 * time.Millisecond)
}

//go:noinline
func leak(depth int) byte {
	var local [64]byte
	if depth == 0 {
		<-forever
	} else {
		local[depth] = leak(depth - 1)
	}
	return local[3]
}

// grow leaves the goroutine's stack large; all are there at once.
//
//go:noinline
func grow(depth int) byte {
	var local [64]byte
	if depth == 0 {
		time.Sleep(100 * time.Millisecond)
		return local[1]
	}
	local[depth%64] = grow(depth - 1)
	return local[3]
}

// fragments keeps one object of each thirty-two.
func fragments() {
	debug.SetGCPercent(-1)
	for i := 0; i < 96*mib/128; i++ {
		object := &[16]uint64{uint64(i)}
		if i%32 == 0 {
			small = append(small, object)
		}
		sink = object
	}
	sink = nil
}

var sink *[16]uint64

func mapped(fd int, flags int) {
	block, err := syscall.Mmap(fd, 0, 96*mib, syscall.PROT_READ|syscall.PROT_WRITE, flags)
	if err != nil {
		kit.Fail("mmap", err)
	}
	for at := 0; at < len(block); at += 4096 {
		block[at] = 1
	}
}

func file(path string) {
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_CREAT|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		kit.Fail(path, err)
	}
	if err := syscall.Ftruncate(fd, 96*mib); err != nil {
		kit.Fail(path, err)
	}
	syscall.Unlink(path)
	mapped(fd, syscall.MAP_SHARED)
}

// returned gives every other MiB back to the OS.
func returned() {
	touched(128)
	for i := 0; i < len(keep); i += 2 {
		keep[i] = nil
	}
	debug.FreeOSMemory()
}

// collapse makes huge pages of the whole, as khugepaged would some time later.
func collapse() {
	low, high := ^uintptr(0), uintptr(0)
	for _, block := range keep {
		if block != nil {
			at := uintptr(unsafe.Pointer(&block[0]))
			low, high = min2(low, at), ^min2(^high, ^at)
		}
	}
	low, high = (low+2*mib-1)&^(2*mib-1), high&^(2*mib-1)
	syscall.Syscall(syscall.SYS_MADVISE, low, high-low, 25) // MADV_COLLAPSE, Linux 6.1
}

func min2(a, b uintptr) uintptr {
	if a < b {
		return a
	}
	return b
}
