//go:build cgo

package duckdb

import (
	"strings"

	bindings "github.com/duckdb/duckdb-go-bindings"
)

// kindOf is the kind that DuckDB's type of error has for us.
func kindOf(t bindings.ErrorType) Kind {
	switch t {
	case bindings.ErrorTypeOutOfMemory:
		return KindMemory
	case bindings.ErrorTypePermission:
		return KindPermission
	case bindings.ErrorTypeInterrupt:
		return KindInterrupt
	case bindings.ErrorTypeErrorIO:
		return KindIO
	case bindings.ErrorTypeFatal, bindings.ErrorTypeInternal, bindings.ErrorTypeNullPointer:
		return KindInternal
	case bindings.ErrorTypeParser, bindings.ErrorTypeSyntax, bindings.ErrorTypeBinder,
		bindings.ErrorTypeCatalog, bindings.ErrorTypePlanner, bindings.ErrorTypeNotImplemented,
		bindings.ErrorTypeParameterNotResolved, bindings.ErrorTypeParameterNotAllowed:
		return KindQuery
	default:
		return KindData
	}
}

// kindOfMessage reads the kind off the words that each of DuckDB's messages
// begins with, where its type is not told.
func kindOfMessage(message string) Kind {
	for _, p := range prefixes {
		if strings.HasPrefix(message, p.text) {
			return p.kind
		}
	}
	return KindData
}

var prefixes = []struct {
	text string
	kind Kind
}{
	{"Out of Memory Error", KindMemory},
	{"Permission Error", KindPermission},
	{"INTERRUPT Error", KindInterrupt},
	{"IO Error", KindIO},
	{"INTERNAL Error", KindInternal},
	{"FATAL Error", KindInternal},
	{"Parser Error", KindQuery},
	{"Syntax Error", KindQuery},
	{"Binder Error", KindQuery},
	{"Catalog Error", KindQuery},
	{"Planner Error", KindQuery},
	{"Not implemented Error", KindQuery},
	{"Invalid Error", KindQuery},
	{"Parameter Not", KindQuery},
}
