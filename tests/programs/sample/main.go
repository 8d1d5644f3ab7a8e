// Sample is the program that scripts/demo looks at: a little of everything that an address space of a
// Go process holds. It prints "ready" when it has settled, and exits by itself after two minutes.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	kib = 1 << 10
	mib = 1 << 20

	lifetime = 120 * time.Second
)

// Globals: these lie in the executable's own data, not in the heap.
var (
	// .rodata: the characters of a constant string.
	motto = "a pointer is literally an address"
	// .noptrdata: initialised, without pointers.
	primes = [...]uint32{2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53}
	// .data: initialised, with pointers.
	planets = []string{"Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune"}
	// .noptrbss: zero, so it takes no room in the file, and no memory until touched.
	scratch [4 * mib]byte
	// .bss: zero, with pointers; everything in the heap that lives is reached from here or a stack.
	heap struct {
		list    *node
		byName  map[string]*node
		buffers [][]byte
		texts   []string
	}
)

// A node is a small object: 20 MB of them fill a few thousand spans of one size class.
type node struct {
	next    *node
	payload [7]uint64 // 64 bytes with the pointer
}

func main() {
	allowDebugger()
	fillHeap()
	returnSomeMemory()

	var parked sync.WaitGroup
	startParked(&parked)
	for i := 0; i < 3; i++ {
		go compute(i)
	}
	parked.Wait()
	time.Sleep(100 * time.Millisecond) // the last of them are now where they will wait

	fmt.Println("ready")
	time.Sleep(lifetime)
}

// allowDebugger lets any process of the same user attach, where the kernel's Yama module would
// otherwise let only a parent do so. Elsewhere the call fails, and nothing is lost.
func allowDebugger() {
	const prSetPtracer, anyProcess = 0x59616d61, ^uintptr(0)
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetPtracer, anyProcess, 0)
}

// fillHeap makes heap objects of several shapes.
func fillHeap() {
	// Small objects, one size class, linked.
	for i := 0; i < 20*mib/64; i++ {
		n := &node{next: heap.list}
		n.payload[0] = uint64(i)
		heap.list = n
	}
	// A map: its tables are objects of growing size.
	heap.byName = make(map[string]*node)
	for i := 0; i < 20_000; i++ {
		heap.byName[fmt.Sprint("node ", i)] = &node{}
	}
	// Large objects without pointers: a span of its own each. Only every second page is touched.
	for _, size := range []int{1 * mib, 4 * mib, 16 * mib} {
		buffer := make([]byte, size)
		for at := 0; at < len(buffer); at += 8 * kib {
			buffer[at] = 1
		}
		heap.buffers = append(heap.buffers, buffer)
	}
	// Strings of many lengths: objects without pointers, of many size classes.
	for i := 1; i <= 500; i++ {
		heap.texts = append(heap.texts, strings.Repeat(motto, i))
	}
	scratch[0] = byte(primes[0])
	scratch[mib] = byte(len(planets))
}

// returnSomeMemory leaves pages in the heap that the runtime has given back to the operating system.
func returnSomeMemory() {
	garbage := make([]byte, 32*mib)
	for at := range garbage {
		garbage[at] = 1
	}
	runtime.KeepAlive(garbage)
	garbage = nil
	_ = garbage
	debug.FreeOSMemory()
}

// startParked starts 200 goroutines that wait, each in one of five ways, at depths of 1 to 1,000 calls.
func startParked(ready *sync.WaitGroup) {
	never := make(chan struct{})
	other := make(chan int)
	var lock sync.Mutex
	lock.Lock() // never unlocked

	waits := []func(){
		func() { <-never },
		lock.Lock,
		func() {
			select {
			case <-never:
			case <-other:
			}
		},
		func() { time.Sleep(lifetime) },
		readNothing,
	}
	depths := []int{1, 3, 10, 30, 100, 300, 1000, 2}
	for i := 0; i < 200; i++ {
		wait, depth := waits[i%len(waits)], depths[i%len(depths)]
		ready.Add(1)
		go func() {
			descend(depth, func() {
				ready.Done()
				wait()
			})
		}()
	}
}

// readNothing waits for input and output (IO): for a byte from a pipe that nobody writes to.
func readNothing() {
	reader, writer, err := os.Pipe()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sample:", err)
		os.Exit(1)
	}
	_, _ = reader.Read(make([]byte, 1))
	runtime.KeepAlive(writer) // or the collector would close it, and end the wait
}

// descend calls itself depth times, so that the goroutine's stack grows, and then calls then.
//
//go:noinline
func descend(depth int, then func()) byte {
	var local [64]byte
	local[depth%len(local)] = byte(depth)
	if depth <= 1 {
		then()
	} else {
		local[0] = descend(depth-1, then)
	}
	return local[depth%len(local)]
}

// compute is busy for a few milliseconds at a time, so that a stop may find it running.
func compute(worker int) {
	page := scratch[2*mib+worker*8*kib:][:4*kib]
	for sum := uint32(worker); ; {
		for end := time.Now().Add(5 * time.Millisecond); time.Now().Before(end); {
			sum = sum*1664525 + 1013904223
			page[sum%uint32(len(page))]++
		}
		time.Sleep(20 * time.Millisecond)
	}
}
