package source

import (
	"regexp"
	"strconv"
	"strings"
)

var dates = regexp.MustCompile(`^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d{2}.*)?$|^\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?$`)

// isTyped says that a value is a number, a date, a time or a truth value: not
// a name, and not just any text.
func isTyped(v string) bool {
	v = strings.TrimSpace(v)
	if v == "" {
		return false
	}
	switch strings.ToLower(v) {
	case "true", "false":
		return true
	case "nan", "inf", "infinity":
		return false // as likely a name
	}
	if c := v[0]; c != '-' && c != '+' && c != '.' && (c < '0' || c > '9') {
		return false
	}
	if _, err := strconv.ParseFloat(v, 64); err == nil {
		return true
	}
	return dates.MatchString(v)
}
