package settings

import (
	"github.com/goccy/go-yaml/ast"
)

// placed is a field that stands where a node begins.
func placed(node ast.Node) *field {
	at := &field{line: 1, column: 1}
	if pair, ok := node.(*ast.MappingValueNode); ok {
		node = pair.Key
	}
	if node != nil && node.GetToken() != nil && node.GetToken().Position != nil {
		at.line, at.column = node.GetToken().Position.Line, node.GetToken().Position.Column
	}
	return at
}

// pairsOf are the fields of a mapping; false for anything else.
func pairsOf(node ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// read takes the texts of a value: one, those of a list, or NAME=VALUE of
// fields. It says whether it could.
func (f *field) read(node ast.Node) bool {
	if fields, ok := pairsOf(node); ok {
		f.list = true
		for _, pair := range fields {
			text, ok := scalar(pair.Value)
			if !ok {
				return false
			}
			f.texts = append(f.texts, joined([]string{textOf(pair.Key) + "=" + text}))
		}
		return true
	}
	if list, ok := node.(*ast.SequenceNode); ok {
		f.list = true
		for _, each := range list.Values {
			text, ok := scalar(each)
			if !ok {
				return false
			}
			f.texts = append(f.texts, joined([]string{text}))
		}
		return true
	}
	text, ok := scalar(node)
	f.texts = append(f.texts, text)
	return ok
}

// scalar is a value as it is written: a size or a time is text with a number in
// front, and a number is text too.
func scalar(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return node.GetToken().Value, true
	}
	return "", false
}

// textOf is the name of a field.
func textOf(key ast.MapKeyNode) string {
	if s, ok := key.(*ast.StringNode); ok {
		return s.Value
	}
	if key.GetToken() == nil {
		return ""
	}
	return key.GetToken().Value
}
