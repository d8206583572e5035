// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Servers made with Go's web frameworks, one a mode. All answer the paths of routes below, obey the query as
// tests/programs/go does (status=, size=, delay=), and log each request, with the route that the framework names:
//
//	web servemux|chi|gin|mux|echo|fiber|h2c ACCESS_LOG
//	web ginbelow ACCESS_LOG            gin below a ServeMux, which cuts a part off some paths
//	web fan LOG BACKEND BACKEND        fiber, whose handlers call both with fasthttp's client; logs ids and calls
//	web bare servemux|gin              one route, and no log: for load
//	web connect ACCESS_LOG             Connect and gRPC-Web over HTTP/1
//	web call URL COUNT                 calls that server in both protocols; prints a JSON line for each call
//
// Servers print "listening PORT" once they listen.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gofiber/fiber/v2"
	"github.com/gorilla/mux"
	"github.com/labstack/echo/v4"
	"github.com/valyala/fasthttp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type line struct {
	ID     string  `json:"id"`
	Method string  `json:"method"`
	Target string  `json:"target"`
	Status int     `json:"status"`
	Bytes  int     `json:"bytes"`
	Start  float64 `json:"start"`
	End    float64 `json:"end"`
	Route  string  `json:"route"`
}

var (
	logging sync.Mutex
	logFile *os.File
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }

func (l line) write(start time.Time) {
	l.Start, l.End = seconds(start), seconds(time.Now())
	text, err := json.Marshal(l)
	check(err)
	logging.Lock()
	defer logging.Unlock()
	logFile.Write(append(text, '\n'))
}

// answer is what a query asks for.
func answer(query func(string) string) (int, []byte) {
	intOf := func(key string, otherwise int) int {
		if value, err := strconv.Atoi(query(key)); err == nil {
			return value
		}
		return otherwise
	}
	time.Sleep(time.Duration(intOf("delay", 0)) * time.Millisecond)
	return intOf("status", 200), bytes.Repeat([]byte("x"), intOf("size", 0))
}

// counted notes what was answered, also by the framework itself.
type counted struct {
	http.ResponseWriter
	status, bytes int
	route         string
}

func (w *counted) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *counted) Write(data []byte) (int, error) {
	if w.status == 0 {
		w.status = 200
	}
	n, err := w.ResponseWriter.Write(data)
	w.bytes += n
	return n, err
}

func (w *counted) Flush() { w.ResponseWriter.(http.Flusher).Flush() }

// Unwrap lets http.ResponseController find what the server's own writer can do.
func (w *counted) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type countedKey struct{}

func logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, count := time.Now(), &counted{ResponseWriter: w}
		next.ServeHTTP(count, r.WithContext(context.WithValue(r.Context(), countedKey{}, count)))
		if count.status == 0 {
			count.status = 200
		}
		line{r.URL.Query().Get("id"), r.Method, r.RequestURI, count.status, count.bytes, 0, 0, count.route}.write(start)
	})
}

// note sets the route that is logged for a request.
func note(r *http.Request, route string) {
	if count, ok := r.Context().Value(countedKey{}).(*counted); ok {
		count.route = route
	}
}

func plain(w http.ResponseWriter, r *http.Request) {
	if r.Pattern != "" {
		note(r, r.Pattern)
	}
	status, body := answer(r.URL.Query().Get)
	w.WriteHeader(status)
	w.Write(body)
}

func serveMux() http.Handler {
	router := http.NewServeMux()
	router.HandleFunc("GET /items/{item}", plain)
	router.HandleFunc("POST /items/{item}", plain)
	router.HandleFunc("/files/{path...}", plain)
	router.HandleFunc("/below/", plain)
	below := http.NewServeMux()
	below.HandleFunc("/deep/{name}", plain)
	router.Handle("/nested/", http.StripPrefix("/nested", below))
	return router
}

func chiRouter() http.Handler {
	router := chi.NewRouter()
	router.Get("/items/{item}", plain)
	router.Post("/items/{item}", plain)
	return router
}

func ginRouter() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.HandleMethodNotAllowed = true
	router.Use(func(c *gin.Context) {
		note(c.Request, c.FullPath())
		c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), gin.ContextKey, nil))
	})
	handler := func(c *gin.Context) {
		status, body := answer(c.Query)
		c.Data(status, "text/plain", body)
	}
	for _, path := range []string{"/items/:item", "/items/special", "/items/:item/parts/:part", "/files/*path"} {
		router.GET(path, handler)
		router.POST(path, handler)
	}
	router.GET("/only-get", handler)
	users := router.Group("/api").Group("/v1")
	users.GET("/users/:id", handler)
	users.POST("/users/:id", handler)
	return router
}

