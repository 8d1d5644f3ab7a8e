// Moments stops three times, and does a known amount of everything between the first stop and the second:
//
//	bornGoroutines goroutines start in born, all dyingGoroutines of those in dying end,
//	objects of 1,152 bytes without pointers are made, as many as that constant says, and one so large
//	that the heap has to grow,
//	the goroutine in deep calls itself until its stack is copied,
//	[Came, Came+CameSize) is mapped, of which CameTouched bytes are written to,
//	[Went, Went+WentSize) is unmapped, and half of [Changed, Changed+ChangedSize) becomes read-only.
//
// Between the second and the third nothing happens.
package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"addrspace.test/kit"
)

const (
	bornGoroutines  = 7
	dyingGoroutines = 4
	objects         = 3000
	page            = 4096
)

// Oracle is what the runtime says of its memory at a stop; the rest says what was done.
var (
	Oracle                               runtime.MemStats
	Came, CameSize, CameTouched          uint64
	Went, WentSize, Changed, ChangedSize uint64
	DeepBefore, DeepAfter                uint64 // addresses of a local of the goroutine in deep
)

var (
	keep    [objects][]byte
	came    []byte
	large   []byte
	forever = make(chan int)
	quit    = make(chan int)
	deepen  = make(chan int)
	deeper  = make(chan int)
	started sync.WaitGroup
	ended   sync.WaitGroup
)

//go:noinline
func breakpoint() {
	runtime.KeepAlive(&Oracle)
}

//go:noinline
func born() {
	started.Done()
	<-forever
}

//go:noinline
func dying() {
	started.Done()
	<-quit
	ended.Done()
}

//go:noinline
func staying() {
	started.Done()
	<-forever
}

//go:noinline
func deep() {
	var local [8]byte
	DeepBefore = uint64(uintptr(unsafe.Pointer(&local)))
	started.Done()
	<-deepen
	descend(400)
	runtime.KeepAlive(&local)
}

//go:noinline
func descend(depth int) byte {
	var local [128]byte
	if depth == 0 {
		DeepAfter = uint64(uintptr(unsafe.Pointer(&local)))
		deeper <- 1
		<-forever
		return local[5]
	}
	local[depth%128] = descend(depth - 1)
	return local[7]
}

func mmap(size int) []byte {
	mapped, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		kit.Fail("mmap", err)
	}
	return mapped
}

func address(bytes []byte) uint64 {
	return uint64(uintptr(unsafe.Pointer(&bytes[0])))
}

func stop() {
	kit.Stacks()
	runtime.ReadMemStats(&Oracle)
	breakpoint()
}

func main() {
	runtime.GOMAXPROCS(2)
	went, changed := mmap(5<<20), mmap(64*page)
	for i := 0; i < len(went); i += page {
		went[i] = 1
	}
	Went, WentSize, Changed, ChangedSize = address(went), 5<<20, address(changed), 64*page
	started.Add(dyingGoroutines + 9 + 1)
	ended.Add(dyingGoroutines)
	for i := 0; i < dyingGoroutines; i++ {
		go dying()
	}
	for i := 0; i < 9; i++ {
		go staying()
	}
	go deep()
	started.Wait()
	kit.Settle("", true, true)
	kit.Park()
	stop()

	started.Add(bornGoroutines)
	for i := 0; i < bornGoroutines; i++ {
		go born()
	}
	started.Wait()
	for i := 0; i < dyingGoroutines; i++ {
		quit <- i
	}
	ended.Wait()
	for i := range keep {
		keep[i] = make([]byte, 1152)
	}
	large = make([]byte, 8<<20)
	deepen <- 1
	<-deeper
	came = mmap(3 << 20)
	Came, CameSize, CameTouched = address(came), 3<<20, 40*page
	for i := 0; i < 40; i++ {
		came[i*page] = 1
	}
	if err := syscall.Munmap(went); err != nil {
		kit.Fail("munmap", err)
	}
	if err := syscall.Mprotect(changed[:32*page], syscall.PROT_READ); err != nil {
		kit.Fail("mprotect", err)
	}
	kit.Park()
	time.Sleep(time.Millisecond)
	stop()
	stop()
	debug.SetGCPercent(100)
	if len(os.Args) > 1 {
		os.Stdout.WriteString("ready\n")
		time.Sleep(kit.Lifetime)
	}
}
