// Slots has objects of every size class, of which some are freed, and says where they are.
//
//	slots ORACLE HOW
//
// HOW is settled (collected and swept), garbage (never collected), returned (settled, and free memory
// given back to the OS), or arenas (settled, with user arenas; built with GOEXPERIMENT=arenas).
// ORACLE.objects has a line for each object: state, address, size. After the first breakpoint, at which
// Oracle holds, it drops what is said to go later and collects; After then has what is left.
package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"unsafe"

	"addrspace.test/kit"
)

// Oracle is what the runtime says of its memory at the breakpoint, After at the end of the collection.
var Oracle, After runtime.MemStats

type pointers struct{ next *pointers }

var (
	kept    [][]any   // one slice a size: every second object that was made of it
	dropped []object  // their addresses: what was freed in between
	later   []any     // freed after the first breakpoint
	latest  []uintptr // its addresses
	tiny    []*[3]byte
	text    []byte
)

type object struct{ address, size uintptr }

//go:noinline
func breakpoint() {
	runtime.KeepAlive(&Oracle)
}

//go:noinline
func collected() {
	runtime.KeepAlive(&After)
}

func main() {
	if len(os.Args) != 3 {
		os.Stderr.WriteString("usage: slots ORACLE HOW\n")
		os.Exit(2)
	}
	path, how := os.Args[1], os.Args[2]
	runtime.GOMAXPROCS(1)       // one sweeper: the counters never lag behind what another has swept
	debug.SetGCPercent(1 << 20) // not -1: the scavenger rests only if Settle is what turns the collector off
	text = make([]byte, 0, 1<<20)
	dropped = make([]object, 0, 4096)
	latest = make([]uintptr, 0, 64)
	fill()
	if how == "arenas" {
		fillArenas()
	}
	if how == "returned" {
		churn()
		debug.FreeOSMemory()
	}
	write(path+".objects", how != "garbage")
	kit.Settle(path, how != "garbage", false)
	runtime.ReadMemStats(&Oracle)
	kit.Metrics()
	breakpoint()
	for i := range later {
		later[i] = nil
	}
	runtime.GC()
	runtime.ReadMemStats(&After)
	collected()
	kit.Wait()
}

var sizes = []int{8, 16, 24, 48, 64, 80, 112, 128, 208, 320, 416, 512, 576, 640, 1024, 1408, 2688, 3456, 4864,
	6528, 9728, 10880, 13568, 19072, 27264, 32760, 33 << 10, 100 << 10, 1 << 20, 5<<20 + 17}

// fill makes objects with and without pointers, and keeps every second one of each size.
func fill() {
	kept = make([][]any, 0, 4*len(sizes))
	for _, size := range sizes {
		count := 120
		if size > 32<<10 {
			count = 4
		}
		if size >= 16 { // smaller ones share blocks of the tiny allocator
			keep(size, count, func() (any, unsafe.Pointer) {
				made := make([]byte, size)
				made[0] = 1
				return made, unsafe.Pointer(&made[0])
			})
		}
		length := size / int(unsafe.Sizeof(uintptr(0)))
		keep(size, count, func() (any, unsafe.Pointer) {
			made := make([]*pointers, length)
			made[0] = &pointers{}
			return made, unsafe.Pointer(&made[0])
		})
	}
	for i := 0; i < 1000; i++ {
		tiny = append(tiny, &[3]byte{1})
	}
	later = make([]any, 0, 16)
	var beside []any
	for i := 0; i < 32; i++ {
		made := make([]byte, 14336)
		if i%2 == 0 {
			beside = append(beside, made)
			continue
		}
		later = append(later, made)
		latest = append(latest, uintptr(unsafe.Pointer(&made[0])))
	}
	kept = append(kept, beside)
}

func keep(size, count int, make func() (any, unsafe.Pointer)) {
	var all []any
	for i := 0; i < count; i++ {
		made, at := make()
		if i%2 == 0 {
			all = append(all, made)
		} else {
			dropped = append(dropped, object{uintptr(at), uintptr(size)})
		}
	}
	kept = append(kept, all)
}

// churn leaves 40 MiB of garbage.
func churn() {
	for i := 0; i < 40; i++ {
		made := make([]byte, 1<<20)
		for at := 0; at < len(made); at += 4096 {
			made[at] = 1
		}
	}
}

func write(path string, collect bool) {
	file, err := os.Create(path)
	if err != nil {
		kit.Fail(path, err)
	}
	for _, all := range kept {
		for _, one := range all {
			switch made := one.(type) {
			case []byte:
				line("kept", uintptr(unsafe.Pointer(&made[0])), len(made))
			case []*pointers:
				line("kept", uintptr(unsafe.Pointer(&made[0])), len(made)*int(unsafe.Sizeof(made[0])))
			}
		}
	}
	for _, one := range tiny {
		line("tiny", uintptr(unsafe.Pointer(one)), 3)
	}
	state := "freed"
	if !collect {
		state = "kept"
	}
	for _, one := range dropped {
		line(state, one.address, int(one.size))
	}
	for _, at := range latest {
		line("later", at, 14336)
	}
	file.Write(text)
	file.Close()
}

func line(state string, address uintptr, size int) {
	text = append(text, state...)
	text = append(text, " 0x"...)
	text = strconv.AppendUint(text, uint64(address), 16)
	text = append(text, ' ')
	text = strconv.AppendInt(text, int64(size), 10)
	text = append(text, '\n')
}
