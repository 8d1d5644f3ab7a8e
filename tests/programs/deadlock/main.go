// Deadlock has goroutines that all wait for one another.
//
//	deadlock ORACLE HOW
//
// HOW is what main waits for: group, channel, mutex, nothing, or gone: it has ended.
package main

import (
	"os"
	"runtime"
	"sync"
)

type pool struct {
	group sync.WaitGroup
	mutex sync.Mutex
	jobs  chan int
}

//go:noinline
func (p *pool) drain() {
	p.group.Wait()
}

//go:noinline
func (p *pool) work() {
	<-p.jobs
}

//go:noinline
func (p *pool) lock() {
	p.mutex.Lock()
}

func main() {
	if len(os.Args) != 3 {
		os.Stderr.WriteString("usage: deadlock ORACLE HOW\n")
		os.Exit(2)
	}
	p := &pool{jobs: make(chan int)}
	p.mutex.Lock()
	for i := 0; i < 3; i++ {
		p.group.Add(1)
		go p.work()
	}
	go p.lock()
	switch os.Args[2] {
	case "group":
		p.drain()
	case "channel":
		p.work()
	case "mutex":
		p.lock()
	case "nothing":
		select {}
	case "gone":
		runtime.Goexit()
	}
}
