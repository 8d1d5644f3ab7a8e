// Leaks leaks a portion of one kind of memory each time it gets SIGUSR1, and then says "leaked N". At
// SIGUSR2 it becomes another program.
//
//	leaks MODE
//
// MODE is goroutines, heap, large, c, mapped, once (the third time only) or nothing. It says "ready" when it can be asked.
package main

/*
#include <stdlib.h>
#include <string.h>

static void *volatile last;

static void leak(size_t size) {
	void *made = malloc(size);
	memset(made, 1, size);
	last = made;
}
*/
import "C"

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

const portion = 4 << 20

type client struct{ events chan int }

type node struct {
	next *node
	rest [1000]byte
}

var (
	kept   *node
	blocks [][]byte
	sink   int
)

// watch uses some of its stack, and waits for what never comes.
//
//go:noinline
func (c *client) watch(started chan bool) {
	var room [6000]byte
	for at := range room {
		room[at] = byte(at)
	}
	started <- true
	<-c.events
	sink += int(room[len(room)-1])
}

func subscribe(count int) {
	started := make(chan bool)
	for i := 0; i < count; i++ {
		go (&client{make(chan int)}).watch(started)
	}
	for i := 0; i < count; i++ {
		<-started
	}
}

func touched(block []byte) []byte {
	for at := 0; at < len(block); at += 4096 {
		block[at] = 1
	}
	return block
}

func remember() {
	for size := 0; size < portion; size += 1024 {
		kept = &node{next: kept}
	}
}

func leak(mode string, number int) {
	switch mode {
	case "once":
		for i := 0; number == 3 && i < 6; i++ {
			remember()
		}
	case "goroutines":
		subscribe(portion / 8192)
	case "heap":
		remember()
	case "large":
		blocks = append(blocks, touched(make([]byte, portion)))
	case "c":
		for size := 0; size < portion; size += 16 << 10 {
			C.leak(16 << 10)
		}
	case "mapped":
		block, err := syscall.Mmap(-1, 0, portion, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
		if err != nil {
			panic(err)
		}
		blocks = append(blocks, touched(block))
	}
	runtime.GC()
}

func main() {
	asked, replaced := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	signal.Notify(replaced, syscall.SIGUSR2)
	go func() {
		<-replaced
		panic(syscall.Exec("/bin/sleep", []string{"sleep", "120"}, nil))
	}()
	for i := 0; i < 4; i++ {
		runtime.GC()
	}
	fmt.Println("ready")
	for number := 1; ; number++ {
		<-asked
		leak(os.Args[1], number)
		fmt.Printf("leaked %d\n", number)
	}
}
