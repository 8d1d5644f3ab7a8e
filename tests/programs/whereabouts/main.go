// Whereabouts prints where its own objects are, and what they are.
//
//	whereabouts ORACLE
//
// ORACLE is one JSON array of Places. Nothing that is recorded moves or dies afterwards: the collector is
// off, and the goroutines that were asked are parked for good. It then says "ready" and waits.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// Place is one address and what the program knows of it.
type Place struct {
	Kind     string   `json:"kind"` // "heap", "stack", "global", "function" …
	Name     string   `json:"name"`
	Address  uint64   `json:"address"`
	Base     uint64   `json:"base,omitempty"` // of the object or symbol
	Size     uint64   `json:"size,omitempty"` // of the object as the program asked for it
	Type     string   `json:"type,omitempty"`
	Noscan   bool     `json:"noscan,omitempty"`
	Goid     int      `json:"goid,omitempty"`
	Function string   `json:"function,omitempty"`
	File     string   `json:"file,omitempty"`
	Line     int      `json:"line,omitempty"`
	Chain    []string `json:"chain,omitempty"` // inlined, innermost first
	Text     string   `json:"text,omitempty"`
}

// Point is small and has no pointers.
type Point struct{ X, Y int64 }

// Node is small and has pointers.
type Node struct {
	Next  *Node
	Text  string
	Value int64
}

// Wide has pointers and a malloc header (more than 512 bytes).
type Wide struct {
	Head  *Node
	Body  [100]int64
	Tail  *Node
	Label string
}

// Huge has a span of its own.
type Huge struct {
	Head *Node
	Body [6000]int64
	Tail *Node
}

// Config is a global's type.
type Config struct {
	Name  string
	Inner struct{ A, B int64 }
	List  []int64
}

var (
	// Settings is data.
	Settings = Config{Name: "settings", List: []int64{1, 2, 3}}
	// Table is bss.
	Table [64]int64
	// Pointers is bss with pointers.
	Pointers [8]*Node
	// Kept keeps heap objects alive.
	Kept []any
	// Said is an interface that gdb may look at.
	Said any
	// Greeting is a string that gdb may look at.
	Greeting = "greetings from the read-only data"
	// Numbers is a slice that gdb may look at.
	Numbers []int64
	// Writer is an interface with methods.
	Writer io.Writer = os.Stdout

	places []Place
	mutex  sync.Mutex
)

func add(place Place) {
	mutex.Lock()
	places = append(places, place)
	mutex.Unlock()
}

func heap[T any](name string, object *T, offset uintptr) {
	var one T
	kind := reflect.TypeOf(one)
	Kept = append(Kept, object)
	base := uint64(uintptr(unsafe.Pointer(object)))
	add(Place{Kind: "heap", Name: name, Address: base + uint64(offset), Base: base, Size: uint64(kind.Size()),
		Type: kind.String(), Noscan: !pointers(kind)})
}

// pointers says whether a type holds any.
func pointers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return t.Len() > 0 && pointers(t.Elem())
	case reflect.Struct:
		for i := 0; i < t.NumField(); i++ {
			if pointers(t.Field(i).Type) {
				return true
			}
		}
		return false
	case reflect.Bool, reflect.Int, reflect.Int64, reflect.Uint8, reflect.Float64, reflect.Uintptr:
		return false
	}
	return true
}

func heapObjects() {
	heap("small noscan", &Point{1, 2}, unsafe.Offsetof(Point{}.Y))
	heap("small scan", &Node{Text: "small"}, unsafe.Offsetof(Node{}.Value))
	heap("header", &Wide{Label: "wide"}, unsafe.Offsetof(Wide{}.Tail))
	heap("header start", &Wide{Label: "wide"}, 0)
	heap("large scan", &Huge{}, unsafe.Offsetof(Huge{}.Tail))
	heap("large noscan", new([100000]int64), 80)
	heap("medium noscan", new([300]int64), 800)
	for size := 16; size <= 32768; size *= 2 {
		bytes := make([]byte, size)
		Kept = append(Kept, bytes)
		at := uint64(uintptr(unsafe.Pointer(&bytes[0])))
		add(Place{Kind: "heap", Name: "bytes " + strconv.Itoa(size), Address: at + uint64(size) - 1, Base: at,
			Size: uint64(size), Noscan: true})
	}
	text := strings.Repeat("built at run time ", 8)
	Kept = append(Kept, &text)
	add(Place{Kind: "heap", Name: "string", Address: word(unsafe.Pointer(&text)), Base: word(unsafe.Pointer(&text)),
		Size: uint64(len(text)), Noscan: true})
	Numbers = make([]int64, 400)
	add(Place{Kind: "heap", Name: "slice", Address: uint64(uintptr(unsafe.Pointer(&Numbers[100]))),
		Base: uint64(uintptr(unsafe.Pointer(&Numbers[0]))), Size: 3200, Noscan: true})
	Said = &Node{Text: "said"}
	add(Place{Kind: "heap", Name: "said", Address: second(unsafe.Pointer(&Said)), Type: "main.Node"})

	table := map[string]*Node{}
	for i := 0; i < 1000; i++ {
		table["key "+strconv.Itoa(i)] = &Node{Value: int64(i)}
	}
	channel := make(chan Wide, 20)
	Kept = append(Kept, table, channel)
	// A map's buckets or directory, and a channel's buffer, are at offset 16 (runtime.hmap, internal/runtime/maps.Map, runtime.hchan).
	at := word(unsafe.Pointer(&table))
	add(Place{Kind: "heap", Name: "map", Address: at, Base: at})
	add(Place{Kind: "heap", Name: "map buckets", Address: at16(at)})
	at = word(unsafe.Pointer(&channel))
	add(Place{Kind: "heap", Name: "channel", Address: at, Base: at, Size: 96})
	add(Place{Kind: "heap", Name: "channel buffer", Address: at16(at) + 900, Base: at16(at), Size: 20 * uint64(unsafe.Sizeof(Wide{})),
		Type: "main.Wide"})
}

