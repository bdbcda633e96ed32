package api

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	pb "github.com/millrace/millrace/api/millracev1"
)

// MaxJobFileBytes is the largest job file that is read.
const MaxJobFileBytes = 8 << 20

// maxFaults is how many faults are told at once; somebody who has more has one
// cause for them.
const maxFaults = 100

// ParseJob reads a job file: YAML, or JSON, which is YAML too. Its fields are
// those of JobSpec, by the same names. Enums are short lowercase words (csv,
// gzip, collect), durations are like "1m30s", and sizes may be like "64MiB".
// Paths are used as they are: relative ones are relative to the working
// directory, as on the command line.
//
// The error is all Faults at once, each with its place in the file called name.
func ParseJob(data []byte, name string) (*pb.JobSpec, error) {
	d := &decoder{file: name, places: map[string]place{"": {1, 1}}, anchors: map[string]ast.Node{}}
	spec := d.job(data)
	if len(d.faults) > 0 {
		return nil, d.told()
	}
	return spec, nil
}

// place is where something stands in a file, from 1.
type place struct{ line, column int }

// decoder fills a message from the tree of a YAML file, led by the message's
// descriptor, and gathers faults.
type decoder struct {
	file    string
	faults  Faults
	places  map[string]place    // where the value of each path stands
	broken  []string            // paths that hold something that could not be used
	anchors map[string]ast.Node // by name
}

func (d *decoder) fault(at place, path, problem, meant string) {
	d.faults = append(d.faults, Fault{
		Path: path, Problem: problem, Meant: meant,
		File: d.file, Line: at.line, Column: at.column,
	})
}

// told is the faults in the order of the file, as many as one can read.
func (d *decoder) told() Faults {
	faults := d.faults.sort()
	if len(faults) <= maxFaults {
		return faults
	}
	last := faults[maxFaults-1]
	last.Path, last.Meant = "", "correct the first ones"
	last.Problem = fmt.Sprintf("has %d more faults", len(faults)-maxFaults+1)
	return append(faults[:maxFaults-1:maxFaults-1], last)
}

func (d *decoder) job(data []byte) *pb.JobSpec {
	root := d.parse(data)
	if root == nil {
		return nil
	}
	d.gatherAnchors(root)
	spec := &pb.JobSpec{}
	d.places[""] = placeOf(root)
	d.message("", spec.ProtoReflect(), root)
	d.check(spec)
	return spec
}

// check adds what Check finds, but for what follows from a fault told already.
func (d *decoder) check(spec *pb.JobSpec) {
	if slices.Contains(d.broken, "") {
		return
	}
	for _, f := range Check(spec) {
		if d.follows(f.Path) {
			continue
		}
		at := d.nearest(f.Path)
		f.File, f.Line, f.Column = d.file, at.line, at.column
		d.faults = append(d.faults, f)
	}
}

// follows says whether something at path, or below it, could not be used.
func (d *decoder) follows(path string) bool {
	for _, broken := range d.broken {
		rest, ok := strings.CutPrefix(broken, path)
		if ok && path != "" && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

// nearest is the place of a path, or of the closest thing around it.
func (d *decoder) nearest(path string) place {
	for {
		if at, ok := d.places[path]; ok {
			return at
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}

// parse reads the file into a tree; nil when that is not possible.
func (d *decoder) parse(data []byte) (root ast.Node) {
	start := place{1, 1}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	switch {
	case len(data) > MaxJobFileBytes:
		d.fault(start, "", fmt.Sprintf("has %d bytes", len(data)), fmt.Sprintf("at most %d", MaxJobFileBytes))
		return nil
	case !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0:
		d.fault(badText(data), "", "is not text in UTF-8", "save the file as UTF-8")
		return nil
	case tooDeep(data):
		d.fault(start, "", "is nested too deeply", fmt.Sprintf("at most %d levels", maxNesting))
		return nil
	}
	defer func() {
		if r := recover(); r != nil { // the parser's own bug; the file is odd
			d.fault(start, "", "can't be read as YAML", "simplify it")
			root = nil
		}
	}()
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.syntax(err)
		return nil
	}
	return d.document(file)
}

// maxNesting is how deep brackets may be nested. A job needs five levels.
const maxNesting = 100

// tooDeep keeps what would overflow the parser's stack away from it. Brackets in
// text count too, so that it errs on the safe side: a hundred of them open at
// once, or of dashes in a row, are no job.
func tooDeep(data []byte) bool {
	open, dashes := 0, 0
	for _, c := range data {
		switch c {
		case '[', '{':
			open++
		case ']', '}':
			open = max(open-1, 0)
		case '-', '?', ':':
			dashes++
		case ' ':
		default:
			dashes = 0
		}
		if open > maxNesting {
			return true
		}
		if c == '\n' {
			dashes = 0
		}
		if dashes > maxNesting*10 {
			return true
		}
	}
	return false
}

// badText is where data stops being text.
func badText(data []byte) place {
	at := place{1, 1}
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case r == 0, r == utf8.RuneError && size == 1:
			return at
		case r == '\n':
			at = place{at.line + 1, 1}
		default:
			at.column++
		}
		data = data[size:]
	}
	return at
}

func (d *decoder) syntax(err error) {
	at, problem := place{1, 1}, err.Error()
	if e, ok := err.(yaml.Error); ok {
		problem = e.GetMessage()
		if token := e.GetToken(); token != nil && token.Position != nil {
			at = place{token.Position.Line, token.Position.Column}
		}
	}
	d.fault(at, "", "can't be read as YAML", problem)
}

// document is the one document of a file.
func (d *decoder) document(file *ast.File) ast.Node {
	var root ast.Node
	for _, doc := range file.Docs {
		switch body := doc.Body.(type) {
		case nil, *ast.DirectiveNode, *ast.CommentGroupNode:
		default:
			if root != nil {
				d.fault(placeOf(body), "", "has a second document", "one job for each file")
				return root
			}
			root = body
		}
	}
	if root == nil {
		d.fault(place{1, 1}, "", "is empty", "a job has at least a source and stages")
	}
	return root
}

// gatherAnchors finds what aliases can name.
func (d *decoder) gatherAnchors(node ast.Node) {
	switch n := node.(type) {
	case *ast.AnchorNode:
		if n.Name != nil && n.Value != nil {
			d.anchors[n.Name.GetToken().Value] = n.Value
		}
		d.gatherAnchors(n.Value)
	case *ast.TagNode:
		d.gatherAnchors(n.Value)
	case *ast.MappingNode:
		for _, pair := range n.Values {
			d.gatherAnchors(pair.Value)
		}
	case *ast.MappingValueNode:
		d.gatherAnchors(n.Value)
	case *ast.SequenceNode:
		for _, value := range n.Values {
			d.gatherAnchors(value)
		}
	}
}

// placeOf is where a node begins. A mapping begins with its first key: its own
// token is the first colon.
func placeOf(node ast.Node) place {
	switch n := node.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return placeOf(n.Values[0])
		}
	case *ast.MappingValueNode:
		return placeOf(n.Key)
	}
	if node == nil || node.GetToken() == nil || node.GetToken().Position == nil {
		return place{1, 1}
	}
	position := node.GetToken().Position
	return place{position.Line, position.Column}
}
