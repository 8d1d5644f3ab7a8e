package kit

import (
	"bytes"
	"runtime"
	"sync"
	"time"
)

// Lite keeps what it made alive.
var Lite struct {
	Objects []any
	Large   []byte
	Mutex   sync.Mutex
	Group   sync.WaitGroup
	Receive chan int
	Nil     chan int
	Text    map[string]int
	started sync.WaitGroup
}

type linked struct {
	next *linked
	text string
}

// Populate makes some goroutines in common states and some objects, and returns when all are parked.
func Populate() {
	Lite.Receive = make(chan int)
	Lite.Mutex.Lock()
	Lite.Group.Add(1)
	start(3, func() { descend(5, receive) })
	start(2, func() { descend(40, receive) })
	start(1, func() { descend(2000, receive) })
	start(1, func() { Lite.Nil <- 1 })
	start(1, func() { select {} })
	start(1, func() { time.Sleep(time.Hour) })
	start(1, Lite.Mutex.Lock)
	start(1, Lite.Group.Wait)
	start(1, func() { runtime.LockOSThread(); receive() })
	fill()
	Lite.started.Wait()
	Park()
}

func start(count int, body func()) {
	for i := 0; i < count; i++ {
		Lite.started.Add(1)
		go func() {
			Lite.started.Done()
			body()
		}()
	}
}

// Park returns when every other goroutine has blocked, or after five seconds.
func Park() {
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
		Stacks()
		if !bytes.Contains(Dump[:DumpLength], []byte(" [runnable")) {
			return
		}
	}
}

//go:noinline
func descend(depth int, body func()) int {
	if depth == 0 {
		body()
		return 0
	}
	return descend(depth-1, body) + 1
}

//go:noinline
func receive() {
	<-Lite.Receive
}

func fill() {
	var list *linked
	for i := 0; i < 20000; i++ {
		list = &linked{list, "node"}
	}
	Lite.Objects = append(Lite.Objects, list)
	for size := 8; size <= 32768; size *= 2 {
		for i := 0; i < 20; i++ {
			Lite.Objects = append(Lite.Objects, make([]byte, size), make([]*int, size/8))
		}
	}
	Lite.Large = make([]byte, 3<<20)
	for i := range Lite.Large {
		Lite.Large[i] = byte(i)
	}
	Lite.Text = map[string]int{}
	for i := 0; i < 500; i++ {
		Lite.Text[string(rune('a'+i%26))+string(rune('a'+i/26))] = i
	}
}