func word(p unsafe.Pointer) uint64   { return *(*uint64)(p) }
func second(p unsafe.Pointer) uint64 { return *(*uint64)(unsafe.Add(p, 8)) }
func at16(address uint64) uint64 {
	p := *(*unsafe.Pointer)(unsafe.Pointer(&address))
	return word(unsafe.Add(p, 16))
}

//go:noinline
func capture(n int) func() int {
	return func() int { n++; return n }
}

// Speak is for a method value.
func (n *Node) Speak() string { return n.Text }

// Write is for an itab.
func (n *Node) Write(data []byte) (int, error) { return len(data), nil }

func closures() {
	closure := capture(3)
	method := (&Node{Text: "method"}).Speak
	plain := capture
	Kept = append(Kept, &closure, &method, &plain)
	at := word(unsafe.Pointer(&closure))
	add(Place{Kind: "heap", Name: "closure", Address: at, Base: at, Function: "main.capture.func1"})
	at = word(unsafe.Pointer(&method))
	add(Place{Kind: "heap", Name: "method value", Address: at, Base: at, Function: "main.(*Node).Speak-fm"})
	add(Place{Kind: "rodata", Name: "func value", Address: word(unsafe.Pointer(&plain)), Function: "main.capture"})
}

func globals() {
	add(Place{Kind: "global", Name: "main.Settings", Address: uint64(uintptr(unsafe.Pointer(&Settings.Inner.B))),
		Base: uint64(uintptr(unsafe.Pointer(&Settings))), Type: "main.Config", Text: "Inner.B"})
	add(Place{Kind: "global", Name: "main.Table", Address: uint64(uintptr(unsafe.Pointer(&Table[10]))),
		Base: uint64(uintptr(unsafe.Pointer(&Table))), Type: "[64]int64", Text: "[10]"})
	add(Place{Kind: "global", Name: "main.Pointers", Address: uint64(uintptr(unsafe.Pointer(&Pointers[7]))),
		Base: uint64(uintptr(unsafe.Pointer(&Pointers))), Type: "[8]*main.Node", Text: "[7]"})
}

func readOnly() {
	add(Place{Kind: "string", Name: "literal", Address: word(unsafe.Pointer(&Greeting)), Text: Greeting})
	for _, value := range []any{Node{}, &Node{}, 17, []Node(nil), map[string]*Node(nil), Wide{}, struct{ A, B int }{}} {
		boxed := value
		at := word(unsafe.Pointer(&boxed))
		add(Place{Kind: "type", Name: "type", Address: at, Base: at, Type: reflect.TypeOf(value).String()})
		add(Place{Kind: "type", Name: "inside type", Address: at + 40, Base: at, Type: reflect.TypeOf(value).String()})
	}
	var node io.Writer = &Node{}
	at := word(unsafe.Pointer(&node))
	add(Place{Kind: "itab", Name: "itab", Address: at, Type: "*main.Node", Text: "io.Writer"})
	at = word(unsafe.Pointer(&Writer))
	add(Place{Kind: "itab", Name: "itab", Address: at + 24, Type: "*os.File", Text: "io.Writer"})
}

//go:noinline
func outer(out []uintptr) int { return middle(out) }

func middle(out []uintptr) int { return inner(out) }

func inner(out []uintptr) int { return runtime.Callers(1, out) }

func code() {
	for _, f := range []any{capture, main, (*Node).Speak, strconv.Itoa, fmt.Fprintf} {
		pc := reflect.ValueOf(f).Pointer()
		function := runtime.FuncForPC(pc)
		file, line := function.FileLine(pc)
		add(Place{Kind: "function", Name: function.Name(), Address: uint64(pc), Base: uint64(function.Entry()),
			Function: function.Name(), File: file, Line: line})
	}
	out := make([]uintptr, 32)
	count := outer(out)
	var chain []string
	place := Place{Kind: "inlined", Name: "inlined", Address: uint64(out[0]) - 1}
	frames := runtime.CallersFrames(out[:count])
	for {
		frame, more := frames.Next()
		if len(chain) == 0 {
			place.Function, place.File, place.Line = frame.Function, frame.File, frame.Line
		}
		chain = append(chain, frame.Function)
		if frame.Function == "main.outer" || !more {
			break
		}
	}
	place.Chain = chain
	add(place)
}

