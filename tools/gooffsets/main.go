// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Prints symbols/go/offsets.def: where the fields of symbols/go/fields.def are in the versions of Go
// and of the libraries, as the compiler itself says in the DWARF of small programs that use them.
//
//	cd tools/gooffsets && go run . ../../symbols/go/fields.def > ../../symbols/go/offsets.def
//
// With a list of versions after the file, only those of Go are asked, each printed in full:
//
//	go run . ../../symbols/go/fields.def 1.26.8
//
// A toolchain is fetched by the go command (GOTOOLCHAIN), the libraries as modules. Every minor
// version of Go, and every one of gRPC, is asked for its first and its last patch release. If the two
// differ, it cannot be told where they change, and that is an error: add the releases between them.
package main

import (
	"debug/dwarf"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

type field struct{ name, module, typ, field string }

// A version of a module and, in the order of the fields, the offsets there; -1 is absent.
type release struct {
	version string
	offsets map[string]int64
}

var goVersions = []string{
	"1.19.1", "1.19.13", "1.20.1", "1.20.14", "1.21.0", "1.21.13", "1.22.0", "1.22.12", "1.23.0", "1.23.12",
	"1.24.0", "1.24.13", "1.25.0", "1.25.14", "1.26.0", "1.26.11", "1.27.0", "1.27.4",
}

// Offsets change in releases whose number says nothing of it, so all minor versions are asked.
var libraries = []struct {
	module   string
	versions []string
	program  string
}{
	{"golang.org/x/net", minorVersions("v0.%d.0", 1, 62), xNetProgram},
	{"google.golang.org/grpc", withPatches(minorVersions("v1.%d.0", 45, 85), grpcPatches), grpcProgram},
	{"github.com/gin-gonic/gin", ginVersions, ginProgram},
	{"github.com/labstack/echo/v4", echoVersions, echoProgram},
	{"github.com/gorilla/mux", muxVersions, muxProgram},
	{"github.com/gofiber/fiber/v2", fiberVersions, fiberProgram},
}

// Of the routers, their releases of the last years.
var (
	ginVersions = []string{
		"v1.6.0", "v1.6.3", "v1.7.0", "v1.7.7", "v1.8.0", "v1.8.2", "v1.9.0", "v1.9.1", "v1.10.0", "v1.10.1",
		"v1.11.0", "v1.12.0",
	}
	echoVersions = []string{
		"v4.1.16", "v4.1.17", "v4.2.0", "v4.2.1", "v4.2.2", "v4.3.0", "v4.4.0", "v4.5.0", "v4.6.0", "v4.6.3",
		"v4.7.0", "v4.7.2", "v4.8.0", "v4.9.0", "v4.9.1", "v4.10.0", "v4.10.2", "v4.11.0", "v4.11.1", "v4.11.3",
		"v4.11.4", "v4.12.0", "v4.13.0", "v4.13.2", "v4.13.4", "v4.14.0", "v4.15.0", "v4.15.1", "v4.15.4",
		"v4.16.0",
	}
	muxVersions   = []string{"v1.8.0", "v1.8.1"}
	fiberVersions = []string{
		"v2.45.0", "v2.46.0", "v2.47.0", "v2.48.0", "v2.49.2", "v2.50.0", "v2.51.0", "v2.52.0", "v2.52.1", "v2.52.2",
		"v2.52.3", "v2.52.4", "v2.52.5", "v2.52.6", "v2.52.7", "v2.52.8", "v2.52.9", "v2.52.10", "v2.52.11", "v2.52.12",
		"v2.52.13", "v2.52.14", "v2.52.15",
	}
)

// The last patch releases, where there are any. A patch release can change a layout: 1.83 did.
var grpcPatches = []string{
	"v1.56.3", "v1.57.2", "v1.58.3", "v1.60.1", "v1.61.1", "v1.62.1", "v1.63.2", "v1.64.1", "v1.65.1",
	"v1.66.2", "v1.67.3", "v1.68.1", "v1.69.4", "v1.71.1", "v1.72.2", "v1.74.3", "v1.75.1", "v1.79.3",
	"v1.81.1", "v1.82.1", "v1.83.1", "v1.83.2",
}

const stdProgram = `package main

import (
	"net"
	"net/http"
	"os"
)

func main() {
	_, _ = http.Get(os.Args[0])
	_ = http.ListenAndServeTLS(os.Args[0], "", "", nil)
	_, _ = net.Dial("tcp", os.Args[0])
}
`

const xNetProgram = `package main

import (
	"net"
	"net/http"

	"golang.org/x/net/http2"
)

func main() {
	client := http.Client{Transport: &http2.Transport{AllowHTTP: true}}
	_, _ = client.Get("http://localhost")
	connection, _ := net.Dial("tcp", "")
	(&http2.Server{}).ServeConn(connection, &http2.ServeConnOpts{})
}
`

const grpcProgram = `package main

import (
	"context"
	"net"

	"google.golang.org/grpc"
)

func main() {
	connection, _ := grpc.Dial("localhost", grpc.WithInsecure())
	_ = connection.Invoke(context.Background(), "/a.b/c", nil, nil)
	listener, _ := net.Listen("tcp", "")
	_ = grpc.NewServer().Serve(listener)
}
`

const ginProgram = `package main

import "github.com/gin-gonic/gin"

func main() {
	router := gin.New()
	router.GET("/", func(c *gin.Context) { c.String(200, c.FullPath()) })
	_ = router.Run()
}
`

const echoProgram = `package main

import "github.com/labstack/echo/v4"

func main() {
	router := echo.New()
	router.GET("/", func(c echo.Context) error { return c.String(200, c.Path()) })
	_ = router.Start("")
}
`

const muxProgram = `package main

import (
	"net/http"

	"github.com/gorilla/mux"
)

func main() {
	router := mux.NewRouter()
	router.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { mux.CurrentRoute(r) })
	_ = http.ListenAndServe("", router)
}
`

const fiberProgram = `package main

import "github.com/gofiber/fiber/v2"

func main() {
	app := fiber.New()
	app.Get("/", func(c *fiber.Ctx) error { return c.SendString(c.Route().Path) })
	_ = app.Listen("")
}
`

func minorVersions(format string, first, last int) []string {
	var versions []string
	for minor := first; minor <= last; minor++ {
		versions = append(versions, fmt.Sprintf(format, minor))
	}
	return versions
}

// Each patch release goes behind the first release of its minor version.
func withPatches(versions, patches []string) []string {
	var all []string
	for _, version := range versions {
		all = append(all, version)
		for _, patch := range patches {
			if minor(patch) == minor(version) {
				all = append(all, patch)
			}
		}
	}
	return all
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: gooffsets FIELDS_DEF [GO_VERSION ...]")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "gooffsets:", err)
		os.Exit(1)
	}
}

