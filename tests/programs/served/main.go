// Served is an HTTP server for scripts/bench, which asks it for pages while tools look at it: goroutines
// that are parked, and requests that allocate. It writes its port to the oracle file.
//
//	served ORACLE COUNT
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"addrspace.test/kit"
)

const (
	pageBytes = 8192
	keptPages = 5000
)

var (
	requests int64
	kept     [keptPages]atomic.Value
)

func page(w http.ResponseWriter, _ *http.Request) {
	made := make([]byte, pageBytes)
	kept[atomic.AddInt64(&requests, 1)%keptPages].Store(made)
	w.Write(made[:100])
}

//go:noinline
func worker(block chan int) {
	<-block
}

func main() {
	if len(os.Args) != 3 {
		os.Stderr.WriteString("usage: served ORACLE COUNT\n")
		os.Exit(2)
	}
	count, err := strconv.Atoi(os.Args[2])
	if err != nil {
		kit.Fail("COUNT", err)
	}
	block := make(chan int)
	for i := 0; i < count; i++ {
		go worker(block)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		kit.Fail("listen", err)
	}
	go http.Serve(listener, http.HandlerFunc(page))
	port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	if err := os.WriteFile(os.Args[1], []byte(port), 0o600); err != nil {
		kit.Fail("oracle", err)
	}
	fmt.Println("ready")
	time.Sleep(kit.Lifetime)
}
