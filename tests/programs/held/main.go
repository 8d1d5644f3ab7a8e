// Objects that roots of many kinds lead to, by fields, slices, maps, channels and closures. A line for each says
// where it is. What leads there hangs on interfaces, so that its type can be known without debug information.
package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
	"unsafe"
)

type user struct {
	number uint64
	friend *user
	pad    [4]uint64
}

type request struct {
	id   [3]uint64
	body struct {
		length int
		who    *user
	}
}

type node struct {
	value *user
	next  *node
}

type list [7]struct {
	skip uint64
	to   *user
}

type large struct {
	pad    [100]uint64
	middle struct{ name, text *user }
}

type opened struct{ to *user }

type application struct {
	pad   [3]uint64
	users map[string]*user
	first struct{ deep [2]*user }
}

// What app points to lies in data and has no name of its own.
var (
	app   = &application{}
	state struct {
		name  string
		table [5]*user
	}
)

var hoard [][]byte // with an argument

// Two variables and a goroutine hold what this has, with another argument.
type ledger struct{ pages [][]byte }

var first, second *ledger

var (
	kept    []any
	inside  *uint64
	waiting sync.WaitGroup
	block   = make(chan bool)
	lost    uintptr
)

//go:noinline
func made(name string) *user {
	u := new(user)
	say(name, unsafe.Pointer(u))
	return u
}

func say(name string, at unsafe.Pointer) { fmt.Printf("object %s %#x\n", name, uintptr(at)) }

// keep makes the type of what a pointer leads to known.
func keep[T any](v T) { kept = append(kept, v) }

//go:noinline
func serve(req *request) {
	waiting.Done()
	<-block
	fmt.Println(req.id, req.body.who)
}

//go:noinline
func caught(u *user) func() uint64 { return func() uint64 { return u.number } }

func fill() {
	n := &node{value: made("chained")}
	for i := 0; i < 20; i++ {
		n = &node{next: n}
	}
	keep(n)
	ring := &node{value: made("ringed")}
	ring.next = &node{next: &node{next: ring}}
	keep(ring)

	l := new(list)
	l[4].to = made("listed")
	keep(l)
	slice := make([]list, 3)
	slice[2][1].to = made("sliced")
	keep(slice)
	b := new(large)
	b.middle.text = made("deep")
	keep(b)

	small := map[string]*user{"a": made("valued")}
	wide := map[*user]int{}
	for i := 0; i < 500; i++ {
		wide[new(user)] = i
	}
	wide[made("keyed")] = 1
	keep(small)
	keep(wide)
	c := make(chan *user, 5)
	c <- made("sent")
	keep(c)
	keep(caught(made("captured")))

	app.users = map[string]*user{"a": made("in app")}
	app.first.deep[1] = made("deep in app")
	state.table[3] = made("in state")
}

//go:noinline
func drop() {
	u := made("lost")
	u.friend = made("with it")
	u.friend.friend = u
	lost = uintptr(unsafe.Pointer(u))
}

//go:noinline
func open() {
	o := &opened{to: made("finalized")}
	say("opened", unsafe.Pointer(o))
	runtime.SetFinalizer(o, func(o *opened) {})
}

func main() {
	debug.SetGCPercent(-1)
	fill()
	drop()
	open()
	whole := made("inside")
	inside = &whole.pad[2]
	shared := made("shared")
	for i := 0; i < 5; i++ {
		r := new(request)
		r.body.who = shared
		keep(r)
		waiting.Add(1)
		go serve(r)
	}
	waiting.Wait()
	pages := [][]byte{}
	for i := 0; len(os.Args) > 1 && i < 64; i++ {
		pages = append(pages, bytes.Repeat([]byte{1}, 1<<20))
	}
	if len(os.Args) > 1 && os.Args[1] == "together" {
		first = &ledger{pages}
		second = first
		go func(l *ledger) { <-block; fmt.Println(l.pages) }(first)
	} else {
		hoard = pages
	}
	fmt.Println("ready")
	time.Sleep(time.Hour) // nobody else can run, which would be a deadlock
}
