package cli

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// settingsFolders are where the packages lie that docs/settings.md names.
var settingsFolders = map[string]string{
	"api": "api", "cli": "cmd/cli", "embedded": "cmd/cli/embedded",
	"coordinator": "coordinator", "ledger": "coordinator/ledger", "wire": "coordinator/wire",
	"session": "worker/session", "agent": "worker/agent", "attempt": "worker/attempt",
	"planner": "worker/planner", "source": "worker/source", "sorted": "worker/exchange/sorted",
	"fleet": "fleet", "identity": "identity", "dataplane": "api/dataplane", "flight": "worker/flight",
	"command": "worker/processor/command", "function": "worker/processor/function",
}

// Every figure of docs/settings.md is that of the code.
func TestDocsSettings(t *testing.T) {
	row := regexp.MustCompile(`(?m)^\| [^|]+ \| ([^|]+) \| ([^|]*)\|$`)
	name := regexp.MustCompile("`([a-z]+)\\.([A-Za-z]+)`")
	known := 0
	for _, found := range row.FindAllStringSubmatch(page(t, docs+"settings.md"), -1) {
		for _, n := range name.FindAllStringSubmatch(found[2], -1) {
			known++
			said, is := quantity(t, found[1]), settingOf(t, n[1], n[2])
			if said == nil || is == nil || !constant.Compare(said, token.EQL, is) {
				t.Errorf("%s.%s: the table says %s (%v), the code %v", n[1], n[2], found[1], said, is)
			}
		}
	}
	if known < 80 {
		t.Errorf("only %d rows name their setting", known)
	}
}

// units are what a figure of the table may be followed by.
var units = map[string]string{
	"": "1", "ms": "1000000", "s": "1000000000", "min": "60000000000", "h": "3600000000000", "d": "86400000000000",
	"KiB": "1024", "MiB": "1048576", "GiB": "1073741824", "%": "0.01",
}

// quantity reads a figure with its unit, in bytes or nanoseconds.
func quantity(t *testing.T, text string) constant.Value {
	t.Helper()
	figure, unit, _ := strings.Cut(strings.TrimSpace(text), " ")
	if units[unit] == "" {
		t.Errorf("%q has a unit that is not known", text)
		return nil
	}
	return evaluate(t, strings.ReplaceAll(figure, ",", "")+" * "+units[unit])
}

// evaluate is the value of a constant expression.
func evaluate(t *testing.T, expression string) constant.Value {
	t.Helper()
	for unit, nanos := range map[string]string{
		"time.Millisecond": "1000000", "time.Second": "1000000000", "time.Minute": "60000000000", "time.Hour": "3600000000000",
	} {
		expression = strings.ReplaceAll(expression, unit, nanos)
	}
	value, err := types.Eval(token.NewFileSet(), nil, token.NoPos, expression)
	if err != nil {
		t.Errorf("%s: %v", expression, err)
		return nil
	}
	return value.Value
}

// settingOf finds what a package sets a name to: as a constant, as a field of a
// composite literal, or by `cmp.Or(c.Name, value)`.
func settingOf(t *testing.T, pkg, name string) constant.Value {
	t.Helper()
	folder, there := settingsFolders[pkg]
	if !there {
		t.Errorf("the table names a package %s", pkg)
		return nil
	}
	paths, _ := filepath.Glob(filepath.Join("../..", folder, "*.go"))
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		expression := settingIn(t, path, name)
		if other, elsewhere, found := strings.Cut(expression, "."); found && settingsFolders[other] != "" {
			return settingOf(t, other, elsewhere)
		}
		if expression != "" {
			return evaluate(t, expression)
		}
	}
	return nil
}

func settingIn(t *testing.T, path, name string) (expression string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, text, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if value := settingAt(n, name); value != nil && expression == "" {
			expression = string(text[files.Position(value.Pos()).Offset:files.Position(value.End()).Offset])
		}
		return true
	})
	return expression
}

// settingAt is the value that a node gives to a name; nil for none.
func settingAt(n ast.Node, name string) ast.Expr {
	switch n := n.(type) {
	case *ast.ValueSpec:
		for i, id := range n.Names {
			if id.Name == name && i < len(n.Values) {
				return n.Values[i]
			}
		}
	case *ast.KeyValueExpr:
		if id, ok := n.Key.(*ast.Ident); ok && id.Name == name {
			if from, ok := n.Value.(*ast.SelectorExpr); !ok || types.ExprString(from.X) == "time" {
				return n.Value // not merely passed on
			}
		}
	case *ast.CallExpr:
		if f := types.ExprString(n.Fun); (f == "or" || f == "cmp.Or") && len(n.Args) == 2 {
			if field, ok := n.Args[0].(*ast.SelectorExpr); ok && field.Sel.Name == name {
				return n.Args[1]
			}
		}
	}
	return nil
}
