//go:build go1.25 || goexperiment.synctest

package main

import (
	"sync"
	"time"
)

// bubble starts goroutines that block in every way that a bubble counts as durable, and some others,
// which keep its time from going on. `wait` is synctest.Wait.
func bubble(wait func()) {
	inside := make(chan int)
	var group sync.WaitGroup
	group.Add(1)
	condition := sync.NewCond(&sync.Mutex{})
	go func() { <-inside }()
	go func() { inside2 := make(chan int); inside2 <- 1 }()
	go func() {
		select {
		case <-inside:
		case inside <- 1:
		}
	}()
	go func() { group.Wait() }()
	go func() { condition.L.Lock(); condition.Wait() }()
	go func() { time.Sleep(time.Hour) }()
	go func() { select {} }()
	go func() { var none chan int; <-none }()
	go func() { mutex.Lock() }()
	go func() { <-forever }()
	wait()
}
