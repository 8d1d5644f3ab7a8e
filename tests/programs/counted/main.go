// Counted gets signals, and counts what was sent and what has come, while its threads work, are born and die,
// and while it runs children. A child of its own sends it most of the signals. After each line on its standard
// input it prints "counts", whether all signals that were sent have come, and how much of everything there is.
//
//	counted THREADS
package main

// #include "counted.h"
import "C"

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

var turns, births, children, failures int64

var kept [64]atomic.Value

func main() {
	runtime.GOMAXPROCS(4)
	threads, err := strconv.Atoi(os.Args[1])
	if err != nil || threads < 1 {
		panic("counted THREADS")
	}
	var ready sync.WaitGroup
	ready.Add(threads)
	for i := 0; i < threads; i++ {
		go worker(i, 5*time.Millisecond+time.Duration(threads)*time.Millisecond, &ready)
	}
	ready.Wait()
	if C.counted_start(C.int(threads)) < 0 {
		panic("no child")
	}
	go toItself()
	go beget()
	go bear()
	fmt.Println("ready")
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		report()
	}
}

// worker has a thread of its own, works and allocates.
func worker(number int, nap time.Duration, ready *sync.WaitGroup) {
	runtime.LockOSThread()
	C.counted_thread(C.int(number))
	ready.Done()
	for {
		kept[number%len(kept)].Store(make([]byte, 1<<12+number*16))
		atomic.AddInt64(&turns, 1)
		time.Sleep(nap)
	}
}

var quiet sync.Mutex

func toItself() {
	for {
		quiet.Lock()
		C.counted_to_itself()
		quiet.Unlock()
		time.Sleep(4 * time.Millisecond)
	}
}

// beget runs children, one after the other.
func beget() {
	for {
		if err := exec.Command("/bin/true").Run(); err != nil {
			atomic.AddInt64(&failures, 1)
		}
		atomic.AddInt64(&children, 1)
		time.Sleep(25 * time.Millisecond)
	}
}

// bear starts threads that end at once.
func bear() {
	for {
		ended := make(chan bool)
		go func() {
			runtime.LockOSThread() // and never unlocks
			ended <- true
		}()
		<-ended
		atomic.AddInt64(&births, 1)
		time.Sleep(10 * time.Millisecond)
	}
}

func report() {
	quiet.Lock()
	defer quiet.Unlock()
	settled := C.counted_settled()
	fmt.Print("counts ", settled, " ", atomic.LoadInt64(&failures)+int64(C.counted_failed()))
	for _, count := range []*int64{&turns, &births, &children} {
		fmt.Print(" ", atomic.LoadInt64(count))
	}
	for kind := 0; kind < C.KINDS; kind++ {
		fmt.Print(" ", C.counted_sent(C.int(kind)), " ", C.counted_came(C.int(kind)), " ", C.counted_sum(C.int(kind)))
	}
	fmt.Println()
	C.counted_go_on()
}
