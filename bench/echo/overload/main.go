// Echo as a server of `cargo xtask bench overload`: `echo-overload ADDR SPINS`, as the programs overload-* in
// bench/src/bin. Go takes the one core it may run on. `echo-overload calibrate` says how many spins take 1 ms here: they
// are the same as Rust's, but compiled by another compiler.
package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/labstack/echo"
)

const (
	slots     = 8
	slotTime  = 5 * time.Millisecond
	heavyDraw = "10"
)

// Written to, so that the compiler cannot leave the spins out.
var sink uint64

//go:noinline
func spin(times uint64) uint64 {
	x := uint64(1)
	for i := uint64(0); i < times; i++ {
		x = x*6364136223846793005 + i
	}
	return x
}

// The quickest of many tries: whatever disturbs one makes it slower.
func calibrate() uint64 {
	const try = 1_000_000
	quickest := time.Hour
	for i := 0; i < 300; i++ {
		start := time.Now()
		sink += spin(try)
		if took := time.Since(start); took < quickest {
			quickest = took
		}
	}
	return try * 1_000_000 / uint64(quickest.Nanoseconds())
}

func main() {
	if os.Args[1] == "calibrate" {
		fmt.Println(calibrate())
		return
	}
	spins, err := strconv.ParseUint(os.Args[2], 10, 64)
	if err != nil {
		panic(err)
	}
	free := make(chan struct{}, slots)
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.GET("/cpu", func(c echo.Context) error {
		sink = spin(spins)
		return c.String(http.StatusOK, "done")
	})
	e.GET("/slots", func(c echo.Context) error {
		free <- struct{}{}
		time.Sleep(slotTime)
		<-free
		return c.String(http.StatusOK, "done")
	})
	e.GET("/mixed/:draw", func(c echo.Context) error {
		if c.Param("draw") == heavyDraw {
			sink = spin(spins * 5)
			return c.String(http.StatusCreated, "done")
		}
		sink = spin(spins / 5)
		return c.String(http.StatusOK, "done")
	})
	e.Logger.Fatal(e.Start(os.Args[1]))
}
