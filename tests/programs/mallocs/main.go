// Mallocs allocates in C, and says what C's own malloc counts.
//
//	mallocs ORACLE MODE THREADS BLOCKS
//
// MODE is freed, leaked or mixed: what becomes of each thread's blocks. ORACLE is one JSON object with the
// numbers of malloc_info(3) and mallinfo2(3). Then it says "ready", and calls malloc no more.
package main

/*
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "mallocs.h"
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

func number(text string) C.int {
	value, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return C.int(value)
}

// threads has Go make those that it will want, since C's library allocates for each.
func threads() {
	var all sync.WaitGroup
	for i := 0; i < 8; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			runtime.LockOSThread()
			time.Sleep(50 * time.Millisecond)
			runtime.UnlockOSThread()
		}()
	}
	all.Wait()
}

func main() {
	threads()
	C.fill(C.CString(os.Args[2]), number(os.Args[3]), number(os.Args[4]))
	file, err := os.Create(os.Args[1])
	if err != nil {
		panic(err)
	}
	var found C.struct_counted
	C.count_arenas(&found)
	var extents C.struct_extents
	C.count_extents(&extents)
	C.count(&found)
	fmt.Fprintf(file, `{"active": %d, "dirty": %d, "retained": %d, "allocated": %d, `,
		extents.active, extents.dirty, extents.retained, extents.allocated)
	fmt.Fprintf(file, `"arenas": %d, "system": %d, "mapped": %d, "in_use": %d, "not_in_use": %d, "fast": %d, "top": %d}`,
		found.arenas, found.system, found.mapped, found.in_use, found.not_in_use, found.fast, found.top)
	file.Close()
	fmt.Println("ready")
	time.Sleep(2 * time.Minute)
}
