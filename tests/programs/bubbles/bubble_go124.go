//go:build goexperiment.synctest && !go1.25

package main

import "testing/synctest"

func startBubbles() {
	for i := 0; i < 2; i++ {
		go synctest.Run(func() { bubble(synctest.Wait) })
	}
}
