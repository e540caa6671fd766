// Go's own HTTP client against a server: connections are kept, bodies arrive, early answers are seen.
//
//	go run client.go HOST:PORT
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"sync"
	"time"
)

var client = &http.Client{Timeout: 20 * time.Second}

func check(what string, ok bool, found ...any) {
	if !ok {
		fmt.Println("wrong:", what, found)
		os.Exit(1)
	}
}

// do sends a request; the answer, its whole body, and whether the connection had been used before.
func do(method, url string, body io.Reader, change func(*http.Request)) (*http.Response, string, bool) {
	reused := false
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), method, url, body)
	check("request", err == nil, err)
	if change != nil {
		change(request)
	}
	answer, err := client.Do(request)
	check(method+" "+url, err == nil, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	check("body of "+url, err == nil, err)
	return answer, string(text), reused
}

// unsized hides the length of what it reads, so that the client sends chunks.
type unsized struct{ io.Reader }

func main() {
	base := "http://" + os.Args[1]
	large := bytes.Repeat([]byte("0123456789"), 100_000)

	for round := 0; round < 20; round++ {
		answer, text, reused := do("GET", base+"/", nil, nil)
		check("hello", answer.StatusCode == 200 && text == "hello", answer.StatusCode, text)
		check("kept connection", reused == (round > 0), round)
	}
	answer, text, _ := do("HEAD", base+"/", nil, nil)
	check("head", answer.StatusCode == 200 && text == "" && answer.ContentLength == 5, answer.ContentLength)
	answer, text, _ = do("GET", base+"/empty", nil, nil)
	check("no content", answer.StatusCode == 204 && text == "")
	answer, text, _ = do("GET", base+"/stream", nil, nil)
	check("chunks", answer.ContentLength == -1 && strings.Count(text, "\n") == 50, text)
	_, text, _ = do("POST", base+"/echo", bytes.NewReader(large), nil)
	check("upload with a length", text == string(large), len(text))
	_, text, _ = do("POST", base+"/echo", unsized{bytes.NewReader(large)}, nil)
	check("upload in chunks", text == string(large), len(text))
	_, text, _ = do("POST", base+"/echo", unsized{bytes.NewReader(large)}, func(request *http.Request) {
		request.Trailer = http.Header{"X-Sum": []string{"1"}}
	})
	check("upload with a trailer", text == string(large), len(text))
	_, text, _ = do("POST", base+"/echo", bytes.NewReader(large), func(request *http.Request) {
		request.Header.Set("Expect", "100-continue")
	})
	check("upload after a 100", text == string(large), len(text))
	answer, text, _ = do("POST", base+"/early", bytes.NewReader(large), nil)
	check("early answer", answer.StatusCode == 403 && text == "not for you", answer.StatusCode)
	answer, text, _ = do("GET", base+"/", nil, func(request *http.Request) { request.Close = true })
	check("close", text == "hello" && answer.Close, answer.Close)

	var all sync.WaitGroup
	for worker := 0; worker < 16; worker++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for round := 0; round < 20; round++ {
				answer, text, _ := do("POST", base+"/echo", strings.NewReader("abc"), nil)
				check("side by side", answer.StatusCode == 200 && text == "abc", text)
			}
		}()
	}
	all.Wait()
	fmt.Println("all went well")
}