func ginBelow() http.Handler {
	router, below := http.NewServeMux(), ginRouter()
	router.Handle("/", below)
	router.Handle("/nested/", http.StripPrefix("/nested", below))
	return router
}

func muxRouter() http.Handler {
	router := mux.NewRouter()
	handler := func(w http.ResponseWriter, r *http.Request) {
		template, err := mux.CurrentRoute(r).GetPathTemplate()
		check(err)
		note(r, template)
		plain(w, r)
	}
	router.HandleFunc("/items/special", handler)
	router.HandleFunc("/items/{item}", handler).Methods("GET", "POST")
	router.HandleFunc("/items/{item:[0-9]{2}}/parts/{part}", handler)
	router.PathPrefix("/files/").HandlerFunc(handler)
	router.HandleFunc("/only-get", handler).Methods("GET")
	router.PathPrefix("/api").Subrouter().PathPrefix("/v1").Subrouter().HandleFunc("/users/{id}", handler)
	return router
}

func echoRouter() http.Handler {
	router := echo.New()
	router.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			note(c.Request(), c.Path())
			return next(c)
		}
	})
	handler := func(c echo.Context) error {
		status, body := answer(c.QueryParam)
		return c.Blob(status, "text/plain", body)
	}
	for _, path := range []string{"/items/:item", "/items/special", "/items/:item/parts/:part", "/files/*"} {
		router.GET(path, handler)
		router.POST(path, handler)
	}
	router.GET("/only-get", handler)
	users := router.Group("/api").Group("/v1")
	users.GET("/users/:id", handler)
	users.POST("/users/:id", handler)
	return router
}

func serveFiber(listener net.Listener) error {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(func(c *fiber.Ctx) error {
		start := time.Now()
		l := line{ID: c.Query("id"), Method: c.Method(), Target: c.OriginalURL()}
		l.ID, l.Target = strings.Clone(l.ID), strings.Clone(l.Target) // fiber uses its buffers again
		if err := c.Next(); err != nil {
			check(c.App().ErrorHandler(c, err))
		}
		l.Status, l.Bytes = c.Response().StatusCode(), len(c.Response().Body())
		l.Route, _ = c.Locals("route").(string)
		l.write(start)
		return nil
	})
	handler := func(c *fiber.Ctx) error {
		c.Locals("route", c.Route().Path)
		status, body := answer(func(key string) string { return c.Query(key) })
		return c.Status(status).Send(body)
	}
	app.Use("/items", func(c *fiber.Ctx) error { return c.Next() })
	for _, path := range []string{"/items/special", "/items/:item", "/items/:item<int>/parts/:part", "/files/*"} {
		app.Get(path, handler)
		app.Post(path, handler)
	}
	app.Get("/only-get", handler)
	users := app.Group("/api").Group("/v1")
	users.Get("/users/:id?", handler)
	users.Post("/users/:id?", handler)
	below := fiber.New()
	below.All("/deep/:name", handler)
	app.Mount("/nested", below)
	return app.Listener(listener)
}

// serveFan makes calls from the handler, from goroutines that it starts, and from those that they start. A call with a
// timeout is made by a goroutine of the client's.
func serveFan(listener net.Listener, backends []string) error {
	client := &fasthttp.Client{MaxConnsPerHost: 512}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/:how", func(c *fiber.Ctx) error {
		how, id, query := strings.Clone(c.Params("how")), strings.Clone(c.Query("id")), string(c.Context().URI().QueryString())
		call := func(backend int) {
			url := backends[backend] + "/" + how + "?" + query
			get := client.Get
			if how == "timeout" {
				get = func(to []byte, url string) (int, []byte, error) { return client.GetTimeout(to, url, 20*time.Second) }
			}
			status, _, err := get(nil, url)
			if err == nil && status != 200 {
				err = fmt.Errorf("%s: status %d", url, status)
			}
			check(err)
		}
		calls := 1
		if how == "direct" {
			call(0)
		} else {
			calls = 2
			var group sync.WaitGroup
			group.Add(2)
			go func() {
				defer group.Done()
				call(0)
			}()
			go func() {
				done := make(chan struct{})
				defer group.Done()
				go func() {
					defer close(done)
					call(1)
				}()
				<-done
			}()
			group.Wait()
		}
		logging.Lock()
		defer logging.Unlock()
		fmt.Fprintln(logFile, id, calls)
		return c.SendString("done")
	})
	return app.Listener(listener)
}

