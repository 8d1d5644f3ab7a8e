//go:build go1.24

package main

import (
	"fmt"
	"runtime"
	"unique"
	"weak"
)

var (
	weaks   []weak.Pointer[entry]
	handles []unique.Handle[string]
	cleaned []*entry
)

func newer() {
	for i := 0; i < 50; i++ {
		e := made(i)
		weaks = append(weaks, weak.Make(e))
		if i%2 == 0 {
			cleaned = append(cleaned, e)
		} else {
			dying++
		}
		runtime.AddCleanup(e, func(other *entry) { other.walk(); ran.Add(1) }, made(i))
		handles = append(handles, unique.Make(fmt.Sprint("unique ", i)))
	}
}
