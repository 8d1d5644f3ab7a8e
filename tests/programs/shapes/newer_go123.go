//go:build go1.23

package main

import "iter"

// Next is a suspended coroutine.
var Next func() (int, bool)

func startNewer() {
	Next, _ = iter.Pull(func(yield func(int) bool) {
		for i := 0; yield(i); i++ {
		}
	})
	Next()
}
