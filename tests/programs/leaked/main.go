// Leaked has goroutines that nothing can wake, whose functions begin with leak, and others that look like them.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"addrspace.test/kit"
)

type node struct {
	channel chan int
	next    *node
}

// lock is larger than what the runtime puts into one object with others, which something else may lead to.
type lock struct {
	sync.Mutex
	more [4]int
}

var (
	global     = make(chan int)
	listed     *node
	byName     = map[string]chan int{}
	mutex      sync.Mutex
	reads      sync.RWMutex
	group      sync.WaitGroup
	cond       = sync.NewCond(&sync.Mutex{})
	finalized  = new([64]int)
	deadline   context.Context
	stopFunc   func()
	inClosure  func()
	inFace     any
	started    sync.WaitGroup
	buffered   = make(chan chan int, 1)
	onChannels = make(chan *node)
)

func leakReceive() { <-make(chan int) }

func leakSend() { make(chan int) <- 1 }

func leakRange() {
	for range make(chan int) {
	}
}

func leakNilReceive() {
	var none chan int
	<-none
}

func leakNilSend() {
	var none chan int
	none <- 1
}

func leakEmptySelect() { select {} }

func leakSelect() {
	one, two := make(chan int), make(chan int)
	select {
	case <-one:
	case two <- 1:
	}
}

func leakMutex() {
	one := new(lock)
	one.Lock()
	one.Lock()
}

func leakReadLock() {
	one := new(sync.RWMutex)
	one.Lock()
	one.RLock()
}

func leakWriteLock() {
	one := new(sync.RWMutex)
	one.RLock()
	one.Lock()
}

func leakWaitGroup() {
	one := new(sync.WaitGroup)
	one.Add(1)
	one.Wait()
}

func leakCond() {
	one := sync.NewCond(new(sync.Mutex))
	one.L.Lock()
	one.Wait()
}

// Two that wait in one sync.Cond, and two in one sync.Mutex: they lead to each other.
func leakTogether(one *sync.Cond) {
	one.L.Lock()
	one.Wait()
}

func leakBoth(one *lock) { one.Lock() }

// Each has what the other waits for.
func leakCrossed(mine, other chan int) {
	<-mine
	other <- 1
}

// The first waits for nothing that can be had, and has what the next waits for.
func leakChain(length int) {
	next := make(chan int)
	if length > 0 {
		go begun(func() { leakChainEnd(next) })
	}
	<-make(chan int)
	close(next)
}

func leakChainEnd(channel chan int) { <-channel }

func leakHolding() {
	held := make([]byte, 1<<20)
	<-make(chan int)
	runtime.KeepAlive(held)
}

// What it waits for is garbage, and points to what is alive.
func leakFromAlive() {
	one := &node{make(chan int), listed}
	<-one.channel
	runtime.KeepAlive(one)
}

func liveGlobal() { <-global }

func liveListed() { <-listed.next.channel }

func liveInMap() { byName["one"] <- 1 }

func liveBuffered(channel chan int) { <-channel }

func liveSelect() {
	select {
	case <-make(chan int):
	case <-global:
	}
}

func liveMutex() { mutex.Lock() }

func liveReadLock() { reads.RLock() }

func liveWaitGroup() { group.Wait() }

func liveCond() {
	cond.L.Lock()
	cond.Wait()
}

func liveTimer() { <-time.After(time.Hour) }

func liveTicker() { <-time.NewTicker(time.Hour).C }

func liveAfterFunc(channel chan int) { <-channel }

func liveContext() { <-deadline.Done() }

func liveFinalizer(channel chan int) { <-channel }

func liveClosure(channel chan int) { <-channel }

func liveFace(channel chan int) { <-channel }

func liveSleeper(channel chan int) {
	time.Sleep(time.Hour)
	close(channel)
}

func liveBySleeper(channel chan int) { <-channel }

// It can be woken, and has what the next waits for, which has what the last waits for.
func liveChain(length int, first chan int) {
	next := make(chan int)
	if length > 0 {
		go begun(func() { liveChain(length-1, next) })
	}
	<-first
	close(next)
}

// Whoever has the other end of a channel of channels may send it.
func liveOffered(one *node) {
	onChannels <- one
}

func liveByOffered(channel chan int) { <-channel }

func begun(body func()) {
	started.Done()
	body()
}

func start(bodies ...func()) {
	for _, body := range bodies {
		started.Add(1)
		go begun(body)
	}
}

//go:noinline
func startLeaks() {
	start(leakReceive, leakSend, leakRange, leakNilReceive, leakNilSend, leakEmptySelect, leakSelect)
	start(leakMutex, leakReadLock, leakWriteLock, leakWaitGroup, leakCond, leakHolding, leakFromAlive)
	one := sync.NewCond(new(sync.Mutex))
	together := func() { leakTogether(one) }
	start(together, together)
	both := new(lock)
	both.Lock()
	blocked := func() { leakBoth(both) }
	start(blocked, blocked)
	mine, other := make(chan int), make(chan int)
	start(func() { leakCrossed(mine, other) }, func() { leakCrossed(other, mine) })
	started.Add(1)
	start(func() { leakChain(1) })
}

//go:noinline
func startLive() {
	mutex.Lock()
	reads.Lock()
	group.Add(1)
	deadline, stopFunc = context.WithTimeout(context.Background(), time.Hour)
	listed = &node{next: &node{channel: make(chan int)}}
	byName["one"] = make(chan int)
	start(liveGlobal, liveListed, liveInMap, liveSelect, liveMutex, liveReadLock, liveWaitGroup, liveCond)
	start(liveTimer, liveTicker, liveContext)
	in := make(chan int)
	buffered <- in
	start(func() { liveBuffered(in) })
	after := make(chan int)
	time.AfterFunc(time.Hour, func() { close(after) })
	start(func() { liveAfterFunc(after) })
	final := make(chan int)
	runtime.SetFinalizer(finalized, func(*[64]int) { close(final) })
	start(func() { liveFinalizer(final) })
	captured := make(chan int)
	inClosure = func() { close(captured) }
	start(func() { liveClosure(captured) })
	face := make(chan int)
	inFace = []any{face}
	start(func() { liveFace(face) })
	slept := make(chan int)
	start(func() { liveSleeper(slept) }, func() { liveBySleeper(slept) })
	started.Add(3)
	start(func() { liveChain(3, global) })
	offered := &node{channel: make(chan int)}
	start(func() { liveOffered(offered) }, func() { liveByOffered(offered.channel) })
}

func main() {
	startLeaks()
	startLive()
	started.Wait()
	kit.Park()
	if err := profiled(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ready")
	select {} // which is no leak, for that is how many programs are made
}
