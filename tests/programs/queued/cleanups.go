//go:build go1.24

package main

import (
	"runtime"
	"sync/atomic"
)

//go:noinline
func wipe(number int64) {
	atomic.AddInt64(&begun, number)
	<-stuck
}

//go:noinline
func cleanups(count int) {
	for i := 0; i < count; i++ {
		runtime.AddCleanup(&handle{}, wipe, 1)
	}
}
