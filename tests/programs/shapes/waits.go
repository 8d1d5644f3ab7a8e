package main

import (
	"runtime"
	"sync"
	"time"
)

// Locks are held or never signalled, for as long as the program lives.
var Locks struct {
	held    sync.Mutex
	read    sync.RWMutex
	written sync.RWMutex
	group   sync.WaitGroup
	cond    *sync.Cond
	once    sync.Once
	nothing chan int
	first   chan int
	second  chan string
}

func startWaits() {
	l := &Locks
	l.held.Lock()
	l.read.RLock()
	l.written.Lock()
	l.group.Add(1)
	l.cond = sync.NewCond(&sync.Mutex{})
	l.first, l.second = make(chan int), make(chan string)
	launch(3, block)
	launch(2, func() { l.first <- 1 })
	launch(1, func() { <-l.nothing })
	launch(1, func() { l.nothing <- 1 })
	launch(1, func() { select {} })
	launch(2, selectTwo)
	launch(1, func() { time.Sleep(time.Hour) })
	launch(2, l.held.Lock)
	launch(1, l.read.Lock)
	launch(1, l.written.RLock)
	launch(1, l.group.Wait)
	launch(1, func() { l.cond.L.Lock(); l.cond.Wait() })
	launch(1, func() { l.once.Do(block) })
	launch(1, func() { runtime.LockOSThread(); block() })
	launch(1, func() { <-time.After(time.Hour) })
	launch(1, func() {
		for range forever {
		}
	})
}

func selectTwo() {
	never := make(chan string)
	select {
	case n := <-forever:
		sink += n
	case text := <-never:
		sink += len(text)
	}
}
