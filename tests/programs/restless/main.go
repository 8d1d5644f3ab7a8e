// Restless never stands still: goroutines and threads begin and end, stacks grow, locks are fought for, system
// calls last, and the collector is told other goals all the time. It never reads runtime.MemStats.
package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

var (
	kept  [64]any
	locks [40]sync.Mutex
)

func deep(n int) int {
	var frame [256]byte
	if n == 0 {
		return 0
	}
	frame[n%256] = byte(n)
	return deep(n-1) + int(frame[n%256])
}

func crowds() {
	for {
		var crowd sync.WaitGroup
		for i := 0; i < 300; i++ {
			crowd.Add(1)
			go func(i int) {
				defer crowd.Done()
				locks[i%len(locks)].Lock()
				deep(i)
				locks[i%len(locks)].Unlock()
			}(i)
		}
		crowd.Wait()
		time.Sleep(time.Millisecond)
	}
}

func everMore() {
	never := make(chan int)
	for {
		go func() { <-never }()
		time.Sleep(2 * time.Millisecond)
	}
}

func threads() {
	for {
		done := make(chan int)
		go func() {
			runtime.LockOSThread() // the thread ends with the goroutine
			close(done)
		}()
		<-done
		time.Sleep(time.Millisecond)
	}
}

func systemCalls() {
	var pipe [2]int
	if err := syscall.Pipe(pipe[:]); err != nil {
		panic(err)
	}
	go func() {
		for {
			time.Sleep(100 * time.Microsecond)
			syscall.Write(pipe[1], []byte{1})
		}
	}()
	for one := []byte{0}; ; {
		syscall.Read(pipe[0], one)
	}
}

func goals() {
	for i := 0; ; i++ {
		time.Sleep(3 * time.Millisecond)
		debug.SetGCPercent(20 + i%100)
	}
}

func main() {
	runtime.SetMutexProfileFraction(1)
	runtime.SetBlockProfileRate(1)
	for _, body := range []func(){crowds, everMore, threads, systemCalls, systemCalls, goals} {
		go body()
	}
	fmt.Println("ready")
	for i := 0; ; i++ {
		piece := make([]byte, 1+i*7919%60000)
		kept[i%len(kept)] = piece
		many := map[int]*[]byte{}
		for k := 0; k < 20; k++ {
			many[k] = &piece
		}
		kept[i*31%len(kept)] = many
		if i%50 == 0 {
			runtime.SetFinalizer(new([32]int), func(*[32]int) {})
			time.Sleep(100 * time.Microsecond)
		}
	}
}
