// Profiled writes the profiles of runtime/pprof into a folder and then stands still.
//
//	profiled FOLDER [GOROUTINES|off]
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"
)

type node[T any] struct {
	next  *node[T]
	value [9]T
}

type list[T any] struct{ head *node[T] }

// push is inlined, as is what it calls.
func (l *list[T]) push(value T) { l.add(make1[T](), value) }

func (l *list[T]) add(n *node[T], value T) {
	n.value[0] = value
	n.next, l.head = l.head, n
}

func make1[T any]() *node[T] { return new(node[T]) }

type maker interface{ make(size int) []byte }

type small struct{ kept [][]byte }

func (s *small) make(size int) []byte {
	s.kept = append(s.kept, make([]byte, size))
	return s.kept[len(s.kept)-1]
}

// wrapped has a method that only forwards: the compiler writes it.
type wrapped struct{ *small }

var (
	numbers list[int]
	texts   list[string]
	makers  = []maker{&small{}, wrapped{&small{}}}
	words   = map[string][]string{}
	pile    [][]byte
	gate    = make(chan int)
	never   = make(chan int)
	lock    sync.Mutex
	started sync.WaitGroup
	counted int
)

func inner(depth int) []byte { return outermost(depth + 1) }

//go:noinline
func outermost(depth int) []byte { return make([]byte, 100+depth%7*512) }

// recurse is deeper than any stack that is kept; what allocates at its end is inlined into it.
//
//go:noinline
func recurse(depth int) {
	if depth == 0 {
		pile = append(pile, inner(depth))
		return
	}
	func() { recurse(depth - 1) }()
	if depth%50 == 0 {
		pile = append(pile, inner(depth))
	}
}

func allocate() {
	for i := 0; i < 2000; i++ {
		numbers.push(i)
		texts.push(strconv.Itoa(i) + strings.Repeat("x", i%300))
		for _, one := range makers {
			one.make(i % 900)
		}
		key := fmt.Sprint("key", i%64)
		words[key] = append(words[key], key)
	}
	for depth := 10; depth <= 310; depth += 60 {
		recurse(depth)
	}
	pile = append(pile, make([]byte, 3<<20))
	for i := 0; i < 400; i++ {
		go func() {}()
		_ = fmt.Sprintf("%v", make([]int, i)) // garbage
	}
}

func locked(work func()) {
	lock.Lock()
	defer lock.Unlock()
	work()
}

func unlock() { lock.Unlock() }

//go:noinline
func contend() {
	var done sync.WaitGroup
	for i := 0; i < 4; i++ {
		done.Add(1)
		go func() {
			defer done.Done()
			for j := 0; j < 20; j++ {
				locked(func() { time.Sleep(100 * time.Microsecond); counted++ })
				lock.Lock()
				counted++
				unlock()
			}
		}()
	}
	done.Wait()
	answers := make(chan int)
	go func() {
		for i := 0; i < 50; i++ {
			time.Sleep(50 * time.Microsecond)
			answers <- i
		}
		close(answers)
	}()
	for range answers {
		counted++
	}
	select {
	case <-gate:
	case <-time.After(time.Millisecond):
	}
}

func wait(from chan int) int { return <-from }

//go:noinline
func parked(depth int) int {
	if depth > 0 {
		return parked(depth-1) + 1
	}
	return wait(never)
}

func labelled(number int) {
	set := pprof.Labels("worker", strconv.Itoa(number%10), "kind", "parked", "empty", "")
	pprof.Do(context.Background(), set, func(context.Context) {
		started.Done()
		parked(number % 5)
	})
}

func park(goroutines int) {
	for i := 0; i < goroutines; i++ {
		started.Add(1)
		go labelled(i)
	}
	for _, body := range []func(){
		func() { parked(200) },
		func() { time.Sleep(time.Hour) },
		func() { select {} },
		func() { lock.Lock() },
		func() { runtime.LockOSThread(); <-never },
		func() { more() },
	} {
		started.Add(1)
		go func(body func()) { started.Done(); body() }(body)
	}
	started.Wait()
	time.Sleep(50 * time.Millisecond)
}

func write(folder, kind string) {
	file, err := os.Create(filepath.Join(folder, kind+".pb.gz"))
	if err == nil {
		err = pprof.Lookup(kind).WriteTo(file, 0)
	}
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		panic(err)
	}
}

func main() {
	runtime.MemProfileRate = 2048
	runtime.SetBlockProfileRate(1)
	runtime.SetMutexProfileFraction(2)
	goroutines := 100
	if len(os.Args) > 2 && os.Args[2] == "off" {
		runtime.MemProfileRate = 0
		runtime.SetBlockProfileRate(0)
		runtime.SetMutexProfileFraction(0)
	} else if len(os.Args) > 2 {
		goroutines, _ = strconv.Atoi(os.Args[2])
	}
	allocate()
	contend()
	lock.Lock()
	park(goroutines)
	debug.SetGCPercent(-1)
	stopCounting()
	runtime.GC()
	runtime.GC()
	for _, kind := range []string{"heap", "allocs", "goroutine", "threadcreate", "block", "mutex"} {
		write(os.Args[1], kind)
	}
	os.Stdout.WriteString("ready\n")
	time.Sleep(time.Hour)
}
