package cli

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every figure of docs/settings.md is that of the code.
func TestDocsSettings(t *testing.T) {
	code := readCode(t)
	known := 0
	for line := range strings.Lines(page(t, docs+"settings.md")) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if len(cells) != 3 {
			continue // no row of a table of limits
		}
		for name := range strings.FieldsFuncSeq(cells[2], func(r rune) bool { return strings.ContainsRune("`, |", r) }) {
			if !strings.Contains(name, ".") {
				continue // a flag
			}
			known++
			expr, err := parser.ParseExpr(figure.Replace(cells[1]))
			said, is := code.of("time", expr), code.value(name)
			if err != nil || said == nil || is == nil || !constant.Compare(said, token.EQL, is) {
				t.Errorf("%s: the table says %s (%v), the code %v", name, cells[1], said, is)
			}
		}
	}
	if known < 80 {
		t.Errorf("only %d rows name their setting", known)
	}
}

// figure turns a figure of the table with its unit into an expression.
var figure = strings.NewReplacer(",", "", " %", " * 0.01", " ", " * ")

// units are what a figure may be followed by, and what the code writes for it.
const units = `package time
const (
	Millisecond, Second, Minute, Hour = 1e6, 1e9, 60 * Second, 60 * Minute
	ms, s, min, h, d = Millisecond, Second, Minute, Hour, 24 * Hour
	KiB, MiB, GiB = 1 << 10, 1 << 20, 1 << 30
)`

// codeValues are the expressions that the code gives to a name, by
// `package.name`: of a constant, a field of a composite literal, or
// `cmp.Or(c.name, value)`.
type codeValues map[string][]ast.Expr

// readCode reads all of the code but tests.
func readCode(t *testing.T) codeValues {
	t.Helper()
	code := codeValues{}
	code.parse(t, "units", units)
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		code.parse(t, path, nil)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func (c codeValues) parse(t *testing.T, path string, text any) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		c.read(file.Name.Name, n)
		return true
	})
}

func (c codeValues) read(pkg string, n ast.Node) {
	switch n := n.(type) {
	case *ast.ValueSpec:
		for i, value := range n.Values {
			c.add(pkg, n.Names[i], value)
		}
	case *ast.KeyValueExpr:
		c.add(pkg, n.Key, n.Value)
	case *ast.CallExpr:
		if called, ok := n.Fun.(*ast.SelectorExpr); ok && called.Sel.Name == "Or" && len(n.Args) == 2 {
			c.add(pkg, n.Args[0], n.Args[1])
		}
	}
}

// add notes what a name, or a field of that name, is given; nothing where it is
// merely passed on.
func (c codeValues) add(pkg string, to, value ast.Expr) {
	if name := lastName(to); name != "" && name != lastName(value) {
		c[pkg+"."+name] = append(c[pkg+"."+name], value)
	}
}

func lastName(expr ast.Expr) string {
	switch expr := expr.(type) {
	case *ast.Ident:
		return expr.Name
	case *ast.SelectorExpr:
		return expr.Sel.Name
	}
	return ""
}

// value is the first constant that a name is given; nil for none.
func (c codeValues) value(name string) constant.Value {
	pkg, _, _ := strings.Cut(name, ".")
	given := c[name]
	defer func() { c[name] = given }()
	c[name] = nil // what is given its own name, by whatever way, is none
	for _, expr := range given {
		if value := c.of(pkg, expr); value != nil {
			return value
		}
	}
	return nil
}

// of is the value of a constant expression in a package; nil for others.
func (c codeValues) of(pkg string, expr ast.Expr) constant.Value {
	switch expr := expr.(type) {
	case *ast.BasicLit:
		return constant.MakeFromLiteral(expr.Value, expr.Kind, 0)
	case *ast.ParenExpr:
		return c.of(pkg, expr.X)
	case *ast.Ident:
		return c.value(pkg + "." + expr.Name)
	case *ast.SelectorExpr:
		return c.value(types.ExprString(expr))
	case *ast.UnaryExpr:
		return computed(expr.Op, constant.MakeInt64(0), c.of(pkg, expr.X))
	case *ast.BinaryExpr:
		return computed(expr.Op, c.of(pkg, expr.X), c.of(pkg, expr.Y))
	}
	return nil
}

func computed(op token.Token, x, y constant.Value) constant.Value {
	switch {
	case x == nil || y == nil:
		return nil
	case op == token.SHL:
		n, _ := constant.Uint64Val(y)
		return constant.Shift(x, op, uint(n))
	case slices.Contains([]token.Token{token.ADD, token.SUB, token.MUL}, op):
		return constant.BinaryOp(x, op, y)
	}
	return nil
}
