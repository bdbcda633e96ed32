package api

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// join makes the path of a field below another.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func sortedKeys(m protoreflect.Map) []string {
	var keys []string
	m.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, k.String())
		return true
	})
	slices.Sort(keys)
	return keys
}

// ShortName is the name of an enum's value in job files and on the command line:
// "csv" for FORMAT_CSV. Zero values have none, since leaving a field out says
// the same.
func ShortName(value protoreflect.Enum) string {
	return shortName(value.Descriptor(), value.Number())
}

func enumName(value protoreflect.Enum) string { return ShortName(value) }

func shortName(enum protoreflect.EnumDescriptor, number protoreflect.EnumNumber) string {
	value := enum.Values().ByNumber(number)
	if value == nil || number == 0 {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(string(value.Name()), enumPrefix(enum)))
}

// enumPrefix is what all values of an enum begin with: FORMAT_.
func enumPrefix(enum protoreflect.EnumDescriptor) string {
	return strings.TrimSuffix(string(enum.Values().Get(0).Name()), "UNSPECIFIED")
}

// ShortNames are the names of an enum's values that a user may give.
func ShortNames(enum protoreflect.EnumDescriptor) []string {
	var names []string
	for i := range enum.Values().Len() {
		if name := shortName(enum, enum.Values().Get(i).Number()); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// meantEnum says which names are meant.
func meantEnum(enum protoreflect.EnumDescriptor) string {
	return "one of " + strings.Join(ShortNames(enum), ", ")
}

// DidYouMean is the known name that is nearest to the one given, as a question
// for people, or else what is said otherwise.
func DidYouMean(given string, known []string, otherwise string) string {
	if len(given) > maxQuoted {
		return otherwise
	}
	best, distance := "", max(1, len(given)/3)+1
	for _, name := range known {
		if d := edits(folded(given), folded(name)); d < distance {
			best, distance = name, d
		}
	}
	if best == "" {
		return otherwise
	}
	return `did you mean "` + best + `"?`
}

// folded makes maxRecordBytes, max-record-bytes and max_record_bytes one.
func folded(name string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(name))
}

// edits counts the letters that must be put in, left out, replaced or swapped
// with a neighbour to make b of a.
func edits(a, b string) int {
	before, last, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(last[j+1]+1, next[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, last, next = last, next, before
	}
	return last[len(b)]
}
