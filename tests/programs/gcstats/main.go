// Gcstats goes through heaps of different shapes and stops in each, twice:
//
//	metrics.Read(Samples); metricsRead()
//	runtime.ReadMemStats(&Oracle); breakpoint()
//
// At either stop what was read is what the runtime would say now. Phase names the shape.
// `gcstats N` starts N goroutines in the phase of that name (1,000 without it). `gcstats collect` only
// collects, over and over.
package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"addrspace.test/kit"
)

var (
	// Oracle is what ReadMemStats said at the breakpoint.
	Oracle runtime.MemStats
	// Samples is what metrics.Read said at metricsRead.
	Samples []metrics.Sample
	// Phase is the shape of the heap.
	Phase string

	keep  []any
	many  = 1000
	quit  = make(chan bool)
	ended = make(chan bool)
	spare []byte
)

//go:noinline
func metricsRead() {
	runtime.KeepAlive(&Samples)
}

//go:noinline
func breakpoint() {
	runtime.KeepAlive(&Oracle)
}

func stop(phase string) {
	Phase = phase
	time.Sleep(2 * time.Millisecond)
	metrics.Read(Samples)
	metricsRead()
	runtime.ReadMemStats(&Oracle)
	breakpoint()
}

func settle() {
	runtime.GC()
	debug.FreeOSMemory()
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "collect" {
		collect()
	}
	if len(os.Args) > 1 {
		count, err := strconv.Atoi(os.Args[1])
		if err != nil {
			kit.Fail("N", err)
		}
		many = count
	}
	runtime.GOMAXPROCS(2)
	for _, d := range metrics.All() {
		if d.Kind == metrics.KindUint64 {
			Samples = append(Samples, metrics.Sample{Name: d.Name})
		}
	}
	metrics.Read(Samples)
	kit.Settle("", true, false)
	for _, one := range phases {
		one.run()
		stop(one.name)
	}
}

// In this order: what a phase leaves behind is there in the next.
var phases = []struct {
	name string
	run  func()
}{
	{"settled", func() {}},
	{"small", small},
	{"types", types},
	{"large", large},
	{"garbage", garbage},
	{"collected", runtime.GC},
	{"pacing", pacing},
	{"cached", small}, // pacing is on, and the Ps' caches are full of objects that no counter has
	{"limit", func() { debug.SetMemoryLimit(1 << 30) }},
	{"limit only", func() { debug.SetGCPercent(-1) }},
	{"limit exceeded", exceeded},
	{"returned", returned},
	{"goroutines", goroutines},
	{"goroutines ended", goroutinesEnded},
	{"deep stacks", deepStacks},
	{"shrunk stacks", shrunkStacks},
	{"mapped", mapped},
	{"huge pages", hugePages},
	{"many Ps", func() { runtime.GOMAXPROCS(5) }},
	{"fewer Ps", func() { runtime.GOMAXPROCS(1) }},
}

func small() {
	for i := 0; i < 20000; i++ {
		keep = append(keep, make([]byte, 1+i%900), new(int16))
	}
}

type pair[T any] struct {
	next  *pair[T]
	value T
}

func types() {
	keep = append(keep, map[string][]int{"one": {1}}, &pair[string]{value: "text"}, make(chan pair[int], 50))
	for i := 0; i < 500; i++ {
		keep = append(keep, &pair[[3]int]{}, &pair[*int]{}, &pair[[40]string]{}, func() int { return i })
	}
}

func large() {
	for size := 33 << 10; size < 8<<20; size *= 2 {
		keep = append(keep, make([]byte, size), make([]*int, size/8))
	}
}

func garbage() {
	for i := 0; i < 30000; i++ {
		spare = make([]byte, 10+i%40000)
	}
}

// pacing turns the collector on and leaves nothing to it, its sweeper or its scavenger.
func pacing() {
	debug.SetGCPercent(200)
	settle()
}

// exceeded sets a limit that is less than what is mapped; there is nothing that could be returned.
func exceeded() {
	settle()
	debug.SetMemoryLimit(4 << 20)
	settle()
}

func returned() {
	debug.SetMemoryLimit(1 << 40)
	keep = keep[:len(keep)/2]
	settle()
}

func goroutines() {
	for i := 0; i < many; i++ {
		go func() {
			<-quit
			ended <- true
		}()
	}
	for i := 0; i < 100; i++ {
		time.Sleep(time.Millisecond)
	}
	settle()
}

func goroutinesEnded() {
	for i := 0; i < many; i++ {
		quit <- true
		<-ended
	}
	settle()
}

//go:noinline
func descend(depth int) byte {
	var local [256]byte
	if depth == 0 {
		ended <- true
		<-quit
		return local[3]
	}
	local[depth%256] = descend(depth - 1)
	return local[7]
}

func deepStacks() {
	for i := 0; i < 8; i++ {
		go func() {
			descend(2000)
			ended <- true
			<-quit
		}()
	}
	for i := 0; i < 8; i++ {
		<-ended
	}
	settle()
}

func shrunkStacks() {
	for i := 0; i < 8; i++ {
		quit <- true
		<-ended
	}
	for i := 0; i < 8; i++ {
		settle()
	}
}

func mapped() {
	own, err := syscall.Mmap(-1, 0, 16<<20, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		kit.Fail("mmap", err)
	}
	own[5] = 1
}

func hugePages() {
	spare = make([]byte, 8<<20)
	start := (uintptr(unsafe.Pointer(&spare[0])) + 2<<20 - 1) &^ (2<<20 - 1)
	syscall.Syscall(syscall.SYS_MADVISE, start, 4<<20, 14) // MADV_HUGEPAGE
	for i := range spare {
		spare[i] = 1
	}
	settle()
}

func collect() {
	small()
	large()
	kit.Settle("", true, false)
	debug.SetGCPercent(100)
	breakpoint()
	for {
		garbage()
		runtime.GC()
	}
}
