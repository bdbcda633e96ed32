// Package millrace_test holds the rules of the whole repository that a test can
// check: who may import whom, that every package says what it decides, and that
// no test waits by sleeping.
package millrace_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/millrace/millrace/"

// pkg is what the go command says about a package.
type pkg struct {
	ImportPath string
	Doc        string
	Name       string
	Imports    []string
	Deps       []string
}

func list(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Doc,Name,Imports,Deps", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		pkgs = append(pkgs, p)
	}
}

// The pure packages decide; time, randomness and the world are given to them.
func TestPurePackagesTouchNothing(t *testing.T) {
	impure := []string{
		"context", "sync", "sync/atomic", "net", "os", "log", "log/slog",
		"math/rand", "math/rand/v2", "crypto/rand", "io/fs", "syscall",
	}
	pure := []string{"coordinator/ledger", "worker/session"}
	seen := 0
	for _, p := range list(t) {
		if !slices.Contains(pure, p.ImportPath) {
			continue
		}
		seen++
		for _, imported := range p.Imports {
			if slices.Contains(impure, imported) || strings.Contains(imported, "grpc") {
				t.Errorf("%s is pure and imports %s", p.ImportPath, imported)
			}
		}
		for _, used := range clockUses(t, p.ImportPath) {
			t.Errorf("%s is pure and uses %s", p.ImportPath, used)
		}
	}
	if seen != len(pure) {
		t.Errorf("%d of the pure packages %v were found", seen, pure)
	}
}

// clockUses lists uses of the clock: package time may give units, not the hour.
func clockUses(t *testing.T, dir string) []string {
	t.Helper()
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}
	var uses []string
	for _, path := range goFiles(t, dir, func(name string) bool { return !strings.HasSuffix(name, "_test.go") }) {
		inspect(t, path, func(n ast.Node) {
			if s, ok := n.(*ast.SelectorExpr); ok && isPackage(s.X, "time") && slices.Contains(clock, s.Sel.Name) {
				uses = append(uses, "time."+s.Sel.Name)
			}
		})
	}
	return uses
}

// The coordinator never touches data: it links no engine, no file format and no
// storage client.
func TestCoordinatorLinksNoDataPlane(t *testing.T) {
	banned := []string{"duckdb", "arrow-go", "parquet", "doublestar", "klauspost"}
	for _, p := range list(t) {
		if !strings.HasPrefix(p.ImportPath, "coordinator") {
			continue
		}
		for _, dep := range p.Deps {
			for _, word := range banned {
				if strings.Contains(dep, word) {
					t.Errorf("%s links %s", p.ImportPath, dep)
				}
			}
		}
	}
}

// Dependencies point one way: cmd to coordinator and worker, both to fleet,
// identity and api.
func TestImportDirections(t *testing.T) {
	never := map[string][]string{
		"coordinator": {"worker", "cmd", "sim"},
		"worker":      {"coordinator", "cmd", "sim"},
		"api":         {"coordinator", "worker", "fleet", "identity", "cmd", "sim"},
		"fleet":       {"coordinator", "worker", "identity", "cmd", "sim"},
		"identity":    {"coordinator", "worker", "fleet", "cmd", "sim"},
	}
	for _, p := range list(t) {
		root, _, _ := strings.Cut(p.ImportPath, "/")
		for _, dep := range p.Deps {
			depRoot, _, _ := strings.Cut(strings.TrimPrefix(dep, module), "/")
			if strings.HasPrefix(dep, module) && slices.Contains(never[root], depRoot) {
				t.Errorf("%s imports %s", p.ImportPath, dep)
			}
		}
	}
}

func TestEveryPackageSaysWhatItDecides(t *testing.T) {
	for _, p := range list(t) {
		if p.Doc == "" && p.Name != "main" && !strings.HasSuffix(p.ImportPath, "millracev1") && p.ImportPath != "github.com/millrace/millrace" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

func TestNoTestSleeps(t *testing.T) {
	for _, path := range goFiles(t, ".", func(name string) bool { return strings.HasSuffix(name, "_test.go") }) {
		inspect(t, path, func(n ast.Node) {
			if s, ok := n.(*ast.SelectorExpr); ok && isPackage(s.X, "time") && s.Sel.Name == "Sleep" {
				t.Errorf("%s sleeps; wait for an event", path)
			}
		})
	}
}

func isPackage(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

func inspect(t *testing.T, path string, visit func(ast.Node)) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		visit(n)
		return true
	})
}

func goFiles(t *testing.T, dir string, want func(name string) bool) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".go") && want(d.Name()) {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
