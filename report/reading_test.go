package report

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// codesIn lists the codes of health reasons and warnings that a source file names.
func codesIn(t *testing.T, file string) (codes []string) {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	add := func(e ast.Expr) {
		if literal, ok := e.(*ast.BasicLit); ok {
			code, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			codes = append(codes, code)
		}
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			name := ""
			switch f := n.Fun.(type) {
			case *ast.Ident:
				name = f.Name
			case *ast.SelectorExpr:
				name = f.Sel.Name
			}
			if slices.Contains([]string{"invalidIf", "doubtfulIf", "warn"}, name) {
				add(n.Args[1])
			}
		case *ast.CompositeLit:
			if of, ok := n.Type.(*ast.Ident); ok && of.Name == "Remark" && len(n.Elts) > 0 {
				add(n.Elts[0])
			}
		}
		return true
	})
	return codes
}

// Every code that a report may have is explained, with its mend, on the page for readers.
func TestReadingExplainsEveryCode(t *testing.T) {
	page, err := os.ReadFile("../docs/READING.md")
	if err != nil {
		t.Fatal(err)
	}
	health, warnings := codesIn(t, "health.go"), codesIn(t, "warnings.go")
	health = append(health, codesIn(t, "healthmachine.go")...)
	if len(health) < 15 || len(warnings) < 12 {
		t.Fatalf("the sources name %q and %q; the test has lost its way", health, warnings)
	}
	for _, code := range append(health, warnings...) {
		if !strings.Contains(string(page), "`"+code+"`") {
			t.Errorf("docs/READING.md does not explain %s", code)
		}
	}
	for _, stage := range stageOrder() {
		if !strings.Contains(string(page), "| `"+string(stage)+"` |") {
			t.Errorf("docs/READING.md has no stage %s", stage)
		}
	}
	for _, class := range listClasses(broken().audit.Rows[0].Classes) {
		if class.Name != "expected" && !strings.Contains(string(page), "| "+class.Name+" |") {
			t.Errorf("docs/READING.md has no class %s", class.Name)
		}
	}
}
