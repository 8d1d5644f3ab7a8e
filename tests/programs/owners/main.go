// Owners has memory whose owner is easily mistaken, of one kind at a time, and says how much it is.
//
//	owners ORACLE WHAT
//
// ORACLE is not written: what is known is on stdout, a line "name number" each, before "ready".
package main

import (
	"bytes"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"addrspace.test/kit"
)

const mib = 1 << 20

var (
	statistics runtime.MemStats
	cases      = map[string]func(){}
	keep       [][]byte
)

//go:noinline
func breakpoint() {
	runtime.KeepAlive(keep)
}

func say(name string, number uint64) {
	os.Stdout.WriteString(name + " " + strconv.FormatUint(number, 10) + "\n")
}

// ended lets many goroutines be there at once, and end.
func ended() {
	var all sync.WaitGroup
	gate := make(chan bool)
	for i := 0; i < 100_000; i++ {
		all.Add(1)
		go func() {
			<-gate
			all.Done()
		}()
	}
	close(gate)
	all.Wait()
	runtime.GC()
	debug.FreeOSMemory()
	// Of what the runtime keeps for those that live, one of each kind.
	go func() { time.Sleep(time.Hour) }()
	go func() {
		select {
		case <-make(chan int):
		case <-make(chan int):
		}
	}()
	time.Sleep(10 * time.Millisecond)
}

// woken leaves as many sudogs behind as goroutines were woken: nothing is collected any more.
func woken() {
	debug.SetGCPercent(-1)
	var all sync.WaitGroup
	gate := make(chan bool)
	for i := 0; i < 30_000; i++ {
		all.Add(1)
		go func() {
			<-gate
			all.Done()
		}()
	}
	time.Sleep(200 * time.Millisecond)
	close(gate)
	all.Wait()
}

var sink *[64]byte

// zero and one allocate at the end of as many different stacks as there are paths.
//
//go:noinline
func zero(path uint, depth int) {
	switch {
	case depth == 0:
		sink = new([64]byte)
	case path&1 == 0:
		zero(path>>1, depth-1)
	default:
		one(path>>1, depth-1)
	}
}

//go:noinline
func one(path uint, depth int) {
	switch {
	case depth == 0:
		sink = new([64]byte)
	case path&1 == 0:
		zero(path>>1, depth-1)
	default:
		one(path>>1, depth-1)
	}
}

// lockedAndReturned gives memory back that it has locked, so that it stays.
func lockedAndReturned() {
	for i := 0; i < 96; i++ {
		block := make([]byte, mib)
		block[0] = 1
		keep = append(keep, block)
	}
	if err := syscall.Mlockall(3); err != nil { // MCL_CURRENT, MCL_FUTURE
		kit.Fail("mlockall", err)
	}
	keep = nil
	debug.FreeOSMemory()
}

func pages(fd int, size int, flags int) []byte {
	block, err := syscall.Mmap(fd, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, flags)
	if err != nil {
		kit.Fail("mmap", err)
	}
	for at := 0; at < size; at += os.Getpagesize() {
		block[at] = 1
	}
	return block
}

type client struct {
	buffer [4096]byte
	done   chan bool
}

func (c *client) watch() {
	select {
	case <-c.done:
	case <-time.After(time.Hour):
	}
	c.buffer[0] = 1
}

var clients []*client

func handle() {
	c := &client{done: make(chan bool)}
	clients = append(clients, c)
	go c.watch()
}

// leaking has clients that nobody says goodbye to, and garbage besides.
func leaking() {
	for i := 0; i < 18_000; i++ {
		handle()
	}
	runtime.GC()
	debug.SetGCPercent(-1)
	for i := 0; i < 60; i++ {
		block := make([]byte, mib)
		for at := 0; at < mib; at += 4096 {
			block[at] = 1
		}
	}
}