func run(path string, only []string, out io.Writer) error {
	fields, err := readFields(path)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "gooffsets")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	fmt.Fprint(out, header)
	versions := goVersions
	if len(only) > 0 {
		versions = only
	}
	var releases []release
	for _, version := range versions {
		offsets, err := ask(folder, version, "std", "", stdProgram, fields)
		if err != nil {
			return fmt.Errorf("Go %s: %w", version, err)
		}
		releases = append(releases, release{version, offsets})
	}
	if err := write(out, "std", fields, releases, len(only) > 0); err != nil {
		return err
	}
	if len(only) > 0 {
		return nil
	}
	for _, library := range libraries {
		if !hasFields(fields, library.module) {
			continue
		}
		releases = nil
		for _, version := range library.versions {
			offsets, err := ask(folder, "", library.module, version, library.program, fields)
			if errors.Is(err, errNotServed) {
				fmt.Fprintf(os.Stderr, "%s %s: left out, no such release can be fetched\n", library.module, version)
				continue
			}
			if err != nil {
				return fmt.Errorf("%s %s: %w", library.module, version, err)
			}
			releases = append(releases, release{strings.TrimPrefix(version, "v"), offsets})
		}
		if err := write(out, library.module, fields, releases, false); err != nil {
			return err
		}
	}
	return nil
}

const header = `/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Made by tools/gooffsets, which says how to make it anew; not to be edited. For linux/amd64.
 *
 * ZS_GO_COVERED(module, first version, last version): of one minor version, what was asked.
 * ZS_GO_OFFSET(field, version, offset in bytes): true from that version on, until the field's next
 * line; -1 where the field is not there.
 */

/* clang-format off */
`

func readFields(path string) ([]field, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	call := regexp.MustCompile(`ZS_GO_FIELD\((\w+),\s*"([^"]+)",\s*"([^"]+)",\s*"([^"]+)"\)`)
	var fields []field
	for _, match := range call.FindAllStringSubmatch(string(text), -1) {
		fields = append(fields, field{match[1], match[2], match[3], match[4]})
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("%s names no field", path)
	}
	return fields, nil
}

func hasFields(fields []field, module string) bool {
	for _, wanted := range fields {
		if wanted.module == module {
			return true
		}
	}
	return false
}

var errNotServed = errors.New("no such release")

// Builds the program and reads the offsets of the module's fields.
func ask(folder, goVersion, module, version, program string, fields []field) (map[string]int64, error) {
	work, err := os.MkdirTemp(folder, "build")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	environment := append(os.Environ(), "GOARCH=amd64", "GOOS=linux", "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOWORK=off")
	compiler := "go"
	language := "go 1.19\n"
	if goVersion != "" {
		root, err := toolchain(work, append(environment, "GOTOOLCHAIN=go"+goVersion))
		if err != nil {
			return nil, err
		}
		environment = append(environment, "GOTOOLCHAIN=local", "GOROOT="+root)
		compiler = filepath.Join(root, "bin", "go")
	} else {
		environment = append(environment, "GOTOOLCHAIN=auto")
		language = "go 1.21\n\nrequire " + module + " " + version + "\n"
	}
	if err := os.WriteFile(filepath.Join(work, "go.mod"), []byte("module probe\n\n"+language), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(work, "main.go"), []byte(program), 0o600); err != nil {
		return nil, err
	}
	if version != "" {
		if text, err := command(work, environment, "go", "list", "-m", module+"@"+version); err != nil {
			return nil, fmt.Errorf("%w: %s", errNotServed, text)
		}
		if text, err := command(work, environment, "go", "mod", "tidy"); err != nil {
			return nil, fmt.Errorf("%w: %s", err, text)
		}
		// Tidying may raise the version that was asked for.
		text, err := command(work, environment, "go", "list", "-m", "-f", "{{.Version}}", module)
		if err != nil || strings.TrimSpace(text) != version {
			return nil, fmt.Errorf("got version %q: %w", strings.TrimSpace(text), err)
		}
	}
	if text, err := command(work, environment, compiler, "build", "-o", "probe", "."); err != nil {
		return nil, fmt.Errorf("%w: %s", err, text)
	}
	fmt.Fprintln(os.Stderr, "built", module, goVersion, version)
	return readOffsets(filepath.Join(work, "probe"), module, fields)
}

