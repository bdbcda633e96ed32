package cli

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
)

func TestSameColumns(t *testing.T) {
	schema := func(names ...string) *arrow.Schema {
		var fields []arrow.Field
		for _, name := range names {
			fields = append(fields, arrow.Field{Name: name, Type: arrow.PrimitiveTypes.Int64})
		}
		return arrow.NewSchema(fields, nil)
	}
	metadata := arrow.NewMetadata([]string{"k"}, []string{"v"})
	if err := sameColumns(schema("a", "b"), arrow.NewSchema(schema("a", "b").Fields(), &metadata)); err != nil {
		t.Errorf("metadata matter: %v", err)
	}
	for _, other := range []*arrow.Schema{schema("a"), schema("b", "a"), schema("a", "b", "c")} {
		err := sameColumns(schema("a", "b"), other)
		if err == nil || !strings.Contains(err.Error(), "a int64, b int64") {
			t.Errorf("%s: %v", other, err)
		}
	}
}
