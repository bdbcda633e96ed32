package api

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// resolve looks through aliases, anchors and comments at the value itself.
func (d *decoder) resolve(node ast.Node) ast.Node {
	for range 10 { // an alias of an alias of an alias …
		switch n := node.(type) {
		case *ast.AnchorNode:
			node = n.Value
		case *ast.AliasNode:
			target, ok := d.anchors[aliasName(n)]
			if !ok {
				return node
			}
			node = target
		default:
			return node
		}
	}
	return node
}

func aliasName(n *ast.AliasNode) string {
	if n.Value == nil || n.Value.GetToken() == nil {
		return ""
	}
	return n.Value.GetToken().Value
}

// pairs are the fields of a mapping; false for anything else.
func pairs(node ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// message fills m from a mapping.
func (d *decoder) message(path string, m protoreflect.Message, node ast.Node) {
	node = d.resolve(node)
	fields, ok := pairs(node)
	if !ok {
		d.wrongType(path, node, "fields are meant, such as "+exampleField(m.Descriptor()))
		return
	}
	seen := map[string]int{}
	for _, pair := range fields {
		if name, ok := d.key(path, pair, seen); ok {
			d.member(path, name, m, pair)
		}
	}
}

func exampleField(m protoreflect.MessageDescriptor) string {
	return string(m.Fields().Get(0).Name()) + ": …"
}

// key is the name of a field, unless it can't be one or was there already.
func (d *decoder) key(path string, pair *ast.MappingValueNode, seen map[string]int) (string, bool) {
	at := placeOf(pair.Key)
	if pair.Key.IsMergeKey() {
		d.fault(at, path, "has a merge key <<", "write the fields out, or give whole values as *aliases")
		return "", false
	}
	name, ok := text(d.resolve(keyNode(pair.Key)))
	if !ok {
		d.fault(at, path, "has a field whose name is no text", "a name")
		return "", false
	}
	if line, twice := seen[name]; twice {
		d.fault(at, path, "has "+quoted(name)+" twice", fmt.Sprintf("it stands in line %d already", line))
		return "", false
	}
	seen[name] = at.line
	return name, true
}

// keyNode is what stands as a key: `? key` is a node around it.
func keyNode(key ast.MapKeyNode) ast.Node {
	if k, ok := key.(*ast.MappingKeyNode); ok {
		return k.Value
	}
	return key
}

// member fills one field of m.
func (d *decoder) member(path, name string, m protoreflect.Message, pair *ast.MappingValueNode) {
	field := m.Descriptor().Fields().ByName(protoreflect.Name(name))
	if field == nil {
		d.unknownField(path, name, m.Descriptor(), pair)
		return
	}
	at := join(path, name)
	d.places[at] = d.placeOfValue(pair)
	if other := d.otherOfOneof(m, field); other != "" {
		d.fault(placeOf(pair.Key), at, "is given beside "+other, "only one of "+oneofNames(field.ContainingOneof()))
		return
	}
	d.value(at, m, field, pair.Value)
}

// placeOfValue is where a field's value stands; its name for a value of several
// lines.
func (d *decoder) placeOfValue(pair *ast.MappingValueNode) place {
	key, value := placeOf(pair.Key), placeOf(pair.Value)
	if value.line != key.line {
		return key
	}
	return value
}

func (d *decoder) unknownField(path, name string, m protoreflect.MessageDescriptor, pair *ast.MappingValueNode) {
	known := fieldNames(m)
	meant := DidYouMean(name, known, "known are "+strings.Join(known, ", "))
	for _, k := range known {
		if strings.Contains(meant, `"`+k+`"`) {
			d.broken = append(d.broken, join(path, k))
		}
	}
	d.fault(placeOf(pair.Key), path, "has an unknown field "+quoted(name), meant)
}

func fieldNames(m protoreflect.MessageDescriptor) []string {
	names := make([]string, m.Fields().Len())
	for i := range names {
		names[i] = string(m.Fields().Get(i).Name())
	}
	return names
}

// otherOfOneof names the field of the same oneof that is set already.
func (d *decoder) otherOfOneof(m protoreflect.Message, field protoreflect.FieldDescriptor) string {
	oneof := field.ContainingOneof()
	if oneof == nil || oneof.IsSynthetic() {
		return ""
	}
	if other := m.WhichOneof(oneof); other != nil {
		return string(other.Name())
	}
	return ""
}

func oneofNames(oneof protoreflect.OneofDescriptor) string {
	var names []string
	for i := range oneof.Fields().Len() {
		names = append(names, string(oneof.Fields().Get(i).Name()))
	}
	return strings.Join(names, ", ")
}

// value fills a field of any kind.
func (d *decoder) value(path string, m protoreflect.Message, field protoreflect.FieldDescriptor, node ast.Node) {
	node = d.resolve(node)
	switch {
	case isNothing(node):
		d.unusable(placeOf(node), path, "has no value", "give one, or leave it out")
	case field.IsMap():
		d.mapping(path, m.Mutable(field).Map(), node)
	case field.IsList():
		d.list(path, m.Mutable(field).List(), field, node)
	case field.Message() != nil && !isDuration(field):
		d.message(path, m.Mutable(field).Message(), node)
	default:
		if v, ok := d.scalar(path, field, node); ok {
			m.Set(field, v)
		}
	}
}

func isNothing(node ast.Node) bool {
	_, null := node.(*ast.NullNode)
	return null || node == nil
}

// unusable is a fault of a value: what is missing without it is told no more.
func (d *decoder) unusable(at place, path, problem, meant string) {
	d.broken = append(d.broken, path)
	d.fault(at, path, problem, meant)
}

func (d *decoder) wrongType(path string, node ast.Node, meant string) {
	if alias, ok := node.(*ast.AliasNode); ok {
		d.unusable(placeOf(node), path, "is *"+aliasName(alias), "there is no &"+aliasName(alias)+" to stand for it")
		return
	}
	d.unusable(placeOf(node), path, "is "+describe(node), meant)
}

// describe says what a node is, in words.
func describe(node ast.Node) string {
	switch n := node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "the number " + node.GetToken().Value
	case *ast.BoolNode:
		return n.Token.Value
	case *ast.TagNode:
		return "tagged " + n.Start.Value
	}
	if s, ok := text(node); ok {
		return "the text " + quoted(s)
	}
	return "nothing that is understood"
}

