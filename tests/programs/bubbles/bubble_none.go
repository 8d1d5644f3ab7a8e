//go:build !goexperiment.synctest && !go1.25

package main

func startBubbles() {}