// compiled makes instructions as a JIT compiler does, a module at a time.
func compiled() {
	for i := 0; i < 16; i++ {
		block := pages(-1, 4*mib, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err := syscall.Mprotect(block, syscall.PROT_READ|syscall.PROT_EXEC); err != nil {
			kit.Fail("mprotect", err)
		}
	}
}

// mapped maps memory itself, in three sizes, and gives some of it back.
func mapped() {
	private := syscall.MAP_ANON | syscall.MAP_PRIVATE
	for i := 0; i < 300; i++ {
		pages(-1, 64<<10, private)
	}
	for i := 0; i < 3; i++ {
		pages(-1, 8*mib, private)
	}
	if err := syscall.Munmap(pages(-1, 24*mib, private)); err != nil {
		kit.Fail("munmap", err)
	}
	pages(-1, 12*mib+1000, private)
}

// waiting has goroutines that wait in semaphores, many of them for one, and in condition variables.
func waiting() {
	var mutex sync.Mutex
	var shared sync.RWMutex
	var group sync.WaitGroup
	condition := sync.NewCond(new(sync.Mutex))
	mutex.Lock()
	shared.Lock()
	group.Add(1)
	waits := 0
	begin := func(count int, body func()) {
		for i := 0; i < count; i++ {
			go body()
			waits++
		}
	}
	begin(2000, mutex.Lock)
	begin(700, shared.RLock)
	begin(300, group.Wait)
	begin(900, func() {
		var own sync.Mutex
		own.Lock()
		own.Lock()
	})
	begin(800, func() {
		condition.L.Lock()
		condition.Wait()
	})
	for !parked(waits) {
		time.Sleep(10 * time.Millisecond)
	}
	say("waits", uint64(waits))
}

// parked says whether that many goroutines wait in package sync.
func parked(count int) bool {
	text := make([]byte, 8*mib)
	text = text[:runtime.Stack(text, true)]
	return bytes.Count(text, []byte(" [sync."))+bytes.Count(text, []byte(" [semacquire")) >= count
}

// yielding has two goroutines that do nothing but switch.
func yielding() {
	for i := 0; i < 2; i++ {
		go func() {
			for {
				runtime.Gosched()
			}
		}()
	}
}

// memfdCreate is the number of memfd_create, which package syscall lacks.
var memfdCreate = map[string]uintptr{"amd64": 319, "386": 356, "arm64": 279}[runtime.GOARCH]

// shared has files without a place in a file system.
func shared() {
	name := []byte("video frames\x00")
	for i := 0; i < 4; i++ {
		fd, _, errno := syscall.Syscall(memfdCreate, uintptr(unsafe.Pointer(&name[0])), 0, 0)
		if errno != 0 {
			kit.Fail("memfd_create", errno)
		}
		if err := syscall.Ftruncate(int(fd), 16*mib); err != nil {
			kit.Fail("ftruncate", err)
		}
		pages(int(fd), 16*mib, syscall.MAP_SHARED)
		syscall.Close(int(fd))
	}
}

const paths = 130_000

// profiled has a profile of very many stacks: each allocation is sampled.
func profiled() {
	runtime.MemProfileRate = 1
	for path := uint(0); path < paths; path++ {
		zero(path, 17)
	}
	runtime.MemProfileRate = 0
	say("paths", paths)
}

func main() {
	cases["ended"] = ended
	cases["profiled"] = profiled
	cases["locked"] = lockedAndReturned
	cases["compiled"] = compiled
	cases["leaking"] = leaking
	cases["woken"] = woken
	cases["idle"] = func() {}
	cases["shared"] = shared
	cases["mapped"] = mapped
	cases["yielding"] = yielding
	cases["waiting"] = waiting
	runtime.MemProfile(nil, false) // with it the linker keeps the heap profile going, as with runtime/pprof
	cases[os.Args[2]]()
	runtime.ReadMemStats(&statistics)
	say("BuckHashSys", statistics.BuckHashSys)
	say("HeapInuse", statistics.HeapInuse)
	breakpoint()
	os.Stdout.WriteString("ready\n")
	time.Sleep(kit.Lifetime)
	runtime.KeepAlive(keep)
}
