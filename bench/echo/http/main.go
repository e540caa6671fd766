// Echo as a server of `cargo xtask bench http`: `echo-http ADDR hello|thousand|middleware [ROUTES]`, as the programs in
// bench/src/bin. All five middlewares are Echo's own, with their defaults; Go takes the one core it may run on.
package main

import (
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/labstack/echo"
	"github.com/labstack/echo/middleware"
)

const (
	message = "Hello from Seawall!"
	origin  = "https://app.example.com"
	timeout = 75 * time.Second
)

type answer struct {
	Message string `json:"message"`
}

func hello(c echo.Context) error {
	return c.JSON(http.StatusOK, answer{message})
}

func show(c echo.Context) error {
	return c.JSON(http.StatusOK, answer{"Hello, " + c.Param("id") + "!"})
}

func routes() []string {
	if os.Args[2] != "thousand" {
		return []string{"/", "/health", "/users/:id"}
	}
	text, err := os.ReadFile(os.Args[3])
	if err != nil {
		panic(err)
	}
	return strings.Fields(string(text))
}

func main() {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	if os.Args[2] == "middleware" {
		e.Use(
			middleware.RequestID(),
			middleware.Logger(),
			middleware.Recover(),
			middleware.CORSWithConfig(middleware.CORSConfig{AllowOrigins: []string{origin}}),
			middleware.TimeoutWithConfig(middleware.TimeoutConfig{Timeout: timeout}),
		)
		e.GET("/panic", func(echo.Context) error { panic("on purpose") })
	}
	for _, pattern := range routes() {
		if strings.Count(pattern, ":") == 1 {
			e.GET(pattern, show)
		} else {
			e.GET(pattern, hello)
		}
	}
	e.Logger.Fatal(e.Start(os.Args[1]))
}
