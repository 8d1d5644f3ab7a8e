//go:build go1.25

package main

import (
	"flag"
	"testing"
	"testing/synctest"
)

// startBubbles runs two tests side by side that do not end.
func startBubbles() {
	testing.Init()
	flag.CommandLine.Parse([]string{"-test.parallel=2"})
	body := func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(*testing.T) { bubble(synctest.Wait) })
	}
	tests := []testing.InternalTest{{Name: "TestOne", F: body}, {Name: "TestTwo", F: body}}
	go testing.Main(func(_, _ string) (bool, error) { return true, nil }, tests, nil, nil)
}
