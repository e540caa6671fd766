// Echo's router on one set of routes and requests: the same files, the same measure and the same JSON line as the
// program `router` beside it. `echo-router ROUTES REQUESTS`.
//
// The context is made once and reused, as Echo's pool does; its look-up includes the method.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo"
)

const (
	least     = 200 * time.Millisecond
	minPasses = 5
)

type request struct {
	method, path string
	route        int
}

func lines(path string) []string {
	text, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	var found []string
	for _, line := range strings.Split(string(text), "\n") {
		if line != "" && !strings.HasPrefix(line, "#") {
			found = append(found, line)
		}
	}
	return found
}

func readRequests(path string) ([]request, []uint32) {
	var requests []request
	var order []uint32
	known := map[string]uint32{}
	for _, line := range lines(path) {
		number, ok := known[line]
		if !ok {
			parts := strings.Split(line, " ")
			route, err := strconv.Atoi(parts[2])
			if err != nil {
				panic(err)
			}
			number = uint32(len(requests))
			known[line] = number
			requests = append(requests, request{strings.Clone(parts[0]), strings.Clone(parts[1]), route})
		}
		order = append(order, number)
	}
	return requests, order
}

func heap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func pass(router *echo.Router, c echo.Context, requests []request, order []uint32) int {
	sum := 0
	for _, at := range order {
		r := &requests[at]
		router.Find(r.method, r.path, c)
		values := c.ParamValues()
		for i, name := range c.ParamNames() {
			sum += len(name) + len(values[i])
		}
	}
	return sum
}

func main() {
	routes := lines(os.Args[1])
	requests, order := readRequests(os.Args[2])
	before := heap()
	start := time.Now()
	e := echo.New()
	handler := func(echo.Context) error { return nil }
	for _, line := range routes {
		method, pattern, _ := strings.Cut(line, " ")
		e.Add(method, pattern, handler)
	}
	build := time.Since(start)
	memory := heap() - before
	router, c := e.Router(), e.NewContext(nil, nil)
	for _, r := range requests {
		router.Find(r.method, r.path, c)
		_, expected, _ := strings.Cut(routes[r.route], " ")
		if c.Path() != expected {
			panic(fmt.Sprintf("%s found %s, not %s", r.path, c.Path(), expected))
		}
	}
	var passes []float64
	sum := 0
	for start := time.Now(); len(passes) < minPasses || time.Since(start) < least; {
		start := time.Now()
		sum += pass(router, c, requests, order)
		passes = append(passes, float64(time.Since(start).Nanoseconds())/float64(len(order)))
	}
	sort.Float64s(passes)
	fmt.Fprintln(os.Stderr, sum)
	fmt.Printf("{\"ns\":%.1f,\"best_ns\":%.1f,\"build_ms\":%.3f,\"memory_bytes\":%d}\n",
		passes[len(passes)/2], passes[0], float64(build.Nanoseconds())/1e6, memory)
}