func goid() int {
	text := make([]byte, 64)
	text = text[:runtime.Stack(text, false)]
	id, _ := strconv.Atoi(strings.Fields(string(text))[1])
	return id
}

// noescape hides a pointer from escape analysis.
func noescape(p unsafe.Pointer) uint64 {
	x := uintptr(p)
	return uint64(x ^ 0)
}

//go:noinline
func deeper(number int, marked [4]int64, started chan bool) {
	var local [6]int64
	local[3] = int64(number)
	id := goid()
	add(Place{Kind: "stack", Name: "local", Address: noescape(unsafe.Pointer(&local[3])), Base: noescape(unsafe.Pointer(&local)),
		Goid: id, Function: "main.deeper"})
	add(Place{Kind: "stack", Name: "marked", Address: noescape(unsafe.Pointer(&marked[1])), Base: noescape(unsafe.Pointer(&marked)),
		Goid: id, Function: "main.deeper"})
	started <- true
	<-never
	runtime.KeepAlive(local)
	use(&local, &marked)
}

//go:noinline
func use(a *[6]int64, b *[4]int64) {
	if a[0] == 77 {
		b[0]++
	}
}

//go:noinline
func recurse(depth int, started chan bool) int {
	var room [100]int64
	room[depth%100] = int64(depth)
	if depth > 0 {
		return recurse(depth-1, started) + int(room[depth%100])
	}
	deeper(depth, [4]int64{1, 2, 3, 4}, started)
	return int(room[0])
}

var never = make(chan bool)

func stacks() {
	started := make(chan bool)
	for i := 0; i < 3; i++ {
		depth := i * 20
		go func() { recurse(depth, started) }()
	}
	for i := 0; i < 3; i++ {
		<-started
	}
	ended := make(chan uint64)
	go func() {
		var local [8]int64
		local[1] = 1
		ended <- noescape(unsafe.Pointer(&local[1]))
		runtime.KeepAlive(local)
	}()
	add(Place{Kind: "dead stack", Name: "ended", Address: <-ended})
	time.Sleep(10 * time.Millisecond)
}

func mapped(path string) {
	page := syscall.Getpagesize()
	for _, one := range []struct {
		name string
		prot int
	}{{"anonymous", syscall.PROT_READ | syscall.PROT_WRITE}, {"no access", syscall.PROT_NONE}} {
		data, err := syscall.Mmap(-1, 0, 16*page, one.prot, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err != nil {
			panic(err)
		}
		at := uint64(uintptr(unsafe.Pointer(&data[0])))
		add(Place{Kind: "mmap", Name: one.name, Address: at + 5000})
	}
	file, err := os.Open(path)
	if err != nil {
		panic(err)
	}
	data, err := syscall.Mmap(int(file.Fd()), 0, page, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	add(Place{Kind: "file", Name: path, Address: uint64(uintptr(unsafe.Pointer(&data[0]))) + 7})
	gone, err := syscall.Mmap(-1, 0, 64*page, syscall.PROT_READ, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	at := uint64(uintptr(unsafe.Pointer(&gone[0])))
	if err := syscall.Munmap(gone); err != nil {
		panic(err)
	}
	add(Place{Kind: "gone", Name: "unmapped", Address: at + 100})
}

//go:noinline
func dropped() (uint64, uint64) {
	nodes := make([]*[24]int64, 4000)
	for i := range nodes {
		nodes[i] = new([24]int64)
	}
	for i := 0; i < len(nodes); i += 2 {
		Kept = append(Kept, nodes[i])
	}
	large := make([]byte, 40<<20)
	return uint64(uintptr(unsafe.Pointer(nodes[3001]))), uint64(uintptr(unsafe.Pointer(&large[20<<20])))
}

//go:noinline
func breakpoint() { runtime.KeepAlive(&places) }

func main() {
	path := os.Args[1]
	small, large := dropped()
	runtime.GC()
	runtime.GC()
	debug.FreeOSMemory()
	debug.SetGCPercent(-1)
	add(Place{Kind: "free", Name: "collected", Address: small})
	add(Place{Kind: "returned", Name: "returned", Address: large})
	heapObjects()
	closures()
	globals()
	readOnly()
	code()
	stacks()
	mapped(os.Args[0])
	text, err := json.MarshalIndent(places, "", " ")
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		panic(err)
	}
	breakpoint()
	os.Stdout.WriteString("ready\n")
	time.Sleep(2 * time.Minute)
}
