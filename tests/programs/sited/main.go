// Objects whose types only the places say where they were allocated: every allocation is in the heap profile, and
// all hang on pointers without a type, so that nothing else tells what they are. The program counts them itself:
// a line for each type says how many there are. With an argument it dies then.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
	"unsafe"
)

type (
	leaf   struct{ a, b, c, d, e uint64 }
	narrow struct{ a, b, c uint8 }
	node   struct {
		next *node
		v    [3]uint64
	}
	wide struct {
		pad  [90]uint64
		next *wide
	}
	pair struct {
		key   uint64
		value *leaf
	}
	row     struct{ cells [7]uint64 }
	message struct {
		body *row
		more [3]uint64
	}
	keyed  struct{ x, y, z uint64 }
	valued struct{ v [5]uint64 }
	boxed  struct{ v [9]uint64 }
)

var (
	kept   []unsafe.Pointer
	counts = map[string]int{}
)

func keep(p unsafe.Pointer) { kept = append(kept, p) }

//go:noinline
func leaves(n int) {
	for i := 0; i < n; i++ {
		keep(unsafe.Pointer(new(leaf)))
		counts["main.leaf"]++
	}
}

//go:noinline
func nodes(n int) {
	for i := 0; i < n; i++ {
		first := &node{}
		first.next = &node{}
		keep(unsafe.Pointer(first))
		counts["main.node"] += 2
	}
}

//go:noinline
func wides(n int) {
	for i := 0; i < n; i++ {
		keep(unsafe.Pointer(&wide{next: &wide{}}))
		counts["main.wide"] += 2
	}
}

//go:noinline
func pairs(n, each int) {
	for i := 0; i < n; i++ {
		made := make([]pair, each)
		made[0].value = new(leaf)
		keep(unsafe.Pointer(&made[0]))
		counts["[...]main.pair"]++
		counts["main.leaf"]++
	}
}

//go:noinline
func rows(n int) {
	for i := 0; i < n; i++ {
		var grown []row
		for k := 0; k < 5; k++ {
			grown = append(grown, row{})
		}
		keep(unsafe.Pointer(&grown[0]))
		counts["[...]main.row"]++
	}
}

//go:noinline
func channels(n, room int) {
	for i := 0; i < n; i++ {
		plain, pointing := make(chan row, room), make(chan message, room)
		pointing <- message{}
		keep(*(*unsafe.Pointer)(unsafe.Pointer(&plain)))
		keep(*(*unsafe.Pointer)(unsafe.Pointer(&pointing)))
		counts["chan main.row"]++
		counts["chan main.message"]++
		counts["[...]main.message"]++
	}
}

//go:noinline
func maps(n int) {
	for i := 0; i < n; i++ {
		made := make(map[keyed]valued, 100)
		for k := uint64(0); k < 300; k++ {
			made[keyed{x: k}] = valued{}
		}
		keep(*(*unsafe.Pointer)(unsafe.Pointer(&made)))
		counts["map[main.keyed]main.valued"]++
	}
}

//go:noinline
func boxes(n int, b boxed) {
	for i := 0; i < n; i++ {
		var any interface{} = b
		keep((*[2]unsafe.Pointer)(unsafe.Pointer(&any))[1])
		counts["main.boxed"]++
	}
}

//go:noinline
func counter(l *leaf, step int) func() { return func() { l.a += uint64(step) } }

// Half of the closures are in the profile. Their code says that they are closures; what they all capture is said by
// the place where those were made.
//
//go:noinline
func closures(n int) {
	for i := 0; i < n; i++ {
		if i == n/2 {
			runtime.MemProfileRate = 0
		}
		made := counter(new(leaf), i)
		keep(*(*unsafe.Pointer)(unsafe.Pointer(&made)))
		counts["main.leaf"]++
		counts["func main.counter.func1"]++
	}
	runtime.MemProfileRate = 1
}

func main() {
	debug.SetGCPercent(-1)
	kept = make([]unsafe.Pointer, 0, 1<<14)
	runtime.MemProfileRate = 1
	leaves(500)
	nodes(300)
	wides(40)
	pairs(60, 9)
	rows(70)
	channels(30, 8)
	maps(3)
	boxes(80, boxed{})
	closures(40)
	runtime.MemProfileRate = 0
	for i := 0; i < 3; i++ {
		runtime.GC()
	}
	dies := len(os.Args) > 1
	said := os.Stdout
	if dies {
		said = os.Stderr
	}
	for name, count := range counts {
		fmt.Fprintln(said, "count", count, name)
	}
	if dies {
		syscall.Kill(os.Getpid(), syscall.SIGABRT)
	}
	fmt.Println("ready")
	time.Sleep(time.Hour) // nobody else can run, which would be a deadlock
}
