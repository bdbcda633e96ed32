package format

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// typeNames are DuckDB's names of the plain types.
var typeNames = map[arrow.Type]string{
	arrow.NULL: `"NULL"`, arrow.BOOL: "BOOLEAN",
	arrow.INT8: "TINYINT", arrow.INT16: "SMALLINT", arrow.INT32: "INTEGER", arrow.INT64: "BIGINT",
	arrow.UINT8: "UTINYINT", arrow.UINT16: "USMALLINT", arrow.UINT32: "UINTEGER", arrow.UINT64: "UBIGINT",
	arrow.FLOAT16: "FLOAT", arrow.FLOAT32: "FLOAT", arrow.FLOAT64: "DOUBLE",
	arrow.STRING: "VARCHAR", arrow.LARGE_STRING: "VARCHAR", arrow.STRING_VIEW: "VARCHAR",
	arrow.BINARY: "BLOB", arrow.LARGE_BINARY: "BLOB", arrow.BINARY_VIEW: "BLOB", arrow.FIXED_SIZE_BINARY: "BLOB",
	arrow.DATE32: "DATE", arrow.DATE64: "DATE", arrow.TIME32: "TIME", arrow.TIME64: "TIME",
	arrow.DURATION: "INTERVAL", arrow.INTERVAL_MONTHS: "INTERVAL",
	arrow.INTERVAL_DAY_TIME: "INTERVAL", arrow.INTERVAL_MONTH_DAY_NANO: "INTERVAL",
}

// TypeName is DuckDB's name of an Arrow type.
func TypeName(t arrow.DataType) string {
	switch t := t.(type) {
	case *arrow.TimestampType:
		return timestampName(t)
	case arrow.DecimalType:
		return fmt.Sprintf("DECIMAL(%d,%d)", t.GetPrecision(), t.GetScale())
	case *arrow.DictionaryType:
		return TypeName(t.ValueType)
	case *arrow.MapType:
		return fmt.Sprintf("MAP(%s, %s)", TypeName(t.KeyType()), TypeName(t.ItemType()))
	case *arrow.FixedSizeListType:
		return fmt.Sprintf("%s[%d]", TypeName(t.Elem()), t.Len())
	case arrow.ListLikeType:
		return TypeName(t.Elem()) + "[]"
	case *arrow.StructType:
		return structName(t)
	case arrow.ExtensionType:
		return TypeName(t.StorageType())
	}
	if name, ok := typeNames[t.ID()]; ok {
		return name
	}
	return strings.ToUpper(t.Name())
}

func timestampName(t *arrow.TimestampType) string {
	switch {
	case t.TimeZone != "":
		return "TIMESTAMP WITH TIME ZONE"
	case t.Unit == arrow.Second:
		return "TIMESTAMP_S"
	case t.Unit == arrow.Millisecond:
		return "TIMESTAMP_MS"
	case t.Unit == arrow.Nanosecond:
		return "TIMESTAMP_NS"
	}
	return "TIMESTAMP"
}

func structName(t *arrow.StructType) string {
	var b strings.Builder
	for i, f := range t.Fields() {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(`"` + strings.ReplaceAll(f.Name, `"`, `""`) + `" ` + TypeName(f.Type))
	}
	return "STRUCT(" + b.String() + ")"
}

// plainTypes are the Arrow types of DuckDB's names that text is read into.
var plainTypes = map[string]arrow.DataType{
	"BOOLEAN": arrow.FixedWidthTypes.Boolean,
	"TINYINT": arrow.PrimitiveTypes.Int8, "SMALLINT": arrow.PrimitiveTypes.Int16,
	"INTEGER": arrow.PrimitiveTypes.Int32, "BIGINT": arrow.PrimitiveTypes.Int64,
	"UTINYINT": arrow.PrimitiveTypes.Uint8, "USMALLINT": arrow.PrimitiveTypes.Uint16,
	"UINTEGER": arrow.PrimitiveTypes.Uint32, "UBIGINT": arrow.PrimitiveTypes.Uint64,
	"FLOAT": arrow.PrimitiveTypes.Float32, "DOUBLE": arrow.PrimitiveTypes.Float64,
	"DATE": arrow.FixedWidthTypes.Date32, "TIMESTAMP": &arrow.TimestampType{Unit: arrow.Microsecond},
	"TIMESTAMP WITH TIME ZONE": &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"},
	"TIME":                     arrow.FixedWidthTypes.Time64us,
}

// ArrowType is the Arrow type that text of a DuckDB type is read into: text
// for types that have no plain one.
func ArrowType(name string) arrow.DataType {
	upper := strings.ToUpper(strings.TrimSpace(name))
	if t, ok := plainTypes[upper]; ok {
		return t
	}
	if digits, ok := strings.CutPrefix(upper, "DECIMAL("); ok {
		p, s, _ := strings.Cut(strings.TrimSuffix(digits, ")"), ",")
		precision, err := strconv.Atoi(strings.TrimSpace(p))
		scale, err2 := strconv.Atoi(strings.TrimSpace(s))
		if err == nil && err2 == nil && precision > 0 && precision <= 38 && scale >= 0 && scale <= precision {
			return &arrow.Decimal128Type{Precision: int32(precision), Scale: int32(scale)}
		}
	}
	return arrow.BinaryTypes.String
}
