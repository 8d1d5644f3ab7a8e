// Loaded is an HTTP server under its own load: 200 threads, allocation and collection, signals and children.
// It prints "ready", and after each "count" on its standard input how much of everything it has done.
//
//	loaded ORACLE
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	lockedThreads = 200
	clients       = 8
)

var (
	requests, signals, children, turns, failures int64

	kept struct {
		sync.Mutex
		pages map[int][]byte
	}
)

func main() {
	// At most one processor's worth of work: whoever looks at it must get a turn too.
	runtime.GOMAXPROCS(4)
	kept.pages = map[int][]byte{}
	for i := 0; i < lockedThreads; i++ {
		go locked(i)
	}
	go countSignals()
	go beget()
	serve()
	fmt.Println("ready")
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		fmt.Println("counts",
			atomic.LoadInt64(&requests), atomic.LoadInt64(&signals), atomic.LoadInt64(&children),
			atomic.LoadInt64(&turns), atomic.LoadInt64(&failures))
	}
	select {}
}

// locked keeps a thread of its own and wakes it now and then.
func locked(number int) {
	runtime.LockOSThread()
	for {
		time.Sleep(time.Duration(50+number) * time.Millisecond)
		atomic.AddInt64(&turns, 1)
	}
}

// countSignals sends this process a signal that it handles, a hundred times a second.
func countSignals() {
	came := make(chan os.Signal, 64)
	signal.Notify(came, syscall.SIGUSR1)
	go func() {
		for range came {
			atomic.AddInt64(&signals, 1)
		}
	}()
	for {
		time.Sleep(10 * time.Millisecond)
		syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	}
}

// beget runs a child, again and again: fork and exec stop all threads for a moment.
func beget() {
	for {
		if err := exec.Command("/bin/true").Run(); err != nil {
			atomic.AddInt64(&failures, 1)
		}
		atomic.AddInt64(&children, 1)
		time.Sleep(30 * time.Millisecond)
	}
}

func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		page := make([]byte, 4096+len(r.URL.Path)*16)
		kept.Lock()
		kept.pages[len(page)%977+int(atomic.AddInt64(&requests, 1)%4096)] = page
		kept.Unlock()
		w.Write(page[:1024])
	})
	go http.Serve(listener, nil)
	for i := 0; i < clients; i++ {
		go load(fmt.Sprintf("http://%s/%0*d", listener.Addr(), 20+i, i))
	}
}

func load(url string) {
	for {
		answer, err := http.Get(url)
		if err != nil {
			atomic.AddInt64(&failures, 1)
			continue
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		time.Sleep(2 * time.Millisecond)
	}
}
