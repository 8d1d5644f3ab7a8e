//go:build !cgo

package main

func c(string) {}
