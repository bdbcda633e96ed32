package coordinator

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/millrace/millrace/api"
	"github.com/millrace/millrace/coordinator/ledger"
)

// jobNames makes the identifiers of jobs that people see out of their numbers,
// and back. The prefix is the log's own: whoever asks for a job of another log
// is told so, and not of another job with the same number.
type jobNames struct {
	prefix string
	// base is what the log's numbers begin after, so that people see small ones.
	base ledger.JobID
}

func (n jobNames) name(id ledger.JobID) string {
	return n.prefix + strconv.FormatUint(uint64(id-n.base), 10)
}

// form is the form of every job's name, of this log or of another.
var form = regexp.MustCompile(`^[a-z0-9]{5}-[1-9][0-9]{0,19}$`)

// number is the job that a name stands for, if this log may have one of that
// name; otherwise it says why there is none.
func (n jobNames) number(name string) (ledger.JobID, error) {
	digits, ours := strings.CutPrefix(name, n.prefix)
	shown, err := strconv.ParseUint(digits, 10, 64)
	id := n.base + ledger.JobID(shown)
	switch {
	case ours && err == nil && id > n.base && n.name(id) == name:
		return id, nil
	case !ours && form.MatchString(name):
		return 0, api.Errorf(api.NotFound, "there is no job %s: the coordinator was started anew since it was submitted, and keeps its jobs in memory: they are gone with it; submit the job again", name)
	}
	return 0, api.Errorf(api.NotFound, "there is no job %s: names of this coordinator's jobs look like %s", api.Clip(strconv.Quote(name), maxNameShown), n.prefix+"1")
}

// maxNameShown is how much of a name that makes no sense is repeated, in bytes.
const maxNameShown = 80
