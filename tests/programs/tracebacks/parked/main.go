// Parks goroutines in many ways, writes Go's own dump of them, then stops itself.
//
//	parked DUMP-FILE PCS-FILE
package main

import (
	"bufio"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

var (
	never   = make(chan int)
	started sync.WaitGroup
	sink    int
	table   map[string]int
)

// park is inlined into its callers; block is not.
func park() { <-never }

//go:noinline
func block() {
	started.Done()
	park()
	sink++
}

func outer(n int) int  { return middle(n) + 1 }
func middle(n int) int { return inner(n) + 1 }
func inner(n int) int {
	block()
	return n
}

//go:noinline
func recurse(n int) int {
	var pad [20]int
	if n == 0 {
		block()
		return pad[0]
	}
	pad[n%20] = recurse(n - 1)
	return pad[n%20] + 1
}

//go:noinline
func growing(n int, data [128]byte) byte {
	if n == 0 {
		block()
		return data[0]
	}
	data[n]++
	return growing(n-1, data) + data[n]
}

func apply[T any](x T, f func(T)) { f(x) }

//go:noinline
func applySlow[K comparable, V any](m map[K]V, f func(K, V)) {
	for k, v := range m {
		f(k, v)
	}
}

type list[T any] struct{ items []T }

func (l *list[T]) each(f func(T)) {
	for _, x := range l.items {
		f(x)
	}
}

//go:noinline
func (l *list[T]) slowEach(f func(T)) {
	l.each(func(x T) { f(x); sink++ })
}

type waiter interface{ wait(int) }
type base struct{ n int }

func (b base) wait(n int)     { sink += b.n; block(); sink++ }
func (b *base) WaitPtr(n int) { block(); sink += n }

type embeds struct{ *base }
type deeper struct{ embeds }

type blocker struct{ s []int }

func (b blocker) Len() int           { return len(b.s) }
func (b blocker) Swap(i, j int)      { b.s[i], b.s[j] = b.s[j], b.s[i] }
func (b blocker) Less(i, j int) bool { block(); return b.s[i] < b.s[j] }

type text struct{}

func (text) String() string { block(); return "" }

//go:noinline
func deferring() {
	defer func() { block() }()
	sink++
}

//go:noinline
func panicking() {
	defer func() {
		defer func() { recover() }()
		block()
	}()
	panic("boom")
}

//go:noinline
func recovered() {
	func() {
		defer func() { recover() }()
		var m map[string]int
		m["x"] = 1
	}()
	block()
}

//go:noinline
func nilDereference(p *[1 << 16]int) int {
	defer func() { block() }()
	return p[3] + 1
}

//go:noinline
func divide(a, b int) int {
	defer func() { block() }()
	return a / b
}

//go:noinline
func outOfRange(s []int, i int) int {
	defer block()
	return s[i]
}

//go:noinline
func nilCall(f func()) {
	defer func() { block() }()
	f()
}

//go:noinline
func nilMethod(w waiter) {
	defer func() { block() }()
	w.wait(1)
}

//go:noinline
func goexiting() {
	defer block()
	runtime.Goexit()
}

//go:noinline
func manyDefers(n int) {
	for i := 0; i < n; i++ {
		defer func(i int) {
			if i == 3 {
				block()
			}
		}(i)
	}
}

func reading(fd int) {
	started.Done()
	var buf [1]byte
	syscall.Read(fd, buf[:])
	sink++
}

func spin() {
	started.Done()
	for {
	}
}

// tracebackothers prints as GOTRACEBACK says; runtime.Stack always prints at level 1.
//
//go:linkname tracebackothers runtime.tracebackothers
func tracebackothers(me unsafe.Pointer)

var onSystem atomic.Bool

//go:linkname systemstack runtime.systemstack
func systemstack(fn func())

//go:noinline
func onSystemStack() {
	systemstack(func() {
		onSystem.Store(true)
		for {
		}
	})
}

func start(f func()) {
	started.Add(1)
	go f()
}

func parkEverywhere() {
	start(block)
	start(func() { sink = outer(1) })
	start(func() { sink = recurse(30) })
	start(func() { sink = recurse(400) })
	start(func() { sink = int(growing(100, [128]byte{})) })
	start(func() { apply(3, func(n int) { sink += n; block() }) })
	start(func() { apply("x", func(s string) { sink += len(s); block() }) })
	start(func() { applySlow(map[string]int{"a": 1}, func(string, int) { block() }) })
	start(func() { (&list[float64]{[]float64{1}}).each(func(float64) { block() }) })
	start(func() { (&list[[]int]{[][]int{{1}}}).slowEach(func([]int) { block() }) })
	start(func() { waiter(deeper{embeds{&base{1}}}).wait(2) })
	start(func() { waiter(&deeper{embeds{&base{1}}}).wait(2) })
	start(func() { f := (&base{2}).WaitPtr; f(3) })
	start(func() { f := waiter.wait; f(base{3}, 4) })
	start(func() { f := (*deeper).WaitPtr; f(&deeper{embeds{&base{}}}, 1) })
	start(func() { reflect.ValueOf(&base{5}).Method(0).Call([]reflect.Value{reflect.ValueOf(1)}) })
	start(func() { sort.Sort(blocker{[]int{3, 2, 1}}) })
	start(func() { sort.Slice(make([]int, 40), func(i, j int) bool { block(); return i < j }) })
	start(func() { fmt.Fprintln(bufio.NewWriter(os.Stderr), text{}) })
	start(func() { strings.Map(func(r rune) rune { block(); return r }, "xyz") })
	start(func() { new(sync.Once).Do(block) })
	start(deferring)
	start(panicking)
	start(recovered)
	start(func() { nilDereference(nil) })
	start(func() { divide(1, sink-sink) })
	start(func() { outOfRange(nil, 4) })
	start(func() { nilCall(nil) })
	start(func() { nilMethod(nil) })
	start(goexiting)
	start(func() { manyDefers(6) })
	start(func() { started.Done(); select {} })
	start(func() { started.Done(); time.Sleep(time.Hour) })
	start(func() {
		started.Done()
		select {
		case <-never:
		case make(chan int) <- 1:
		}
	})
	start(func() { started.Done(); var mu sync.Mutex; mu.Lock(); mu.Lock() })
	start(func() { started.Done(); var wg sync.WaitGroup; wg.Add(1); wg.Wait() })
	start(func() {
		started.Done()
		sync.NewCond(new(sync.Mutex)).L.Lock()
		c := sync.NewCond(new(sync.Mutex))
		c.L.Lock()
		c.Wait()
	})
	start(func() { started.Done(); runtime.LockOSThread(); <-never })
	var fds [2]int
	if err := syscall.Pipe(fds[:]); err != nil {
		panic(err)
	}
	start(func() { reading(fds[0]) })
	reader, _, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	start(func() { started.Done(); reader.Read(make([]byte, 1)) })
	func() { func() { go func() { started.Add(1); go block(); <-never }() }() }()
	runtime.SetFinalizer(&struct{ p *int }{new(int)}, func(any) { select {} })
	runtime.GC()
	for i := 0; i < 3; i++ {
		start(spin)
	}
	parkNewer()
}

func writeDump(path string) {
	buf := make([]byte, 4<<20)
	buf = buf[:runtime.Stack(buf, true)]
	if err := os.WriteFile(path, buf, 0o600); err != nil {
		panic(err)
	}
}

// dumpPcs writes what runtime.FuncForPC says of many addresses, in functions and between them.
func dumpPcs(path string) {
	file, err := os.Create(path)
	if err != nil {
		panic(err)
	}
	w := bufio.NewWriter(file)
	at := reflect.ValueOf(main).Pointer()
	for pc := at - 1<<20; pc < at+1<<15; pc += 97 {
		if f := runtime.FuncForPC(pc); f != nil {
			file, line := f.FileLine(pc)
			fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%d\n", pc, f.Entry(), f.Name(), file, line)
		}
	}
	if w.Flush() != nil || file.Close() != nil {
		panic("cannot write")
	}
}

func main() {
	runtime.GOMAXPROCS(3)
	dumpPcs(os.Args[2])
	parkEverywhere()
	started.Wait()
	time.Sleep(100 * time.Millisecond)
	if os.Getenv("GOTRACEBACK") == "system" {
		systemstack(func() { tracebackothers(nil) }) // to standard error
	} else {
		writeDump(os.Args[1])
	}
	debug.SetGCPercent(-1) // from here on nothing may stop the world
	go onSystemStack()
	for !onSystem.Load() {
		runtime.Gosched() // through the global queue: the P that spins below keeps what it has
	}
	syscall.Kill(syscall.Getpid(), syscall.SIGSTOP)
	select {}
}