func (d *decoder) list(path string, list protoreflect.List, field protoreflect.FieldDescriptor, node ast.Node) {
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		d.wrongType(path, node, "a list is meant, such as "+exampleList(node))
		return
	}
	for i, entry := range sequence.Values {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.places[at] = placeOf(entry)
		entry = d.resolve(entry)
		switch {
		case isNothing(entry):
			d.unusable(placeOf(sequence), at, "has no value", "give one, or leave it out")
		case field.Message() != nil:
			d.message(at, list.AppendMutable().Message(), entry)
		default:
			if v, ok := d.scalar(at, field, entry); ok {
				list.Append(v)
			}
		}
	}
}

// exampleList shows the value given as the entry of a list.
func exampleList(node ast.Node) string {
	if s, ok := text(node); ok && len(s) <= maxQuoted && !strings.Contains(s, "\n") {
		return "[" + quoted(s) + "]"
	}
	return "[a, b]"
}

func (d *decoder) mapping(path string, m protoreflect.Map, node ast.Node) {
	fields, ok := pairs(node)
	if !ok {
		d.wrongType(path, node, "names with values are meant, such as NAME: value")
		return
	}
	seen := map[string]int{}
	for _, pair := range fields {
		name, ok := d.key(path, pair, seen)
		if !ok {
			continue
		}
		at := join(path, name)
		d.places[at] = d.placeOfValue(pair)
		if s, ok := d.text(at, d.resolve(pair.Value)); ok {
			m.Set(protoreflect.ValueOfString(name).MapKey(), protoreflect.ValueOfString(s))
		}
	}
}
