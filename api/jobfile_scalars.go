package api

import (
	"math"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
)

// scalar reads a value that is neither list nor message; a duration counts as
// one.
func (d *decoder) scalar(path string, field protoreflect.FieldDescriptor, node ast.Node) (protoreflect.Value, bool) {
	switch {
	case isDuration(field):
		return d.duration(path, node)
	case isBytes(field):
		return d.bytes(path, node)
	}
	switch field.Kind() {
	case protoreflect.StringKind:
		s, ok := d.text(path, node)
		return protoreflect.ValueOfString(s), ok
	case protoreflect.BoolKind:
		return d.boolean(path, node)
	case protoreflect.EnumKind:
		return d.enum(path, field.Enum(), node)
	case protoreflect.DoubleKind:
		return d.float(path, node)
	}
	return d.integer(path, field, node)
}

// isBytes says whether a field is a size: its name ends so.
func isBytes(field protoreflect.FieldDescriptor) bool {
	name := string(field.Name())
	return field.Kind() == protoreflect.Int64Kind && (name == "bytes" || strings.HasSuffix(name, "_bytes"))
}

// text is the text of a node that is text: quoted, plain or a block.
func text(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.TagNode:
		if n.Start.Value == "!!str" && n.Value != nil {
			return tagged(n.Value)
		}
	}
	return "", false
}

// tagged is the text that !!str makes of a number or the like.
func tagged(node ast.Node) (string, bool) {
	if s, ok := text(node); ok {
		return s, true
	}
	if _, ok := node.(ast.ScalarNode); ok {
		return node.GetToken().Value, true
	}
	return "", false
}

// plainText is what stands there without quotes: a number, a word.
func plainText(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, true
	case *ast.StringNode:
		t := n.Token.Type
		return n.Value, t != token.SingleQuoteType && t != token.DoubleQuoteType
	}
	return "", false
}

func (d *decoder) text(path string, node ast.Node) (string, bool) {
	if s, ok := text(node); ok {
		return s, true
	}
	switch n := node.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		d.wrongType(path, node, "text is meant, "+strconv.Quote(n.GetToken().Value)+" in quotes")
	default:
		if isNothing(node) {
			d.unusable(placeOf(node), path, "has no value", `give one; empty text is ""`)
			break
		}
		d.wrongType(path, node, "text is meant")
	}
	return "", false
}

func (d *decoder) boolean(path string, node ast.Node) (protoreflect.Value, bool) {
	b, ok := node.(*ast.BoolNode)
	if !ok {
		d.wrongType(path, node, "true or false is meant")
		return protoreflect.Value{}, false
	}
	return protoreflect.ValueOfBool(b.Value), true
}

func (d *decoder) enum(path string, enum protoreflect.EnumDescriptor, node ast.Node) (protoreflect.Value, bool) {
	given, ok := text(node)
	if !ok {
		d.wrongType(path, node, meantEnum(enum))
		return protoreflect.Value{}, false
	}
	if number, ok := ParseEnum(enum, given); ok {
		return protoreflect.ValueOfEnum(number), true
	}
	d.unusable(placeOf(node), path, "is "+quoted(given), meantEnum(enum))
	return protoreflect.Value{}, false
}

// ParseEnum finds the value of an enum by the short name that users give it.
func ParseEnum(enum protoreflect.EnumDescriptor, name string) (protoreflect.EnumNumber, bool) {
	for i := range enum.Values().Len() {
		number := enum.Values().Get(i).Number()
		if short := shortName(enum, number); short != "" && short == name {
			return number, true
		}
	}
	return 0, false
}

func (d *decoder) duration(path string, node ast.Node) (protoreflect.Value, bool) {
	given, ok := text(node)
	if !ok {
		d.wrongType(path, node, meantDuration)
		return protoreflect.Value{}, false
	}
	v, err := ParseDuration(given)
	if err != nil {
		d.unusable(placeOf(node), path, "is "+quoted(given), meantDuration)
		return protoreflect.Value{}, false
	}
	return protoreflect.ValueOfMessage(durationpb.New(v).ProtoReflect()), true
}

func (d *decoder) bytes(path string, node ast.Node) (protoreflect.Value, bool) {
	given, ok := plainText(node)
	if !ok {
		given, ok = text(node)
	}
	if !ok {
		d.wrongType(path, node, meantBytes)
		return protoreflect.Value{}, false
	}
	n, err := ParseBytes(given)
	if err != nil {
		d.unusable(placeOf(node), path, "is "+quoted(given), meantBytes)
		return protoreflect.Value{}, false
	}
	return protoreflect.ValueOfInt64(n), true
}

func (d *decoder) float(path string, node ast.Node) (protoreflect.Value, bool) {
	given, ok := plainText(node)
	v, err := strconv.ParseFloat(given, 64)
	if !ok || err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		d.wrongType(path, node, "a number is meant")
		return protoreflect.Value{}, false
	}
	return protoreflect.ValueOfFloat64(v), true
}

func (d *decoder) integer(path string, field protoreflect.FieldDescriptor, node ast.Node) (protoreflect.Value, bool) {
	given, ok := plainText(node)
	if !ok || !wholeNumber(given) {
		d.wrongType(path, node, "a whole number is meant")
		return protoreflect.Value{}, false
	}
	v, ok := parseInteger(field.Kind(), given)
	if !ok {
		d.unusable(placeOf(node), path, "is "+given, meantNumber(integerBound(field)))
	}
	return v, ok
}

// wholeNumber keeps to decimal digits: 010, 0x10 and 1_000 mean different things
// to different readers.
func wholeNumber(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	return digits == "0" || digits != "" && digits[0] != '0' && strings.Trim(digits, "0123456789") == ""
}

func parseInteger(kind protoreflect.Kind, s string) (protoreflect.Value, bool) {
	switch kind {
	case protoreflect.Int32Kind:
		n, err := strconv.ParseInt(s, 10, 32)
		return protoreflect.ValueOfInt32(int32(n)), err == nil
	case protoreflect.Uint32Kind:
		n, err := strconv.ParseUint(s, 10, 32)
		return protoreflect.ValueOfUint32(uint32(n)), err == nil
	case protoreflect.Uint64Kind:
		n, err := strconv.ParseUint(s, 10, 64)
		return protoreflect.ValueOfUint64(n), err == nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return protoreflect.ValueOfInt64(n), err == nil
}

// integerBound is what a field may hold by its own limits, or else its type's.
func integerBound(field protoreflect.FieldDescriptor) bound {
	limit, known := bounds()[field.FullName()]
	if !known || field.IsList() {
		limit = bound{0, inf, 0}
	}
	switch field.Kind() {
	case protoreflect.Int32Kind:
		limit.max = min(limit.max, math.MaxInt32)
	case protoreflect.Uint32Kind:
		limit.max = min(limit.max, math.MaxUint32)
	}
	return limit
}
