//go:build go1.20

package main

import "runtime"

// stopCounting makes contention of the runtime's own locks count no more.
func stopCounting() { runtime.SetMutexProfileFraction(0) }