// Toolchains before Go 1.20.6 do not build from inside the module cache, so they are called through a link.
func toolchain(folder string, environment []string) (string, error) {
	text, err := command(folder, environment, "go", "env", "GOROOT")
	lines := strings.Fields(text) // before the last: "go: downloading ..."
	if err != nil || len(lines) == 0 {
		return "", fmt.Errorf("%w: %s", err, text)
	}
	root := filepath.Join(folder, "goroot")
	return root, os.Symlink(lines[len(lines)-1], root)
}

func command(folder string, environment []string, name string, arguments ...string) (string, error) {
	run := exec.Command(name, arguments...)
	run.Dir = folder
	run.Env = environment
	text, err := run.CombinedOutput()
	return string(text), err
}

func readOffsets(path, module string, fields []field) (map[string]int64, error) {
	file, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := file.DWARF()
	if err != nil {
		return nil, err
	}
	types := map[string]map[string]int64{}
	for _, wanted := range fields {
		if wanted.module == module {
			types[wanted.typ] = nil
		}
	}
	reader := data.Reader()
	for {
		entry, err := reader.Next()
		if err != nil {
			return nil, err
		}
		if entry == nil {
			break
		}
		name, _ := entry.Val(dwarf.AttrName).(string)
		if known, wanted := types[name]; entry.Tag != dwarf.TagStructType || !wanted || known != nil {
			continue
		}
		members := map[string]int64{}
		for {
			member, err := reader.Next()
			if err != nil {
				return nil, err
			}
			if member == nil || member.Tag == 0 {
				break
			}
			field, _ := member.Val(dwarf.AttrName).(string)
			if offset, ok := member.Val(dwarf.AttrDataMemberLoc).(int64); ok {
				members[field] = offset
			}
		}
		types[name] = members
	}
	offsets := map[string]int64{}
	for _, wanted := range fields {
		if wanted.module != module {
			continue
		}
		offsets[wanted.name] = -1
		if offset, ok := types[wanted.typ][wanted.field]; ok {
			offsets[wanted.name] = offset
		}
	}
	return offsets, nil
}

// The minor version that a version belongs to.
func minor(version string) string {
	return strings.Join(strings.Split(version, ".")[:2], ".")
}

// Nothing was released between the two that could already have the later one's layout: they are of
// different minor versions, or neighbours.
func follows(version, before string) bool {
	if minor(version) != minor(before) {
		return true
	}
	patch := func(text string) int {
		number, _ := strconv.Atoi(text[strings.LastIndex(text, ".")+1:])
		return number
	}
	return patch(version) == patch(before)+1
}

func numbers(version string) string {
	return strings.ReplaceAll(version, ".", ", ")
}

func write(out io.Writer, module string, fields []field, releases []release, all bool) error {
	if len(releases) == 0 {
		return fmt.Errorf("%s: nothing was built", module)
	}
	fmt.Fprintln(out)
	for i, first := 0, 0; i < len(releases); i++ {
		if i+1 == len(releases) || minor(releases[i+1].version) != minor(releases[first].version) {
			fmt.Fprintf(out, "ZS_GO_COVERED(%q, %s, %s)\n", module,
				numbers(startOf(releases[first].version, module)), numbers(releases[i].version))
			first = i + 1
		}
	}
	for _, wanted := range fields {
		if wanted.module != module {
			continue
		}
		found := false
		for i, at := range releases {
			offset := at.offsets[wanted.name]
			found = found || offset >= 0
			if i > 0 && !all && offset == releases[i-1].offsets[wanted.name] {
				continue
			}
			if i > 0 && !all && !follows(at.version, releases[i-1].version) {
				return fmt.Errorf("%s.%s differs between %s and %s: ask the releases between them too",
					wanted.typ, wanted.field, releases[i-1].version, at.version)
			}
			fmt.Fprintf(out, "ZS_GO_OFFSET(%s, %s, %d)\n", wanted.name, numbers(startOf(at.version, module)), offset)
		}
		if !found && !all {
			return fmt.Errorf("%s.%s is in no version of %s", wanted.typ, wanted.field, module)
		}
	}
	return nil
}

// The first patch release that was asked stands for its whole minor version.
func startOf(version, module string) string {
	if module == "std" {
		return minor(version) + ".0"
	}
	return version
}
