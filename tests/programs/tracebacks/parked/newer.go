//go:build go1.23

package main

import (
	"iter"
	"slices"
)

func parkNewer() {
	start(func() {
		for x := range slices.Values([]int{1, 2}) {
			defer func() { sink++ }()
			sink += x
			block()
		}
	})
	start(func() {
		next, stop := iter.Pull(func(yield func(int) bool) {
			if !yield(1) {
				return
			}
			block()
		})
		defer stop()
		next()
		next()
	})
	start(func() {
		next, _ := iter.Pull(slices.Values([]int{1, 2}))
		next()
		block()
	})
}