func bare(framework string) http.Handler {
	if framework == "gin" {
		gin.SetMode(gin.ReleaseMode)
		router := gin.New()
		router.GET("/items/:item", func(c *gin.Context) { c.String(200, "hello\n") })
		return router
	}
	router := http.NewServeMux()
	router.HandleFunc("GET /items/{item}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "hello") })
	return router
}

const (
	unary  = "/zerospan.test.Calls/Unary"
	stream = "/zerospan.test.Calls/ServerStream"
)

type value = wrapperspb.StringValue

// connectRouter fails calls whose argument is "fail".
func connectRouter() http.Handler {
	router := http.NewServeMux()
	failed := connect.NewError(connect.CodeNotFound, errors.New("as asked for"))
	router.Handle(unary, connect.NewUnaryHandler(unary,
		func(_ context.Context, r *connect.Request[value]) (*connect.Response[value], error) {
			if r.Msg.Value == "fail" {
				return nil, failed
			}
			return connect.NewResponse(r.Msg), nil
		}, connect.WithIdempotency(connect.IdempotencyNoSideEffects)))
	router.Handle(stream, connect.NewServerStreamHandler(stream,
		func(_ context.Context, r *connect.Request[value], answers *connect.ServerStream[value]) error {
			for i := 0; i < 3; i++ {
				if err := answers.Send(r.Msg); err != nil {
					return err
				}
			}
			return nil
		}))
	return router
}

type called struct {
	Protocol string `json:"protocol"`
	Path     string `json:"path"`
	Code     string `json:"code"`
}

func callAll(url string, count int) {
	protocols := []struct {
		name    string
		options []connect.ClientOption
	}{
		{"connect", nil},
		{"connect-get", []connect.ClientOption{connect.WithHTTPGet(),
			connect.WithIdempotency(connect.IdempotencyNoSideEffects)}},
		{"grpc-web", []connect.ClientOption{connect.WithGRPCWeb()}},
	}
	for i := 0; i < count; i++ {
		for _, protocol := range protocols {
			for _, path := range []string{unary, stream, "/zerospan.test.Calls/Missing"} {
				client := connect.NewClient[value, value](http.DefaultClient, url+path, protocol.options...)
				argument := "some"
				if i%2 == 1 {
					argument = "fail"
				}
				var err error
				if path == stream {
					var answers *connect.ServerStreamForClient[value]
					if answers, err = client.CallServerStream(context.Background(),
						connect.NewRequest(wrapperspb.String(argument))); err == nil {
						for answers.Receive() {
						}
						err = answers.Err()
						answers.Close()
					}
				} else {
					_, err = client.CallUnary(context.Background(), connect.NewRequest(wrapperspb.String(argument)))
				}
				code := ""
				if err != nil {
					code = connect.CodeOf(err).String()
				}
				text, _ := json.Marshal(called{protocol.name, path, code})
				fmt.Println(string(text))
			}
		}
	}
}

// In HTTP/1, and in HTTP/2 without TLS.
func serve(listener net.Listener, handler http.Handler) error {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: handler, Protocols: &protocols}
	return server.Serve(listener)
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == "call" {
		count, err := strconv.Atoi(os.Args[3])
		check(err)
		callAll(os.Args[2], count)
		return
	}
	if len(os.Args) != 3 && os.Args[1] != "fan" {
		check(errors.New("usage: web MODE ACCESS_LOG | web call URL COUNT"))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	if os.Args[1] == "bare" {
		fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
		check(http.Serve(listener, bare(os.Args[2])))
	}
	logFile, err = os.OpenFile(os.Args[2], os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	check(err)
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	switch os.Args[1] {
	case "servemux":
		err = serve(listener, logged(serveMux()))
	case "chi":
		err = serve(listener, logged(chiRouter()))
	case "gin":
		err = serve(listener, logged(ginRouter()))
	case "ginbelow":
		err = serve(listener, logged(ginBelow()))
	case "mux":
		err = serve(listener, logged(muxRouter()))
	case "echo":
		err = serve(listener, logged(echoRouter()))
	case "connect":
		err = serve(listener, logged(connectRouter()))
	case "h2c":
		err = http.Serve(listener, h2c.NewHandler(logged(http.HandlerFunc(plain)), &http2.Server{}))
	case "fan":
		err = serveFan(listener, os.Args[3:])
	case "fiber":
		err = serveFiber(listener)
	default:
		err = errors.New("no such mode: " + os.Args[1])
	}
	check(err)
}
