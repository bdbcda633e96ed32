package api

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/millrace/millrace/api/millracev1"
)

const jobProto = "../proto/millrace/v1/job.proto"

// declaration finds what a line of a formatted .proto file declares: a message,
// a oneof or an enum, a field, an enum's value.
var declaration = regexp.MustCompile(`^\s*(?:(message|enum|oneof) (\w+) \{|(?:[\w.<>, ]+ )?(\w+) = \d+;)`)

// protoComments reads the comments of a .proto file that buf has formatted.
func protoComments(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out, comment []string
	message := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "//"); ok {
			comment = append(comment, strings.TrimSpace(text))
			continue
		}
		if name := declared(line, &message); name != "" && len(comment) > 0 {
			out = append(out, name+"\t"+strings.Join(comment, " "))
		}
		comment = nil
	}
	return strings.Join(out, "\n") + "\n"
}

// declared is the full name of what a line declares; values of an enum are named
// beside it, not in it.
func declared(line string, message *string) string {
	m := declaration.FindStringSubmatch(line)
	switch {
	case m == nil, m[1] == "oneof":
		return ""
	case m[1] == "message":
		*message = "millrace.v1." + m[2]
		return *message
	case m[1] == "enum":
		*message = "millrace.v1"
		return "millrace.v1." + m[2]
	}
	return *message + "." + m[3]
}

func TestCommentsAreCurrent(t *testing.T) {
	comments := protoComments(t, jobProto)
	golden(t, "comments.txt", comments)
	if *update {
		commentsFile = comments // what was embedded is old; the schema below is made of this
	}
}

// Everything that the schema describes has a description.
func TestEveryFieldHasAComment(t *testing.T) {
	comments := readComments()
	var visit func(m protoreflect.MessageDescriptor)
	visit = func(m protoreflect.MessageDescriptor) {
		for i := range m.Fields().Len() {
			field := m.Fields().Get(i)
			if comments[string(field.FullName())] == "" {
				t.Errorf("%s has no comment", field.FullName())
			}
			if field.Message() != nil && !field.IsMap() && !isDuration(field) {
				visit(field.Message())
			}
		}
	}
	visit((&pb.JobSpec{}).ProtoReflect().Descriptor())
}

func TestSchema(t *testing.T) {
	golden(t, "testdata/schema.json", string(Schema()))
}

// Every limit is one of a field that there is.
func TestBoundsNameFields(t *testing.T) {
	file := (&pb.JobSpec{}).ProtoReflect().Descriptor().ParentFile()
	for name := range bounds() {
		message := file.Messages().ByName(name.Parent().Name())
		if message == nil || message.Fields().ByName(name.Name()) == nil {
			t.Errorf("%s is no field", name)
		}
	}
}

func TestSchemaPatternsMatchWhatIsRead(t *testing.T) {
	durations, sizes := regexp.MustCompile(durationPattern), regexp.MustCompile(bytesPattern)
	for _, s := range []string{"5s", "1m30s", "2d", "1d12h", "1.5h", "0", "250ms", "5", "x", "d", "1 s", ""} {
		if _, err := ParseDuration(s); (err == nil) != durations.MatchString(s) {
			t.Errorf("duration %q: %v, and yet the pattern says %v", s, err, durations.MatchString(s))
		}
	}
	for _, s := range []string{"1", "64MiB", "1.5GB", "2 kB", "7B", "1e3", "MiB", "0x10", "x", ""} {
		if _, err := ParseBytes(s); (err == nil) != sizes.MatchString(s) {
			t.Errorf("size %q: %v, and yet the pattern says %v", s, err, sizes.MatchString(s))
		}
	}
}

func TestUnits(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"5s": 5 * time.Second, "1d": 24 * time.Hour, "1.5d": 36 * time.Hour, "2d1m": 48*time.Hour + time.Minute,
	} {
		got, err := ParseDuration(s)
		if err != nil || got != want {
			t.Errorf("%q is %v (%v), want %v", s, got, err, want)
		}
		if again, err := ParseDuration(FormatDuration(got)); err != nil || again != got {
			t.Errorf("%v is written %q", got, FormatDuration(got))
		}
	}
	for s, want := range map[string]int64{
		"0": 0, "1KiB": 1024, "1kB": 1000, "1.5MiB": 3 << 19, "9223372036854775807": 1<<63 - 1,
	} {
		if got, err := ParseBytes(s); err != nil || got != want {
			t.Errorf("%q is %d (%v), want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"999999999999999999d", "1d-5h", "9999999TiB", "infB", "1e400"} {
		_, errDuration := ParseDuration(s)
		_, errBytes := ParseBytes(s)
		if errDuration == nil || errBytes == nil {
			t.Errorf("%q: %v, %v", s, errDuration, errBytes)
		}
	}
}

func TestSchemaIsJSON(t *testing.T) {
	if !json.Valid(Schema()) {
		t.Error("not JSON")
	}
}
