package coordinator

import (
	"strconv"
	"strings"

	"github.com/millrace/millrace/coordinator/ledger"
)

// jobNames makes the identifiers of jobs that people see out of their numbers,
// and back. The prefix is the log's own: whoever asks for a job of another log
// is told that it is unknown, and not of another job with the same number.
type jobNames struct{ prefix string }

func (n jobNames) name(id ledger.JobID) string {
	return n.prefix + strconv.FormatUint(uint64(id), 10)
}

// number is 0 for a name that no job of this log has.
func (n jobNames) number(name string) ledger.JobID {
	digits, ok := strings.CutPrefix(name, n.prefix)
	if !ok {
		return 0
	}
	id, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n.name(ledger.JobID(id)) != name {
		return 0
	}
	return ledger.JobID(id)
}
