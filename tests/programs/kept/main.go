// Objects of many shapes, some of them garbage, in a program that is quiet: what is alive is what the last
// collection found. At SIGUSR1 it lets go of what `cache` keeps, collects, and says how much less there is.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type entry struct {
	name  string
	next  *entry
	data  []byte
	owner any
}

type large struct {
	before [100]uint64
	first  *entry
	middle [7]struct {
		pad  uint64
		next *entry
		text string
	}
	last map[int]*entry
}

type pair[K comparable, V any] struct {
	key   K
	value V
	other *pair[K, V]
}

type walker interface{ walk() int }

func (e *entry) walk() int { return len(e.name) }

type byValue struct{ a, b *entry }

func (v byValue) walk() int { return 1 }

var (
	cache    map[string]*entry
	list     *entry
	big      []*entry
	structs  []large
	bigOne   *large
	arrays   *[3000]pair[int, *entry]
	closures []func() int
	faces    []walker
	anything []any
	channels []chan *entry
	inner    *string // into the middle of an object
	tiny     []*byte
	intKeys  map[int]int
	buckets  map[[4]uint64]*pair[string, []int]
	ring     *entry
	pool     = sync.Pool{New: func() any { return new(entry) }}
	timers   []*time.Timer
	waiting  sync.WaitGroup
	huge     []byte
	mixed    []*[5000]*entry
	matrix   [][]*entry
	table    [64]*entry
	embedded struct {
		pad  [3]uint64
		list [5]*pair[int, string]
	}
	noPointers [][]float64
)

func made(n int) *entry {
	return &entry{name: fmt.Sprint("entry ", n), data: make([]byte, n%300), owner: n}
}

func chain(n int) *entry {
	var first *entry
	for i := 0; i < n; i++ {
		e := made(i)
		e.next = first
		first = e
	}
	return first
}

func fill() {
	cache = map[string]*entry{}
	for i := 0; i < 5000; i++ {
		e := made(i)
		e.next = made(i + 1)
		cache[e.name] = e
	}
	list = chain(2000)
	for i := 0; i < 20000; i++ {
		big = append(big, made(i))
	}
	structs = make([]large, 300)
	for i := range structs {
		structs[i].first, structs[i].middle[i%7].next = made(i), made(i)
		structs[i].last = map[int]*entry{i: made(i)}
	}
	bigOne = &large{first: made(1), last: map[int]*entry{}}
	bigOne.middle[6].text = fmt.Sprint("the last text ", len(list.name))
	arrays = new([3000]pair[int, *entry])
	for i := range arrays {
		arrays[i].value = made(i)
		arrays[i].other = &pair[int, *entry]{key: i}
	}
	for i := 0; i < 500; i++ {
		e, n := made(i), i
		closures = append(closures, func() int { return len(e.name) + n })
		faces = append(faces, e, byValue{made(i), nil})
		anything = append(anything, i, fmt.Sprint(i), e, &n, map[string]int{"x": i}, [2]*entry{e, nil})
		c := make(chan *entry, 3)
		c <- made(i)
		channels = append(channels, c)
		b := byte(i)
		tiny = append(tiny, &b)
		matrix = append(matrix, make([]*entry, i))
		matrix[i] = append(matrix[i], made(i))
		noPointers = append(noPointers, make([]float64, i))
	}
	hidden := &struct {
		pad  [9]uint64
		text string
	}{text: fmt.Sprint("interior ", len(faces))}
	inner = &hidden.text
	intKeys = map[int]int{}
	buckets = map[[4]uint64]*pair[string, []int]{}
	for i := 0; i < 3000; i++ {
		intKeys[i] = i
		buckets[[4]uint64{uint64(i)}] = &pair[string, []int]{key: fmt.Sprint(i), value: make([]int, i%10)}
	}
	ring = chain(10)
	end := ring
	for end.next != nil {
		end = end.next
	}
	end.next = ring
	for i := 0; i < 100; i++ {
		pool.Put(made(i))
		timers = append(timers, time.AfterFunc(time.Hour, closed(made(i))))
	}
	huge = make([]byte, 3<<20)
	for i := 0; i < 20; i++ {
		m := new([5000]*entry)
		m[i*100], m[4999] = made(i), made(i)
		mixed = append(mixed, m)
		table[i] = made(i)
		embedded.list[i%5] = &pair[int, string]{value: fmt.Sprint(i)}
	}
	finalized()
	newer()
}

// Objects that are dead and have a finalizer or cleanup, and how many of those ran.
var (
	dying int32
	ran   atomic.Int32
)

func closed(e *entry) func() { return func() { e.walk() } }

func finalized() {
	for i := 0; i < 50; i++ {
		e := made(i)
		e.next = made(i)
		runtime.SetFinalizer(e, func(e *entry) { e.walk(); ran.Add(1) })
		if i%2 == 0 {
			big = append(big, e)
		} else {
			dying++
		}
	}
}

//go:noinline
func parked(n int, deep int, out chan int) int {
	local := made(n)
	var onStack [4]*entry
	onStack[n%4] = made(n + 1)
	at := &onStack[n%4]
	if deep > 0 {
		return parked(n, deep-1, out) + local.walk() + (*at).walk()
	}
	defer func() { local.walk() }()
	waiting.Done()
	<-out
	return local.walk() + (*at).walk()
}

// What only the record of a deferred call leads to.
func deferring(n int, out chan int) {
	for i := 0; i <= n%3; i++ {
		e := made(n + i)
		defer func() { e.walk() }()
	}
	waiting.Done()
	<-out
}

func garbage() int {
	sum := 0
	for i := 0; i < 20000; i++ {
		e := chain(3)
		sum += len(e.name)
	}
	return sum
}

// freed is how many bytes were ever freed: what is allocated meanwhile, a thread's structures for instance,
// does not count.
func freed() uint64 {
	for i := 0; i < 3; i++ {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc - m.HeapAlloc
}

func main() {
	debug.SetGCPercent(-1)
	fill()
	for i := 0; i < 40; i++ {
		waiting.Add(1)
		go parked(i, i%7, make(chan int))
	}
	for i := 0; i < 200; i++ {
		waiting.Add(1)
		go deferring(i, make(chan int))
	}
	waiting.Wait()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	fmt.Fprintln(os.Stderr, garbage())
	for runtime.GC(); ran.Load() < dying; {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond)
	for i := 0; i < 3; i++ {
		runtime.GC()
	}
	fmt.Println("ready")
	for range signals {
		before := freed()
		cache = nil
		fmt.Println("less", freed()-before)
	}
}
